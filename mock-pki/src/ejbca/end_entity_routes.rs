//! `/v1/endentity`: add, change, revoke, delete, search.

use http::StatusCode;
use serde::Serialize;

use crate::ejbca::{
    Context,
    answer::{Answer, Refusal},
    authorities::short,
    dates,
    end_entities::{EndEntity, Status, TOKENS},
    fields::Fields,
    names::Dn,
    profiles::{CertificateProfile, EndEntityProfile},
    revoke,
    search::{checked_list, checked_maximum},
};

#[derive(Serialize)]
struct Found {
    end_entities: Vec<Shown>,
    more_results: bool,
}

#[derive(Serialize)]
struct Shown {
    username: String,
    dn: String,
    subject_alt_name: Option<String>,
    email: Option<String>,
    status: &'static str,
    token: &'static str,
    extension_data: Vec<Extension>,
}

#[derive(Serialize)]
struct Extension {
    name: String,
    value: String,
}

fn token_named(name: &str) -> Option<&'static str> {
    TOKENS.into_iter().find(|token| token.eq_ignore_ascii_case(name))
}

/// `POST /v1/endentity`
pub(crate) fn add(context: &Context<'_>) -> Result<Answer, Refusal> {
    let fields = &context.request.fields;
    let needed = |name: &str, shown: &str| {
        let problem = format!("Invalid AddEndEntityRestRequest content, {shown} can not be null or empty.");
        fields.full_text(name)?.ok_or_else(|| Refusal::bad(problem))
    };
    let username = needed("username", "username")?;
    let dn = Dn::parse(&needed("subject_dn", "subjectDn")?)
        .ok_or_else(|| Refusal::bad("Invalid AddEndEntityRestRequest content, subjectDn is malformed"))?;
    let ca = needed("ca_name", "caName")?;
    let certificate_profile = needed("certificate_profile_name", "certificateProfileName")?;
    let end_entity_profile = needed("end_entity_profile_name", "endEntityProfileName")?;
    let token = token_named(&needed("token", "token")?)
        .ok_or_else(|| Refusal::bad("Invalid AddEndEntityRestRequest property, unrecognized token."))?;
    for name in ["start_time", "end_time"] {
        if fields.text(name)?.is_some_and(|text| dates::of_validity(&text).is_none()) {
            return Err(Refusal::bad("Invalid AddEndEntityRestRequest property, invalid date format."));
        }
    }
    let status = match fields.full_text("status")? {
        None => Status::NEW,
        Some(name) => Status::named(&name)
            .ok_or_else(|| Refusal::bad("Invalid AddEndEntityRestRequest property, unrecognized status."))?,
    };
    let end_entity_profile = EndEntityProfile::named(&end_entity_profile)
        .ok_or_else(|| Refusal::bad("Invalid request, unknown end entity profile."))?;
    let certificate_profile = CertificateProfile::named(&certificate_profile)
        .ok_or_else(|| Refusal::bad("Invalid request, unknown certificate profile."))?;
    let ca = context.state.ca_named(&ca).ok_or_else(|| Refusal::bad("Invalid request, unknown CA."))?;
    let entity = EndEntity {
        dn: dn.to_string(),
        subject_alt_name: fields.full_text("subject_alt_name")?,
        email: fields.full_text("email")?,
        status,
        token,
        password: fields.full_text("password")?,
        ca: ca.name,
        certificate_profile,
        profile: end_entity_profile,
        account_binding_id: fields.full_text("account_binding_id")?,
        extension_data: [fields.pairs("extension_data")?, fields.pairs("custom_data")?].concat(),
        modified: context.now,
    };
    if context.state.end_entities.add(username.clone(), entity) {
        Ok(Answer::empty())
    } else {
        Err(Refusal::bad(format!("User {} already exists.", short(&username))))
    }
}

