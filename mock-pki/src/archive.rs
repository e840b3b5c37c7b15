//! The certificates that a CA keeps: for reading, listing, revoking, CRLs and OCSP.
//!
//! Compact, because load tests leave a hundred thousand of them: a serial number, the DER, and little else.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use ca::CrlReason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use x509::Certificate;

use crate::{
    crl::{Crls, CrlsKept},
    sync::{read, write},
};

/// What one CA keeps, by serial number (whole bytes), and the CRLs that tell of it.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    kept: RwLock<BTreeMap<Box<[u8]>, Kept>>,
    pub(crate) crls: Crls,
}

/// A certificate that is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) der: Arc<[u8]>,
    pub(crate) revoked: Option<Revoked>,
    /// Which issuer signed it, where a mount has several.
    pub(crate) issuer: Arc<str>,
}

/// When a certificate was revoked, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) at: Timestamp,
    /// `None` for unspecified.
    pub(crate) reason: Option<CrlReason>,
}

/// An archive in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ArchiveKept {
    certificates: Vec<CertificateKept>,
    crls: CrlsKept,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CertificateKept {
    #[serde(with = "base64_der")]
    der: Arc<[u8]>,
    issuer: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// RFC 5280's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<u8>,
}

/// DER in a document.
pub(crate) mod base64_der {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Arc;

    pub(crate) fn serialize<S: Serializer>(der: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Into::into).map_err(D::Error::custom)
    }
}

impl Kept {
    /// The certificate. It was made here, so it can be read; nothing if not.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        Certificate::from_der(&self.der).ok()
    }
}

impl Archive {
    pub(crate) fn keep(&self, certificate: &Certificate, issuer: &Arc<str>) {
        self.keep_der(certificate.serial(), certificate.der().into(), issuer);
    }

    pub(crate) fn keep_der(&self, serial: &[u8], der: Arc<[u8]>, issuer: &Arc<str>) {
        let kept = Kept { der, revoked: None, issuer: Arc::clone(issuer) };
        write(&self.kept).insert(serial.into(), kept);
    }

    pub(crate) fn find(&self, serial: &[u8]) -> Option<Kept> {
        read(&self.kept).get(serial).cloned()
    }

    /// Revokes a certificate; gives what it was before, and nothing if it is not there. A second time changes nothing,
    /// unless the first was a hold, which can be undone: it counts as not revoked.
    pub(crate) fn revoke(&self, serial: &[u8], revoked: Revoked) -> Option<Kept> {
        let mut all = write(&self.kept);
        let kept = all.get_mut(serial)?;
        let mut before = kept.clone();
        before.revoked.take_if(|before| before.reason == Some(CrlReason::CertificateHold));
        if before.revoked.is_none() {
            kept.revoked = Some(revoked);
        }
        Some(before)
    }

    /// Sets what is known of a certificate's revocation, where that may change: a hold ends. Tells whether it is there.
    pub(crate) fn set_revoked(&self, serial: &[u8], revoked: Option<Revoked>) -> bool {
        let mut all = write(&self.kept);
        let Some(kept) = all.get_mut(serial) else { return false };
        kept.revoked = revoked;
        true
    }

    pub(crate) fn export(&self) -> ArchiveKept {
        let certificates = self.filter_map(|_, kept| {
            Some(CertificateKept {
                der: Arc::clone(&kept.der),
                issuer: Arc::clone(&kept.issuer),
                revoked_at: kept.revoked.map(|revoked| revoked.at),
                reason: kept.revoked.and_then(|revoked| revoked.reason).map(|reason| reason as u8),
            })
        });
        ArchiveKept { certificates, crls: self.crls.export() }
    }

    /// Becomes what was kept.
    pub(crate) fn import(&self, kept: &ArchiveKept) -> Result<(), String> {
        let mut all = BTreeMap::new();
        for entry in &kept.certificates {
            let certificate = Certificate::from_der(&entry.der).map_err(|error| error.to_string())?;
            let reason = CrlReason::ALL.into_iter().find(|reason| Some(*reason as u8) == entry.reason);
            let revoked = entry.revoked_at.map(|at| Revoked { at, reason });
            let (der, issuer) = (Arc::clone(&entry.der), Arc::clone(&entry.issuer));
            all.insert(certificate.serial().into(), Kept { der, revoked, issuer });
        }
        *write(&self.kept) = all;
        self.crls.import(&kept.crls);
        Ok(())
    }

    /// What `look` makes of each, by serial number.
    pub(crate) fn filter_map<T>(&self, mut look: impl FnMut(&[u8], &Kept) -> Option<T>) -> Vec<T> {
        read(&self.kept).iter().filter_map(|(serial, kept)| look(serial, kept)).collect()
    }
}
