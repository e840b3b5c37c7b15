//! Version 2: all that is known of certificates, in pages and sorted; without a page, their number.

use std::cmp::Ordering;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde::Serialize;

use crate::ejbca::{
    Context,
    answer::{Answer, Refusal},
    certificate::serial,
    names::written,
    search::{
        criteria::Criteria,
        found::{self, Found},
    },
};

/// The type of a certificate that is no CA's.
const END_ENTITY: i32 = 1;

#[derive(Serialize)]
struct Certificates {
    certificates: Vec<Shown>,
    pagination_summary: Summary,
}

#[derive(Serialize)]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_page: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_certs: Option<i64>,
}

/// All that is known of one. The names are EJBCA's, slips of the pen included.
#[derive(Serialize)]
struct Shown {
    fingerprint: String,
    #[serde(rename = "cAFingerprint")]
    ca_fingerprint: Option<String>,
    #[serde(rename = "certificateProfileId")]
    certificate_profile_id: i32,
    #[serde(rename = "endEntityProfileId")]
    end_entity_profile_id: i32,
    #[serde(rename = "expireDate")]
    expire_date: i64,
    #[serde(rename = "issuerDN")]
    issuer_dn: String,
    #[serde(rename = "notBefore")]
    not_before: i64,
    #[serde(rename = "revocationDate")]
    revocation_date: i64,
    #[serde(rename = "revocationReason")]
    revocation_reason: i32,
    #[serde(rename = "serialNumber")]
    serial_number: String,
    status: i32,
    #[serde(rename = "subjectAltName")]
    subject_alt_name: Option<String>,
    #[serde(rename = "subjectDN")]
    subject_dn: String,
    #[serde(rename = "subjectKeyId")]
    subject_key_id: String,
    tag: Option<()>,
    #[serde(rename = "type")]
    kind: i32,
    #[serde(rename = "udpateTime")]
    update_time: i64,
    username: Option<String>,
    /// Base64 of base64, as in version 1.
    #[serde(rename = "base64Cert")]
    base64_cert: String,
    #[serde(rename = "certificateRequest")]
    certificate_request: Option<()>,
    #[serde(rename = "crlPartitionIndex")]
    crl_partition_index: i32,
    invalidity_date: Option<()>,
    #[serde(rename = "certificateProfile", skip_serializing_if = "Option::is_none")]
    certificate_profile: Option<&'static str>,
    #[serde(rename = "endEntityProfile", skip_serializing_if = "Option::is_none")]
    end_entity_profile: Option<&'static str>,
}

/// `POST /v2/certificate/search`
pub(crate) fn search(context: &Context<'_>) -> Result<Answer, Refusal> {
    let fields = &context.request.fields;
    let page = match fields.object("pagination")? {
        None => None,
        Some(page) => {
            let number = |name: &str| Ok::<_, Refusal>(page.integer(name)?.unwrap_or_default());
            Some((number("page_size")?, number("current_page")?))
        }
    };
    if page.is_some_and(|(_, current)| current < -1 || current == 0) {
        return Err(Refusal::bad("Current page must be greater 0."));
    }
    if page.is_some_and(|(size, _)| size < 1) {
        return Err(Refusal::bad("Page size must be greater 0."));
    }
    let sort = fields.object("sort")?.map(|sort| Sort::read(&sort)).transpose()?;
    let criteria = Criteria::read(context)?;
    let mut found = found::all(context.state, |found| criteria.hold(found));
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let Some((size, current)) = page.filter(|(_, current)| *current > 0) else {
        let summary = Summary { page_size: None, current_page: None, total_certs: Some(total) };
        let counted = Certificates { certificates: Vec::new(), pagination_summary: summary };
        return Ok(Answer::json(StatusCode::OK, &counted));
    };
    if let Some(sort) = sort {
        found.sort_by(|one, other| sort.compare(one, other));
    }
    let before = size.saturating_mul(current - 1);
    let skipped = found.iter().skip(usize::try_from(before).unwrap_or(usize::MAX));
    let certificates: Vec<Shown> =
        skipped.take(usize::try_from(size).unwrap_or(usize::MAX)).map(Shown::new).collect();
    // Known only where the end is seen.
    let count = i64::try_from(certificates.len()).unwrap_or(i64::MAX);
    let total_certs = (count < size).then(|| before.saturating_add(count));
    let summary = Summary { page_size: Some(size), current_page: Some(current), total_certs };
    Ok(Answer::json(StatusCode::OK, &Certificates { certificates, pagination_summary: summary }))
}