/// `POST /v1/endentity/{endentity_name}/setstatus`
pub(crate) fn set_status(context: &Context<'_>, username: &str) -> Result<Answer, Refusal> {
    let fields = &context.request.fields;
    let invalid =
        |what: &str| Refusal::bad(format!("Invalid SetEndEntityStatusRestRequest content, {what}."));
    let token = fields.full_text("token")?.ok_or_else(|| invalid("token can not be null or empty"))?;
    let token = token_named(&token).ok_or_else(|| invalid("unrecognized token"))?;
    let status = fields.full_text("status")?.ok_or_else(|| invalid("status can not be null or empty"))?;
    let status = Status::named(&status).ok_or_else(|| invalid("unrecognized status"))?;
    let password = fields.text("password")?;
    let is_there = context.state.end_entities.change(username, |entity| {
        (entity.status, entity.token, entity.modified) = (status, token, context.now);
        if password.is_some() {
            entity.password = password;
        }
    });
    if is_there {
        return Ok(Answer::empty());
    }
    // Two spaces, as EJBCA has them.
    Err(Refusal::absent(format!("Could not find  End Entity for the username='{}'", short(username))))
}

/// `PUT /v1/endentity/{endentity_name}/revoke`
pub(crate) fn revoke(context: &Context<'_>, username: &str) -> Result<Answer, Refusal> {
    let Context { state, now, .. } = *context;
    let fields = &context.request.fields;
    let number = fields.integer("reason_code")?.unwrap_or_default();
    let revoked = revoke::with_reason(number, now).ok_or_else(|| {
        Refusal::bad(
            "Invalid EndEntityRevocationRestRequest property, unrecognized reason, must be one of RFC5280 section 5.3.1..",
        )
    })?;
    let delete = fields.boolean("delete")?;
    if state.end_entities.find(username).is_none() {
        return Err(Refusal::absent(format!("Entity does not exist: {}", short(username))));
    }
    let serials = state.records.of(username);
    for ca in &state.cas {
        let mut is_changed = false;
        for serial in &serials {
            if ca.archive.find(serial).is_some_and(|kept| kept.revoked.is_none()) {
                revoke::set(context, ca, serial, Some(revoked));
                is_changed = true;
            }
        }
        if is_changed {
            ca.rebuild_crls(now);
        }
    }
    state.end_entities.change(username, |entity| (entity.status, entity.modified) = (Status::REVOKED, now));
    if delete {
        state.end_entities.remove(username);
    }
    Ok(Answer::empty())
}

/// `DELETE /v1/endentity/{endentity_name}`
pub(crate) fn delete(context: &Context<'_>, username: &str) -> Result<Answer, Refusal> {
    if context.state.end_entities.remove(username) {
        return Ok(Answer::empty());
    }
    Err(Refusal::absent("Wrong username or password"))
}

/// One criterion of a search.
struct Criterion {
    property: String,
    value: String,
    is_like: bool,
}

/// `POST /v1/endentity/search`
pub(crate) fn search(context: &Context<'_>) -> Result<Answer, Refusal> {
    let fields = &context.request.fields;
    let most = checked_maximum(fields, "Invalid max number of results", "property ")?;
    let criteria = checked_list(fields)?;
    let criteria = criteria.iter().map(|criterion| Criterion::read(context, criterion.as_ref()));
    let criteria = criteria.collect::<Result<Vec<_>, _>>()?;
    let end_entities = context.state.end_entities.filter_map(most, |username, entity| {
        fits(&criteria, username, entity).then(|| Shown {
            username: username.to_owned(),
            dn: entity.dn.clone(),
            subject_alt_name: entity.subject_alt_name.clone(),
            email: entity.email.clone(),
            status: entity.status.name,
            token: entity.token,
            extension_data: entity
                .extension_data
                .iter()
                .map(|(name, value)| Extension { name: name.clone(), value: value.clone() })
                .collect(),
        })
    });
    let more_results = end_entities.len() == most;
    Ok(Answer::json(StatusCode::OK, &Found { end_entities, more_results }))
}

