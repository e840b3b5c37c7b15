//! The unfinished requests: what the watch told of them, and what this process remembers.
//!
//! A finished request costs nothing: it is dropped as soon as the watch shows it finished. Until then an entry
//! that we finished ourselves stays, marked, so that an event that was on its way cannot make us sign again.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::version;
use crate::api::certificate_request::APPROVED;
use crate::api::conditions::Condition;
use crate::api::{CertificateRequest, IssuerKey, IssuerKind};
use crate::decide::request::is_finished;
use crate::decide::{Earlier, Memory};

/// Which request: namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl RequestKey {
    /// The key of an object; `None` if it has no name.
    #[must_use]
    pub fn of(request: &CertificateRequest) -> Option<Self> {
        let metadata = &request.metadata;
        Some(Self { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
    }
}

/// A request in the store.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The object, without what no decision looks at.
    pub request: Arc<CertificateRequest>,
    /// What is remembered of it.
    pub memory: Memory,
    /// Whether `request` is known to be the newest as of when this process last looked: by a watch event, a read
    /// of our own, or a consistent list that was begun while this process led.
    pub live: bool,
    /// Whether we wrote its end and the watch has not shown it yet.
    pub concluded: bool,
}

impl Entry {
    fn learn(&mut self, earlier: Earlier) {
        if self.memory.earlier == Earlier::Perhaps {
            self.memory.earlier = earlier;
        }
    }
}

/// The store.
#[derive(Debug)]
pub struct Requests {
    serves: Serves,
    inner: Mutex<Inner>,
}

/// Whose requests this process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Those of both kinds of issuer.
    Both,
    /// Those of the namespaced kind alone: with one namespace to watch, cluster issuers are another's business.
    Namespaced,
}

#[derive(Debug, Default)]
struct Inner {
    /// By key, so that what is worked on in turn has an order.
    entries: BTreeMap<RequestKey, Entry>,
    /// The keys seen since the watch began to list anew.
    listed: Option<HashSet<RequestKey>>,
    /// Whether this process led when the last list began.
    listed_leading: bool,
    /// Whether a list that began while this process led has ended: what is new since then, nobody who led before saw.
    is_complete: bool,
    /// Where the API server was when this process had begun to lead: what is made later, nobody who led before saw.
    leads_since: Option<String>,
}

/// How an object came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// By an event.
    ByEvent,
    /// In a list that may be old, as the lists of those are who do not lead.
    InList,
    /// In a list or by a read that this process began while it led.
    InLeadersRead,
}

impl Inner {
    /// What is known of earlier submissions of an object that was not known until now.
    fn earlier_of_new(&self, request: &CertificateRequest, came: Came) -> Earlier {
        // A watch begins where its list ended: what an event makes known was made after that.
        let is_made_since = self.is_complete || (came == Came::ByEvent && self.is_since(request));
        if is_made_since { Earlier::None } else { self.earlier(request, came) }
    }

    /// What an object that another leader may have seen tells: while it is not approved, nobody has submitted it.
    fn earlier(&self, request: &CertificateRequest, came: Came) -> Earlier {
        let is_now = match came {
            Came::InLeadersRead => true,
            Came::ByEvent => self.is_complete || self.is_since(request),
            Came::InList => false,
        };
        let is_approved = Condition::is_true(request.conditions(), APPROVED);
        if is_now && !is_approved { Earlier::None } else { Earlier::Perhaps }
    }

    fn is_since(&self, request: &CertificateRequest) -> bool {
        let version = request.metadata.resource_version.as_deref();
        self.leads_since.is_some() && version::is_older(self.leads_since.as_deref(), version)
    }

    fn doubt(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.live = false);
    }
}

