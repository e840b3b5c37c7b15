//! What one submission is known by, and what can be found out about an earlier one.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Answer, Order, Outcome};

/// The key of a submission: the same for every attempt at one request, another for any other request.
///
/// It is the SHA-256 of the request's uid, a line feed and the SHA-256 of the CSR's DER in lower-case hex; as text, 64
/// digits of lower-case hex. Whoever has the request can make it: `printf '%s\n%s' UID CSR_SHA256 | sha256sum`. A name is
/// no part of it, as cert-manager uses a failed request's name again; the CSR is, so that the key says what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    /// The key of the request with this uid and this SHA-256 of its CSR's DER.
    #[must_use]
    pub fn new(uid: &str, csr_sha256: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(uid.as_bytes());
        hash.update(b"\n");
        hash.update(x509::hex(csr_sha256).as_bytes());
        Self(hash.finalize().into())
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&x509::hex(&self.0))
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({self})")
    }
}

impl Order {
    /// The key of every submission of this order.
    #[must_use]
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey::new(&self.request.uid, &self.csr.sha256())
    }
}

/// What a PKI offers against a second certificate for one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offers {
    /// It takes the [`IdempotencyKey`]: however often an order is submitted, it is one certificate.
    IdempotencyKey,
    /// What it issued can be looked for ([`super::Signer::look_up`]), which is done before an order is submitted that
    /// may have been submitted before.
    Lookup,
    /// Neither: an order whose answer was lost becomes a second certificate.
    #[default]
    Nothing,
}

/// What looking for an earlier submission's certificate came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Every certificate that may answer the order, none of them revoked; maybe there is none. They are not yet judged.
    Found(Vec<Answer>),
    /// It cannot be told, and trying again would not help.
    GaveUp {
        /// Why, and what to do about it.
        message: String,
    },
    /// It cannot be told now: what that means for the request, never [`Outcome::Issued`].
    NotNow(Outcome),
}

impl Lookup {
    /// The same in other words.
    #[must_use]
    pub(super) fn reworded(self, reword: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Found(answers) => Self::Found(answers),
            Self::GaveUp { message } => Self::GaveUp { message: reword(&message) },
            Self::NotNow(outcome) => Self::NotNow(outcome.reworded(reword)),
        }
    }

    /// The result's word, for metrics and logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Found(answers) if answers.is_empty() => "none",
            Self::Found(_) => "found",
            Self::GaveUp { .. } => "gave_up",
            Self::NotNow(outcome) => outcome.as_str(),
        }
    }
}

/// What asking the PKI to revoke a certificate came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked, or was before.
    Revoked,
    /// The PKI will not, or has no way to.
    Refused {
        /// Its reason, and what to do.
        message: String,
    },
    /// It may work later.
    Retryable {
        /// What went wrong.
        message: String,
    },
}

impl Revocation {
    /// The same in other words.
    #[must_use]
    pub(super) fn reworded(self, reword: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Revoked => Self::Revoked,
            Self::Refused { message } => Self::Refused { message: reword(&message) },
            Self::Retryable { message } => Self::Retryable { message: reword(&message) },
        }
    }

    /// The result's word, for metrics and logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Refused { .. } => "refused",
            Self::Retryable { .. } => "retryable",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn anybody_can_make_the_key_with_a_shell() {
        // printf '%s\n%s' 4f9c1d1e-0b0e-4b53-9f6e-3a7b1f3b5c11 "$(printf x | sha256sum | cut -d' ' -f1)" | sha256sum
        let key = IdempotencyKey::new("4f9c1d1e-0b0e-4b53-9f6e-3a7b1f3b5c11", &Sha256::digest(b"x").into());
        assert_eq!(key.to_string(), "ee352738bcc7b4e308f78c2d1a215d0f34d3a13e00d2339f5ce84b44814f075f");
    }

    proptest! {
        #[test]
        fn the_same_request_and_csr_have_the_same_key_and_any_other_has_another(
            uid in "[ -~\n]{0,40}", other_uid in "[ -~\n]{0,40}", csr in any::<[u8; 32]>(), other_csr in any::<[u8; 32]>(),
        ) {
            let key = IdempotencyKey::new(&uid, &csr);
            prop_assert_eq!(key, IdempotencyKey::new(&uid.clone(), &csr));
            prop_assert_eq!(key == IdempotencyKey::new(&other_uid, &csr), uid == other_uid);
            prop_assert_eq!(key == IdempotencyKey::new(&uid, &other_csr), csr == other_csr);
            prop_assert!(key.to_string().len() == 64 && !key.to_string().contains(|c: char| !c.is_ascii_hexdigit()));
        }
    }
}
