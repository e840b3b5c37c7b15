//! A mount's state in a document.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock, atomic::AtomicI64},
};

use ca::{Authority, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use x509::Certificate;

use crate::{
    archive::{Archive, ArchiveKept},
    ca::{Ca, Cas},
    pem_list,
    sync::read,
    vault::pki::{
        Pki, Urls,
        crl::CrlConfig,
        issuer::{Issuer, Issuers, PendingKey, go_name},
        output,
        role::Role,
    },
};

#[derive(Serialize, Deserialize)]
pub(crate) struct PkiKept {
    default_lease_ttl: i64,
    max_lease_ttl: i64,
    issuers: Vec<IssuerKept>,
    default_issuer: Option<Arc<str>>,
    /// Keys that wait for their certificate; none without secrets.
    pending: Vec<PendingKept>,
    roles: BTreeMap<String, Map<String, Value>>,
    urls: Urls,
    crl_config: CrlConfig,
    archive: Kept,
}

/// Whose archive it is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kept {
    /// That of the CA that all faces share, by its name.
    Shared(String),
    Own(ArchiveKept),
}

#[derive(Serialize, Deserialize)]
struct IssuerKept {
    id: Arc<str>,
    name: String,
    key_id: String,
    #[serde(with = "pem_list")]
    chain: Vec<Certificate>,
    key: KeyKept,
    /// Whether it says how its CRLs are signed.
    has_revocation_algorithm: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyKept {
    /// That of the CA that all faces share, by its name.
    Shared(String),
    Own(String),
    None,
}

#[derive(Serialize, Deserialize)]
struct PendingKept {
    id: String,
    key: String,
}

fn shared(cas: &Cas) -> [&Ca; 2] {
    [&cas.root, &cas.issuing]
}

impl Pki {
    pub(crate) fn export(&self, cas: &Cas, secrets: bool) -> Result<PkiKept, String> {
        let issuers = read(&self.issuers);
        let of = shared(cas).into_iter().find(|ca| Arc::ptr_eq(&ca.archive, &self.archive));
        let (default_lease_ttl, max_lease_ttl) = self.lease_ttls();
        let pending = issuers.pending.iter().filter(|_| secrets).map(|pending| {
            let key = pending.key.to_pkcs8_pem().map_err(|error| error.to_string())?;
            Ok(PendingKept { id: pending.id.clone(), key })
        });
        Ok(PkiKept {
            default_lease_ttl,
            max_lease_ttl,
            issuers: issuers
                .all
                .iter()
                .map(|issuer| keep(issuer, cas, secrets))
                .collect::<Result<_, String>>()?,
            default_issuer: issuers.default.clone(),
            pending: pending.collect::<Result<_, String>>()?,
            roles: read(&self.roles)
                .iter()
                .map(|(name, role)| (name.clone(), role.fields().clone()))
                .collect(),
            urls: (*self.urls()).clone(),
            crl_config: read(&self.crl_config).clone(),
            archive: match of {
                Some(ca) => Kept::Shared(ca.name.to_owned()),
                None => Kept::Own(self.archive.export()),
            },
        })
    }

    pub(crate) fn imported(kept: PkiKept, cas: &Cas) -> Result<Self, String> {
        let named = |name: &str| {
            let found = shared(cas).into_iter().find(|ca| ca.name == name);
            found.ok_or_else(|| format!("there is no CA {name}"))
        };
        let archive = match kept.archive {
            Kept::Shared(name) => Arc::clone(&named(&name)?.archive),
            Kept::Own(own) => {
                let archive = Archive::default();
                archive.import(&own)?;
                Arc::new(archive)
            }
        };
        let mut issuers = Issuers { default: kept.default_issuer, ..Issuers::default() };
        for kept in kept.issuers {
            let authority = match kept.key {
                KeyKept::Shared(name) => Some(Arc::clone(&named(&name)?.authority)),
                KeyKept::Own(pem) => Some(Arc::new(
                    SigningKey::from_pem(pem.as_bytes())
                        .and_then(|key| Authority::from_certificates(kept.chain.clone(), key))
                        .map_err(|error| format!("the issuer {}: {error}", kept.id))?,
                )),
                KeyKept::None => None,
            };
            let algorithm = authority.as_ref().filter(|_| kept.has_revocation_algorithm);
            issuers.all.push(Arc::new(Issuer {
                id: kept.id,
                name: kept.name,
                key_id: kept.key_id,
                chain_pem: kept.chain.iter().map(output::pem).collect(),
                chain: kept.chain,
                revocation_algorithm: algorithm.map_or("", |authority| go_name(authority.key().algorithm())),
                authority,
            }));
        }
        for PendingKept { id, key } in kept.pending {
            let key = SigningKey::from_pem(key.as_bytes()).map_err(|error| error.to_string())?;
            issuers.pending.push(PendingKey { id, key });
        }
        let mut roles = BTreeMap::new();
        for (name, fields) in kept.roles {
            let role = Role::from_fields(fields).map_err(|_| format!("the role {name} cannot be read"))?;
            roles.insert(name, Arc::new(role));
        }
        Ok(Self {
            default_lease_ttl: AtomicI64::new(kept.default_lease_ttl),
            max_lease_ttl: AtomicI64::new(kept.max_lease_ttl),
            issuers: RwLock::new(issuers),
            roles: RwLock::new(roles),
            urls: RwLock::new(Arc::new(kept.urls)),
            archive,
            crl_config: RwLock::new(kept.crl_config),
        })
    }
}

fn keep(issuer: &Issuer, cas: &Cas, secrets: bool) -> Result<IssuerKept, String> {
    let key = match &issuer.authority {
        Some(own) => match shared(cas).into_iter().find(|ca| Arc::ptr_eq(&ca.authority, own)) {
            Some(ca) => KeyKept::Shared(ca.name.to_owned()),
            None if secrets => KeyKept::Own(own.key().to_pkcs8_pem().map_err(|error| error.to_string())?),
            None => KeyKept::None,
        },
        None => KeyKept::None,
    };
    Ok(IssuerKept {
        id: Arc::clone(&issuer.id),
        name: issuer.name.clone(),
        key_id: issuer.key_id.clone(),
        chain: issuer.chain.clone(),
        key,
        has_revocation_algorithm: !issuer.revocation_algorithm.is_empty(),
    })
}