impl Requests {
    /// An empty store.
    #[must_use]
    pub fn new(serves: Serves) -> Self {
        Self { serves, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every method leaves the maps whole at every point where it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watch begins to list anew. `leading` says that this process leads: nobody else signs what the list
    /// will name.
    pub fn list_begins(&self, leading: bool) {
        let mut inner = self.inner();
        inner.listed = Some(HashSet::new());
        inner.listed_leading = leading;
        inner.doubt();
    }

    /// The watch broke: whatever it does not show again may be old.
    pub fn watch_broke(&self) {
        self.inner().doubt();
    }

    /// This process begins to work on all there is. What it listed before it led, another may have signed.
    pub fn begin(&self) -> Vec<RequestKey> {
        let mut inner = self.inner();
        if !inner.listed_leading {
            inner.doubt();
        }
        inner.entries.keys().cloned().collect()
    }

    /// Whether it takes [`leads_since`](Self::leads_since) to know what another leader cannot have submitted.
    #[must_use]
    pub fn needs_leads_since(&self) -> bool {
        !self.inner().listed_leading
    }

    /// The API server was at this version, or beyond it, when this process had begun to lead.
    pub fn leads_since(&self, resource_version: String) {
        self.inner().leads_since = Some(resource_version);
    }

    /// The list is complete: what it did not name is gone.
    pub fn list_ends(&self) {
        let mut inner = self.inner();
        inner.is_complete |= inner.listed_leading;
        if let Some(listed) = inner.listed.take() {
            inner.entries.retain(|key, _| listed.contains(key));
        }
    }

    /// The watch showed a request. Returns the key if there may be something to do.
    pub fn seen(&self, mut request: CertificateRequest) -> Option<RequestKey> {
        let key = RequestKey::of(&request)?;
        let mut inner = self.inner();
        // An event is the newest there is, and so is what a leader lists.
        let live = inner.listed.is_none() || inner.listed_leading;
        if let Some(listed) = &mut inner.listed {
            listed.insert(key.clone());
        }
        let issuer = IssuerKey::referred(&request.spec.issuer_ref, &key.namespace);
        let ours =
            issuer.is_some_and(|issuer| self.serves == Serves::Both || issuer.kind == IssuerKind::Issuer);
        if !ours || is_finished(&request) {
            inner.entries.remove(&key);
            return None;
        }
        slim(&mut request);
        let came = match (inner.listed.is_some(), inner.listed_leading) {
            (false, _) => Came::ByEvent,
            (true, true) => Came::InLeadersRead,
            (true, false) => Came::InList,
        };
        let (of_known, of_new) = (inner.earlier(&request, came), inner.earlier_of_new(&request, came));
        match inner.entries.get_mut(&key) {
            Some(entry) if entry.request.metadata.uid == request.metadata.uid => {
                if entry.concluded || is_older(&request, &entry.request) {
                    return None;
                }
                entry.live |= live;
                entry.learn(of_known);
                entry.request = Arc::new(request);
            }
            _ => {
                let memory = Memory { earlier: of_new, ..Memory::default() };
                let entry = Entry { request: Arc::new(request), memory, live, concluded: false };
                inner.entries.insert(key.clone(), entry);
            }
        }
        Some(key)
    }

    /// The request is gone.
    pub fn gone(&self, key: &RequestKey) {
        self.inner().entries.remove(key);
    }

    /// The entry of a key.
    #[must_use]
    pub fn entry(&self, key: &RequestKey) -> Option<Entry> {
        self.inner().entries.get(key).cloned()
    }

    /// We read or wrote the request ourselves, and this is how it stands now.
    pub fn read(&self, key: &RequestKey, mut request: CertificateRequest) {
        let finished = is_finished(&request);
        let mut inner = self.inner();
        let came = Came::InLeadersRead;
        let (of_known, of_new) = (inner.earlier(&request, came), inner.earlier_of_new(&request, came));
        let Some(entry) = inner.entries.get_mut(key) else { return };
        if entry.request.metadata.uid != request.metadata.uid {
            entry.memory = Memory { earlier: of_new, ..Memory::default() };
        } else if is_older(&request, &entry.request) {
            // The watch was quicker than our read: what it brought is newer still.
            entry.live = true;
            return;
        }
        slim(&mut request);
        entry.learn(of_known);
        entry.request = Arc::new(request);
        entry.live = true;
        entry.concluded = finished;
    }

    /// Changes what is remembered of a request, if it is still the same one.
    pub fn remember(&self, key: &RequestKey, uid: &str, change: impl FnOnce(&mut Memory)) {
        if let Some(entry) = self.inner().entries.get_mut(key)
            && entry.request.metadata.uid.as_deref() == Some(uid)
        {
            change(&mut entry.memory);
        }
    }

    /// The requests of an issuer, free to call the PKI at once.
    pub fn release(&self, issuer: &IssuerKey) -> Vec<RequestKey> {
        let mut inner = self.inner();
        let of_issuer = |key: &RequestKey, entry: &Entry| {
            IssuerKey::referred(&entry.request.spec.issuer_ref, &key.namespace).as_ref() == Some(issuer)
        };
        inner
            .entries
            .iter_mut()
            .filter(|(key, entry)| of_issuer(key, entry))
            .map(|(key, entry)| {
                entry.memory.pause = None;
                key.clone()
            })
            .collect()
    }
}

/// Drops what no decision looks at; managed fields alone are most of an object.
fn slim(request: &mut CertificateRequest) {
    let metadata = &mut request.metadata;
    metadata.managed_fields = None;
    metadata.labels = None;
    metadata.annotations = None;
    metadata.owner_references = None;
}

fn is_older(one: &CertificateRequest, other: &CertificateRequest) -> bool {
    version::is_older(one.metadata.resource_version.as_deref(), other.metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(uid: &str, version: u64, reason: &str) -> CertificateRequest {
        serde_json::from_value(json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"namespace": "ns", "name": "a", "uid": uid, "resourceVersion": version.to_string(),
                         "labels": {"big": "label"}, "managedFields": []},
            "spec": {"issuerRef": {"name": "i", "kind": "ExternalIssuer", "group": "external-issuer.io"}},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": reason}]},
        }))
        .unwrap()
    }

