//! Looking for what a mount issued, by the public key.
//!
//! ```text
//! LIST certs/detailed (OpenBao; with notBefore) or LIST certs ─> serial numbers
//!   GET cert/<serial> of those that were never read and are not too old ─> the key's SHA-256, kept
//!   GET cert/<serial> of those with the order's key, GET issuer/<issuer>/json ─> leaf and chain
//! ```
//!
//! - Serial numbers are random and lists are in their order, so all of a list is read, and no more than
//!   `maxCertificates` of it. A certificate is read once in the life of a process.
//! - One look at a time: whoever comes meanwhile waits for it, and is served by the next list, however many wait. A list
//!   serves those that came before it was begun.
//! - Measured on OpenBao 2.7.2: `after` is compared with serial numbers in hyphens. With colons, as they are listed, a
//!   page begins only at the next first byte, and certificates are lost.
//! - `list` on `certs` is all that a policy must give: `cert/<serial>` and `issuer/<issuer>/json` are public.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use futures::StreamExt as _;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;
use x509::{Certificate, bundle};

use super::super::http::{HttpError, Reply};
use super::super::{Answer, Order, Origin};
use super::VaultSigner;
use super::failure::Failure;
use super::refusal::{self, Refusal, RefusalKind};
use crate::config::VaultLookup;

/// How many serial numbers a page of a list has: of certificates with a hundred names each, half of what an answer may
/// be long.
const PAGE: usize = 200;
/// How many certificates are read at once: a lookup must not take Vault from those who sign.
const AT_ONCE: usize = 8;
/// A look takes so many request time-outs at most; what it read is kept, and the next one goes on.
const TIMEOUTS: u32 = 3;

/// What is known of a mount's certificates.
#[derive(Debug)]
pub(super) struct Index {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the last list named, and when it becomes valid if the list said so.
    listed: BTreeMap<Serial, Option<Timestamp>>,
    /// When that list was begun.
    begun: Option<Instant>,
    /// The SHA-256 of the public key of each certificate that was read.
    keys: HashMap<Serial, [u8; 32]>,
    /// There is no detailed list here, or none that we may read.
    is_plain: bool,
}

/// What was found.
pub(super) enum Search {
    /// Everything with the order's key that is not revoked.
    Found(Vec<Answer>),
    /// There are more certificates than are looked through.
    TooMany,
}

impl Index {
    pub(super) fn new(lookup: VaultLookup) -> Self {
        Self { most: lookup.max_certificates, state: Mutex::default() }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }
}

impl State {
    fn serves(&self, came: Instant) -> bool {
        self.begun.is_some_and(|begun| begun >= came)
    }

    fn list_anew(&mut self, listed: BTreeMap<Serial, Option<Timestamp>>, begun: Instant) {
        self.keys.retain(|serial, _| listed.contains_key(serial));
        (self.listed, self.begun) = (listed, Some(begun));
    }

    /// What may have been issued since and was never read.
    fn unread(&self, since: Timestamp) -> Vec<Serial> {
        let young = self.listed.iter().filter(|(_, from)| from.is_none_or(|from| from >= since));
        young.map(|(serial, _)| serial).filter(|serial| !self.keys.contains_key(serial)).cloned().collect()
    }

    fn with_key(&self, key: &[u8; 32]) -> Vec<Serial> {
        let same = self.keys.iter().filter(|(_, known)| *known == key);
        same.map(|(serial, _)| serial.clone()).collect()
    }
}

