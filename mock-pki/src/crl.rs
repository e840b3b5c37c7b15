//! The CRLs of an issuer: which number each has, and what is on it.
//!
//! As OpenBao does it: complete and delta lists count together, and every rebuild makes one of each. A list is signed
//! when somebody reads it, with the number and the time of its rebuild, and kept until the next rebuild: a load test
//! that revokes ten thousand certificates signs none of the lists that nobody reads.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use ca::{Authority, CaError, CrlProfile, RevokedCertificate};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{archive::Archive, sync::lock};

/// The lists of all issuers of one archive, by the issuer's id.
#[derive(Debug, Default)]
pub(crate) struct Crls(Mutex<BTreeMap<Arc<str>, Lists>>);

/// Which of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Everything that is revoked.
    Complete,
    /// What was revoked since the complete list.
    Delta,
}

/// How lists are made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// From `thisUpdate` to `nextUpdate`.
    pub(crate) expiry: SignedDuration,
    /// Whether they are signed empty, whatever is revoked.
    pub(crate) is_disabled: bool,
}

impl Terms {
    /// Good for three days, which is OpenBao's default.
    const USUAL: Self = Self { expiry: SignedDuration::from_hours(72), is_disabled: false };
}

/// All lists in a document. They are signed anew when they are read, with the same numbers and times.
pub(crate) type CrlsKept = BTreeMap<Arc<str>, Lists>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lists {
    complete: List,
    delta: List,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct List {
    number: u64,
    /// For a delta: the number of the complete list below it, and when that was made.
    base: Option<(u64, Timestamp)>,
    made: Timestamp,
    terms: Terms,
    #[serde(skip)]
    signed: Option<Arc<[u8]>>,
}

/// The numbers of the newest lists, and when the complete one was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latest {
    pub(crate) complete: u64,
    pub(crate) delta: u64,
    pub(crate) made: Timestamp,
}

impl Lists {
    fn new(number: u64, now: Timestamp, terms: Terms) -> Self {
        let complete = List { number, base: None, made: now, terms, signed: None };
        let delta = List { number: number + 1, base: Some((number, now)), ..complete.clone() };
        Self { complete, delta }
    }
}

impl Crls {
    pub(crate) fn export(&self) -> CrlsKept {
        lock(&self.0).clone()
    }

    pub(crate) fn import(&self, kept: &CrlsKept) {
        lock(&self.0).clone_from(kept);
    }

    /// Makes both lists of an issuer anew.
    pub(crate) fn rebuild(&self, issuer: &Arc<str>, now: Timestamp, terms: Terms) {
        let mut all = lock(&self.0);
        let number = all.get(issuer).map_or(1, |lists| lists.delta.number + 1);
        all.insert(Arc::clone(issuer), Lists::new(number, now, terms));
    }

    /// Makes both lists of an issuer anew, on the terms they were made on before: for a face that has no settings of
    /// its own for them.
    pub(crate) fn renew(&self, issuer: &Arc<str>, now: Timestamp) {
        let before = lock(&self.0).get(issuer).map(|lists| lists.complete.terms);
        self.rebuild(issuer, now, before.unwrap_or(Terms::USUAL));
    }

    /// Makes the delta of an issuer anew.
    pub(crate) fn rebuild_delta(&self, issuer: &Arc<str>, now: Timestamp, terms: Terms) {
        let mut all = lock(&self.0);
        let lists = all.entry(Arc::clone(issuer)).or_insert_with(|| Lists::new(1, now, terms));
        let (number, base) = (lists.delta.number + 1, (lists.complete.number, lists.complete.made));
        lists.delta = List { number, base: Some(base), made: now, terms, signed: None };
    }

    /// Which lists of an issuer are the newest; nothing if nobody has asked for any yet.
    pub(crate) fn latest(&self, issuer: &Arc<str>) -> Option<Latest> {
        lock(&self.0).get(issuer).map(|lists| Latest {
            complete: lists.complete.number,
            delta: lists.delta.number,
            made: lists.complete.made,
        })
    }

    /// DER of a list of an issuer, made now if there was none.
    pub(crate) fn der(
        &self,
        which: Which,
        (issuer, authority): (&Arc<str>, &Authority),
        archive: &Archive,
        now: Timestamp,
        terms: Terms,
    ) -> Result<Arc<[u8]>, CaError> {
        let list = {
            let mut all = lock(&self.0);
            let lists = all.entry(Arc::clone(issuer)).or_insert_with(|| Lists::new(1, now, terms));
            match which {
                Which::Complete => lists.complete.clone(),
                Which::Delta => lists.delta.clone(),
            }
        };
        if let Some(signed) = list.signed {
            return Ok(signed);
        }
        let number = list.number;
        // Without the lock: a long list takes its time. Two who come at once sign the same list twice.
        let signed: Arc<[u8]> = list.sign(issuer, authority, archive)?.into();
        let mut all = lock(&self.0);
        if let Some(lists) = all.get_mut(issuer) {
            let list = if which == Which::Complete { &mut lists.complete } else { &mut lists.delta };
            if list.number == number {
                list.signed = Some(Arc::clone(&signed));
            }
        }
        Ok(signed)
    }
}

impl List {
    /// Entries are in the order of their serial numbers.
    fn sign(&self, issuer: &Arc<str>, authority: &Authority, archive: &Archive) -> Result<Vec<u8>, CaError> {
        let since = self.base.map(|(_, made)| made);
        let revoked = archive.filter_map(|serial, kept| {
            let revoked = kept.revoked.filter(|revoked| {
                !self.terms.is_disabled
                    && revoked.at <= self.made
                    && since.is_none_or(|since| revoked.at > since)
                    && kept.issuer == *issuer
            })?;
            Some((Box::<[u8]>::from(serial), revoked))
        });
        let entries = revoked.iter().map(|(serial, revoked)| RevokedCertificate {
            serial,
            revoked_at: revoked.at,
            reason: revoked.reason,
        });
        let profile = CrlProfile {
            number: self.number,
            this_update: self.made,
            next_update: self.made.checked_add(self.terms.expiry).unwrap_or(self.made),
            base: self.base.map(|(number, _)| number),
        };
        authority.sign_crl(&profile, entries)
    }
}