impl Shown {
    fn new(found: &Found<'_>) -> Self {
        let certificate = &found.certificate;
        let record = found.record.as_deref();
        let fingerprint = |der: &[u8]| x509::hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref());
        Self {
            fingerprint: fingerprint(certificate.der()),
            ca_fingerprint: found.ca.certificate().map(|ca| fingerprint(ca.der())),
            certificate_profile_id: record.map_or(0, |record| record.certificate_profile.id),
            end_entity_profile_id: record.map_or(0, |record| record.end_entity_profile.id),
            expire_date: certificate.not_after().as_millisecond(),
            issuer_dn: written(&certificate.issuer()),
            not_before: certificate.not_before().as_millisecond(),
            revocation_date: found.revoked.map_or(-1, |revoked| revoked.at.as_millisecond()),
            revocation_reason: found.reason(),
            serial_number: serial(certificate.serial()),
            status: found.status(),
            subject_alt_name: found.subject_alt_name(),
            subject_dn: found.subject_dn(),
            subject_key_id: x509::hex(certificate.subject_key_id().unwrap_or_default()),
            tag: None,
            kind: END_ENTITY,
            update_time: found.updated().as_millisecond(),
            username: record.map(|record| record.username.to_string()),
            base64_cert: STANDARD.encode(STANDARD.encode(certificate.der())),
            certificate_request: None,
            crl_partition_index: 0,
            invalidity_date: None,
            certificate_profile: record.map(|record| record.certificate_profile.name),
            end_entity_profile: record.map(|record| record.end_entity_profile.name),
        }
    }
}

/// By which property, and whether the greatest comes first.
struct Sort {
    property: String,
    is_descending: bool,
}

impl Sort {
    fn read(fields: &crate::ejbca::fields::Fields) -> Result<Self, Refusal> {
        const PROPERTIES: [&str; 13] = [
            "USERNAME",
            "ISSUER_DN",
            "SUBJECT_DN",
            "EXTERNAL_ACCOUNT_BINDING_ID",
            "END_ENTITY_PROFILE",
            "CERTIFICATE_PROFILE",
            "STATUS",
            "TAG",
            "TYPE",
            "UPDATE_TIME",
            "ISSUED_DATE",
            "EXPIRE_DATE",
            "REVOCATION_DATE",
        ];
        let upper =
            |name: &str| Ok::<_, Refusal>(fields.text(name)?.unwrap_or_default().to_ascii_uppercase());
        let (property, operation) = (upper("property")?, upper("operation")?);
        if !PROPERTIES.contains(&property.as_str()) {
            return Err(Refusal::bad("Invalid search criteria sort property."));
        }
        if !matches!(operation.as_str(), "ASC" | "DESC") {
            return Err(Refusal::bad("Invalid search criteria sort operation."));
        }
        Ok(Self { property, is_descending: operation == "DESC" })
    }

    fn compare(&self, one: &Found<'_>, other: &Found<'_>) -> Ordering {
        let by_name = |name: &dyn Fn(&Found<'_>) -> Option<String>| name(one).cmp(&name(other));
        let by_number = |number: &dyn Fn(&Found<'_>) -> i64| number(one).cmp(&number(other));
        let order = match self.property.as_str() {
            "USERNAME" => by_name(&|found| found.record.as_ref().map(|record| record.username.to_string())),
            "ISSUER_DN" => by_name(&|found| Some(found.ca.dn.clone())),
            "SUBJECT_DN" => by_name(&|found| Some(found.subject_dn())),
            "EXTERNAL_ACCOUNT_BINDING_ID" => {
                by_name(&|found| found.record.as_ref().and_then(|record| record.account_binding_id.clone()))
            }
            "END_ENTITY_PROFILE" => by_number(&|found| {
                found.record.as_ref().map_or(0, |record| record.end_entity_profile.id.into())
            }),
            "CERTIFICATE_PROFILE" => by_number(&|found| {
                found.record.as_ref().map_or(0, |record| record.certificate_profile.id.into())
            }),
            "STATUS" => by_number(&|found| found.status().into()),
            "UPDATE_TIME" => by_number(&|found| found.updated().as_millisecond()),
            "ISSUED_DATE" => by_number(&|found| found.certificate.not_before().as_millisecond()),
            "EXPIRE_DATE" => by_number(&|found| found.certificate.not_after().as_millisecond()),
            "REVOCATION_DATE" => {
                by_number(&|found| found.revoked.map_or(-1, |revoked| revoked.at.as_millisecond()))
            }
            // All certificates have the same tag and type.
            _ => Ordering::Equal,
        };
        if self.is_descending { order.reverse() } else { order }
    }
}
