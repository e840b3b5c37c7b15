//! OCSP, as OpenBao 2.7.2 answers it: the issuer signs itself, only the first certificate that is asked for is told of,
//! and a nonce is not echoed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca::{CertId, CertStatus, OcspFailure, OcspProfile, OcspRequest};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use crate::{
    sync::read,
    vault::{duration, envelope::Answer, error::Refusal, pki::Pki},
};

const CONTENT_TYPE: &str = "application/ocsp-response";
/// The largest request, bytes; for GET the length of its base64.
const MAX_LEN: usize = 2047;

impl Pki {
    /// The answer to a request that came as a body.
    pub(super) fn ocsp_post(&self, body: &[u8], now: Timestamp) -> Result<Answer, Refusal> {
        if body.len() > MAX_LEN {
            return Ok(failed(OcspFailure::MalformedRequest));
        }
        self.ocsp(body, now)
    }

    /// The answer to a request that came in the path, as base64.
    pub(super) fn ocsp_get(&self, text: &str, now: Timestamp) -> Result<Answer, Refusal> {
        if text.len() > MAX_LEN {
            return Ok(failed(OcspFailure::MalformedRequest));
        }
        match STANDARD.decode(text) {
            Ok(request) => self.ocsp(&request, now),
            Err(_) => Ok(failed(OcspFailure::MalformedRequest)),
        }
    }

    fn ocsp(&self, request: &[u8], now: Timestamp) -> Result<Answer, Refusal> {
        let config = read(&self.crl_config).clone();
        if config.ocsp_disable {
            return Ok(failed(OcspFailure::Unauthorized));
        }
        let Ok(request) = OcspRequest::from_der(request) else {
            return Ok(failed(OcspFailure::MalformedRequest));
        };
        let first = request.cert_ids().first().filter(|first| first.hash_algorithm().is_some());
        let Some(first) = first.filter(|_| !request.is_signed()) else {
            return Ok(failed(OcspFailure::MalformedRequest));
        };
        let Some(own) = read(&self.issuers).default_issuer().cloned() else {
            return Ok(failed(OcspFailure::Unauthorized));
        };
        let asked_of = |issuer: &&std::sync::Arc<super::issuer::Issuer>| {
            let authority = issuer.authority.as_deref();
            authority.is_some_and(|authority| first.names_issuer(authority).unwrap_or_default())
        };
        let all = read(&self.issuers).with_keys();
        let issuer = all.iter().find(asked_of).unwrap_or(&own);
        let Some(authority) = issuer.authority.as_deref() else {
            return Ok(failed(OcspFailure::Unauthorized));
        };
        // Go's library cannot sign them with such a key.
        if authority.key().algorithm() == ca::KeyAlgorithm::Ed25519 {
            return Ok(failed(OcspFailure::InternalError));
        }
        let expiry = duration::parse(&config.ocsp_expiry).unwrap_or_default();
        let profile = OcspProfile {
            produced_at: minute(now),
            this_update: now,
            next_update: (expiry > 0)
                .then(|| now.saturating_add(SignedDuration::from_secs(expiry)).unwrap_or(now)),
            nonce: None,
        };
        let status = |id: &CertId<'_>| self.status_of(id);
        let der = authority.answer_ocsp(std::slice::from_ref(first), &profile, status)?;
        Ok(Answer::Raw { status: StatusCode::OK, content_type: CONTENT_TYPE, body: der })
    }

    /// What was never issued is good.
    fn status_of(&self, id: &CertId<'_>) -> CertStatus {
        let kept = self.archive.find(id.serial());
        kept.and_then(|kept| kept.revoked)
            .map_or(CertStatus::Good, |revoked| CertStatus::Revoked { at: revoked.at, reason: None })
    }
}

/// The minute that this time is in.
fn minute(now: Timestamp) -> Timestamp {
    let second = now.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(now)
}

fn failed(failure: OcspFailure) -> Answer {
    let status = match failure {
        OcspFailure::Unauthorized => StatusCode::UNAUTHORIZED,
        OcspFailure::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    Answer::Raw { status, content_type: CONTENT_TYPE, body: failure.to_der().to_vec() }
}
