//! `sign`, `sign-verbatim` and `issue`: from a request's fields to an [`Order`].

use ca::{Extra, KeyAlgorithm, Requested, Sans, Subject};

use crate::{
    random,
    vault::{
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        pki::{
            Context, Pki,
            asked::{self, Asked},
            csr::{check_key, read_csr},
            fulfil::Order,
            output::Format,
            role::{Role, Rules, key_bits},
            usages,
        },
    },
};

const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";

const SIGN_FIELDS: &[&str] = &[
    "alt_names",
    "common_name",
    "csr",
    "exclude_cn_from_sans",
    "format",
    "ip_sans",
    "issuer_ref",
    "not_after",
    "not_before",
    "other_sans",
    "private_key_format",
    "remove_roots_from_chain",
    "role",
    "serial_number",
    "ttl",
    "uri_sans",
    "user_ids",
];
const ISSUE_FIELDS: &[&str] = &[
    "alt_names",
    "common_name",
    "exclude_cn_from_sans",
    "format",
    "ip_sans",
    "issuer_ref",
    "key_bits",
    "key_type",
    "not_after",
    "not_before",
    "other_sans",
    "private_key_format",
    "remove_roots_from_chain",
    "role",
    "serial_number",
    "ttl",
    "uri_sans",
    "user_ids",
];
const VERBATIM_FIELDS: &[&str] = &[
    "basic_constraints_valid_for_non_ca",
    "csr",
    "ext_key_usage",
    "ext_key_usage_oids",
    "format",
    "issuer_ref",
    "key_usage",
    "not_after",
    "not_before",
    "private_key_format",
    "remove_roots_from_chain",
    "role",
    "signature_bits",
    "ttl",
    "use_pss",
    "user_ids",
];

impl Pki {
    pub(crate) fn sign(&self, context: Context<'_>, issuer: &str, role: &str) -> Result<Answer, Refusal> {
        let role = self.role(role)?;
        let fields = &context.request.fields;
        let format = Format::read(&fields.text("format")?)?;
        let issuer = self.signer(issuer_ref(issuer, &role.rules))?;
        validate(fields)?;
        let csr = read_csr(fields)?;
        check_key(&role.rules, &csr.key_type())?;
        let order = Order {
            asked: asked::under_role(&role.rules, fields, Some(&csr))?,
            usages: usages::of_role(&role.rules),
            fields_known: SIGN_FIELDS,
            warnings: ignored_names(&role.rules, fields)?,
            ..Order::for_csr(&issuer, &role.rules, &csr)
        };
        self.fulfil(context, order, format)
    }

    pub(crate) fn sign_verbatim(
        &self,
        context: Context<'_>,
        issuer: &str,
        role: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        let mut rules = Role::allowing_everything()?.rules;
        if let Some(name) = role {
            let named = self.role(name)?;
            rules.ttl = named.rules.ttl;
            rules.max_ttl = named.rules.max_ttl;
            rules.generate_lease = named.rules.generate_lease;
            rules.no_store = named.rules.no_store;
            rules.not_before_duration = named.rules.not_before_duration;
            rules.issuer_ref.clone_from(&named.rules.issuer_ref);
        }
        let format = Format::read(&fields.text("format")?)?;
        let issuer = self.signer(issuer_ref(issuer, &rules))?;
        validate(fields)?;
        let csr = read_csr(fields)?;
        check_key(&rules, &csr.key_type())?;
        let key_usage =
            if fields.has("key_usage") { fields.list("key_usage")? } else { rules.key_usage.clone() };
        let oids = fields.list("ext_key_usage_oids")?;
        rules.basic_constraints_valid_for_non_ca =
            fields.boolean("basic_constraints_valid_for_non_ca", false)?;
        // All of the request's extensions, but it does not decide whether it becomes a CA.
        let sans = asked::verbatim_names(&csr)?;
        let rewritten = matches!(sans, Sans::Der(_));
        let extra = csr.extensions().filter(|(oid, ..)| {
            let oid = oid.to_string();
            oid != BASIC_CONSTRAINTS && !(rewritten && oid == SUBJECT_ALT_NAME)
        });
        let extra = extra.map(|(oid, critical, value)| Extra {
            oid: oid.to_string(),
            critical,
            value: value.to_vec(),
        });
        let order = Order {
            asked: Asked { subject: Subject::FromCsr, sans },
            usages: usages::named(&key_usage, &fields.list("ext_key_usage")?, oids.into_iter()),
            extra: extra.collect(),
            fields_known: VERBATIM_FIELDS,
            ..Order::for_csr(&issuer, &rules, &csr)
        };
        self.fulfil(context, order, format)
    }