    fn key() -> RequestKey {
        RequestKey { namespace: "ns".to_owned(), name: "a".to_owned() }
    }

    #[test]
    fn a_finished_or_foreign_request_costs_nothing() {
        let store = Requests::new(Serves::Both);
        assert_eq!(store.seen(request("u", 1, "Pending")), Some(key()));
        assert_eq!(store.seen(request("u", 2, "Issued")), None);
        assert!(store.entry(&key()).is_none());
        let mut foreign = request("u", 3, "Pending");
        foreign.spec.issuer_ref.group = "cert-manager.io".to_owned();
        assert_eq!(store.seen(foreign), None);
        assert!(store.inner().entries.is_empty());
    }

    #[test]
    fn with_one_namespace_to_watch_cluster_issuers_are_not_served() {
        let store = Requests::new(Serves::Namespaced);
        let mut cluster = request("u", 1, "Pending");
        cluster.spec.issuer_ref.kind = "ExternalClusterIssuer".to_owned();
        assert_eq!(store.seen(cluster), None);
        assert_eq!(store.seen(request("u", 2, "Pending")), Some(key()));
    }

    #[test]
    fn an_event_that_was_on_its_way_does_not_wake_a_request_we_finished() {
        let store = Requests::new(Serves::Both);
        store.seen(request("u", 1, "Pending"));
        store.read(&key(), request("u", 3, "Issued"));
        assert_eq!(store.seen(request("u", 2, "Pending")), None);
        assert!(store.entry(&key()).unwrap().concluded);
        assert_eq!(store.seen(request("u", 3, "Issued")), None);
        assert!(store.entry(&key()).is_none());
    }

    #[test]
    fn time_does_not_run_backwards() {
        let store = Requests::new(Serves::Both);
        store.seen(request("u", 5, "Pending"));
        assert_eq!(store.seen(request("u", 4, "")), None);
        assert_eq!(store.entry(&key()).unwrap().request.metadata.resource_version.as_deref(), Some("5"));
    }

    #[test]
    fn a_name_used_again_is_a_new_request() {
        let store = Requests::new(Serves::Both);
        store.seen(request("old", 5, "Pending"));
        store.remember(&key(), "old", |memory| memory.failures = 3);
        store.seen(request("new", 9, "Pending"));
        assert_eq!(store.entry(&key()).unwrap().memory, Memory::default());
        store.remember(&key(), "old", |memory| memory.failures = 3);
        assert_eq!(store.entry(&key()).unwrap().memory.failures, 0);
    }

