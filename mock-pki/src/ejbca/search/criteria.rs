//! The criteria of a search for certificates: what is allowed, and which certificates fit.
//!
//! Criteria for the same list (profiles, CAs, statuses, reasons) are alternatives, everything else must hold together.

use jiff::Timestamp;

use crate::ejbca::{
    Context,
    answer::Refusal,
    certificate::serial_bytes,
    dates,
    fields::Fields,
    profiles::{CertificateProfile, EndEntityProfile},
    search::{checked_list, found::Found},
};

/// Active; the status of a certificate whose end was announced counts as that.
pub(crate) const ACTIVE: i32 = 20;
/// Revoked, or on hold.
pub(crate) const REVOKED: i32 = 40;

/// A status, and the list that it goes to: that of statuses, or that of reasons for revocation.
const STATUSES: [(&str, Option<i32>, Option<i32>); 13] = [
    ("CERT_ACTIVE", Some(ACTIVE), None),
    // Goes to neither, so that it excludes nothing.
    ("CERT_NOTIFIEDABOUTEXPIRATION", None, None),
    ("CERT_REVOKED", Some(REVOKED), None),
    ("REVOCATION_REASON_UNSPECIFIED", None, Some(0)),
    ("REVOCATION_REASON_KEYCOMPROMISE", None, Some(1)),
    ("REVOCATION_REASON_CACOMPROMISE", None, Some(2)),
    ("REVOCATION_REASON_AFFILIATIONCHANGED", None, Some(3)),
    ("REVOCATION_REASON_SUPERSEDED", None, Some(4)),
    ("REVOCATION_REASON_CESSATIONOFOPERATION", None, Some(5)),
    ("REVOCATION_REASON_CERTIFICATEHOLD", None, Some(6)),
    ("REVOCATION_REASON_REMOVEFROMCRL", None, Some(8)),
    ("REVOCATION_REASON_PRIVILEGESWITHDRAWN", None, Some(9)),
    ("REVOCATION_REASON_AACOMPROMISE", None, Some(10)),
];

/// What is compared with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// Any of those below.
    Query,
    SerialNumber,
    Username,
    SubjectDn,
    SubjectAltName,
    AccountBindingId,
}

/// What is compared with a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Date {
    Issued,
    Expires,
    Revoked,
    Updated,
}

/// What a certificate must be to be found.
#[derive(Debug, Default)]
pub(crate) struct Criteria {
    text: Option<(Text, String, bool)>,
    end_entity_profiles: Vec<String>,
    certificate_profiles: Vec<String>,
    cas: Vec<String>,
    statuses: Vec<i32>,
    reasons: Vec<i32>,
    dates: Vec<(Date, bool, Timestamp)>,
}

fn invalid(what: &str) -> Refusal {
    Refusal::bad(format!("Invalid search criteria {what}"))
}

impl Criteria {
    /// Reads and checks `criteria`.
    pub(crate) fn read(context: &Context<'_>) -> Result<Self, Refusal> {
        let list = checked_list(&context.request.fields)?;
        let (mut criteria, mut given) = (Self::default(), Given::default());
        for fields in &list {
            criteria.add(context, fields.as_ref(), &mut given)?;
        }
        given.check()?;
        Ok(criteria)
    }

    fn add(
        &mut self,
        context: &Context<'_>,
        fields: Option<&Fields>,
        given: &mut Given,
    ) -> Result<(), Refusal> {
        let fields = fields.ok_or_else(|| invalid("content, can not be null."))?;
        let needed = |name: &str| {
            let problem = format!("content, {name} can not be null or empty.");
            fields.full_text(name)?.ok_or_else(|| invalid(&problem))
        };
        let (property, value, operation) = (needed("property")?, needed("value")?, needed("operation")?);
        let property = Property::named(&property)
            .ok_or_else(|| Refusal::bad("Invalid search criteria's property, unrecognized."))?;
        let operation = Operation::named(&operation)
            .ok_or_else(|| Refusal::bad("Invalid search criteria's operation, unrecognized."))?;
        let should =
            |what: &str| Refusal::bad(format!("Invalid search criteria's operation, should be {what}."));
        let unknown = |what: &str| invalid(&format!("content, unknown {what}."));
        match property {
            Property::Text(text) => {
                let is_exact = match operation {
                    Operation::Equal => true,
                    Operation::Like if text != Text::SerialNumber => false,
                    _ if text == Text::SerialNumber => return Err(should("EQUAL")),
                    _ => return Err(should("EQUAL or LIKE")),
                };
                if text == Text::SerialNumber && serial_bytes(&value).is_none() {
                    return Err(invalid("content, value does not represent a valid serial number."));
                }
                given.texts.push(text);
                self.text = Some((text, value.to_lowercase(), is_exact));
            }
            Property::Date(date) => {
                let at = dates::strict(&value)
                    .ok_or_else(|| invalid("content, value does not contain proper date."))?;
                let is_before = match operation {
                    Operation::Before => true,
                    Operation::After => false,
                    _ => return Err(should("AFTER or BEFORE")),
                };
                self.dates.push((date, is_before, at));
                given.dates.push((date, is_before));
            }
            _ if operation != Operation::Equal => return Err(should("EQUAL")),
            Property::EndEntityProfile => {
                EndEntityProfile::named(&value).ok_or_else(|| unknown("end entity profile"))?;
                self.end_entity_profiles.push(value);
            }
            Property::CertificateProfile => {
                CertificateProfile::named(&value).ok_or_else(|| unknown("certificate profile"))?;
                self.certificate_profiles.push(value);
            }
            Property::Ca => {
                context.state.ca_named(&value).ok_or_else(|| unknown("CA"))?;
                self.cas.push(value);
            }
            Property::Status => {
                let known = STATUSES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(&value));
                let (_, status, reason) =
                    known.ok_or_else(|| invalid("content, value does not contain certificate status."))?;
                self.statuses.extend(status);
                self.reasons.extend(reason);
                given.statuses += 1;
            }
        }
        Ok(())
    }

    /// Whether a certificate is what is looked for.
    pub(crate) fn hold(&self, found: &Found<'_>) -> bool {
        let among = |wanted: &[String], name: Option<&str>| {
            wanted.is_empty() || name.is_some_and(|name| wanted.iter().any(|wanted| wanted == name))
        };
        let record = found.record.as_deref();
        among(&self.cas, Some(found.ca.name))
            && among(&self.certificate_profiles, record.map(|record| record.certificate_profile.name))
            && among(&self.end_entity_profiles, record.map(|record| record.end_entity_profile.name))
            && (self.statuses.is_empty() || self.statuses.contains(&found.status()))
            && (self.reasons.is_empty() || self.reasons.contains(&found.reason()))
            && self.dates.iter().all(|(date, is_before, at)| in_time(*date, *is_before, *at, found))
            && self.text.as_ref().is_none_or(|(text, value, is_exact)| says(*text, value, *is_exact, found))
    }
}