impl VaultSigner {
    pub(super) async fn search(
        &self,
        index: &Index,
        order: &Order,
        since: Timestamp,
    ) -> Result<Search, Failure> {
        let came = Instant::now();
        let deadline = came + self.api.timeout().saturating_mul(TIMEOUTS);
        let mut state = index.state.lock().await;
        if !state.serves(came) {
            let begun = Instant::now();
            let Some(listed) = self.list(index.most, &mut state.is_plain).await? else {
                return Ok(Search::TooMany);
            };
            state.list_anew(listed, begun);
        }
        let unread = state.unread(since);
        let count = unread.len();
        let reading = unread.into_iter().map(|serial| async {
            let read = self.certificate(&serial).await;
            (serial, read)
        });
        let mut reads = futures::stream::iter(reading).buffer_unordered(AT_ONCE);
        let mut read = 0_usize;
        while let Some((serial, found)) = reads.next().await {
            // What is gone meanwhile, or is no certificate, has no key of ours.
            let key = found?.map_or([0; 32], |kept| Sha256::digest(kept.leaf.spki_der()).into());
            state.keys.insert(serial, key);
            read += 1;
            if read < count && Instant::now() >= deadline {
                return Err(self.not_done(read, count));
            }
        }
        drop(reads);
        let own = state.with_key(&Sha256::digest(order.csr.spki_der()).into());
        drop(state);
        let mut found = Vec::new();
        for serial in own {
            if let Some(kept) = self.certificate(&serial).await?.filter(|kept| !kept.is_revoked) {
                found.push(kept.leaf);
            }
        }
        found.retain(|leaf| leaf.not_before() >= since);
        if found.is_empty() {
            return Ok(Search::Found(Vec::new()));
        }
        let authorities = self.issuer_chain().await?;
        let answers = found.into_iter().map(|leaf| {
            let certificates = std::iter::once(leaf).chain(authorities.iter().cloned()).collect();
            Answer { certificates, authorities: authorities.clone(), origin: Origin::Found }
        });
        Ok(Search::Found(answers.collect()))
    }

    /// Whether the mount's certificates may be listed at all.
    pub(super) async fn may_list(&self) -> Result<(), Failure> {
        let path = format!("{}/certs?list=true&limit=1", self.path.mount());
        self.page(&path).await.map(drop)
    }

    /// All that the mount keeps; `None` if that is more than `most`.
    async fn list(
        &self,
        most: usize,
        is_plain: &mut bool,
    ) -> Result<Option<BTreeMap<Serial, Option<Timestamp>>>, Failure> {
        if !*is_plain {
            match self.pages("certs/detailed", most).await {
                Err(failure) if is_not_offered(&failure) => *is_plain = true,
                other => return other,
            }
        }
        match self.pages("certs", most).await {
            Err(Failure::Http(HttpError::TooLong(_))) => Ok(None),
            other => other,
        }
    }

    async fn pages(
        &self,
        what: &str,
        most: usize,
    ) -> Result<Option<BTreeMap<Serial, Option<Timestamp>>>, Failure> {
        let mut listed = BTreeMap::new();
        let mut after = String::new();
        loop {
            let path = format!("{}/{what}?list=true&limit={PAGE}&after={after}", self.path.mount());
            let Some(page) = self.page(&path).await? else { return Ok(Some(listed)) };
            let (known, count) = (listed.len(), page.keys.len());
            for key in &page.keys {
                if let Some(serial) = Serial::read(key) {
                    let info = page.key_info.get(key);
                    listed.insert(serial, info.and_then(|info| info.not_before.as_deref()?.parse().ok()));
                }
            }
            if listed.len() > most {
                return Ok(None);
            }
            // Vault has no pages: it names all at once, and the same again.
            if count != PAGE || listed.len() == known {
                return Ok(Some(listed));
            }
            let Some((last, _)) = listed.last_key_value() else { return Ok(Some(listed)) };
            after.clone_from(&last.0);
        }
    }

    /// One page; `None` if there is nothing (more).
    async fn page(&self, path: &str) -> Result<Option<Listed>, Failure> {
        let reply = self.call("list Vault's certificates", Method::GET, path, None::<&()>).await?;
        if is_nothing(&reply) {
            return Ok(None);
        }
        let bare = path.split('?').next().unwrap_or_default();
        refusal::check(&reply).map_err(|refusal| Failure::refused(bare, self.about_listing(refusal)))?;
        let page = reply.json::<Enveloped<Listed>>().and_then(|envelope| envelope.data);
        page.map(Some).ok_or_else(|| {
            let text = format!("{} without a list of certificates", reply.summary());
            Failure::refused(bare, Refusal::new(RefusalKind::Configuration, text))
        })
    }

    /// A certificate that the mount keeps; `None` if it does not, or if it cannot be read.
    async fn certificate(&self, serial: &Serial) -> Result<Option<Kept>, Failure> {
        let path = format!("{}/cert/{serial}", self.path.mount());
        let reply = self.call("read a certificate from Vault", Method::GET, &path, None::<&()>).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        refusal::check(&reply).map_err(|refusal| Failure::refused(&path, refusal))?;
        let read = reply.json::<Enveloped<Read>>().and_then(|envelope| envelope.data);
        Ok(read.and_then(|read| {
            let leaf = bundle::read_certificates(read.certificate.as_bytes()).ok()?.into_iter().next()?;
            Some(Kept { leaf, is_revoked: read.revocation_time != 0 })
        }))
    }

