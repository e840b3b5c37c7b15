//! Which fields a body has and of which type each must be. All are looked at before anything else is, because EJBCA reads
//! a body into an object first.

use crate::ejbca::{answer::Refusal, fields::Fields, request::Resource};

#[derive(Debug, Clone, Copy)]
enum Type {
    Text(&'static str),
    Boolean(&'static str),
    Integer(&'static str),
    Object(&'static str, &'static [Type]),
    Objects(&'static str, &'static [Type]),
}

use Type::{Boolean, Integer, Object, Objects, Text};

const PAIR: &[Type] = &[Text("name"), Text("value")];
const CRITERION: &[Type] = &[Text("property"), Text("value"), Text("operation")];

const ENROL: &[Type] = &[
    Text("certificate_request"),
    Text("certificate_profile_name"),
    Text("end_entity_profile_name"),
    Text("certificate_authority_name"),
    Text("username"),
    Text("password"),
    Text("account_binding_id"),
    Boolean("include_chain"),
    Text("email"),
    Text("response_format"),
    Text("subject_dn"),
    Objects("extension_data", PAIR),
    Objects("custom_data", PAIR),
    Text("start_time"),
    Text("end_time"),
];

const CERTIFICATE_REQUEST: &[Type] = &[
    Text("certificate_request"),
    Text("username"),
    Text("password"),
    Boolean("include_chain"),
    Text("certificate_authority_name"),
];

const FINALIZE: &[Type] = &[Text("response_format"), Text("password"), Text("key_alg"), Text("key_spec")];

const SEARCH: &[Type] = &[Integer("max_number_of_results"), Objects("criteria", CRITERION)];

const SEARCH_V2: &[Type] = &[
    Object("pagination", &[Integer("page_size"), Integer("current_page")]),
    Object("sort", &[Text("property"), Text("operation")]),
    Objects("criteria", CRITERION),
];

const END_ENTITY: &[Type] = &[
    Text("username"),
    Text("password"),
    Text("subject_dn"),
    Text("subject_alt_name"),
    Text("email"),
    Objects("extension_data", PAIR),
    Objects("custom_data", PAIR),
    Text("ca_name"),
    Text("certificate_profile_name"),
    Text("end_entity_profile_name"),
    Text("token"),
    Text("account_binding_id"),
    Text("start_time"),
    Text("end_time"),
    Text("status"),
];

const REVOCATION: &[Type] = &[Integer("reason_code"), Boolean("delete")];

const STATUS: &[Type] = &[Text("password"), Text("token"), Text("status")];

/// The shape of a resource's body.
fn of(resource: &Resource) -> &'static [Type] {
    match resource {
        Resource::Enrol => ENROL,
        Resource::CertificateRequest => CERTIFICATE_REQUEST,
        Resource::Finalize(_) => FINALIZE,
        Resource::Search | Resource::SearchEndEntities => SEARCH,
        Resource::SearchV2 => SEARCH_V2,
        Resource::AddEndEntity => END_ENTITY,
        Resource::RevokeEndEntity(_) => REVOCATION,
        Resource::SetEndEntityStatus(_) => STATUS,
        _ => &[],
    }
}

/// Refuses a body with a field of the wrong type.
pub(crate) fn check(resource: &Resource, fields: &Fields) -> Result<(), Refusal> {
    all(of(resource), fields)
}

fn all(types: &[Type], fields: &Fields) -> Result<(), Refusal> {
    types.iter().try_for_each(|wanted| match *wanted {
        Text(name) => fields.text(name).map(drop),
        Boolean(name) => fields.boolean(name).map(drop),
        Integer(name) => fields.integer(name).map(drop),
        Object(name, types) => fields.object(name)?.iter().try_for_each(|fields| all(types, fields)),
        Objects(name, types) => {
            let objects = fields.objects(name)?;
            objects.iter().flatten().flatten().try_for_each(|fields| all(types, fields))
        }
    })
}
