//! What this face knows of the certificates it issued besides what is in them, and whose keys and names they hold.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;

use crate::{
    ejbca::{
        answer::Refusal,
        profiles::{CertificateProfile, EndEntityProfile},
    },
    sync::lock,
};

/// What is known of one certificate.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) username: Arc<str>,
    pub(crate) certificate_profile: &'static CertificateProfile,
    pub(crate) end_entity_profile: EndEntityProfile,
    pub(crate) account_binding_id: Option<String>,
    pub(crate) issued_at: Timestamp,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_serial: BTreeMap<Box<[u8]>, Arc<Record>>,
    /// Who has which key.
    keys: BTreeMap<Box<[u8]>, Arc<str>>,
    /// Who has which name, by the CA's name and the subject's DER.
    subjects: BTreeMap<(&'static str, Box<[u8]>), Arc<str>>,
}

impl Records {
    /// Refuses a key, or a name at this CA, that another end entity has: a new CA of EJBCA enforces both.
    pub(crate) fn claim(
        &self,
        username: &str,
        ca: &'static str,
        spki: &[u8],
        subject: &[u8],
    ) -> Result<(), Refusal> {
        /// The DER of a name without attributes, which everybody may have.
        const NO_NAME: &[u8] = &[0x30, 0];
        let mut inner = lock(&self.0);
        let (key, name) = (Box::<[u8]>::from(spki), (ca, Box::<[u8]>::from(subject)));
        if inner.keys.get(&key).is_some_and(|owner| **owner != *username) {
            return Err(Refusal::bad(format!(
                "User '{username}' is not allowed to use same key as another user is using."
            )));
        }
        if let Some(owner) = inner.subjects.get(&name).filter(|owner| ***owner != *username) {
            return Err(Refusal::bad(format!(
                "User '{username}' is not allowed to use same subject DN as the user(s) '{owner}' is/are using while \
                 issued by the same CA (even if CN postfix is used). See setting for 'Enforce unique DN' in the section \
                 Certification Authorities."
            )));
        }
        let username: Arc<str> = username.into();
        inner.keys.entry(key).or_insert_with(|| Arc::clone(&username));
        if subject != NO_NAME {
            inner.subjects.entry(name).or_insert(username);
        }
        Ok(())
    }

    pub(crate) fn keep(&self, serial: &[u8], record: Record) {
        lock(&self.0).by_serial.insert(serial.into(), Arc::new(record));
    }

    pub(crate) fn find(&self, serial: &[u8]) -> Option<Arc<Record>> {
        lock(&self.0).by_serial.get(serial).map(Arc::clone)
    }

    /// The serial numbers of an end entity's certificates.
    pub(crate) fn of(&self, username: &str) -> Vec<Box<[u8]>> {
        let inner = lock(&self.0);
        let own = inner.by_serial.iter().filter(|(_, record)| *record.username == *username);
        own.map(|(serial, _)| serial.clone()).collect()
    }
}
