//! The Secret that a Certificate becomes.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use super::World;
use crate::Result;
use crate::judge::{self, Seen};

/// What a `kubernetes.io/tls` Secret holds.
#[derive(Clone, Debug)]
pub struct Pair {
    /// `tls.crt`.
    pub certificate: String,
    /// `tls.key`.
    pub key: String,
    /// `ca.crt`.
    pub ca: String,
    /// When it was read.
    pub seen: Timestamp,
}

/// When it was read does not count.
impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        (&self.certificate, &self.key, &self.ca) == (&other.certificate, &other.key, &other.ca)
    }
}

impl Pair {
    /// Reads it out of a Secret, at this time.
    pub fn of(secret: &Secret, seen: Timestamp) -> Result<Self> {
        let empty = BTreeMap::new();
        let data = secret.data.as_ref().unwrap_or(&empty);
        let entry = |key: &str| -> Result<String> {
            let bytes = data.get(key).with_context(|| format!("the Secret has no {key}"))?;
            Ok(String::from_utf8(bytes.0.clone())?)
        };
        Ok(Self { certificate: entry("tls.crt")?, key: entry("tls.key")?, ca: entry("ca.crt")?, seen })
    }

    /// Judges it with openssl: when it was read the chain held, no root is in it, and the key is the certificate's.
    /// Returns the leaf.
    pub fn judge(&self) -> Result<Seen> {
        judge::verify(&self.certificate, &self.ca, self.seen)?;
        let leaf = judge::certificate(&self.certificate)?;
        ensure!(
            leaf.public_key == judge::public_key_of_private(&self.key)?,
            "tls.key is not the certificate's key"
        );
        let links = judge::blocks(&self.certificate);
        let links: Result<Vec<Seen>> = links.iter().skip(1).map(|block| judge::certificate(block)).collect();
        for link in links?.iter().chain([&leaf]) {
            ensure!(link.subject != link.issuer, "tls.crt holds a self-signed certificate: {}", link.subject);
        }
        Ok(leaf)
    }
}

impl World {
    /// The pair in a Secret of the scenario's namespace.
    pub async fn pair(&self, name: &str) -> Result<Pair> {
        let secret = self.api::<Secret>().get(name).await?;
        ensure!(
            secret.type_.as_deref() == Some("kubernetes.io/tls"),
            "Secret {name} has type {:?}",
            secret.type_
        );
        Pair::of(&secret, self.now())
    }

    /// There is no Secret of this name with a certificate in it.
    pub async fn no_pair(&self, name: &str) -> Result {
        if let Some(secret) = self.api::<Secret>().get_opt(name).await? {
            let crt = secret.data.unwrap_or_default().remove("tls.crt").unwrap_or_default().0;
            ensure!(crt.is_empty(), "Secret {name} has a certificate:\n{}", String::from_utf8_lossy(&crt));
        }
        Ok(())
    }
}
