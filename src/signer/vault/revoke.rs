//! Revoking a certificate of the mount.
//!
//! By its serial number; and if the mount does not know that, by the certificate itself: a role with `no_store` keeps
//! nothing, and OpenBao (Vault since 1.12) revokes what one of the mount's issuers signed all the same.

use reqwest::Method;
use serde::Serialize;
use x509::Certificate;

use super::super::Revocation;
use super::VaultSigner;
use super::failure::Failure;
use super::refusal::{self, Refusal, RefusalKind};

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Revoke {
    SerialNumber(String),
    Certificate(String),
}

impl VaultSigner {
    /// A second time is no error to Vault, so this may be repeated.
    pub(super) async fn revoke_certificate(&self, certificate: &Certificate) -> Revocation {
        let by_number = Revoke::SerialNumber(colons(&certificate.serial_hex()));
        let mut revoked = self.post_revocation(&by_number).await;
        if revoked.as_ref().is_err_and(Failure::is_about_the_request) {
            revoked = self.post_revocation(&Revoke::Certificate(certificate.to_pem())).await;
        }
        match revoked {
            Ok(()) => Revocation::Revoked,
            Err(failure) if failure.may_pass() => Revocation::Retryable { message: failure.into_message() },
            Err(failure) => Revocation::Refused { message: failure.into_message() },
        }
    }

    async fn post_revocation(&self, body: &Revoke) -> Result<(), Failure> {
        let path = format!("{}/revoke", self.path.mount());
        let reply = self.call("have Vault revoke a certificate", Method::POST, &path, Some(body)).await?;
        refusal::check(&reply).map_err(|refusal| Failure::refused(&path, about_revoking(refusal, &path)))
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