    /// The issuer of the signing path and those above it.
    async fn issuer_chain(&self) -> Result<Vec<Certificate>, Failure> {
        let path = format!("{}/issuer/{}/json", self.path.mount(), self.path.issuer());
        let reply = self.call("read the issuer from Vault", Method::GET, &path, None::<&()>).await?;
        refusal::check(&reply).map_err(|refusal| Failure::refused(&path, refusal))?;
        let issuer = reply.json::<Enveloped<Issuer>>().and_then(|envelope| envelope.data);
        let pem = issuer.map(|issuer| issuer.ca_chain.join("\n")).unwrap_or_default();
        bundle::read_certificates(pem.as_bytes()).map_err(|error| {
            let text = format!("{}, whose ca_chain cannot be read: {error}", reply.summary());
            Failure::refused(&path, Refusal::new(RefusalKind::Configuration, text))
        })
    }

    fn about_listing(&self, refusal: Refusal) -> Refusal {
        if refusal.kind != RefusalKind::Forbidden {
            return refusal;
        }
        let mount = self.path.mount();
        let text = format!(
            "{}; for vault.lookup a policy must have: path \"{mount}/certs\" {{ capabilities = [\"list\"] }}, and the \
             same for \"{mount}/certs/detailed\"",
            refusal.text
        );
        Refusal { text, ..refusal }
    }

    fn not_done(&self, read: usize, count: usize) -> Failure {
        let text = format!(
            "{read} of {count} certificates were looked through for one that was issued before; the next try goes on"
        );
        Failure::refused(self.path.mount(), Refusal::new(RefusalKind::Unavailable, text))
    }
}

/// An empty list has Vault's 404 without words.
fn is_nothing(reply: &Reply) -> bool {
    reply.status == StatusCode::NOT_FOUND
        && reply.json::<NoWords>().is_some_and(|body| body.errors.is_empty())
}

/// Vault has no such list, the policy does not allow it, or its certificates have thousands of names.
fn is_not_offered(failure: &Failure) -> bool {
    match failure {
        Failure::Http(error) => matches!(error, HttpError::TooLong(_)),
        Failure::Refused { refusal, .. } => {
            matches!(refusal.kind, RefusalKind::Forbidden | RefusalKind::Configuration | RefusalKind::Request)
        }
    }
}

/// A serial number as it is kept: bytes in lower-case hex with hyphens. Nothing else gets into a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Serial(String);

impl Serial {
    fn read(text: &str) -> Option<Self> {
        let of_bytes = text.split([':', '-']).all(|byte| {
            byte.len() == 2 && byte.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
        });
        of_bytes.then(|| Self(text.replace(':', "-")))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Kept {
    leaf: Certificate,
    is_revoked: bool,
}

#[derive(Deserialize)]
struct Enveloped<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct NoWords {
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Listed {
    keys: Vec<String>,
    #[serde(default)]
    key_info: HashMap<String, KeyInfo>,
}

#[derive(Deserialize)]
struct KeyInfo {
    not_before: Option<String>,
}

#[derive(Deserialize)]
struct Read {
    certificate: String,
    #[serde(default)]
    revocation_time: i64,
}

#[derive(Deserialize)]
struct Issuer {
    ca_chain: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_nothing_but_bytes() {
        assert_eq!(Serial::read("0a:ff:00").unwrap().to_string(), "0a-ff-00");
        assert_eq!(Serial::read("0a-ff-00"), Serial::read("0a:ff:00"));
        for text in ["", "0a:", "a", "0A", "..", "0a/ff", "0a:../ff", "0a?x", "zz", "0aff"] {
            assert_eq!(Serial::read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_old_by_the_list_or_known_is_not_read_again() {
        let serial = |text| Serial::read(text).unwrap();
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let mut state = State::default();
        let all = [("01", at(10)), ("02", at(20)), ("03", None), ("04", at(30))];
        let listed = BTreeMap::from(all.map(|(text, from)| (serial(text), from)));
        state.list_anew(listed, Instant::now());
        state.keys.insert(serial("04"), [4; 32]);
        assert_eq!(state.unread(at(20).unwrap()), [serial("02"), serial("03")]);
        assert_eq!(state.with_key(&[4; 32]), [serial("04")]);

        state.list_anew(BTreeMap::from([(serial("01"), at(10))]), Instant::now());
        assert!(state.keys.is_empty(), "what is kept no longer is forgotten");
    }
}
