//! From parameters to a certificate, and its forms on the wire.

use std::sync::atomic::Ordering;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ca::{AttributeType, GeneralName, KeyAlgorithm, LeafProfile, Requested, Sans, SigningKey, Subject};
use http::{Response, StatusCode, header};
use jiff::SignedDuration;
use serde_json::{Value, json};
use x509::{Certificate, Csr};

use crate::{
    custom::{JSON, PEM, Problem, parameters::Parameters, response, subject},
    face::{Call, short_header},
    fault::Verdict,
    issue::{self, Made},
    random,
    store::Epoch,
};

/// When nobody says how long.
const DAYS: i64 = 365;

/// What a request wants. Without a CSR a key is made here, which is how the PKIs of old do it.
pub(crate) struct Wanted {
    csr: Option<Csr>,
    pub(super) common_name: Option<String>,
    subject: Subject,
    names: Vec<String>,
    days: i64,
}

/// A certificate with all that belongs to it. Without `Debug`: a key may be in it.
pub(crate) struct Signed {
    pub(super) certificate: Certificate,
    /// The issuer first.
    chain: Vec<Certificate>,
    ca: Option<Certificate>,
    csr: Option<Csr>,
    key: Option<SigningKey>,
}

impl Wanted {
    /// `csr` (PEM, or the Base64 within), `subject`, `DNS1`…, `validity_days`.
    pub(super) fn read(asked: &Parameters) -> Result<Self, Problem> {
        let csr = asked.get("csr").map(read_csr).transpose()?;
        let days = match asked.get("validity_days") {
            None => DAYS,
            Some(text) => {
                text.trim().parse().ok().filter(|days| (1..=36_500).contains(days)).ok_or_else(|| {
                    Problem::bad("INVALID_VALIDITY", "validity_days is not a number of days")
                })?
            }
        };
        let given = asked.get("subject").map(subject::parse).transpose()?;
        let common_name = match &given {
            Some(parts) => parts.iter().rev().find(|(kind, _)| *kind == AttributeType::CommonName),
            None => None,
        };
        let common_name = common_name.map(|(_, value)| value.clone());
        let in_csr = csr.as_ref().and_then(|csr| csr.subject().common_name().map(str::to_owned));
        let subject = match given {
            Some(parts) => {
                let rdns: Vec<ca::Rdn> = parts.into_iter().map(|part| vec![part]).collect();
                Subject::Der(ca::distinguished_name(&rdns)?)
            }
            None => Subject::FromCsr,
        };
        let common_name = common_name.or(in_csr);
        let mut names: Vec<String> = asked.numbered("DNS").into_iter().map(str::to_owned).collect();
        let has_own = csr.as_ref().is_some_and(|csr| csr.extension("2.5.29.17").is_some());
        if let Some(name) = common_name.as_ref().filter(|_| !has_own || !names.is_empty())
            && !names.contains(name)
        {
            names.insert(0, name.clone());
        }
        Ok(Self { csr, common_name, subject, names, days })
    }

    pub(super) fn has_csr(&self) -> bool {
        self.csr.is_some()
    }

    /// Whether a certificate fits: any does where no key was given.
    pub(super) fn key_is_that_of(&self, certificate: &Certificate) -> bool {
        self.csr.as_ref().is_none_or(|csr| certificate.has_key(csr.spki_der()))
    }
}

fn read_csr(text: &str) -> Result<Csr, Problem> {
    let whole = if text.contains("-----BEGIN") {
        text.to_owned()
    } else {
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", text.trim())
    };
    let csr = Csr::from_pem(whole.as_bytes())
        .map_err(|error| Problem::bad("INVALID_CSR", "Failed to parse CSR").because(&error))?;
    csr.verify().map_err(|error| {
        Problem::bad("INVALID_SIGNATURE", "CSR signature validation failed").because(&error)
    })?;
    Ok(csr)
}