fn in_time(date: Date, is_before: bool, at: Timestamp, found: &Found<'_>) -> bool {
    let own = match date {
        Date::Issued => Some(found.certificate.not_before()),
        Date::Expires => Some(found.certificate.not_after()),
        Date::Revoked => found.revoked.map(|revoked| revoked.at),
        Date::Updated => Some(found.updated()),
    };
    own.is_some_and(|own| if is_before { own < at } else { own > at })
}

/// Whether a certificate says `value`, which is in lower case.
fn says(text: Text, value: &str, is_exact: bool, found: &Found<'_>) -> bool {
    let same = |own: Option<&str>| {
        own.map(str::to_lowercase)
            .is_some_and(|own| if is_exact { own == value } else { own.contains(value) })
    };
    let record = found.record.as_deref();
    let holds = |text: Text| match text {
        Text::Query => false,
        Text::SerialNumber => found.has_serial(value, text == Text::SerialNumber),
        Text::Username => same(record.map(|record| &*record.username)),
        Text::SubjectDn => same(Some(&found.subject_dn())),
        Text::SubjectAltName => same(found.subject_alt_name().as_deref()),
        Text::AccountBindingId => same(record.and_then(|record| record.account_binding_id.as_deref())),
    };
    if text != Text::Query {
        return holds(text);
    }
    let any = [Text::SubjectDn, Text::SubjectAltName, Text::Username, Text::AccountBindingId];
    any.into_iter().any(holds) || found.has_serial(value, false)
}

enum Property {
    Text(Text),
    Date(Date),
    EndEntityProfile,
    CertificateProfile,
    Ca,
    Status,
}

impl Property {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "QUERY" => Self::Text(Text::Query),
            "SERIAL_NUMBER" => Self::Text(Text::SerialNumber),
            "USERNAME" => Self::Text(Text::Username),
            "SUBJECT_DN" => Self::Text(Text::SubjectDn),
            "SUBJECT_ALT_NAME" => Self::Text(Text::SubjectAltName),
            "EXTERNAL_ACCOUNT_BINDING_ID" => Self::Text(Text::AccountBindingId),
            "ISSUED_DATE" => Self::Date(Date::Issued),
            "EXPIRE_DATE" => Self::Date(Date::Expires),
            "REVOCATION_DATE" => Self::Date(Date::Revoked),
            "UPDATE_TIME" => Self::Date(Date::Updated),
            "END_ENTITY_PROFILE" => Self::EndEntityProfile,
            "CERTIFICATE_PROFILE" => Self::CertificateProfile,
            "CA" => Self::Ca,
            "STATUS" => Self::Status,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Equal,
    Like,
    After,
    Before,
}

impl Operation {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "EQUAL" => Self::Equal,
            "LIKE" => Self::Like,
            "AFTER" => Self::After,
            "BEFORE" => Self::Before,
            _ => return None,
        })
    }
}

/// What came how often.
#[derive(Default)]
struct Given {
    texts: Vec<Text>,
    statuses: usize,
    dates: Vec<(Date, bool)>,
}

impl Given {
    fn check(&self) -> Result<(), Refusal> {
        let bad = |what: &str| Err(Refusal::bad(format!("Invalid criteria value, {what}")));
        if self.texts.iter().filter(|text| **text == Text::Query).count() > 1 {
            return bad("multiple 'QUERY' properties are not allowed.");
        }
        if self.texts.len() > 1 {
            return bad("combining 'QUERY', 'SERIAL_NUMBER' 'USERNAME', SUBJECT_DN, SUBJECT_ALT_NAME, \
                 EXTERNAL_ACCOUNT_BINDING_ID properties is not allowed.");
        }
        if self.statuses > STATUSES.len() {
            return bad("'STATUS' property repetition.");
        }
        let dates = [
            (Date::Issued, "ISSUED_DATE"),
            (Date::Revoked, "REVOCATION_DATE"),
            (Date::Expires, "EXPIRE_DATE"),
        ];
        for (date, name) in dates {
            for (is_before, operation) in [(true, "BEFORE"), (false, "AFTER")] {
                if self.dates.iter().filter(|given| **given == (date, is_before)).count() > 1 {
                    return bad(&format!("overlapping properties '{name}' with '{operation}' operation."));
                }
            }
        }
        Ok(())
    }
}