    fn approved(uid: &str, version: u64) -> CertificateRequest {
        let mut request = request(uid, version, "Pending");
        let condition = serde_json::from_value(json!({"type": "Approved", "status": "True", "reason": "x"}));
        request.status.get_or_insert_default().conditions.push(condition.unwrap());
        request
    }

    fn earlier(store: &Requests) -> Earlier {
        store.entry(&key()).unwrap().memory.earlier
    }

    #[test]
    fn what_a_leader_lists_approved_another_may_have_submitted_and_what_comes_later_nobody() {
        let store = Requests::new(Serves::Both);
        store.list_begins(true);
        store.seen(approved("u", 5));
        store.list_ends();
        assert_eq!(earlier(&store), Earlier::Perhaps);
        store.seen(approved("u", 6));
        assert_eq!(earlier(&store), Earlier::Perhaps, "an event does not make it new");
        store.seen(approved("new", 7));
        assert_eq!(earlier(&store), Earlier::None);

        // The watch broke, and the request was made before it was made anew.
        store.gone(&key());
        store.list_begins(true);
        store.seen(approved("newer", 9));
        store.list_ends();
        assert_eq!(earlier(&store), Earlier::None);
    }

    #[test]
    fn what_a_leader_lists_unapproved_nobody_has_submitted() {
        let store = Requests::new(Serves::Both);
        store.list_begins(true);
        store.seen(request("u", 5, "Pending"));
        store.list_ends();
        store.seen(approved("u", 6));
        assert_eq!(earlier(&store), Earlier::None);
    }

    #[test]
    fn a_standby_that_takes_over_knows_what_came_after() {
        let store = Requests::new(Serves::Both);
        store.list_begins(false);
        store.seen(request("listed", 5, "Pending"));
        store.list_ends();
        assert_eq!(earlier(&store), Earlier::Perhaps, "a list may be old");
        store.seen(approved("before", 6));
        assert_eq!(earlier(&store), Earlier::Perhaps);
        assert!(store.needs_leads_since());
        store.leads_since("10".to_owned());
        // The watch lags: the one who led before may have seen this.
        store.seen(approved("lagging", 9));
        assert_eq!(earlier(&store), Earlier::Perhaps);
        store.seen(approved("after", 11));
        assert_eq!(earlier(&store), Earlier::None);

        // One that waits for its approval is known by its next event or read.
        store.seen(request("waits", 12, "Pending"));
        store.gone(&key());
        store.list_begins(false);
        store.seen(request("waits", 12, "Pending"));
        store.list_ends();
        assert_eq!(earlier(&store), Earlier::Perhaps);
        store.read(&key(), request("waits", 12, "Pending"));
        assert_eq!(earlier(&store), Earlier::None);
    }

    #[test]
    fn that_a_submission_was_not_answered_is_not_forgotten_for_an_event() {
        let store = Requests::new(Serves::Both);
        store.list_begins(true);
        store.list_ends();
        store.seen(approved("u", 5));
        store.remember(&key(), "u", |memory| memory.earlier = Earlier::Unanswered);
        store.seen(approved("u", 6));
        store.read(&key(), approved("u", 7));
        assert_eq!(earlier(&store), Earlier::Unanswered);
    }

    #[test]
    fn what_a_new_list_does_not_name_is_gone() {
        let store = Requests::new(Serves::Both);
        store.seen(request("u", 5, "Pending"));
        store.list_begins(true);
        store.list_ends();
        assert!(store.entry(&key()).is_none());
        store.list_begins(false);
        store.seen(request("u", 5, "Pending"));
        store.list_ends();
        assert!(!store.entry(&key()).unwrap().live, "a list of one who does not lead is not an event");
    }

    #[test]
    fn what_no_decision_looks_at_is_dropped() {
        let store = Requests::new(Serves::Both);
        store.seen(request("u", 5, "Pending"));
        let entry = store.entry(&key()).unwrap();
        assert_eq!((&entry.request.metadata.labels, &entry.request.metadata.managed_fields), (&None, &None));
    }
}
