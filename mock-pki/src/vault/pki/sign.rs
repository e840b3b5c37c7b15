//! `sign`, `sign-verbatim` and `issue`.

use aws_lc_rs::digest::{SHA256, digest};
use ca::{Extra, KeyAlgorithm, LeafProfile, Requested, Sans, SigningKey, Subject};
use x509::Csr;

use crate::{
    fault::Issuance,
    ledger::Issued,
    random,
    vault::{
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        pki::{
            Context, Pki,
            asked::{self, Asked},
            csr::{check_key, read_csr},
            issuer::Issuer,
            output::{self, Format},
            role::{Role, Rules, key_bits},
            sent::Sent,
            usages,
            validity::{minus, refuse_beyond_issuer, whole},
        },
    },
};

const BASIC_CONSTRAINTS: &str = "2.5.29.19";

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

/// What is known about a certificate before it is made.
struct Order<'a> {
    issuer: &'a Issuer,
    rules: &'a Rules,
    requested: Requested<'a>,
    csr: Option<&'a Csr>,
    common_name: Option<String>,
    asked: Asked,
    usages: x509::Usages,
    extra: Vec<Extra>,
    key: Option<&'a SigningKey>,
    fields_known: &'static [&'static str],
    warnings: Vec<String>,
}

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
            extra: Vec::new(),
            key: None,
            fields_known: SIGN_FIELDS,
            warnings: ignored_names(&role.rules, fields)?,
            ..order(&issuer, &role.rules, &csr)
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
        let extra = csr.extensions().filter(|(oid, ..)| oid.to_string() != BASIC_CONSTRAINTS);
        let extra = extra.map(|(oid, critical, value)| Extra {
            oid: oid.to_string(),
            critical,
            value: value.to_vec(),
        });
        let order = Order {
            asked: Asked { subject: Subject::FromCsr, sans: Sans::FromCsr },
            usages: usages::named(&key_usage, &fields.list("ext_key_usage")?, oids.into_iter()),
            extra: extra.collect(),
            key: None,
            fields_known: VERBATIM_FIELDS,
            warnings: Vec::new(),
            ..order(&issuer, &rules, &csr)
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
        let key = SigningKey::generate(algorithm(&key_type, bits)?)?;
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

    /// Makes the certificate, remembers it and answers.
    fn fulfil(&self, context: Context<'_>, order: Order<'_>, format: Format) -> Result<Answer, Refusal> {
        let Context { world, request, mount, path, now, .. } = context;
        let mut warnings = order.warnings;
        let not_after = self.not_after(order.rules, &request.fields, now, &mut warnings)?;
        refuse_beyond_issuer(not_after, order.issuer)?;
        warnings.extend(request.fields.unknown(order.fields_known));
        warnings.extend(request.fields.replaced(&["role"]));

        let urls = self.urls();
        let leaf = LeafProfile {
            serial: random::serial(),
            not_before: whole(minus(now, order.rules.not_before_duration)),
            not_after: whole(not_after),
            is_ca: false,
            path_len: None,
            usages: order.usages,
            subject: order.asked.subject,
            subject_alt_names: order.asked.sans,
            crl_distribution_points: urls.crl_distribution_points.clone(),
            ocsp: urls.ocsp_servers.clone(),
            ca_issuers: urls.issuing_certificates.clone(),
            basic_constraints_on_leaf: order.rules.basic_constraints_valid_for_non_ca,
        };
        let mut issuance = Issuance::new(leaf, order.requested, order.extra, &order.issuer.chain);
        let faulty = context.certificates.apply(&mut issuance, order.common_name.as_deref(), now)?;
        let certificate = issuance.issue(order.issuer.authority.as_ref())?;
        let chain_pem = if faulty {
            issuance.chain.iter().map(output::pem).collect()
        } else {
            order.issuer.chain_pem.clone()
        };

        let serial = output::serial(&certificate);
        if !order.rules.no_store {
            self.store(&serial, &certificate, &order.issuer.id);
        }
        let sent =
            Sent { certificate: &certificate, chain: &issuance.chain, chain_pem, key: order.key, serial };
        let data = sent.data(format, &issuance)?;
        let mut answer = Answer::data_with(data, warnings);
        if let Answer::Envelope(envelope) = &mut answer {
            if order.rules.generate_lease {
                envelope.lease_id = format!("{mount}{path}/{}", random::base62());
                envelope.lease_duration = not_after.duration_since(now).as_secs();
            }
            world.ledger.record(Issued {
                serial: certificate.serial_hex(),
                request_id: envelope.request_id.clone(),
                issued_by: format!("vault {mount}{path}"),
                common_name: order.common_name,
                subject_alt_names: certificate.subject_alt_names().iter().map(ToString::to_string).collect(),
                spki_sha256: sha256(certificate.spki_der()),
                csr_sha256: order.csr.map(|csr| random::hex(&csr.sha256())),
                certificate_sha256: sha256(certificate.der()),
                issued_at: now,
                not_after: certificate.not_after(),
                revoked_at: None,
                user_agent: request.user_agent.clone(),
                idempotency_key: request.idempotency_key.clone(),
            });
        }
        Ok(answer)
    }
}

fn order<'a>(issuer: &'a Issuer, rules: &'a Rules, csr: &'a Csr) -> Order<'a> {
    Order {
        issuer,
        rules,
        requested: Requested::from(csr),
        csr: Some(csr),
        common_name: csr.subject().common_name().map(str::to_owned),
        asked: Asked { subject: Subject::FromCsr, sans: Sans::None },
        usages: x509::Usages::unrestricted(),
        extra: Vec::new(),
        key: None,
        fields_known: &[],
        warnings: Vec::new(),
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
    Ok(())
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

fn sha256(bytes: &[u8]) -> String {
    random::hex(digest(&SHA256, bytes).as_ref())
}
