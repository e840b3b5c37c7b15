//! What a certificate says, as a tree for people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509::{Certificate, hex};

use crate::serial::colons;

/// A thing that a certificate says, and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// What it is.
    pub name: String,
    /// What it says, where that fits a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its parts.
    pub children: Vec<Node>,
}

impl Node {
    fn leaf(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: Some(value.into()), children: Vec::new() }
    }

    fn branch(name: &str, children: Vec<Self>) -> Self {
        Self { name: name.to_owned(), value: None, children }
    }
}

/// All that this certificate says.
pub(crate) fn of(certificate: &Certificate) -> Vec<Node> {
    let names: Vec<Node> = certificate
        .subject_alt_names()
        .iter()
        .map(|name| {
            let text = name.to_string();
            let (kind, value) = text.split_once(':').unwrap_or(("name", &text));
            Node::leaf(kind, value)
        })
        .collect();
    let mut nodes = vec![
        Node::leaf("subject", certificate.subject().to_string()),
        Node::leaf("issuer", certificate.issuer().to_string()),
        Node::leaf("serial", colons(&certificate.serial_hex())),
        Node::branch(
            "validity",
            vec![
                Node::leaf("not before", certificate.not_before().to_string()),
                Node::leaf("not after", certificate.not_after().to_string()),
            ],
        ),
        Node::leaf("key", certificate.key_type().to_string()),
    ];
    if !names.is_empty() {
        nodes.push(Node::branch("subject alternative names", names));
    }
    let mut says = vec![
        Node::leaf("certificate authority", if certificate.is_ca() { "yes" } else { "no" }),
        Node::leaf("usages", certificate.usages().to_string()),
    ];
    if let Some(length) = certificate.path_len() {
        says.push(Node::leaf("path length", length.to_string()));
    }
    for (name, id) in [
        ("subject key id", certificate.subject_key_id()),
        ("authority key id", certificate.authority_key_id()),
    ] {
        if let Some(id) = id {
            says.push(Node::leaf(name, colons(&hex(id))));
        }
    }
    nodes.push(Node::branch("constraints and ids", says));
    let extensions = certificate.extensions().map(|(oid, critical, value)| {
        let critical = if critical { "critical, " } else { "" };
        Node::leaf(&oid.to_string(), format!("{critical}{} bytes", value.len()))
    });
    nodes.push(Node::branch("extensions", extensions.collect()));
    nodes
        .push(Node::branch("fingerprints", vec![Node::leaf("SHA-256", colons(&hex(&certificate.sha256())))]));
    nodes
}
