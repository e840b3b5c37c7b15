//! A mounted `pki` secrets engine.

mod asked;
mod crl;
mod csr;
mod fulfil;
mod issuer;
mod kept;
mod lists;
mod names;
mod ocsp;
mod output;
mod reads;
mod revoke;
mod role;
mod root;
mod sent;
mod sign;
mod usages;
mod validity;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    archive::Archive,
    ca::Ca,
    crl::Which,
    fault::Certificates,
    ledger::Ledger,
    sync::{read, write},
    vault::{
        envelope::Answer,
        error::Refusal,
        request::{Operation, Request},
        token::SYSTEM_TTL,
    },
};
use crl::CrlConfig;
use issuer::{Issuer, Issuers};
use role::Role;
pub(crate) use {kept::PkiKept, names::glob};

/// One `pki` mount.
#[derive(Debug)]
pub(crate) struct Pki {
    default_lease_ttl: AtomicI64,
    max_lease_ttl: AtomicI64,
    issuers: RwLock<Issuers>,
    roles: RwLock<BTreeMap<String, Arc<Role>>>,
    urls: RwLock<Arc<Urls>>,
    archive: Arc<Archive>,
    crl_config: RwLock<CrlConfig>,
}

/// Where certificates say that more can be found (`config/urls`).
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Urls {
    issuing_certificates: Vec<String>,
    crl_distribution_points: Vec<String>,
    ocsp_servers: Vec<String>,
}

/// Who asks, where: what signing needs to know besides the fields.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    ledger: &'a Ledger,
    request: &'a Request,
    mount: &'a str,
    path: &'a str,
    now: Timestamp,
    certificates: &'a Certificates,
}

/// What may be read without a token.
pub(crate) fn is_public(path: &str) -> bool {
    matches!(
        path.split('/').collect::<Vec<_>>().as_slice(),
        ["ca" | "ca_chain" | "crl"]
            | ["ca" | "crl", "pem"]
            | ["crl", "delta"]
            | ["crl", "delta", "pem"]
            | ["cert", _]
            | ["cert", _, "raw"]
            | ["cert", _, "raw", "pem"]
            | ["issuer", _, "json" | "der" | "pem" | "crl"]
            | ["issuer", _, "crl", ..]
            | ["ocsp", ..]
    )
}

/// Whether a path makes keys or signatures. With RSA these take seconds and milliseconds, too long for a thread
/// that serves other connections.
pub(crate) fn may_compute(path: &str) -> bool {
    let computing =
        ["issue", "generate", "sign", "sign-verbatim", "sign-intermediate", "crl", "delta-crl", "ocsp"];
    path.split('/').any(|segment| computing.contains(&segment))
}

impl Pki {
    pub(crate) fn new(default_lease_ttl: i64, max_lease_ttl: i64) -> Self {
        Self {
            default_lease_ttl: AtomicI64::new(default_lease_ttl),
            max_lease_ttl: AtomicI64::new(max_lease_ttl),
            issuers: RwLock::default(),
            roles: RwLock::default(),
            urls: RwLock::default(),
            archive: Arc::default(),
            crl_config: RwLock::default(),
        }
    }

    /// With a CA that other faces issue from as well, and a lease as long as its root's.
    pub(crate) fn bootstrapped(ca: &Ca, now: Timestamp) -> Self {
        let pki = Self { archive: Arc::clone(&ca.archive), ..Self::new(0, 87_600 * 3600) };
        write(&pki.issuers).adopt(Arc::clone(&ca.authority), ca.name, Arc::clone(&ca.id));
        pki.rebuild_crls(now);
        pki
    }

    /// A role that says yes to everything.
    pub(crate) fn allow_everything(&self, name: &str) {
        if let Ok(role) = Role::allowing_everything() {
            write(&self.roles).insert(name.to_owned(), Arc::new(role));
        }
    }

    pub(crate) fn lease_ttls(&self) -> (i64, i64) {
        (self.default_lease_ttl.load(Ordering::Relaxed), self.max_lease_ttl.load(Ordering::Relaxed))
    }

    pub(crate) fn tune(&self, default_lease_ttl: i64, max_lease_ttl: i64) {
        self.default_lease_ttl.store(default_lease_ttl, Ordering::Relaxed);
        self.max_lease_ttl.store(max_lease_ttl, Ordering::Relaxed);
    }

    /// The lease a certificate gets when nothing is said, and the longest it may get.
    fn effective_ttls(&self) -> (i64, i64) {
        let (default_ttl, max_ttl) = self.lease_ttls();
        let max_ttl = if max_ttl > 0 { max_ttl } else { SYSTEM_TTL };
        (if default_ttl > 0 { default_ttl } else { SYSTEM_TTL }.min(max_ttl), max_ttl)
    }

