//! Issuing: what every face does once it knows what a certificate shall say. Faults take hold, the CA signs, the
//! ledger and the archive remember.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use ca::{Authority, CaError, Extra, LeafProfile, Requested};
use jiff::Timestamp;
use x509::{Certificate, Csr, Usages, usage::KeyUsage};

use crate::{
    archive::Archive,
    ca::BACKDATE,
    fault::{Certificates, Issuance},
    ledger::{Issued, Ledger},
};

/// A certificate that is to be made.
pub(crate) struct Order<'a> {
    pub(crate) authority: Option<&'a Authority>,
    /// The issuer's certificate and those above it.
    pub(crate) chain: &'a [Certificate],
    pub(crate) leaf: LeafProfile,
    pub(crate) requested: Requested<'a>,
    pub(crate) extra: Vec<Extra>,
    /// By which faults know it, and the ledger.
    pub(crate) common_name: Option<String>,
    pub(crate) csr: Option<&'a Csr>,
    /// Where it is kept, and under which issuer; nowhere if the product does not store it.
    pub(crate) kept: Option<(&'a Archive, &'a Arc<str>)>,
}

/// Who asks, and where.
pub(crate) struct Asker<'a> {
    /// The face and the place in it, such as `vault pki_int/sign/web`.
    pub(crate) issued_by: String,
    pub(crate) request_id: String,
    pub(crate) user_agent: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) faults: &'a Certificates,
    pub(crate) ledger: &'a Ledger,
    pub(crate) now: Timestamp,
}

/// A certificate that was made.
pub(crate) struct Made<'a> {
    pub(crate) certificate: Certificate,
    /// With the chain to send.
    pub(crate) issuance: Issuance<'a>,
    /// Whether a fault had a hand in it.
    pub(crate) is_faulty: bool,
}

/// Makes a certificate and remembers it.
pub(crate) fn issue<'a>(order: Order<'a>, asker: Asker<'_>) -> Result<Made<'a>, CaError> {
    let Order { authority, chain, leaf, requested, extra, common_name, csr, kept } = order;
    let mut issuance = Issuance::new(leaf, requested, extra, chain);
    issuance.last_serial = asker.ledger.last_serial();
    let is_faulty = asker.faults.apply(&mut issuance, common_name.as_deref(), asker.now)?;
    let certificate = issuance.issue(authority)?;
    let der: Arc<[u8]> = certificate.der().into();
    if let Some((archive, issuer)) = kept {
        archive.keep_der(certificate.serial(), Arc::clone(&der), issuer);
    }
    let issued = Issued {
        serial: certificate.serial_hex(),
        request_id: asker.request_id,
        issued_by: asker.issued_by,
        common_name,
        subject_alt_names: certificate.subject_alt_names().iter().map(ToString::to_string).collect(),
        spki_sha256: sha256(certificate.spki_der()),
        csr_sha256: csr.map(|csr| x509::hex(&csr.sha256())),
        certificate_sha256: sha256(certificate.der()),
        issued_at: asker.now,
        not_after: certificate.not_after(),
        revoked_at: None,
        user_agent: asker.user_agent,
        idempotency_key: asker.idempotency_key,
    };
    asker.ledger.record(issued, der);
    Ok(Made { certificate, issuance, is_faulty })
}

/// Valid from: a little before now, to the second.
pub(crate) fn start(now: Timestamp) -> Timestamp {
    whole(now.checked_sub(BACKDATE).unwrap_or(now))
}

/// To the second, as certificates have it.
pub(crate) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The usages a request asks for, or those of a server and a client.
pub(crate) fn usages(csr: Option<&Csr>, can_encipher_keys: bool) -> Usages {
    csr.and_then(Csr::usages).unwrap_or_else(|| {
        let mut usages = Usages::unrestricted().with(KeyUsage::DigitalSignature);
        if can_encipher_keys {
            usages = usages.with(KeyUsage::KeyEncipherment);
        }
        let server_and_client = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];
        server_and_client.into_iter().filter_map(|oid| oid.parse().ok()).fold(usages, Usages::with_extended)
    })
}

fn sha256(bytes: &[u8]) -> String {
    x509::hex(digest(&SHA256, bytes).as_ref())
}
