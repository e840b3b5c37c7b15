//! What a server may do to us, and that each of it ends early, in one clear sentence without a secret.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::scripted::{Scripted, answer, gone};
use super::*;
use crate::signer::{Outcome, UnhealthyReason};

const CANARY: &str = "hvs.canary";
const PATIENT: Duration = Duration::from_secs(20);
const HASTY: Duration = Duration::from_millis(150);

fn client(url: &PkiUrl, timeout: Duration) -> HttpClient {
    HttpClient::new(url, &TlsConfig::default(), timeout).unwrap()
}

fn call(url: &PkiUrl) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("x-vault-token", HeaderValue::from_static(CANARY));
    let mut url = url.join("v1/pki/sign/web");
    url.set_query(Some("secret=hvs.canary"));
    let body = format!("{{\"secret_id\":\"{CANARY}\"}}").into_bytes();
    Call { operation: "sign the request", method: Method::POST, url, headers, body: Some(body) }
}

async fn send(server: &Scripted, timeout: Duration) -> Result<Reply, HttpError> {
    client(&server.url, timeout).send(call(&server.url)).await
}

/// The error, once it is certain that nobody learns a secret from it.
async fn error(server: &Scripted, timeout: Duration) -> HttpError {
    let error = send(server, timeout).await.unwrap_err();
    let host = server.url.join("").port().unwrap();
    let message = error.to_string();
    assert!(message.starts_with(&format!("could not sign the request at 127.0.0.1:{host}: ")), "{message}");
    assert!(message.len() < 400, "{message}");
    for shown in [message, format!("{error:?}"), format!("{:?}", error.clone().into_outcome())] {
        assert!(!shown.contains(CANARY) && !shown.contains("secret"), "{shown}");
    }
    error
}

fn rest(error: &HttpError) -> String {
    error.to_string().split_once(": ").unwrap().1.to_owned()
}

#[tokio::test]
async fn an_answer_is_read_whole_whatever_its_status() {
    let server =
        Scripted::answering(|_| answer(503, "Retry-After: 7\r\nContent-Type: text/html\r\n", "<html>"));
    let reply = send(&server, PATIENT).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.retry_after), (503, Some(Duration::from_secs(7))));
    assert_eq!(reply.summary(), "HTTP 503 with text/html");
    assert_eq!(reply.json::<serde_json::Value>(), None);
    assert_eq!(format!("{reply:?}"), "Reply(HTTP 503 with text/html)");

    let head = server.requests()[0].head.to_lowercase();
    assert!(head.contains("accept-encoding: identity"), "{head}");
    assert!(head.contains(concat!("user-agent: external-issuer/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert_eq!(server.lines(), ["POST /v1/pki/sign/web?secret=hvs.canary"]);
}

#[test]
fn debug_shows_neither_headers_nor_bodies() {
    let url = PkiUrl::parse("https://vault.example.com:8200").unwrap();
    assert_eq!(format!("{:?}", call(&url)), "Call(POST vault.example.com:8200)");
}

#[tokio::test]
async fn an_announced_gigabyte_is_not_read() {
    let server = Scripted::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n{".to_vec());
    let error = error(&server, PATIENT).await;
    assert_eq!(rest(&error), "the answer is longer than 1048576 bytes");
    assert!(matches!(error, HttpError::TooLong(_)));
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_limit() {
    let (told, written) = mpsc::channel();
    let server = Scripted::new(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 65536], b"\r\n"].concat();
        let sent =
            std::iter::repeat_with(|| stream.write_all(&chunk)).take(16 * 1024).take_while(Result::is_ok);
        told.send(sent.count() * 65536).unwrap();
    });
    let error = error(&server, PATIENT).await;
    assert_eq!(rest(&error), "the answer is longer than 1048576 bytes");
    // What the sockets on both sides hold is written too, but not the gigabyte.
    // The connection is closed by the client's own tasks, so they must be let run.
    let written = tokio::task::spawn_blocking(move || written.recv().unwrap()).await.unwrap();
    assert!(written < 64 * MAX_BODY, "{written}");
}

#[tokio::test]
async fn a_slow_drip_ends_with_the_timeout() {
    let server = Scripted::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").unwrap();
        while stream.write_all(b"x").is_ok() && !gone(stream, Duration::from_millis(5)) {}
    });
    let error = error(&server, HASTY).await;
    assert_eq!(rest(&error), "the answer was not complete within 150ms");
    assert!(matches!(error.into_outcome(), Outcome::Retryable { .. }));
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let server = Scripted::new(|_, stream| assert!(gone(stream, PATIENT)));
    assert_eq!(rest(&error(&server, HASTY).await), "no answer within 150ms");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_error_names_its_host() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let location = format!("Location: http://user:secret@127.0.0.1:{port}/login?secret=hvs.canary\r\n");
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Scripted::answering(move |_| answer(status, &location, ""));
        let error = error(&server, PATIENT).await;
        let expected = format!(
            "HTTP {status} to http://127.0.0.1:{port}; redirects are not followed, as the credential would go \
             along: correct the URL"
        );
        assert_eq!(rest(&error), expected);
        // Only 307 is how a standby passes on.
        let waits = matches!(error.into_outcome(), Outcome::Retryable { .. });
        assert_eq!(waits, status == 307, "{status}");
    }
    elsewhere.set_nonblocking(true).unwrap();
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_redirect_to_https_is_a_wrong_address() {
    let server = Scripted::answering(|_| answer(307, "Location: https://vault.example.com/v1/x\r\n", ""));
    let unhealthy = error(&server, PATIENT).await.into_unhealthy();
    assert_eq!(unhealthy.reason, UnhealthyReason::ConfigurationRefused);
    assert!(unhealthy.message.contains("HTTP 307 to https://vault.example.com;"), "{}", unhealthy.message);
}