    pub(crate) fn route(
        &self,
        ledger: &Ledger,
        request: &Request,
        mount: &str,
        path: &str,
        now: Timestamp,
        certificates: &Certificates,
    ) -> Result<Answer, Refusal> {
        use Operation::{Delete, List, Read, Update};
        let context = Context { ledger, request, mount, path, now, certificates };
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (segments.as_slice(), request.operation) {
            (["sign", role], Update) => self.sign(context, "default", role),
            (["issue", role], Update) => self.issue(context, "default", role),
            (["sign-verbatim"], Update) => self.sign_verbatim(context, "default", None),
            (["sign-verbatim", role], Update) => self.sign_verbatim(context, "default", Some(role)),
            (["issuer", issuer, "sign", role], Update) => self.sign(context, issuer, role),
            (["issuer", issuer, "issue", role], Update) => self.issue(context, issuer, role),
            (["issuer", issuer, "sign-verbatim"], Update) => self.sign_verbatim(context, issuer, None),
            (["issuer", issuer, "sign-verbatim", role], Update) => {
                self.sign_verbatim(context, issuer, Some(role))
            }
            (["roles"], List) => Ok(Answer::keys(&request.page(read(&self.roles).keys().cloned().collect()))),
            (["roles", name], Update) => self.write_role(name, request),
            (["roles", name], Read) => {
                let roles = read(&self.roles);
                Ok(Answer::data(roles.get(*name).ok_or_else(Refusal::absent)?.describe()))
            }
            (["roles", name], Delete) => {
                write(&self.roles).remove(*name);
                Ok(Answer::Nothing)
            }
            (["root", "generate", kind], Update) => self.generate_root(context, kind),
            (["root", "sign-intermediate"], Update) => self.sign_intermediate(context),
            (["root"], Delete) => Ok(self.delete_root()),
            (["intermediate", "generate", kind], Update) => self.generate_intermediate(context, kind),
            (["intermediate", "set-signed"], Update) => self.set_signed(context),
            (["config", "urls"], Update) => self.write_urls(request),
            (["config", "urls"], Read) => Ok(Answer::data(read(&self.urls).describe())),
            (["config", "issuers"], Read) => Ok(Answer::data(json!({
                "default": read(&self.issuers).default_issuer().map(|issuer| issuer.id.to_string()).unwrap_or_default(),
                "default_follows_latest_issuer": false,
            }))),
            (["revoke"], Update) => self.revoke(context),
            (["config", "crl"], Read) => Ok(self.read_crl_config()),
            (["config", "crl"], Update) => self.write_crl_config(context),
            (["crl", "rotate"], Read) => Ok(self.rotate(now)),
            (["crl", "rotate-delta"], Read) => Ok(self.rotate_delta(now)),
            (["crl"], Read) => self.crl_file(Which::Complete, false, now),
            (["crl", "pem"], Read) => self.crl_file(Which::Complete, true, now),
            (["crl", "delta"], Read) => self.crl_file(Which::Delta, false, now),
            (["crl", "delta", "pem"], Read) => self.crl_file(Which::Delta, true, now),
            (["cert", "crl"], Read) => self.crl_as_certificate(Which::Complete, now),
            (["cert", "delta-crl"], Read) => self.crl_as_certificate(Which::Delta, now),
            (["issuer", issuer, "crl"], Read) => self.issuers_crl(issuer, Which::Complete, "", now),
            (["issuer", issuer, "crl", form @ ("der" | "pem")], Read) => {
                self.issuers_crl(issuer, Which::Complete, form, now)
            }
            (["issuer", issuer, "crl", "delta"], Read) => self.issuers_crl(issuer, Which::Delta, "", now),
            (["issuer", issuer, "crl", "delta", form @ ("der" | "pem")], Read) => {
                self.issuers_crl(issuer, Which::Delta, form, now)
            }
            (["ocsp"], Update) => self.ocsp_post(request.ocsp.as_deref().unwrap_or_default(), now),
            (["ocsp", _, ..], Read) => self.ocsp_get(path.strip_prefix("ocsp/").unwrap_or_default(), now),
            (["certs"], List) => Ok(self.list(request, |_| true)),
            (["certs", "revoked"], List) => Ok(self.list(request, |kept| kept.revoked.is_some())),
            (["certs", "detailed"], List) => Ok(self.list_detailed(request)),
            (["issuers"], List) => Ok(Answer::data(read(&self.issuers).list())),
            (
                ["ca" | "ca_chain"]
                | ["ca", "pem"]
                | ["cert", ..]
                | ["issuer", _]
                | ["issuer", _, "json" | "der" | "pem"],
                Read,
            ) => self.read(&segments),
            (known, _) if is_known(known) => Err(Refusal::unsupported_operation()),
            _ => Err(Refusal::unsupported_path()),
        }
    }

