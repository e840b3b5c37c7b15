//! Whether a Certificate must be issued, and whether it is good: cert-manager's chains of policies, in its order,
//! with its reasons and messages (`internal/controller/certificates/policies`).

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use crate::{
    api::{Certificate, CertificateRequest, IssuerReference, go_rfc1123, go_string},
    key::PrivateKey,
    names::{CERTIFICATE_NAME, ISSUER_GROUP, ISSUER_KIND, ISSUER_NAME, TLS_CRT, TLS_KEY},
    renewal, request,
};

/// What the policies look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The Certificate.
    pub certificate: &'a Certificate,
    /// The Secret it names.
    pub secret: Option<&'a Secret>,
    /// The request of the certificate that was issued last.
    pub current_request: Option<&'a CertificateRequest>,
}

/// A policy that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Violation {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Why the Certificate must be issued now; nothing if it need not.
#[must_use]
pub fn must_issue(input: &Input<'_>, now: Timestamp) -> Option<Violation> {
    evaluate(input).map_or_else(Some, |pair| nearing_expiry(&pair.certificate, input.certificate, now))
}

/// Why the Certificate is not ready; nothing if it is.
#[must_use]
pub fn not_ready(input: &Input<'_>, now: Timestamp) -> Option<Violation> {
    evaluate(input).map_or_else(Some, |pair| expired(&pair.certificate, now))
}

/// The certificate of a Secret, read as the policies read it: the first in `tls.crt`.
#[must_use]
pub fn certificate_of(secret: &Secret) -> Option<x509::Certificate> {
    first_certificate(data(secret, TLS_CRT))
}

/// One entry of a Secret's data; empty where there is none.
#[must_use]
pub fn data<'a>(secret: &'a Secret, key: &str) -> &'a [u8] {
    secret.data.as_ref().and_then(|data| data.get(key)).map_or(&[], |value| &value.0)
}

pub(crate) fn first_certificate(pem: &[u8]) -> Option<x509::Certificate> {
    x509::bundle::read_certificates(pem).ok()?.into_iter().next()
}

struct Pair {
    key: PrivateKey,
    certificate: x509::Certificate,
}

/// All policies but the last of both chains, which are the same.
fn evaluate(input: &Input<'_>) -> Result<Pair, Violation> {
    let secret = exists(input)?;
    has_data(secret)?;
    let pair = is_pair(secret)?;
    issuer_annotations_match(secret, &input.certificate.spec.issuer_ref)?;
    certificate_name_matches(secret, &input.certificate.name_any())?;
    key_matches_spec(&pair.key, input.certificate)?;
    if let Some(current) = input.current_request {
        key_matches_request(&pair.key, current)?;
        request_matches_spec(current, input.certificate)?;
    } else {
        certificate_matches_spec(&pair.certificate, input.certificate)?;
    }
    Ok(pair)
}

fn exists<'a>(input: &Input<'a>) -> Result<&'a Secret, Violation> {
    let missing = || Violation::new("DoesNotExist", "Issuing certificate as Secret does not exist");
    input.secret.ok_or_else(missing)
}

fn has_data(secret: &Secret) -> Result<(), Violation> {
    let missing = |what| {
        let message = format!("Issuing certificate as Secret does not contain {what}");
        Err(Violation::new("MissingData", message))
    };
    if secret.data.is_none() {
        return missing("any data");
    }
    if data(secret, TLS_KEY).is_empty() {
        return missing("a private key");
    }
    if data(secret, TLS_CRT).is_empty() {
        return missing("a certificate");
    }
    Ok(())
}

fn is_pair(secret: &Secret) -> Result<Pair, Violation> {
    let key = PrivateKey::from_pem(data(secret, TLS_KEY)).map_err(|error| {
        let message = format!("Issuing certificate as Secret contains invalid private key data: {error}");
        Violation::new("InvalidKeyPair", message)
    })?;
    let certificate = certificate_of(secret).ok_or_else(|| {
        let message = "Issuing certificate as Secret contains an invalid certificate: error decoding certificate \
                       PEM block: no valid certificates found";
        Violation::new("InvalidCertificate", message)
    })?;
    if !x509::key::same_key(certificate.spki_der(), key.spki_der()) {
        let message =
            "Issuing certificate as Secret contains a private key that does not match the certificate";
        return Err(Violation::new("InvalidKeyPair", message));
    }
    Ok(Pair { key, certificate })
}

