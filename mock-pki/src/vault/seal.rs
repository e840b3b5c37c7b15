//! Sealing and unsealing by the API. A sealed server answers nothing but what its state is.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::vault::{error::Refusal, fields::Fields};

/// Whether the server is sealed, and what opens it. Without `Debug`: the key is a secret.
pub(crate) struct Seal {
    is_sealed: AtomicBool,
    key: [u8; 32],
}

impl Seal {
    /// Unsealed. The key follows from the root token, so that a reset does not change it.
    pub(crate) fn new(root_token: &str) -> Self {
        Self { is_sealed: AtomicBool::new(false), key: key(root_token) }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.is_sealed.load(Ordering::Relaxed)
    }

    /// Without any key.
    pub(crate) fn set(&self, is_sealed: bool) {
        self.is_sealed.store(is_sealed, Ordering::Relaxed);
    }

    pub(crate) fn seal(&self) {
        self.is_sealed.store(true, Ordering::Relaxed);
    }

    /// `sys/unseal`: one share is enough.
    pub(crate) fn unseal(&self, fields: &Fields) -> Result<(), Refusal> {
        if fields.boolean("reset", false)? {
            return Ok(());
        }
        let given = fields.text("key")?;
        if given.is_empty() {
            return Err(Refusal::bad(
                "'key' must be specified in request body as JSON, or 'reset' set to true",
            ));
        }
        let decoded = from_hex(&given).or_else(|| STANDARD.decode(given.as_bytes()).ok());
        let decoded = decoded.ok_or_else(|| Refusal::bad("'key' must be a valid hex or base64 string"))?;
        if !self.is_sealed() {
            return Ok(());
        }
        if decoded.len() < 16 {
            return Err(Refusal::bad("invalid key: key is shorter than minimum 16 bytes"));
        }
        if decoded.len() > 33 {
            return Err(Refusal::bad("invalid key: key is longer than maximum 33 bytes"));
        }
        if decoded != self.key {
            return Err(Refusal::bad(
                "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: cipher: message \
                 authentication failed",
            ));
        }
        self.is_sealed.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// The key as it is written for people.
pub(crate) fn unseal_key(root_token: &str) -> String {
    STANDARD.encode(key(root_token))
}

fn key(root_token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, format!("unseal {root_token}").as_bytes()).as_ref());
    key
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2))
        .collect()
}
