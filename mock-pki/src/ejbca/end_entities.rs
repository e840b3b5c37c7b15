//! End entities: who may have certificates, what their certificates say, and the password with which they fetch them.

use std::{collections::BTreeMap, sync::Mutex};

use jiff::Timestamp;

use crate::{
    ejbca::profiles::{CertificateProfile, EndEntityProfile},
    sync::lock,
};

/// The token of those who make their own keys.
pub(crate) const USER_GENERATED: &str = "USERGENERATED";

/// All kinds of token.
pub(crate) const TOKENS: [&str; 5] = [USER_GENERATED, "P12", "BCFKS", "JKS", "PEM"];

/// Where an end entity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) name: &'static str,
    pub(crate) number: u8,
}

const fn status(name: &'static str, number: u8) -> Status {
    Status { name, number }
}

impl Status {
    pub(crate) const NEW: Self = status("NEW", 10);
    /// Has its certificate.
    pub(crate) const GENERATED: Self = status("GENERATED", 40);
    pub(crate) const REVOKED: Self = status("REVOKED", 50);

    const ALL: [Self; 9] = [
        Self::NEW,
        status("FAILED", 11),
        status("INITIALIZED", 20),
        status("INPROCESS", 30),
        Self::GENERATED,
        Self::REVOKED,
        status("HISTORICAL", 60),
        status("KEYRECOVERY", 70),
        status("WAITINGFORADDAPPROVAL", 80),
    ];

    /// The status of this name, in whatever case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn may_enrol(self) -> bool {
        matches!(self.name, "NEW" | "FAILED" | "INPROCESS" | "KEYRECOVERY")
    }
}

/// An end entity. Without `Debug`: the password is in it.
#[derive(Clone)]
pub(crate) struct EndEntity {
    pub(crate) dn: String,
    pub(crate) subject_alt_name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) status: Status,
    pub(crate) token: &'static str,
    pub(crate) password: Option<String>,
    /// The CA's name.
    pub(crate) ca: &'static str,
    pub(crate) certificate_profile: &'static CertificateProfile,
    pub(crate) profile: EndEntityProfile,
    pub(crate) account_binding_id: Option<String>,
    pub(crate) extension_data: Vec<(String, String)>,
    pub(crate) modified: Timestamp,
}

/// All of them, by user name.
#[derive(Default)]
pub(crate) struct EndEntities(Mutex<BTreeMap<String, EndEntity>>);

impl EndEntities {
    pub(crate) fn find(&self, username: &str) -> Option<EndEntity> {
        lock(&self.0).get(username).cloned()
    }

    /// Adds one, or replaces it.
    pub(crate) fn put(&self, username: &str, entity: EndEntity) {
        lock(&self.0).insert(username.to_owned(), entity);
    }

    /// Adds one, if there is none of this name; tells whether there was none.
    pub(crate) fn add(&self, username: String, entity: EndEntity) -> bool {
        let mut all = lock(&self.0);
        if all.contains_key(&username) {
            return false;
        }
        all.insert(username, entity);
        true
    }

    /// Changes one; tells whether it is there.
    pub(crate) fn change(&self, username: &str, change: impl FnOnce(&mut EndEntity)) -> bool {
        lock(&self.0).get_mut(username).map(change).is_some()
    }

    /// Removes one; tells whether it was there.
    pub(crate) fn remove(&self, username: &str) -> bool {
        lock(&self.0).remove(username).is_some()
    }

    /// What `look` makes of each, by name, until there are so many.
    pub(crate) fn filter_map<T>(
        &self,
        most: usize,
        mut look: impl FnMut(&str, &EndEntity) -> Option<T>,
    ) -> Vec<T> {
        lock(&self.0).iter().filter_map(|(name, entity)| look(name, entity)).take(most).collect()
    }
}