/// As cert-manager has it: without any of the annotations the name is not compared, but kind and group are, with
/// their defaults. A Secret that somebody else filled is so taken over by the default kind of issuer only.
fn issuer_annotations_match(secret: &Secret, wanted: &IssuerReference) -> Result<(), Violation> {
    let annotation = |key: &str| secret.annotations().get(key).cloned();
    let (name, kind, group) = (annotation(ISSUER_NAME), annotation(ISSUER_KIND), annotation(ISSUER_GROUP));
    let annotated = name.is_some() || kind.is_some() || group.is_some();
    let [name, kind, group] = [name, kind, group].map(Option::unwrap_or_default);
    let was = IssuerReference { name, kind, group };
    if (annotated && was.name != wanted.name) || was.kind() != wanted.kind() || was.group() != wanted.group()
    {
        let was = format!("{}.{}/{}", was.kind(), was.group(), was.name);
        let message = format!("Issuing certificate as Secret was previously issued by {was:?}");
        return Err(Violation::new("IncorrectIssuer", message));
    }
    Ok(())
}

fn certificate_name_matches(secret: &Secret, wanted: &str) -> Result<(), Violation> {
    match secret.annotations().get(CERTIFICATE_NAME) {
        Some(name) if name != wanted => {
            let message = format!(
                "Secret was issued for {name:?}. If this message is not transient, you might have two conflicting \
                 Certificates pointing to the same secret."
            );
            Err(Violation::new("IncorrectCertificate", message))
        }
        _ => Ok(()),
    }
}

fn key_matches_spec(key: &PrivateKey, certificate: &Certificate) -> Result<(), Violation> {
    let violations = key.violations(&certificate.spec);
    if violations.is_empty() {
        return Ok(());
    }
    let message = format!("Existing private key is not up to date for spec: {}", GoList(&violations));
    Err(Violation::new("SecretMismatch", message))
}

fn key_matches_request(key: &PrivateKey, current: &CertificateRequest) -> Result<(), Violation> {
    let csr = x509::Csr::from_pem(&current.spec.request.0).map_err(|error| {
        let message = format!("Failed to decode current CertificateRequest: {error}");
        Violation::new("InvalidCertificateRequest", message)
    })?;
    if x509::key::same_key(csr.spki_der(), key.spki_der()) {
        return Ok(());
    }
    let message = "Secret contains a private key that does not match the current CertificateRequest";
    Err(Violation::new("SecretMismatch", message))
}

fn request_matches_spec(current: &CertificateRequest, certificate: &Certificate) -> Result<(), Violation> {
    // What cannot be read is no reason: the certificate may be good all the same.
    let violations = request::violations(current, &certificate.spec).unwrap_or_default();
    if violations.is_empty() {
        return Ok(());
    }
    let fields = GoList(&violations);
    let message = format!("Fields on existing CertificateRequest resource not up to date: {fields}");
    Err(Violation::new("RequestChanged", message))
}

fn certificate_matches_spec(issued: &x509::Certificate, certificate: &Certificate) -> Result<(), Violation> {
    let violations = request::certificate_violations(issued, &certificate.spec);
    if violations.is_empty() {
        return Ok(());
    }
    let fields = GoList(&violations);
    let message =
        format!("Issuing certificate as Existing issued Secret is not up to date for spec: {fields}");
    Err(Violation::new("SecretMismatch", message))
}

fn nearing_expiry(
    issued: &x509::Certificate,
    certificate: &Certificate,
    now: Timestamp,
) -> Option<Violation> {
    let renewal = renewal::renewal_time(issued.not_before(), issued.not_after(), &certificate.spec)?;
    if now < renewal {
        return None;
    }
    let scheduled = go_string(certificate.status.as_ref().and_then(|status| status.renewal_time));
    let message = format!("Renewing certificate as renewal was scheduled at {scheduled}");
    Some(Violation::new("Renewing", message))
}

fn expired(issued: &x509::Certificate, now: Timestamp) -> Option<Violation> {
    if now <= issued.not_after() {
        return None;
    }
    let message = format!("Certificate expired on {}", go_rfc1123(issued.not_after()));
    Some(Violation::new("Expired", message))
}

/// What Go's `%v` makes of a slice of strings.
pub(crate) struct GoList<'a>(pub(crate) &'a [&'static str]);

impl fmt::Display for GoList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(" "))
    }
}
