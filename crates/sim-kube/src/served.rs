//! What was asked of a server and what it answered, told to whoever listens: a test's record, an audit log.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Uri};
use jiff::Timestamp;

use crate::fault::{Effect, Peer};
use crate::{Call, Identity};

/// A request and what came of it.
#[derive(Clone, Debug)]
pub struct Served {
    /// When it was carried out, or when it was decided that it is not.
    pub at: Timestamp,
    /// Which client it comes from.
    pub peer: Peer,
    /// Who makes it.
    pub user: Identity,
    /// `PATCH`.
    pub method: Method,
    /// Its path and its query.
    pub uri: Uri,
    /// What it asks for: verb, resource, subresource, namespace and name. Nothing for documents and health checks.
    pub call: Option<Call>,
    /// What was sent.
    pub body: Bytes,
    /// What a fault did to it.
    pub effect: Effect,
    /// The status of the answer; nothing if it was not carried out. Whether the answer arrived, the effect says.
    pub code: Option<u16>,
    /// The number of the store's last write once it was carried out.
    pub revision: u64,
}

type Ear = Box<dyn Fn(&Served) + Send>;

/// Who listens.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<Ear>>);

impl Ears {
    pub(crate) fn add(&self, ear: Ear) {
        self.lock().push(ear);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn tell(&self, served: &Served) {
        self.lock().iter().for_each(|ear| ear(served));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ear>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ears({})", self.lock().len())
    }
}
