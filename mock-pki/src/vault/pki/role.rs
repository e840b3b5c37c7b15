//! Roles: what may be issued under a name.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::vault::{
    error::Refusal,
    fields::{Fields, as_boolean, as_integer, as_list, as_seconds},
};

/// How a field of a role is read, and what it is when nothing is said.
#[derive(Clone, Copy)]
enum Kind {
    Flag(bool),
    Text(&'static str),
    List(&'static [&'static str]),
    Seconds(i64),
    Number,
}

/// All fields of a role, as OpenBao 2.7.2 shows them.
const FIELDS: [(&str, Kind); 52] = [
    ("allow_any_name", Kind::Flag(false)),
    ("allow_bare_domains", Kind::Flag(false)),
    ("allow_glob_domains", Kind::Flag(false)),
    ("allow_globs_in_identity_templates", Kind::Flag(false)),
    ("allow_ip_sans", Kind::Flag(true)),
    ("allow_localhost", Kind::Flag(true)),
    ("allow_subdomains", Kind::Flag(false)),
    ("allow_token_displayname", Kind::Flag(false)),
    ("allow_wildcard_certificates", Kind::Flag(true)),
    ("allowed_domains", Kind::List(&[])),
    ("allowed_domains_template", Kind::Flag(false)),
    ("allowed_ip_sans_cidr", Kind::List(&[])),
    ("allowed_other_sans", Kind::List(&[])),
    ("allowed_serial_numbers", Kind::List(&[])),
    ("allowed_uri_sans", Kind::List(&[])),
    ("allowed_uri_sans_template", Kind::Flag(false)),
    ("allowed_user_ids", Kind::List(&[])),
    ("basic_constraints_valid_for_non_ca", Kind::Flag(false)),
    ("client_flag", Kind::Flag(true)),
    ("cn_validations", Kind::List(&["email", "hostname"])),
    ("code_signing_flag", Kind::Flag(false)),
    ("country", Kind::List(&[])),
    ("email_protection_flag", Kind::Flag(false)),
    ("enforce_hostnames", Kind::Flag(true)),
    ("ext_key_usage", Kind::List(&[])),
    ("ext_key_usage_oids", Kind::List(&[])),
    ("generate_lease", Kind::Flag(false)),
    ("issuer_ref", Kind::Text("default")),
    ("key_bits", Kind::Number),
    ("key_type", Kind::Text("rsa")),
    ("key_usage", Kind::List(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"])),
    ("locality", Kind::List(&[])),
    ("max_ttl", Kind::Seconds(0)),
    ("no_store", Kind::Flag(false)),
    ("not_after", Kind::Text("")),
    ("not_after_bound", Kind::Text("permit")),
    ("not_before", Kind::Text("")),
    ("not_before_bound", Kind::Text("permit")),
    ("not_before_duration", Kind::Seconds(30)),
    ("organization", Kind::List(&[])),
    ("ou", Kind::List(&[])),
    ("policy_identifiers", Kind::List(&[])),
    ("postal_code", Kind::List(&[])),
    ("province", Kind::List(&[])),
    ("require_cn", Kind::Flag(true)),
    ("server_flag", Kind::Flag(true)),
    ("signature_bits", Kind::Number),
    ("street_address", Kind::List(&[])),
    ("ttl", Kind::Seconds(0)),
    ("use_csr_common_name", Kind::Flag(true)),
    ("use_csr_sans", Kind::Flag(true)),
    ("use_pss", Kind::Flag(false)),
];

/// The names of fields a role's path knows.
pub(crate) fn names() -> Vec<&'static str> {
    FIELDS.iter().map(|(name, _)| *name).chain(["name", "backend"]).collect()
}

/// A role: the fields as they are shown, and those that rule issuing.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    fields: Map<String, Value>,
    pub(crate) rules: Rules,
}

/// The part of a role that issuing looks at.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the product's role has these flags")]
pub(crate) struct Rules {
    pub(crate) allow_any_name: bool,
    pub(crate) allow_bare_domains: bool,
    pub(crate) allow_glob_domains: bool,
    pub(crate) allow_ip_sans: bool,
    pub(crate) allow_localhost: bool,
    pub(crate) allow_subdomains: bool,
    pub(crate) allow_wildcard_certificates: bool,
    pub(crate) allowed_domains: Vec<String>,
    pub(crate) allowed_other_sans: Vec<String>,
    pub(crate) allowed_serial_numbers: Vec<String>,
    pub(crate) allowed_uri_sans: Vec<String>,
    pub(crate) basic_constraints_valid_for_non_ca: bool,
    pub(crate) client_flag: bool,
    pub(crate) cn_validations: Vec<String>,
    pub(crate) code_signing_flag: bool,
    pub(crate) country: Vec<String>,
    pub(crate) email_protection_flag: bool,
    pub(crate) enforce_hostnames: bool,
    pub(crate) ext_key_usage: Vec<String>,
    pub(crate) ext_key_usage_oids: Vec<String>,
    pub(crate) generate_lease: bool,
    pub(crate) issuer_ref: String,
    pub(crate) key_bits: i64,
    pub(crate) key_type: String,
    pub(crate) key_usage: Vec<String>,
    pub(crate) locality: Vec<String>,
    pub(crate) max_ttl: i64,
    pub(crate) no_store: bool,
    pub(crate) not_after: String,
    pub(crate) not_before_duration: i64,
    pub(crate) organization: Vec<String>,
    pub(crate) ou: Vec<String>,
    pub(crate) postal_code: Vec<String>,
    pub(crate) province: Vec<String>,
    pub(crate) require_cn: bool,
    pub(crate) server_flag: bool,
    pub(crate) street_address: Vec<String>,
    pub(crate) ttl: i64,
    pub(crate) use_csr_common_name: bool,
    pub(crate) use_csr_sans: bool,
}

