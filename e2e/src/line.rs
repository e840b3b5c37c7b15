//! A PKI that answers later: a TCP proxy that holds back what the server says.
//!
//! What the client says goes on at once, so a request over a connection that stands takes exactly this much
//! longer, and the PKI behind can be any.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How many pieces may be held back on one connection: more than an answer has.
const HELD: usize = 1024;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, to: String, by: Duration) -> io::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let to = to.clone();
        // A connection that breaks is its two ends' affair.
        tokio::spawn(async move { connection(client, &to, by).await });
    }
}

async fn connection(client: TcpStream, to: &str, by: Duration) -> io::Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let asking = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    tokio::try_join!(asking, hold_back(from_server, to_client, by)).map(drop)
}

async fn hold_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, by: Duration) -> io::Result<()> {
    let (sender, mut held) = mpsc::channel::<(Instant, Vec<u8>)>(HELD);
    let reading = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            if piece.is_empty() || sender.send((Instant::now() + by, piece)).await.is_err() {
                return Ok::<(), io::Error>(());
            }
        }
    };
    let writing = async {
        while let Some((due, piece)) = held.recv().await {
            tokio::time::sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_answer_comes_later_and_whole() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut read, mut write) = stream.split();
            copy(&mut read, &mut write).await.unwrap();
        });
        let by = Duration::from_millis(50);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, to, by));
        let mut client = TcpStream::connect(at).await.unwrap();
        for said in [b"one", b"two"] {
            let began = Instant::now();
            client.write_all(said).await.unwrap();
            let mut answer = [0; 3];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, said);
            assert!(began.elapsed() >= by, "{:?}", began.elapsed());
        }
    }
}
