//! What was seen of the cluster, and which Certificates each change concerns.
//!
//! Two sources feed it: the watches, and the answers to our own writes, which are newer than the watches for a
//! moment. Whatever is older than what is here is passed over; so a decision never sees the state before the step
//! that went before it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{Resource, ResourceExt as _};

use crate::{
    api::{Certificate, CertificateRequest},
    decide::Snapshot,
    names::{CERTIFICATE_NAME, LABEL_NEXT_PRIVATE_KEY},
};

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectKey {
    pub(crate) fn of<K: Resource>(object: &K) -> Self {
        let namespace = object.meta().namespace.clone().unwrap_or_default();
        Self { namespace, name: object.meta().name.clone().unwrap_or_default() }
    }

    fn sibling(&self, name: &str) -> Self {
        Self { namespace: self.namespace.clone(), name: name.to_owned() }
    }
}

/// What a queue works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A Certificate.
    Certificate(ObjectKey),
    /// The approval of a request.
    Approval(ObjectKey),
}

/// All objects of one kind, by name, and by the Certificate they belong to.
struct Shelf<K> {
    objects: BTreeMap<ObjectKey, K>,
    /// What a list under way has named.
    listed: Option<BTreeSet<ObjectKey>>,
    /// Deleted by us, not yet seen to be: not to come back by an older event.
    deleted: BTreeSet<String>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), listed: None, deleted: BTreeSet::new() }
    }
}

impl<K: Resource> Shelf<K> {
    /// Puts the object in unless what is there is as new. The one that was there before, if it was.
    fn put(&mut self, object: K) -> Change<K> {
        let key = ObjectKey::of(&object);
        if let Some(listed) = &mut self.listed {
            listed.insert(key.clone());
        }
        let uid = object.meta().uid.clone().unwrap_or_default();
        if self.deleted.contains(&uid) {
            return Change::None;
        }
        match self.objects.get(&key) {
            Some(old) if !is_newer(&object, old) => Change::None,
            _ => Change::Some(self.objects.insert(key, object)),
        }
    }

    /// Takes an object out, if it is this one or an older one.
    fn take(&mut self, object: &K) -> Option<K> {
        let key = ObjectKey::of(object);
        self.deleted.remove(&object.meta().uid.clone().unwrap_or_default());
        let old = self.objects.get(&key)?;
        if is_newer(old, object) { None } else { self.objects.remove(&key) }
    }

    /// Takes an object out that we deleted.
    fn forget(&mut self, key: &ObjectKey, uid: &str) -> Option<K> {
        let old = self.objects.get(key).filter(|old| old.meta().uid.as_deref() == Some(uid))?;
        self.deleted.extend(old.meta().uid.clone());
        self.objects.remove(key)
    }

    fn list_begins(&mut self) {
        self.listed = Some(BTreeSet::new());
    }

    /// What the list did not name is gone.
    fn list_ends(&mut self) -> Vec<K> {
        let listed = self.listed.take().unwrap_or_default();
        self.deleted.clear();
        let gone: Vec<_> = self.objects.keys().filter(|key| !listed.contains(key)).cloned().collect();
        gone.iter().filter_map(|key| self.objects.remove(key)).collect()
    }
}

enum Change<K> {
    None,
    Some(Option<K>),
}

/// The API promises that resource versions have the order of numbers. Where they are none, whatever comes last is
/// newer.
fn is_newer<K: Resource>(object: &K, than: &K) -> bool {
    let version = |object: &K| object.meta().resource_version.as_deref()?.parse::<u64>().ok();
    version(object).zip(version(than)).is_none_or(|(version, than)| version > than)
}

type Index = BTreeMap<String, BTreeSet<ObjectKey>>;

/// See the module's text.
#[derive(Default)]
pub(crate) struct Store {
    certificates: Shelf<Certificate>,
    requests: Shelf<CertificateRequest>,
    secrets: Shelf<Secret>,
    /// Certificates by the Secret they name.
    by_secret: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// By the uid of the Certificate that controls them.
    requests_of: Index,
    next_keys_of: Index,
}