impl Criterion {
    fn read(context: &Context<'_>, fields: Option<&Fields>) -> Result<Self, Refusal> {
        let fields =
            fields.ok_or_else(|| Refusal::bad("Invalid search criteria content, can not be null."))?;
        let needed = |name: &str| {
            let problem = format!("Invalid search criteria content, {name} can not be null or empty.");
            fields.full_text(name)?.ok_or_else(|| Refusal::bad(problem))
        };
        let property = needed("property")?.to_ascii_uppercase();
        let operation = needed("operation")?.to_ascii_uppercase();
        let value = fields.text("value")?.unwrap_or_default();
        let is_like = match operation.as_str() {
            "EQUAL" | "EQUAL_CASE_SENSITIVE" => false,
            "LIKE" => true,
            _ => return Err(Refusal::bad("Invalid search criteria's operation, unrecognized.")),
        };
        let unknown =
            |what: &str| Err(Refusal::bad(format!("Invalid search criteria content, unknown {what}.")));
        match property.as_str() {
            "QUERY" | "USERNAME" | "SUBJECT_DN" => {}
            _ if is_like => {
                return Err(Refusal::bad("Invalid search criteria's operation, should be EQUAL."));
            }
            "END_ENTITY_PROFILE" if EndEntityProfile::named(&value).is_none() => {
                return unknown("end entity profile");
            }
            "CERTIFICATE_PROFILE" if CertificateProfile::named(&value).is_none() => {
                return unknown("certificate profile");
            }
            "CA" if context.state.ca_named(&value).is_none() => return unknown("CA"),
            "STATUS" if Status::named(&value).is_none() => {
                return Err(Refusal::bad(
                    "Invalid search criteria content, value does not contain certificate status.",
                ));
            }
            "MODIFIED_BEFORE" | "MODIFIED_AFTER" if dates::strict(&value).is_none() => {
                return Err(Refusal::bad(
                    "Invalid search criteria content, value does not contain proper date.",
                ));
            }
            "END_ENTITY_PROFILE"
            | "CERTIFICATE_PROFILE"
            | "CA"
            | "STATUS"
            | "MODIFIED_BEFORE"
            | "MODIFIED_AFTER" => {}
            _ => return Err(Refusal::bad("Invalid search criteria's property, unrecognized.")),
        }
        Ok(Self { property, value, is_like })
    }

    fn says(&self, text: &str) -> bool {
        let (text, value) = (text.to_lowercase(), self.value.to_lowercase());
        if self.is_like { text.contains(&value) } else { text == value }
    }

    fn holds(&self, username: &str, entity: &EndEntity) -> bool {
        let alternative = entity.subject_alt_name.as_deref();
        match self.property.as_str() {
            "QUERY" => {
                self.says(username)
                    || self.says(&entity.dn)
                    || alternative.is_some_and(|text| self.says(text))
            }
            "USERNAME" => self.says(username),
            "SUBJECT_DN" => self.says(&entity.dn),
            "END_ENTITY_PROFILE" => entity.profile.name == self.value,
            "CERTIFICATE_PROFILE" => entity.certificate_profile.name == self.value,
            "CA" => entity.ca == self.value,
            "STATUS" => Status::named(&self.value) == Some(entity.status),
            "MODIFIED_BEFORE" => dates::strict(&self.value).is_some_and(|at| entity.modified < at),
            _ => dates::strict(&self.value).is_some_and(|at| entity.modified > at),
        }
    }
}

/// Criteria of one property are alternatives, those of several must all hold.
fn fits(criteria: &[Criterion], username: &str, entity: &EndEntity) -> bool {
    criteria.iter().all(|criterion| {
        let mut alternatives = criteria.iter().filter(|other| other.property == criterion.property);
        alternatives.any(|alternative| alternative.holds(username, entity))
    })
}
