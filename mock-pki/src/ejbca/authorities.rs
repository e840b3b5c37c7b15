//! The CAs of the hierarchy under EJBCA's names, and the routes about them: list, certificates, CRLs.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca::Authority;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use x509::Certificate;

use crate::{
    archive::Archive,
    ca::{Ca, Cas},
    crl::{Terms, Which},
    ejbca::{
        Context,
        answer::{Answer, Refusal},
        dates,
        names::{Dn, java_hash, written},
    },
};

/// A day, as a new CA of EJBCA has it.
const TERMS: Terms = Terms { expiry: SignedDuration::from_hours(24), is_disabled: false };

/// The name of the CA that issues to end entities.
pub(crate) const ISSUING: &str = "ManagementCA";

/// A CA as this face shows it.
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    pub(crate) dn: String,
    pub(crate) id: i32,
    /// By which the archive knows it.
    pub(crate) key: Arc<str>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) archive: Arc<Archive>,
}

#[derive(Serialize)]
struct CaInfos {
    certificate_authorities: Vec<CaInfo>,
}

#[derive(Serialize)]
struct CaInfo {
    id: i32,
    name: &'static str,
    subject_dn: String,
    issuer_dn: String,
    expiration_date: String,
    external: bool,
}

#[derive(Serialize)]
struct Crl {
    crl: String,
    response_format: &'static str,
}

#[derive(Serialize)]
struct CreatedCrl {
    issuer_dn: String,
    latest_crl_version: u64,
    latest_delta_crl_version: u64,
    latest_partition_crl_versions: Option<()>,
    latest_partition_delta_crl_versions: Option<()>,
    all_success: bool,
}

impl Shown {
    fn new(name: &'static str, ca: &Ca) -> Self {
        let dn = ca.authority.chain().first().map(|own| written(&own.subject())).unwrap_or_default();
        Self {
            name,
            id: java_hash(&dn),
            dn,
            key: Arc::clone(&ca.id),
            authority: Arc::clone(&ca.authority),
            archive: Arc::clone(&ca.archive),
        }
    }

    /// All of them, the one that issues first.
    pub(crate) fn all(cas: &Cas) -> Vec<Self> {
        vec![Self::new(ISSUING, &cas.issuing), Self::new("RootCA", &cas.root)]
    }

    /// Its own certificate; it has one.
    pub(crate) fn certificate(&self) -> Option<&Certificate> {
        self.authority.chain().first()
    }

    /// Has the CRLs tell of what was just revoked: the CA generates them upon revocation.
    pub(crate) fn rebuild_crls(&self, now: Timestamp) {
        self.archive.crls.rebuild(&self.key, now, TERMS);
    }

    fn info(&self) -> Option<CaInfo> {
        Some(CaInfo {
            id: self.id,
            name: self.name,
            subject_dn: self.dn.clone(),
            // Of the last certificate of the chain, so the root's.
            issuer_dn: written(&self.authority.chain().last()?.issuer()),
            expiration_date: dates::iso(self.certificate()?.not_after()),
            external: false,
        })
    }
}

/// `GET /v1/ca`
pub(crate) fn list(context: &Context<'_>) -> Answer {
    let certificate_authorities = context.state.cas.iter().filter_map(Shown::info).collect();
    Answer::json(StatusCode::OK, &CaInfos { certificate_authorities })
}

/// `GET /v1/ca/{subject_dn}/certificate/download`
pub(crate) fn download(context: &Context<'_>, dn: &str) -> Result<Answer, Refusal> {
    let normal = normal(dn);
    let ca = context.state.ca_with_dn(dn).ok_or_else(|| no_such_id(&normal))?;
    let name: String = normal
        .chars()
        .map(|letter| if letter.is_ascii_graphic() && letter != '"' { letter } else { '_' })
        .collect();
    Ok(Answer::file(&format!("{name}.cacert.pem"), pem(ca.authority.chain())))
}

/// `GET /v1/ca/{issuer_dn}/getLatestCrl`
pub(crate) fn latest_crl(context: &Context<'_>, dn: &str) -> Result<Answer, Refusal> {
    let ca = context.state.ca_with_dn(dn).ok_or_else(|| no_such(dn))?;
    let is_delta = context.request.query("deltaCrl").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let which = if is_delta { Which::Delta } else { Which::Complete };
    let made = ca.archive.crls.latest(&ca.key).map(|latest| latest.made);
    if made.is_some_and(|made| context.now.duration_since(made) >= TERMS.expiry) {
        // The service that renews CRLs has been here in the meantime.
        ca.rebuild_crls(context.now);
    }
    let der =
        ca.archive.crls.der(which, (&ca.key, ca.authority.as_ref()), &ca.archive, context.now, TERMS)?;
    Ok(Answer::json(StatusCode::OK, &Crl { crl: STANDARD.encode(&der), response_format: "DER" }))
}

/// `POST /v1/ca/{issuer_dn}/createcrl`
pub(crate) fn create_crl(context: &Context<'_>, dn: &str) -> Result<Answer, Refusal> {
    let dn = dn.trim();
    let ca = context
        .state
        .ca_with_dn(dn)
        .ok_or_else(|| Refusal::bad(format!("CA with DN: {} does not exist.", short(dn))))?;
    if context.request.query("deltacrl").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        ca.archive.crls.rebuild_delta(&ca.key, context.now, TERMS);
    } else {
        ca.rebuild_crls(context.now);
    }
    let latest = ca.archive.crls.latest(&ca.key).ok_or_else(Refusal::general)?;
    let created = CreatedCrl {
        issuer_dn: dn.to_owned(),
        latest_crl_version: latest.complete,
        latest_delta_crl_version: latest.delta,
        latest_partition_crl_versions: None,
        latest_partition_delta_crl_versions: None,
        all_success: true,
    };
    Ok(Answer::json(StatusCode::OK, &created))
}

/// Certificates as EJBCA writes a chain: each below the names of its subject and issuer.
pub(crate) fn pem(certificates: &[Certificate]) -> String {
    let written = certificates.iter().map(|certificate| {
        let (subject, issuer) = (written(&certificate.subject()), written(&certificate.issuer()));
        format!("Subject: {subject}\nIssuer: {issuer}\n{}", certificate.to_pem())
    });
    written.collect()
}

/// A DN in the form in which it counts.
pub(crate) fn normal(dn: &str) -> String {
    Dn::parse(dn).map_or_else(|| dn.to_owned(), |dn| dn.to_string())
}

/// That no CA has this DN, where EJBCA says so by the DN.
pub(crate) fn no_such(dn: &str) -> Refusal {
    Refusal::absent(format!("CA '{}' does not exist.", short(dn)))
}

/// The same where it says so by the id, which follows from the DN.
pub(crate) fn no_such_id(dn: &str) -> Refusal {
    Refusal::absent(format!("CA with id {} does not exist.", java_hash(dn)))
}

/// Cut to what an answer may repeat.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