    fn write_role(&self, name: &str, request: &Request) -> Result<Answer, Refusal> {
        let role = Role::read(&request.fields)?;
        let shown = role.describe();
        write(&self.roles).insert(name.to_owned(), Arc::new(role));
        let unknown = request.fields.unknown(&role::names());
        let warnings = unknown.into_iter().chain(request.fields.replaced(&["name"]));
        Ok(Answer::data_with(shown, warnings.collect()))
    }

    /// Deletes the role that a path to sign or issue names.
    pub(crate) fn delete_role_of(&self, path: &str) {
        if let ["sign" | "issue" | "sign-verbatim", role]
        | ["issuer", _, "sign" | "issue" | "sign-verbatim", role] =
            path.split('/').collect::<Vec<_>>().as_slice()
        {
            write(&self.roles).remove(*role);
        }
    }

    fn role(&self, name: &str) -> Result<Arc<Role>, Refusal> {
        let roles = read(&self.roles);
        roles.get(name).map(Arc::clone).ok_or_else(|| Refusal::bad(format!("unknown role: {name}")))
    }

    /// The issuer that shall sign, with its key.
    fn signer(&self, reference: &str) -> Result<Arc<Issuer>, Refusal> {
        let failed = |what: &str| {
            Refusal::internal(&format!("could not fetch the CA certificate (was one set?): {what}"))
        };
        let issuers = read(&self.issuers);
        if reference == "default" && issuers.default_issuer().is_none() {
            return Err(failed("no default issuer currently configured"));
        }
        let missing = || failed(&format!("unable to find PKI issuer for reference: {reference}"));
        let issuer = issuers.find(reference).ok_or_else(missing)?;
        if issuer.authority.is_none() {
            return Err(failed("this issuer has no private key"));
        }
        Ok(issuer)
    }

    fn write_urls(&self, request: &Request) -> Result<Answer, Refusal> {
        let fields = &request.fields;
        let urls = Urls {
            issuing_certificates: fields.list("issuing_certificates")?,
            crl_distribution_points: fields.list("crl_distribution_points")?,
            ocsp_servers: fields.list("ocsp_servers")?,
        };
        let kinds = [
            ("issuing certificates", &urls.issuing_certificates),
            ("CRL distribution points", &urls.crl_distribution_points),
            ("OCSP servers", &urls.ocsp_servers),
        ];
        for (kind, list) in kinds {
            if let Some(bad) = list.iter().find(|url| !is_url(url)) {
                return Err(Refusal::bad(format!("invalid URL found in {kind}: {bad}")));
            }
        }
        let shown = urls.describe();
        *write(&self.urls) = Arc::new(urls);
        Ok(Answer::data(shown))
    }

    fn urls(&self) -> Arc<Urls> {
        Arc::clone(&read(&self.urls))
    }
}

impl Urls {
    fn describe(&self) -> Value {
        json!({
            "crl_distribution_points": self.crl_distribution_points,
            "delta_crl_distribution_points": [],
            "enable_templating": false,
            "issuing_certificates": self.issuing_certificates,
            "ocsp_servers": self.ocsp_servers,
        })
    }

    fn is_empty(&self) -> bool {
        self.issuing_certificates.is_empty()
            && self.crl_distribution_points.is_empty()
            && self.ocsp_servers.is_empty()
    }
}

/// The bytes of a serial number, written with colons or hyphens between them.
fn serial_bytes(text: &str) -> Option<Vec<u8>> {
    text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2)).collect()
}

fn is_url(text: &str) -> bool {
    text.is_ascii()
        && text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
}

/// Paths that exist, for other methods.
fn is_known(segments: &[&str]) -> bool {
    match segments {
        [only] if *only != "cert" => {
            ["sign-verbatim", "roles", "certs", "revoke", "issuers", "root", "ca", "ca_chain", "crl", "ocsp"]
                .contains(only)
        }
        ["sign" | "issue" | "roles" | "sign-verbatim" | "issuer", _]
        | ["issuer", _, "sign" | "issue" | "sign-verbatim" | "json" | "der" | "pem" | "crl", ..]
        | ["root" | "intermediate", "generate", _]
        | ["root", "sign-intermediate"]
        | ["intermediate", "set-signed"]
        | ["config", "urls" | "issuers" | "crl"]
        | ["crl", "rotate" | "rotate-delta" | "pem" | "delta"]
        | ["crl", "delta", "pem"]
        | ["certs", "revoked" | "detailed"]
        | ["ca", "pem"]
        | ["cert" | "ocsp", ..] => true,
        _ => false,
    }
}

/// The pairs become an object; the names are in the order of Go's maps, which is alphabetical.
fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
