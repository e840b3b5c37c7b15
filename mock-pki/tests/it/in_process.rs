//! Within the test's own process, without a socket.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use mock_pki::{Fault, client::Control, in_process::MockPki, server::Config};

#[tokio::test]
async fn the_control_port_and_the_vault_face_answer_as_over_a_network() {
    let clock = Arc::new(|| "2030-01-01T00:00:00Z".parse().unwrap());
    let pki = MockPki::new(&Config::default(), clock).unwrap();
    let control = Control::in_process(pki.clone());
    let health = async || {
        let request = Request::get("http://127.0.0.1:1/v1/sys/health").body(Bytes::new()).unwrap();
        pki.vault(request).await.unwrap()
    };
    assert_eq!(health().await.status(), StatusCode::OK);

    let sealed = control.install(Fault::new("sealed")).await.unwrap();
    assert_eq!(health().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(control.faults().await.unwrap()[0].applied, 1);
    sealed.uninstall().await.unwrap();
    assert_eq!(health().await.status(), StatusCode::OK);

    let away = control.install(Fault::new("redirect").with("to", "http://elsewhere.invalid")).await.unwrap();
    assert_eq!(health().await.headers()[header::LOCATION], "http://elsewhere.invalid/v1/sys/health");
    away.uninstall().await.unwrap();

    let refused = control.install(Fault::new("nothing")).await.unwrap_err().to_string();
    assert!(refused.contains("400") && refused.contains("unknown kind of fault"), "{refused}");
    let paths: Vec<String> = control.journal().await.unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["/v1/sys/health"; 4]);
    assert!(control.root_ca().await.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
}
