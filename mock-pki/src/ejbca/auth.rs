//! Who asks: a client certificate of the hierarchy's that belongs to the administrator, or an OAuth token.

use ca::{AttributeType, CaError, LeafProfile, Requested, SigningKey, Subject};
use http::header;
use jiff::{SignedDuration, Timestamp};
use x509::Certificate;

use crate::{
    ca::{BACKDATE, Hierarchy},
    ejbca::{Context, answer::Refusal, authorities::Shown, names::written, oauth},
    proof, random,
    serial::decimal,
};

/// The common name whose holder may do everything, as EJBCA's installation has it.
const ADMINISTRATOR: &str = "SuperAdmin";

/// As long as EJBCA's installation makes it.
const VALIDITY: SignedDuration = SignedDuration::from_hours(24 * 730);

/// A certificate for a client, and its key. Not shown by `Debug`.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate and its issuers, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: String,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

impl ClientCertificate {
    /// One for the administrator.
    pub(crate) fn of_administrator(hierarchy: &Hierarchy, now: Timestamp) -> Result<Self, CaError> {
        let authority = hierarchy.cas()?.issuing.authority;
        let key = SigningKey::generate(ca::KeyAlgorithm::EcdsaP256)?;
        let subject = ca::distinguished_name(&[vec![(AttributeType::CommonName, ADMINISTRATOR.to_owned())]])?;
        let usages = ["digital signature".to_owned(), "client auth".to_owned()];
        let leaf = LeafProfile {
            usages: x509::Usages::from_cert_manager(&usages).unwrap_or_default(),
            subject: Subject::Der(subject),
            ..LeafProfile::valid(
                random::serial(),
                now.checked_sub(BACKDATE).unwrap_or(now),
                now.checked_add(VALIDITY).unwrap_or(now),
            )
        };
        let requested = Requested { subject_der: &[], spki_der: key.spki_der(), subject_alt_names: None };
        let own = authority.issue_for(&requested, &leaf, Vec::new())?;
        let chain = std::iter::once(&own).chain(authority.chain());
        Ok(Self { certificate: chain.map(Certificate::to_pem).collect(), key: key.to_pkcs8_pem()? })
    }
}

/// Refuses who may not administer.
pub(crate) fn authenticate(context: &Context<'_>) -> Result<(), Refusal> {
    if let Some(own) = context.call.client.first() {
        return by_certificate(context, own);
    }
    let given = context.call.head.headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    let token = given.and_then(|given| given.strip_prefix("Bearer ")).map(str::trim);
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Err(Refusal::denied(
            "Error no client certificate or OAuth token received for authentication.",
        ));
    };
    oauth::verify(&context.state.oauth_key, token, context.now)
}

fn by_certificate(context: &Context<'_>, der: &[u8]) -> Result<(), Refusal> {
    let own = Certificate::from_der(der).map_err(|_| Refusal::general())?;
    let issuer =
        context.state.cas.iter().find(|ca| ca.certificate().is_some_and(|ca| proof::is_by(&own, ca)));
    let is_valid = own.not_before() <= context.now && context.now <= own.not_after();
    let is_revoked = |ca: &Shown| ca.archive.find(own.serial()).is_some_and(|kept| kept.revoked.is_some());
    if !is_valid || issuer.is_none_or(is_revoked) {
        return Err(Refusal::denied(format!(
            "Authentication failed. Further information: No admin authenticated for certificate with serialNumber {} and \
             issuerDN '{}'.",
            // A certificate of nobody here may have a number of any length.
            decimal(own.serial().get(..20).unwrap_or(own.serial())),
            written(&own.issuer())
        )));
    }
    if own.subject().common_name() != Some(ADMINISTRATOR) {
        return Err(Refusal::denied("Administrator is not authorized to resource /administrator. Msg: ."));
    }
    Ok(())
}