#[tokio::test]
async fn a_compressed_answer_stays_compressed() {
    let server = Scripted::answering(|_| answer(200, "Content-Encoding: gzip\r\n", "\u{1f}\u{8b}"));
    let error = error(&server, PATIENT).await;
    assert_eq!(rest(&error), "the answer is compressed (gzip), though that was declined");
    assert_eq!(error.into_unhealthy().reason, UnhealthyReason::Unreachable);
}

#[tokio::test]
async fn a_connection_that_breaks_may_work_later() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    for (bytes, expected) in [
        ("", "connection closed before message completed"),
        ("HTTP/1.1 200", "connection closed before message completed"),
        (half, "the answer broke off: "),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "invalid HTTP version parsed"),
    ] {
        let server = Scripted::answering(move |_| bytes.into());
        let error = error(&server, PATIENT).await;
        assert!(rest(&error).starts_with(expected), "{bytes:?}: {error}");
        assert!(matches!(error.into_outcome(), Outcome::Retryable { retry_after: None, .. }));
    }
}

#[tokio::test]
async fn nobody_there_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = PkiUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = client(&url, PATIENT).send(call(&url)).await.unwrap_err();
    assert_eq!(rest(&error), "connection refused");
}

/// A TLS server for `localhost`, and the CA that signed its certificate.
fn tls_server(version: &'static rustls::SupportedProtocolVersion) -> (PkiUrl, TlsConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            // A client that declines ends the handshake with an error here.
            if stream.read(&mut [0; 4096]).is_ok() {
                drop(stream.write_all(&answer(200, "", "{}")));
                drop(stream.flush());
            }
        }
    });
    let authority = x509::Certificate::from_der(ca.der()).unwrap();
    let trusting = TlsConfig { ca_bundle: vec![authority], ..TlsConfig::default() };
    (PkiUrl::parse(&url).unwrap(), trusting)
}

async fn send_tls(url: &PkiUrl, tls: &TlsConfig) -> Result<Reply, HttpError> {
    HttpClient::new(url, tls, PATIENT).unwrap().send(call(url)).await
}

#[tokio::test]
async fn a_bundle_is_trusted_and_nothing_else_is() {
    let (url, tls) = tls_server(&rustls::version::TLS13);
    assert_eq!(send_tls(&url, &tls).await.unwrap().status, 200);

    let (_, stranger) = tls_server(&rustls::version::TLS13);
    for tls in [stranger, TlsConfig::default()] {
        let error = send_tls(&url, &tls).await.unwrap_err();
        assert_eq!(
            rest(&error),
            "its certificate is signed by a CA that is not trusted: put that CA into tls.caBundle"
        );
        assert!(matches!(error.into_outcome(), Outcome::IssuerAtFault { .. }));
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let (url, tls) = tls_server(&rustls::version::TLS13);
    let by_address = PkiUrl::parse(&url.to_string().replace("localhost", "127.0.0.1")).unwrap();
    let error = send_tls(&by_address, &tls).await.unwrap_err();
    assert!(rest(&error).starts_with("its certificate is not for this host name"), "{error}");
}

#[tokio::test]
async fn the_least_version_is_kept() {
    let (url, tls) = tls_server(&rustls::version::TLS12);
    assert_eq!(send_tls(&url, &tls).await.unwrap().status, 200);
    let strict = TlsConfig { min_version: crate::config::TlsVersion::V1_3, ..tls };
    let error = send_tls(&url, &strict).await.unwrap_err();
    assert!(rest(&error).starts_with("TLS failed: "), "{error}");
}

#[tokio::test]
async fn plain_http_behind_an_https_address_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = PkiUrl::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&answer(400, "", "Bad Request")).unwrap();
        gone(&mut stream, PATIENT);
    });
    let error = send_tls(&url, &TlsConfig::default()).await.unwrap_err();
    assert_eq!(rest(&error), "it does not speak TLS: is the URL's scheme http?");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let connections = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&connections);
    let server = Scripted::new(move |_, stream| {
        *counted.lock().unwrap() += 1;
        loop {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            if !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                return;
            }
        }
    });
    let client = client(&server.url, PATIENT);
    for _ in 0..3 {
        client.send(call(&server.url)).await.unwrap();
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}