/// A change in the cluster.
pub(crate) enum Event<K> {
    ListBegins,
    Seen(K),
    Gone(K),
    ListEnds,
}

impl Store {
    pub(crate) fn certificate(&self, key: &ObjectKey) -> Option<&Certificate> {
        self.certificates.objects.get(key)
    }

    pub(crate) fn request(&self, key: &ObjectKey) -> Option<&CertificateRequest> {
        self.requests.objects.get(key)
    }

    /// A Certificate and all that belongs to it.
    pub(crate) fn snapshot(&self, key: &ObjectKey) -> Option<Snapshot<'_>> {
        let certificate = self.certificate(key)?;
        let uid = certificate.uid().unwrap_or_default();
        let secret = self.secrets.objects.get(&key.sibling(&certificate.spec.secret_name));
        let keys = self.next_keys_of.get(&uid).into_iter().flatten();
        let requests = self.requests_of.get(&uid).into_iter().flatten();
        Some(Snapshot {
            certificate,
            owns_secret: self.owner_of_secret(certificate, secret).as_ref() == Some(key),
            secret,
            next_private_keys: keys.filter_map(|key| self.secrets.objects.get(key)).collect(),
            requests: requests.filter_map(|key| self.requests.objects.get(key)).collect(),
        })
    }

    /// Who fills a Secret that several Certificates name: the one it was issued for, else the oldest
    /// (`CertificateOwnsSecret`).
    fn owner_of_secret(&self, certificate: &Certificate, secret: Option<&Secret>) -> Option<ObjectKey> {
        let named = ObjectKey::of(certificate).sibling(&certificate.spec.secret_name);
        let rivals = self.by_secret.get(&named)?;
        let annotated = secret.and_then(|secret| secret.annotations().get(CERTIFICATE_NAME));
        if let Some(owner) = rivals.iter().find(|rival| annotated == Some(&rival.name)) {
            return Some(owner.clone());
        }
        let age = |key: &&ObjectKey| {
            let created = self.certificate(key).and_then(|rival| rival.metadata.creation_timestamp.clone());
            (created.map(|time| time.0), key.name.clone())
        };
        rivals.iter().min_by_key(age).cloned()
    }

    pub(crate) fn certificate_event(&mut self, event: Event<Certificate>) -> Vec<Key> {
        match event {
            Event::ListBegins => self.certificates.list_begins(),
            Event::Seen(certificate) => {
                let (key, named) = (ObjectKey::of(&certificate), secret_key(&certificate));
                let Change::Some(old) = self.certificates.put(certificate) else { return Vec::new() };
                if let Some(old) = old {
                    self.unname(&old);
                }
                self.by_secret.entry(named).or_default().insert(key.clone());
                return vec![Key::Certificate(key)];
            }
            Event::Gone(certificate) => {
                if let Some(old) = self.certificates.take(&certificate) {
                    return self.unname(&old);
                }
            }
            Event::ListEnds => {
                let gone = self.certificates.list_ends();
                return gone.iter().flat_map(|old| self.unname(old)).collect();
            }
        }
        Vec::new()
    }

    /// The Certificate names its Secret no longer; those that still do are concerned.
    fn unname(&mut self, certificate: &Certificate) -> Vec<Key> {
        let named = secret_key(certificate);
        let Some(rivals) = self.by_secret.get_mut(&named) else { return Vec::new() };
        rivals.remove(&ObjectKey::of(certificate));
        let concerned = rivals.iter().cloned().map(Key::Certificate).collect();
        if rivals.is_empty() {
            self.by_secret.remove(&named);
        }
        concerned
    }

    pub(crate) fn request_event(&mut self, event: Event<CertificateRequest>) -> Vec<Key> {
        match event {
            Event::ListBegins => self.requests.list_begins(),
            Event::Seen(request) => {
                let (key, owner) = (ObjectKey::of(&request), controller(&request).cloned());
                let Change::Some(old) = self.requests.put(request) else { return Vec::new() };
                if let Some(old) = old {
                    unindex(&mut self.requests_of, &old);
                }
                let mut concerned = vec![Key::Approval(key.clone())];
                if let Some(owner) = owner {
                    concerned.push(Key::Certificate(key.sibling(&owner.name)));
                    self.requests_of.entry(owner.uid).or_default().insert(key);
                }
                return concerned;
            }
            Event::Gone(request) => {
                if let Some(old) = self.requests.take(&request) {
                    return unindex(&mut self.requests_of, &old);
                }
            }
            Event::ListEnds => {
                let gone = self.requests.list_ends();
                return gone.iter().flat_map(|old| unindex(&mut self.requests_of, old)).collect();
            }
        }
        Vec::new()
    }

    pub(crate) fn request_deleted(&mut self, key: &ObjectKey, uid: &str) -> Vec<Key> {
        let old = self.requests.forget(key, uid);
        old.map(|old| unindex(&mut self.requests_of, &old)).unwrap_or_default()
    }

    pub(crate) fn secret_event(&mut self, event: Event<Secret>) -> Vec<Key> {
        match event {
            Event::ListBegins => self.secrets.list_begins(),
            Event::Seen(secret) => {
                let key = ObjectKey::of(&secret);
                let owner = next_key_owner(&secret).cloned();
                let Change::Some(old) = self.secrets.put(secret) else { return Vec::new() };
                if let Some(old) = old {
                    unindex(&mut self.next_keys_of, &old);
                }
                let mut concerned = self.named_by(&key);
                if let Some(owner) = owner {
                    concerned.push(Key::Certificate(key.sibling(&owner.name)));
                    self.next_keys_of.entry(owner.uid).or_default().insert(key);
                }
                return concerned;
            }
            Event::Gone(secret) => {
                if let Some(old) = self.secrets.take(&secret) {
                    return self.secret_gone(&old);
                }
            }
            Event::ListEnds => {
                let gone = self.secrets.list_ends();
                return gone.iter().flat_map(|old| self.secret_gone(old)).collect();
            }
        }
        Vec::new()
    }

    pub(crate) fn secret_deleted(&mut self, key: &ObjectKey, uid: &str) -> Vec<Key> {
        let old = self.secrets.forget(key, uid);
        old.map(|old| self.secret_gone(&old)).unwrap_or_default()
    }

    fn secret_gone(&mut self, secret: &Secret) -> Vec<Key> {
        let mut concerned = self.named_by(&ObjectKey::of(secret));
        concerned.extend(unindex(&mut self.next_keys_of, secret));
        concerned
    }

    fn named_by(&self, secret: &ObjectKey) -> Vec<Key> {
        self.by_secret.get(secret).into_iter().flatten().cloned().map(Key::Certificate).collect()
    }
}

