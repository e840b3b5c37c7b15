//! The whole state as one document: what is exported, imported, kept as a snapshot and written to the state directory.
//!
//! Without secrets a document holds no private key, token, secret id or password. It can be imported where the CAs are
//! the same, whose keys are then those that are there; all tokens but the root token are gone, and so are the keys of
//! CAs that clients made. Not in it in any case: answers that wait to be unwrapped, and certificates of listeners.

mod directory;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    approval::Pending,
    archive::ArchiveKept,
    ca::{Ca, Hierarchy, Part},
    clock::Setting,
    face,
    fault::Installed,
    journal::Entry,
    ledger::Issued,
    pem_list,
    store::{Epoch, World},
};
pub(crate) use directory::Directory;

/// By which a document is known.
const FORMAT: &str = "mock-pki state";

/// Which documents are written; older ones there are none yet.
const VERSION: u32 = 1;

/// The state of everything at one time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    format: String,
    version: u32,
    /// By the clock of the faces.
    pub(crate) taken_at: Timestamp,
    clock: Setting,
    /// How many identifiers and serial numbers were drawn from the seed.
    drawn: (u64, u64),
    faults: Vec<Installed>,
    root: CaKept,
    issuing: CaKept,
    pub(crate) ledger: LedgerKept,
    journal: JournalKept,
    approvals: Vec<Pending>,
    faces: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CaKept {
    id: Arc<str>,
    #[serde(with = "pem_list")]
    certificates: Vec<x509::Certificate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    archive: ArchiveKept,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LedgerKept {
    pub(crate) issued: Vec<RecordedKept>,
    pub(crate) forgotten: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedKept {
    #[serde(flatten)]
    pub(crate) issued: Issued,
    /// The certificate, base64.
    #[serde(with = "crate::archive::base64_der")]
    pub(crate) der: Arc<[u8]>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct JournalKept {
    requests: Vec<Entry>,
    seen: u64,
}

/// What a face keeps that is its own.
pub(crate) struct Stateful {
    /// Gives it, with or without secrets.
    pub(crate) export: fn(&Epoch, bool) -> Result<Value, String>,
    /// Takes it into a fresh epoch whose CAs and archives are those of the document.
    pub(crate) import: fn(&mut Epoch, Value) -> Result<(), String>,
}

impl Document {
    /// Reads one; an error is a sentence that says what to do.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes)
            .map_err(|error| format!("this is no state of mock-pki: {error}"))?;
        if head.format != FORMAT {
            return Err(format!("this is no state of mock-pki, but {:?}", head.format));
        }
        if head.version != VERSION {
            return Err(format!(
                "this state has version {}, and this mock-pki ({}) reads version {VERSION}: use the one that wrote it, \
                 or a newer one",
                head.version,
                env!("CARGO_PKG_VERSION")
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| format!("the state cannot be read: {error}"))
    }

    /// The CAs. Where the document has no keys, they are those of `own`, which must be the same CAs.
    pub(crate) fn hierarchy(&self, own: Option<&Hierarchy>) -> Result<Hierarchy, String> {
        let part = |kept: &CaKept, own: Option<&Part>| {
            let is_same = |own: &&Part| {
                let first =
                    |certificates: &[x509::Certificate]| certificates.first().map(x509::Certificate::sha256);
                first(&own.certificates) == first(&kept.certificates)
            };
            let key = kept.key.clone().or_else(|| own.filter(is_same).map(|own| own.key_pem.clone()));
            let key_pem = key.ok_or(
                "the state has no keys and is of other CAs than those here: export it with ?secrets=true",
            )?;
            let part = Part { certificates: kept.certificates.clone(), key_pem };
            part.authority().map_err(|error| format!("a CA of the state cannot be used: {error}"))?;
            Ok::<_, String>(part)
        };
        Ok(Hierarchy {
            root: part(&self.root, own.map(|own| &own.root))?,
            intermediate: part(&self.issuing, own.map(|own| &own.intermediate))?,
        })
    }
}

impl World {
    /// Everything, as it is now.
    pub(crate) fn export(&self, secrets: bool) -> Result<Document, String> {
        let (epoch, hierarchy) = (self.epoch(), self.hierarchy());
        let ca = |ca: &Ca, part: &Part| CaKept {
            id: Arc::clone(&ca.id),
            certificates: part.certificates.clone(),
            key: secrets.then(|| part.key_pem.clone()),
            archive: ca.archive.export(),
        };
        let mut faces = BTreeMap::new();
        for face in face::ALL {
            if let Some(state) = &face.state {
                faces.insert(face.name.to_owned(), (state.export)(&epoch, secrets)?);
            }
        }
        Ok(Document {
            format: FORMAT.to_owned(),
            version: VERSION,
            taken_at: epoch.now(),
            clock: self.clock.setting(),
            drawn: self.source.position(),
            faults: self.faults.list(),
            root: ca(&epoch.cas.root, &hierarchy.root),
            issuing: ca(&epoch.cas.issuing, &hierarchy.intermediate),
            ledger: epoch.ledger.export(),
            journal: JournalKept { requests: epoch.journal.all(), seen: epoch.journal.seen() },
            approvals: epoch.approvals.all(),
            faces,
        })
    }

    /// Makes everything what a document says. Nothing changes where that cannot be done.
    pub(crate) fn import(&self, document: &Document) -> Result<(), String> {
        let hierarchy = document.hierarchy(Some(&self.hierarchy()))?;
        let mut cas = hierarchy.cas().map_err(|error| error.to_string())?;
        for (ca, kept) in [(&mut cas.root, &document.root), (&mut cas.issuing, &document.issuing)] {
            ca.id = Arc::clone(&kept.id);
        }
        crate::fault::Faults::check(document.faults.iter().map(|installed| &installed.fault))?;
        let mut epoch = self.fresh(cas);
        // Only now: a face that is made rebuilds CRLs, whose numbers are those of the document.
        epoch.cas.root.archive.import(&document.root.archive)?;
        epoch.cas.issuing.archive.import(&document.issuing.archive)?;
        epoch.ledger.import(&document.ledger);
        epoch.journal.import(&document.journal.requests, document.journal.seen);
        epoch.approvals.import(&document.approvals);
        for face in face::ALL {
            if let (Some(state), Some(kept)) = (&face.state, document.faces.get(face.name)) {
                (state.import)(&mut epoch, kept.clone()).map_err(|error| {
                    format!("the state of the {} face cannot be read: {error}", face.name)
                })?;
            }
        }
        self.faults.restore(document.faults.clone())?;
        self.clock.restore(document.clock);
        self.source.advance_to(document.drawn);
        self.put(hierarchy, epoch);
        Ok(())
    }
}
