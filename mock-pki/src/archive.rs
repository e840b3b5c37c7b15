//! The certificates that a CA keeps: for reading, listing, revoking, CRLs and OCSP.
//!
//! Compact, because load tests leave a hundred thousand of them: a serial number, the DER, and little else.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use ca::CrlReason;
use jiff::Timestamp;
use x509::Certificate;

use crate::{
    crl::Crls,
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

    /// Revokes a certificate; gives what it was before, and nothing if it is not there. A second time changes nothing.
    pub(crate) fn revoke(&self, serial: &[u8], revoked: Revoked) -> Option<Kept> {
        let mut all = write(&self.kept);
        let kept = all.get_mut(serial)?;
        let before = kept.clone();
        kept.revoked.get_or_insert(revoked);
        Some(before)
    }

    /// Sets what is known of a certificate's revocation, where that may change: a hold ends. Tells whether it is there.
    pub(crate) fn set_revoked(&self, serial: &[u8], revoked: Option<Revoked>) -> bool {
        let mut all = write(&self.kept);
        let Some(kept) = all.get_mut(serial) else { return false };
        kept.revoked = revoked;
        true
    }

    /// What `look` makes of each, by serial number.
    pub(crate) fn filter_map<T>(&self, mut look: impl FnMut(&[u8], &Kept) -> Option<T>) -> Vec<T> {
        read(&self.kept).iter().filter_map(|(serial, kept)| look(serial, kept)).collect()
    }
}
