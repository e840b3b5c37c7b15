//! Version 1: certificates, and whether there may be more.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use jiff::SignedDuration;
use serde::Serialize;

use crate::ejbca::{
    Context,
    answer::{Answer, Refusal},
    certificate::{Body, Format},
    search::{
        checked_maximum,
        criteria::Criteria,
        found::{self, Found},
    },
};

#[derive(Serialize)]
struct Certificates {
    certificates: Vec<Body>,
    more_results: bool,
}

#[derive(Serialize)]
struct Expiring {
    pagination_rest_response_component: Page,
    certificates_rest_response: OnlyCertificates,
}

#[derive(Serialize)]
struct Page {
    more_results: bool,
    next_offset: i64,
    number_of_results: i64,
}

#[derive(Serialize)]
struct OnlyCertificates {
    certificates: Vec<Body>,
}

/// `POST /v1/certificate/search`
pub(crate) fn search(context: &Context<'_>) -> Result<Answer, Refusal> {
    let most = checked_maximum(&context.request.fields, "Invalid maximum number of results", "")?;
    let criteria = Criteria::read(context)?;
    let mut left = most;
    let found = found::all(context.state, |found| {
        let fits = left > 0 && criteria.hold(found);
        left -= usize::from(fits);
        fits
    });
    let certificates = found.iter().map(shown).collect();
    Ok(Answer::json(StatusCode::OK, &Certificates { certificates, more_results: left == 0 }))
}

/// The base64 is in base64 again: EJBCA encodes here what its JSON library encodes once more.
fn shown(found: &Found<'_>) -> Body {
    let body = Body::new(&found.certificate, Format::Der);
    Body {
        certificate: STANDARD.encode(&body.certificate),
        certificate_profile: found.record.as_ref().map(|record| record.certificate_profile.name),
        end_entity_profile: found.record.as_ref().map(|record| record.end_entity_profile.name),
        ..body
    }
}

/// `GET /v1/certificate/expire`
pub(crate) fn expiring(context: &Context<'_>) -> Result<Answer, Refusal> {
    let days: i64 = context.request.number("days")?;
    let (offset, most): (i32, i32) =
        (context.request.number("offset")?, context.request.number("maxNumberOfResults")?);
    let now = context.now;
    let until =
        SignedDuration::try_from_hours(days.saturating_mul(24)).and_then(|days| now.checked_add(days).ok());
    let mut found = found::all(context.state, |found| {
        let ends = found.certificate.not_after();
        found.revoked.is_none() && ends > now && until.is_none_or(|until| ends < until)
    });
    found.sort_by_key(|found| found.certificate.not_after());
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let processed = i64::from(offset) + i64::from(most);
    let skipped = usize::try_from(offset).unwrap_or_default();
    let shown = found.iter().skip(skipped).take(usize::try_from(most).unwrap_or_default());
    let expiring = Expiring {
        // Yes, the number of results is that of those that are left.
        pagination_rest_response_component: Page {
            more_results: count > processed,
            next_offset: processed,
            number_of_results: count - processed,
        },
        certificates_rest_response: OnlyCertificates {
            certificates: shown.map(|found| Body::new(&found.certificate, Format::Der)).collect(),
        },
    };
    Ok(Answer::json(StatusCode::OK, &expiring))
}
