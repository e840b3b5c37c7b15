//! Faults of certificates: where they take hold.

use std::sync::{Arc, Mutex};

use ca::{Authority, Extra, LeafProfile, Requested, Sans, Serial};
use jiff::Timestamp;
use x509::Certificate;

use crate::{
    fault::{Verdict, installed::Entry},
    sync::lock,
};

/// The faults that may spoil this request's certificate.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    entries: Vec<Arc<Entry>>,
    applied: Mutex<Option<String>>,
}

/// A certificate that is about to be made, and the chain that is about to be sent with it.
pub(crate) struct Issuance<'a> {
    pub(crate) leaf: LeafProfile,
    pub(crate) requested: Requested<'a>,
    /// A key to put in place of the requested one.
    pub(crate) other_spki: Option<Vec<u8>>,
    pub(crate) extra: Vec<Extra>,
    /// `ca_chain`
    pub(crate) chain: Vec<Certificate>,
    /// `issuing_ca`
    pub(crate) issuing_ca: Option<Certificate>,
    /// What signs in place of the issuer, whose certificates say something wrong.
    pub(crate) other_signer: Option<Authority>,
    pub(crate) send_chain: bool,
    pub(crate) send_issuing_ca: bool,
    /// Of the certificate before this one.
    pub(crate) last_serial: Option<Serial>,
}

impl Certificates {
    pub(crate) fn new(entries: Vec<Arc<Entry>>) -> Self {
        Self { entries, applied: Mutex::default() }
    }

    /// What the first fault says that has something to say about whether this certificate may be made at all. A face
    /// asks once for each request; one that knows no approval asks with `holds` false.
    pub(crate) fn verdict(&self, common_name: Option<&str>, holds: bool) -> Option<Verdict> {
        self.entries.iter().find_map(|entry| {
            let verdict = entry.behaviour.verdict()?;
            let says = holds || !matches!(verdict, Verdict::Hold { .. });
            if !says || !entry.matches_name(common_name) || entry.take().is_none() {
                return None;
            }
            lock(&self.applied).get_or_insert_with(|| entry.name().to_owned());
            Some(verdict)
        })
    }

    /// Applies all that match. Tells whether any did.
    pub(crate) fn apply(
        &self,
        issuance: &mut Issuance<'_>,
        common_name: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, ca::CaError> {
        let mut any = false;
        for entry in &self.entries {
            let is_verdict = entry.behaviour.verdict().is_some();
            if !is_verdict && entry.matches_name(common_name) && entry.take().is_some() {
                lock(&self.applied).get_or_insert_with(|| entry.name().to_owned());
                entry.behaviour.spoil_certificate(issuance, now)?;
                any = true;
            }
        }
        Ok(any)
    }

    /// The first that applied.
    pub(crate) fn applied(&self) -> Option<String> {
        lock(&self.applied).clone()
    }
}

impl<'a> Issuance<'a> {
    pub(crate) fn new(
        leaf: LeafProfile,
        requested: Requested<'a>,
        extra: Vec<Extra>,
        chain: &[Certificate],
    ) -> Self {
        Self {
            leaf,
            requested,
            other_spki: None,
            extra,
            chain: chain.to_vec(),
            issuing_ca: chain.first().cloned(),
            other_signer: None,
            send_chain: true,
            send_issuing_ca: true,
            last_serial: None,
        }
    }

    /// The subject alternative names as they would be, DER; whoever takes them puts others into the profile.
    pub(crate) fn take_subject_alt_names(&mut self) -> Option<Vec<u8>> {
        // What was copied from the request wins over the profile.
        let at = self.extra.iter().position(|extra| extra.oid == "2.5.29.17");
        if let Some(copied) = at.map(|at| self.extra.remove(at)) {
            return Some(copied.value);
        }
        match &self.leaf.subject_alt_names {
            Sans::Der(names) => Some(names.clone()),
            Sans::FromCsr => self.requested.subject_alt_names.map(<[u8]>::to_vec),
            Sans::None => None,
        }
    }

    /// Signs it.
    pub(crate) fn issue(&mut self, authority: Option<&Authority>) -> Result<Certificate, ca::CaError> {
        let authority = self.other_signer.as_ref().or(authority).ok_or(ca::CaError::UnusableKey)?;
        let spki_der = self.other_spki.as_deref().unwrap_or(self.requested.spki_der);
        let requested = Requested { spki_der, ..self.requested };
        authority.issue_for(&requested, &self.leaf, std::mem::take(&mut self.extra))
    }
}