    pub(crate) fn issue(&self, context: Context<'_>, issuer: &str, role: &str) -> Result<Answer, Refusal> {
        let role = self.role(role)?;
        let fields = &context.request.fields;
        let mut key_type = role.rules.key_type.clone();
        let mut bits = role.rules.key_bits;
        if key_type == "any" {
            key_type = fields.text("key_type")?.into_owned();
            if key_type.is_empty() {
                return Err(Refusal::bad(
                    "role key type \"any\" not allowed for issuing certificates without providing key_type and/or \
                     key_bits request parameters",
                ));
            }
            bits = key_bits(&key_type, fields.integer("key_bits")?)?;
        }
        let format = Format::read(&fields.text("format")?)?;
        let issuer = self.signer(issuer_ref(issuer, &role.rules))?;
        validate(fields)?;
        let asked = asked::under_role(&role.rules, fields, None)?;
        let key = random::key(algorithm(&key_type, bits)?)?;
        let common_name = Some(fields.text("common_name")?.into_owned()).filter(|name| !name.is_empty());
        let order = Order {
            issuer: &issuer,
            rules: &role.rules,
            requested: Requested { subject_der: &[], spki_der: key.spki_der(), subject_alt_names: None },
            csr: None,
            common_name,
            asked,
            usages: usages::of_role(&role.rules),
            extra: Vec::new(),
            key: Some(&key),
            fields_known: ISSUE_FIELDS,
            warnings: Vec::new(),
        };
        self.fulfil(context, order, format)
    }
}

/// A path that names no issuer uses the role's.
fn issuer_ref<'a>(path: &'a str, rules: &'a Rules) -> &'a str {
    if path == "default" { &rules.issuer_ref } else { path }
}

/// Vault checks the type of every field it knows before it does anything.
fn validate(fields: &Fields) -> Result<(), Refusal> {
    fields.boolean("exclude_cn_from_sans", false)?;
    fields.boolean("remove_roots_from_chain", false)?;
    fields.seconds("ttl")?;
    for name in ["csr", "common_name", "not_after", "not_before", "serial_number", "private_key_format"] {
        fields.text(name)?;
    }
    fields.refuse(&["not_before", "signature_bits", "use_pss", "user_ids"])
}

/// The key to make for a role.
pub(crate) fn algorithm(key_type: &str, bits: i64) -> Result<KeyAlgorithm, Refusal> {
    Ok(match (key_type, key_bits(key_type, bits)?) {
        ("rsa", 2048) => KeyAlgorithm::Rsa2048,
        ("rsa", 3072) => KeyAlgorithm::Rsa3072,
        ("rsa", 4096) => KeyAlgorithm::Rsa4096,
        ("ec", 256) => KeyAlgorithm::EcdsaP256,
        ("ec", 384) => KeyAlgorithm::EcdsaP384,
        ("ec", 521) => KeyAlgorithm::EcdsaP521,
        ("ed25519", _) => KeyAlgorithm::Ed25519,
        (kind, bits) => return Err(Refusal::bad(format!("this mock makes no {kind} keys of {bits} bits"))),
    })
}

fn ignored_names(rules: &Rules, fields: &Fields) -> Result<Vec<String>, Refusal> {
    let mut warnings = Vec::new();
    let mut ignored = |field: &str, flag: &str, on: bool| -> Result<(), Refusal> {
        if on && !fields.text(field)?.is_empty() {
            warnings.push(format!(
                "the {field} field was provided but the role is set with \"{flag}\" set to true"
            ));
        }
        Ok(())
    };
    ignored("common_name", "use_csr_common_name", rules.use_csr_common_name)?;
    ignored("alt_names", "use_csr_sans", rules.use_csr_sans)?;
    Ok(warnings)
}