/// Makes what is wanted.
pub(super) fn sign(epoch: &Epoch, call: &Call, wanted: Wanted) -> Result<Signed, Problem> {
    let (ca, now) = (&epoch.custom.ca, epoch.now());
    let Wanted { csr, common_name, subject, names, days } = wanted;
    // Such a PKI knows no approval.
    if let Some(Verdict::Refuse(why)) = call.certificates().verdict(common_name.as_deref(), false) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "POLICY_VIOLATION", why));
    }
    let key = match csr {
        Some(_) => None,
        None => Some(SigningKey::generate(KeyAlgorithm::Rsa2048)?),
    };
    let requested = match (&csr, &key) {
        (Some(csr), _) => Requested::from(csr),
        (None, Some(key)) => {
            Requested { subject_der: &[], spki_der: key.spki_der(), subject_alt_names: None }
        }
        (None, None) => return Err(ca::CaError::UnusableKey.into()),
    };
    let subject_alt_names = if names.is_empty() {
        if csr.is_some() { Sans::FromCsr } else { Sans::None }
    } else {
        let names =
            names.into_iter().map(|name| name.parse().map_or(GeneralName::Dns(name), GeneralName::Ip));
        let encoded = ca::general_names(&names.collect::<Vec<_>>());
        Sans::Der(encoded.map_err(|error| Problem::bad("INVALID_NAME", error.to_string()))?)
    };
    let chain = ca.authority.chain();
    let latest = chain.first().map_or(now, Certificate::not_after);
    let wanted = now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(latest);
    let is_rsa = csr.as_ref().is_none_or(|csr| csr.key_type().can_encipher_keys());
    let leaf = LeafProfile {
        usages: issue::usages(csr.as_ref(), is_rsa),
        subject,
        subject_alt_names,
        ..LeafProfile::valid(epoch.ledger.next_serial(), issue::start(now), issue::whole(wanted.min(latest)))
    };
    let headers = &call.head.headers;
    let made = issue::issue(
        issue::Order {
            authority: Some(&ca.authority),
            chain,
            leaf,
            requested,
            extra: Vec::new(),
            common_name,
            csr: csr.as_ref(),
            kept: Some((&ca.archive, &ca.id)),
        },
        issue::Asker {
            issued_by: format!("custom {}", call.head.uri.path()),
            request_id: random::uuid(),
            user_agent: short_header(headers, header::USER_AGENT),
            idempotency_key: short_header(headers, header::HeaderName::from_static("idempotency-key")),
            faults: call.certificates(),
            ledger: &epoch.ledger,
            now,
        },
    )?;
    epoch.custom.signed.fetch_add(1, Ordering::Relaxed);
    let Made { certificate, issuance, .. } = made;
    let ca = issuance.chain.last().cloned().filter(|_| issuance.send_issuing_ca);
    let chain = if issuance.send_chain { issuance.chain } else { Vec::new() };
    Ok(Signed { certificate, chain, ca, csr, key })
}

impl Signed {
    /// The leaf and what is above it, PEM.
    fn whole(&self) -> String {
        std::iter::once(&self.certificate).chain(&self.chain).map(Certificate::to_pem).collect()
    }

    pub(super) fn key_pem(&self) -> Option<String> {
        self.key.as_ref().and_then(|key| key.to_pkcs8_pem().ok())
    }

    pub(super) fn csr_pem(&self) -> Option<String> {
        self.csr.as_ref().map(Csr::to_pem)
    }

    pub(super) fn describe(&self) -> Value {
        let certificate = &self.certificate;
        let serial = certificate.serial().iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        json!({
            "certificate": certificate.to_pem(),
            "certificate_chain": self.whole(),
            "ca": self.ca.as_ref().map(Certificate::to_pem).unwrap_or_default(),
            "serial_number": serial.to_string(),
            "not_before": certificate.not_before().to_string(),
            "not_after": certificate.not_after().to_string(),
            "subject": certificate.subject().to_string(),
        })
    }

    pub(super) fn send(&self, format: Format) -> Response<Bytes> {
        match format {
            Format::Pem => response(StatusCode::OK, PEM, self.whole()),
            Format::Base64 => {
                response(StatusCode::OK, "text/plain; charset=utf-8", STANDARD.encode(self.whole()))
            }
            Format::Json => response(StatusCode::OK, JSON, format!("{}\n", self.describe())),
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Json,
    Pem,
    /// Of that PEM, on one line.
    Base64,
}

impl Format {
    /// What is asked for; to be read before anything is issued.
    pub(super) fn read(asked: Option<&str>, usual: Self) -> Result<Self, Problem> {
        match asked {
            None => Ok(usual),
            Some("json") => Ok(Self::Json),
            Some("pem") => Ok(Self::Pem),
            Some("base64") => Ok(Self::Base64),
            Some(_) => Err(Problem::bad("INVALID_FORMAT", "format is one of json, pem and base64")),
        }
    }
}
