//! Revoking a certificate of the mount, by its serial number.

use reqwest::Method;
use serde::Serialize;
use x509::Certificate;

use super::super::Revocation;
use super::VaultSigner;
use super::failure::Failure;
use super::refusal::{self, Refusal, RefusalKind};

#[derive(Serialize)]
struct Revoke {
    serial_number: String,
}

impl VaultSigner {
    /// A second time is no error to Vault, so this may be repeated.
    pub(super) async fn revoke_certificate(&self, certificate: &Certificate) -> Revocation {
        let path = format!("{}/revoke", self.path.mount());
        let body = Revoke { serial_number: colons(&certificate.serial_hex()) };
        let called = self.call("have Vault revoke a certificate", Method::POST, &path, Some(&body)).await;
        let checked = called.and_then(|reply| {
            refusal::check(&reply).map_err(|refusal| Failure::refused(&path, about_revoking(refusal, &path)))
        });
        match checked {
            Ok(()) => Revocation::Revoked,
            Err(failure) if failure.may_pass() => Revocation::Retryable { message: failure.into_message() },
            Err(failure) => Revocation::Refused { message: failure.into_message() },
        }
    }
}

fn about_revoking(refusal: Refusal, path: &str) -> Refusal {
    if refusal.kind != RefusalKind::Forbidden {
        return refusal;
    }
    let text =
        format!("{}; a policy must have: path \"{path}\" {{ capabilities = [\"update\"] }}", refusal.text);
    Refusal { text, ..refusal }
}

/// As Vault names certificates: a colon after each byte but the last.
fn colons(hex: &str) -> String {
    let mut text = String::with_capacity(hex.len() * 3 / 2);
    for (at, digit) in hex.chars().enumerate() {
        if at > 0 && at % 2 == 0 {
            text.push(':');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_has_colons_between_its_bytes() {
        assert_eq!(colons("0aff00"), "0a:ff:00");
        assert_eq!(colons("07"), "07");
    }
}