impl Role {
    /// Reads a role as it is written: what is not said gets its default, also when the role exists already.
    pub(crate) fn read(given: &Fields) -> Result<Self, Refusal> {
        let mut fields = Map::new();
        for (name, kind) in FIELDS {
            fields.insert(name.to_owned(), value(given, name, kind)?);
        }
        let key_type = fields.get("key_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let bits = fields.get("key_bits").and_then(Value::as_i64).unwrap_or_default();
        fields.insert("key_bits".to_owned(), json!(key_bits(&key_type, bits)?));
        let role = Self::from_fields(fields)?;
        if role.rules.max_ttl > 0 && role.rules.ttl > role.rules.max_ttl {
            return Err(Refusal::bad("\"ttl\" value must be less than \"max_ttl\" value"));
        }
        refuse_what_has_no_effect(&role.fields)?;
        if let Some(bad) = role.rules.ext_key_usage_oids.iter().find(|oid| oid.parse::<x509::Oid>().is_err())
        {
            return Err(Refusal::bad(format!(
                "\"{bad}\" could not be parsed as a valid oid for an extended key usage"
            )));
        }
        Ok(role)
    }

    /// Any name, any key, any SAN.
    pub(crate) fn allowing_everything() -> Result<Self, Refusal> {
        let mut fields = Map::new();
        for name in ["allow_any_name", "allow_bare_domains", "allow_glob_domains", "allow_subdomains"] {
            fields.insert(name.to_owned(), json!(true));
        }
        for name in ["enforce_hostnames", "require_cn"] {
            fields.insert(name.to_owned(), json!(false));
        }
        fields.insert("key_type".to_owned(), json!("any"));
        for name in ["allowed_uri_sans", "allowed_other_sans", "allowed_serial_numbers"] {
            fields.insert(name.to_owned(), json!(["*"]));
        }
        Self::read(&Fields::new(fields))
    }

    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<Self, Refusal> {
        let rules = serde_json::from_value(Value::Object(fields.clone()))
            .map_err(|error| Refusal::internal(&error.to_string()))?;
        Ok(Self { fields, rules })
    }

    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub(crate) fn describe(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}

/// Fields that OpenBao heeds and this mock does not: with another value than the default, a role would promise what
/// it does not keep.
const WITHOUT_EFFECT: [&str; 9] = [
    "allow_token_displayname",
    "allowed_ip_sans_cidr",
    "allowed_user_ids",
    "not_after_bound",
    "not_before",
    "not_before_bound",
    "policy_identifiers",
    "signature_bits",
    "use_pss",
];

fn refuse_what_has_no_effect(fields: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, kind) in FIELDS.iter().filter(|(name, _)| WITHOUT_EFFECT.contains(name)) {
        let default = value(&Fields::default(), name, *kind)?;
        if fields.get(*name) != Some(&default) {
            return Err(Refusal::bad(format!("{name}: not available in this mock")));
        }
    }
    Ok(())
}

fn value(given: &Fields, name: &str, kind: Kind) -> Result<Value, Refusal> {
    let raw = given.raw(name);
    Ok(match kind {
        Kind::Flag(default) => json!(raw.map_or(Ok(default), |raw| as_boolean(name, raw))?),
        Kind::Text(default) => match raw {
            Some(_) => json!(given.text(name)?),
            None => json!(default),
        },
        Kind::List(default) => match raw {
            Some(raw) => json!(as_list(name, raw)?),
            None => json!(default),
        },
        Kind::Seconds(default) => json!(raw.map_or(Ok(default), |raw| as_seconds(name, raw))?),
        Kind::Number => json!(raw.map_or(Ok(0), |raw| as_integer(name, raw))?),
    })
}

/// The key size a role or a CA gets, when the type and the size fit.
pub(crate) fn key_bits(key_type: &str, bits: i64) -> Result<i64, Refusal> {
    match (key_type, bits) {
        ("rsa", 0) => Ok(2048),
        ("rsa", 2048 | 3072 | 4096 | 8192) | ("ec", 224 | 256 | 384 | 521) => Ok(bits),
        ("rsa", 1..2048) => {
            Err(Refusal::bad(format!("RSA keys < 2048 bits are unsafe and not supported: got {bits}")))
        }
        ("rsa", _) => Err(Refusal::bad(format!("unsupported bit length for RSA key: {bits}"))),
        ("ec", 0) => Ok(256),
        ("ec", _) => Err(Refusal::bad(format!("unsupported bit length for EC key: {bits}"))),
        ("ed25519" | "any", _) => Ok(0),
        _ => Err(Refusal::bad(format!("unknown key type {key_type}"))),
    }
}
