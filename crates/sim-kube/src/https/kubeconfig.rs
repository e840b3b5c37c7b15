//! The text of a kubeconfig.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What a user shows the server.
pub(super) enum Credentials<'a> {
    /// A client certificate and its key, in PEM.
    Certificate { certificate: &'a str, key: &'a str },
    /// A bearer token.
    Token(&'a str),
}

/// A kubeconfig with one cluster and one user. It is JSON, which is YAML.
pub(super) fn text(server: &str, ca_pem: &str, user: &str, credentials: &Credentials<'_>) -> String {
    let data = |pem: &str| Value::from(STANDARD.encode(pem));
    let credentials = match credentials {
        Credentials::Certificate { certificate, key } => {
            json!({"client-certificate-data": data(certificate), "client-key-data": data(key)})
        }
        Credentials::Token(token) => json!({"token": token}),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "sim-kube",
            "cluster": {"server": server, "certificate-authority-data": data(ca_pem)},
        }],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "sim-kube", "context": {"cluster": "sim-kube", "user": user}}],
        "current-context": "sim-kube",
    });
    format!("{config:#}\n")
}