fn secret_key(certificate: &Certificate) -> ObjectKey {
    ObjectKey::of(certificate).sibling(&certificate.spec.secret_name)
}

fn controller<K: Resource>(object: &K) -> Option<&OwnerReference> {
    let owners = object.meta().owner_references.iter().flatten();
    owners.into_iter().find(|owner| {
        owner.controller == Some(true)
            && owner.kind == "Certificate"
            && owner.api_version.starts_with("cert-manager.io/")
    })
}

fn next_key_owner(secret: &Secret) -> Option<&OwnerReference> {
    let labelled = secret.labels().get(LABEL_NEXT_PRIVATE_KEY).is_some_and(|value| value == "true");
    controller(secret).filter(|_| labelled)
}

/// The Certificate that the object belonged to is concerned.
fn unindex<K: Resource>(index: &mut Index, object: &K) -> Vec<Key> {
    let Some(owner) = controller(object) else { return Vec::new() };
    let key = ObjectKey::of(object);
    if let Some(members) = index.get_mut(&owner.uid) {
        members.remove(&key);
        if members.is_empty() {
            index.remove(&owner.uid);
        }
    }
    vec![Key::Certificate(key.sibling(&owner.name))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, version: u64, uid: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some("shop".to_owned());
        secret.metadata.resource_version = Some(version.to_string());
        secret.metadata.uid = Some(uid.to_owned());
        secret
    }

    fn certificate(name: &str, second: i64) -> Certificate {
        let mut certificate = Certificate::new(name, crate::api::CertificateSpec::default());
        certificate.spec.secret_name = "tls".to_owned();
        certificate.metadata.namespace = Some("shop".to_owned());
        certificate.metadata.resource_version = Some("1".to_owned());
        let created = jiff::Timestamp::from_second(second).unwrap();
        certificate.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
        certificate
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn an_older_event_changes_nothing() {
        let mut store = Store::default();
        store.certificate_event(Event::Seen(certificate("web", 1)));
        assert_eq!(store.secret_event(Event::Seen(secret("tls", 5, "a"))), [Key::Certificate(key("web"))]);
        assert_eq!(store.secret_event(Event::Seen(secret("tls", 4, "a"))), []);
        assert_eq!(store.secret_event(Event::Seen(secret("tls", 5, "a"))), []);
        assert_eq!(store.secret_event(Event::Gone(secret("tls", 4, "a"))), []);
        assert_eq!(store.secret_event(Event::Gone(secret("tls", 6, "a"))), [Key::Certificate(key("web"))]);
    }

    #[test]
    fn what_we_deleted_does_not_come_back_but_another_of_its_name_does() {
        let mut store = Store::default();
        store.secret_event(Event::Seen(secret("tls", 5, "a")));
        store.secret_deleted(&key("tls"), "a");
        store.secret_event(Event::Seen(secret("tls", 5, "a")));
        assert!(store.secrets.objects.is_empty());
        store.secret_event(Event::Seen(secret("tls", 7, "b")));
        assert_eq!(store.secrets.objects.len(), 1);
        // The event of the deletion comes late: it is older than what is there now.
        store.secret_event(Event::Gone(secret("tls", 6, "a")));
        assert_eq!(store.secrets.objects.len(), 1);
    }

    #[test]
    fn what_a_list_does_not_name_is_gone() {
        let mut store = Store::default();
        store.certificate_event(Event::Seen(certificate("web", 1)));
        store.secret_event(Event::Seen(secret("tls", 5, "a")));
        store.secret_event(Event::Seen(secret("other", 6, "b")));
        store.secret_event(Event::ListBegins);
        store.secret_event(Event::Seen(secret("other", 6, "b")));
        assert_eq!(store.secret_event(Event::ListEnds), [Key::Certificate(key("web"))]);
        assert_eq!(store.secrets.objects.keys().cloned().collect::<Vec<_>>(), [key("other")]);
    }

    #[test]
    fn of_several_certificates_the_oldest_fills_the_secret_unless_it_names_another() {
        let mut store = Store::default();
        store.certificate_event(Event::Seen(certificate("new", 9)));
        store.certificate_event(Event::Seen(certificate("old", 1)));
        let owns = |store: &Store, name| store.snapshot(&key(name)).unwrap().owns_secret;
        assert!(owns(&store, "old") && !owns(&store, "new"));
        let mut tls = secret("tls", 5, "a");
        tls.metadata.annotations = Some([(CERTIFICATE_NAME.to_owned(), "new".to_owned())].into());
        store.secret_event(Event::Seen(tls));
        assert!(owns(&store, "new") && !owns(&store, "old"));
        assert_eq!(
            store.certificate_event(Event::Gone(certificate("new", 9))),
            [Key::Certificate(key("old"))]
        );
        assert!(owns(&store, "old"));
    }
}
