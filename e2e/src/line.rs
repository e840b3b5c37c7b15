//! A line to a PKI: a TCP proxy that may be slow, or cut.
//!
//! A slow line holds back what the server says. What the client says goes on at once, so a request over a
//! connection that stands takes exactly this much longer, and the PKI behind can be any: it signs at once, and
//! its answer is on its way. A line that is cut refuses connections, as a port does where nobody listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::port;

/// How many pieces may be held back on one connection: more than an answer has.
const HELD: usize = 1024;

/// A line with an address of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    to: String,
    by: Duration,
    serving: Option<JoinHandle<io::Result<()>>>,
}

impl Line {
    /// A line to `to` (`host:port`), whose answers come `by` later.
    pub async fn to(to: &str, by: Duration) -> io::Result<Self> {
        let address = (Ipv4Addr::LOCALHOST, port::free()?).into();
        let mut line = Self { address, to: to.to_owned(), by, serving: None };
        line.mend().await?;
        Ok(line)
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections are refused; those that stand are broken.
    pub async fn cut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // The port is free when the task is gone; that it was aborted is known.
            let _ = serving.await;
        }
    }

    /// It carries again, at the same address.
    pub async fn mend(&mut self) -> io::Result<()> {
        self.cut().await;
        let listener = TcpListener::bind(self.address).await?;
        self.serving = Some(tokio::spawn(serve(listener, self.to.clone(), self.by)));
        Ok(())
    }
}

impl crate::pki::Line for Line {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn cut(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(Self::cut(self))
    }

    fn mend(&mut self) -> BoxFuture<'_, crate::Result> {
        Box::pin(async { Ok(Self::mend(self).await?) })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

/// Serves until it is dropped; connections end with it.
pub async fn serve(listener: TcpListener, to: String, by: Duration) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await?;
        let to = to.clone();
        // A connection that breaks is its two ends' affair.
        connections.spawn(async move { connection(client, &to, by).await });
        while connections.try_join_next().is_some() {}
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

    /// Somebody who says what he hears, to as many as come.
    async fn echo() -> String {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = echo.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_line_that_is_cut_refuses_and_mended_carries_again() {
        let mut line = Line::to(&echo().await, Duration::ZERO).await.unwrap();
        let mut answer = [0; 3];
        let mut client = TcpStream::connect(line.address()).await.unwrap();
        client.write_all(b"one").await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        line.cut().await;
        assert!(client.read_exact(&mut answer).await.is_err());
        let refused = TcpStream::connect(line.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        line.mend().await.unwrap();
        let mut client = TcpStream::connect(line.address()).await.unwrap();
        client.write_all(b"two").await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"two");
    }

    #[tokio::test]
    async fn each_answer_comes_later_and_whole() {
        let to = echo().await;
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
