//! What may be believed of a certificate that a client shows.

use x509::{Certificate, SignatureMatch};

/// Whether this issuer signed it, beyond doubt: [`Certificate::is_signed_by`] finds an order, and where it cannot check a
/// signature it goes by names, which anybody can write into a certificate.
pub(crate) fn is_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    certificate.issuer_der() == issuer.subject_der()
        && certificate.signature_matches(issuer.spki_der()) == SignatureMatch::Yes
}
