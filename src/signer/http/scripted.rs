//! A server that says what a test wants, byte for byte, on plain threads: some of it no HTTP library would say.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::config::PkiUrl;

/// One request as it came.
#[derive(Clone, Debug)]
pub(in crate::signer) struct Request {
    pub(in crate::signer) head: String,
    pub(in crate::signer) body: String,
}

impl Request {
    /// `POST /v1/pki/sign/web`.
    pub(in crate::signer) fn line(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap_or_default()
    }
}

/// The server; it ends with the test process.
pub(in crate::signer) struct Scripted {
    pub(in crate::signer) url: PkiUrl,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// Every connection brings one request, is handed to `play`, and closed.
    pub(in crate::signer) fn new(play: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = PkiUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, play) = (Arc::clone(&requests), Arc::new(play));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, seen, play) = (stream.unwrap(), Arc::clone(&seen), Arc::clone(&play));
                std::thread::spawn(move || {
                    if let Some(request) = read(&mut stream) {
                        seen.lock().unwrap().push(request.clone());
                        play(&request, &mut stream);
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// Answers each request with what `answer` makes of it.
    pub(in crate::signer) fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |request, stream| drop(stream.write_all(&answer(request))))
    }

    pub(in crate::signer) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first lines of all requests so far.
    pub(in crate::signer) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.line().to_owned()).collect()
    }
}

/// A whole answer; `headers` end with CRLF each.
pub(in crate::signer) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// A whole answer in JSON.
pub(in crate::signer) fn json(status: u16, body: &str) -> Vec<u8> {
    answer(status, "content-type: application/json\r\n", body)
}

/// Waits until the client has gone, or this long. True when it has gone.
pub(super) fn gone(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    matches!(stream.read(&mut [0; 1]), Ok(0)) || stream.take_error().unwrap().is_some()
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(Request { head: head.to_owned(), body: body.to_owned() });
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count)?),
        }
    }
}
