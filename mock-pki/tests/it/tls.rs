//! TLS with a certificate made at start.

use mock_pki::server::{self, Config, Tls};
use reqwest::Certificate;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn a_client_that_trusts_the_ca_is_served_and_another_is_not() {
    rustls_provider();
    let config = Config {
        tls: Tls::Generated { names: vec!["pki.example.com".to_owned()] },
        ..Config::default().with_tls("vault")
    };
    let running = server::start(config).await.unwrap();
    let url = format!("{}/v1/sys/health", running.url("vault").replace("127.0.0.1", "localhost"));
    let ca = Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let trusting = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), 200);
    let stranger = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    assert!(stranger.get(&url).send().await.unwrap_err().is_connect());
    running.shutdown().await;
}

#[tokio::test]
async fn plain_http_gets_gos_hint() {
    let running = server::start(Config::default().with_tls("vault")).await.unwrap();
    let mut stream = TcpStream::connect(running.url("vault").trim_start_matches("https://")).await.unwrap();
    stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // What the server did not read turns its close into a reset on some systems; the hint is there before.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{answer}");
}

fn rustls_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
