//! Making CAs: roots, intermediates and what signs them.

use std::sync::Arc;

use ca::{AttributeType, Authority, Extra, LeafProfile, Requested, Sans, SigningKey, Subject};
use serde_json::{Value, json};
use x509::{Certificate, usage::KeyUsage};

use crate::{
    random,
    sync::write,
    vault::{
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        pki::{
            Context, Pki,
            asked::{ca_names, distinguished_name},
            csr::read_csr,
            object,
            output::{self, Format},
            role::Role,
            sign::algorithm,
            validity::minus,
        },
    },
};

const NO_AIA: &str = "This mount hasn't configured any authority information access (AIA) fields; this may make it \
    harder for systems to find missing certificates in the chain or to validate revocation status of certificates. \
    Consider updating /config/urls or the newly generated issuer with this information.";
const NO_AIA_INTERMEDIATE: &str = " Since this certificate is an intermediate, it might be useful to regenerate this \
    certificate after fixing this problem for the root mount.";
const PATH_LENGTH_ZERO: &str = "Max path length of the signed certificate is zero. This certificate cannot be used \
    to issue intermediate CA certificates.";

const FIELDS: &[&str] = &[
    "add_basic_constraints",
    "alt_names",
    "common_name",
    "country",
    "csr",
    "exclude_cn_from_sans",
    "exported",
    "format",
    "ip_sans",
    "issuer_name",
    "issuer_ref",
    "key_bits",
    "key_name",
    "key_ref",
    "key_type",
    "key_usage",
    "locality",
    "managed_key_id",
    "managed_key_name",
    "max_path_length",
    "not_after",
    "not_before",
    "not_before_duration",
    "organization",
    "other_sans",
    "ou",
    "permitted_dns_domains",
    "postal_code",
    "private_key_format",
    "province",
    "serial_number",
    "signature_bits",
    "skid",
    "street_address",
    "ttl",
    "uri_sans",
    "use_csr_values",
    "use_pss",
];

/// Known fields that would have to change the certificate and do not.
const WITHOUT_EFFECT: &[&str] = &[
    "ip_sans",
    "not_before",
    "not_before_duration",
    "other_sans",
    "permitted_dns_domains",
    "signature_bits",
    "skid",
    "uri_sans",
    "use_pss",
];

impl Pki {
    pub(crate) fn generate_root(&self, context: Context<'_>, kind: &str) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        fields.refuse(WITHOUT_EFFECT)?;
        let exported = exported(kind)?;
        let key = new_key(fields)?;
        let rules = Role::allowing_everything()?.rules;
        let mut warnings = self.missing_urls(NO_AIA.to_owned());
        let not_after = self.not_after(&rules, fields, context.now, &mut warnings)?;
        let name = fields.text("issuer_name")?.into_owned();
        if !name.is_empty() && self.has_issuer(&name) {
            return Err(Refusal::bad("issuer name already in use"));
        }
        let private_key = key.to_pkcs8_pem()?;
        let profile = LeafProfile {
            subject_alt_names: ca_names(fields)?,
            ..self.ca_profile(context, not_after, Subject::Der(subject(fields)?), path_length(fields)?)
        };
        let authority = Authority::self_signed_as(key, &profile, Vec::new())?;
        let certificate =
            authority.chain().first().cloned().ok_or_else(|| Refusal::internal("no certificate"))?;
        let issuer = write(&self.issuers).adopt(Arc::new(authority), &name, random::uuid().into());
        let serial = output::serial(&certificate);
        self.archive.keep(&certificate, &issuer.id);
        self.rebuild_crls(context.now);
        let format = Format::read(&fields.text("format")?)?;
        let shown = one(&certificate, format);
        let mut pairs = vec![
            ("certificate", json!(shown)),
            ("expiration", json!(certificate.not_after().as_second())),
            ("issuer_id", json!(&*issuer.id)),
            ("issuer_name", json!(issuer.name)),
            ("issuing_ca", json!(shown)),
            ("key_id", json!(issuer.key_id)),
            ("key_name", json!(fields.text("key_name")?)),
        ];
        if exported {
            pairs.push(("private_key", json!(output::trimmed(private_key))));
        }
        pairs.push(("serial_number", json!(serial)));
        warnings.extend(fields.unknown(FIELDS));
        Ok(Answer::data_with(object(pairs), warnings))
    }

    pub(crate) fn generate_intermediate(&self, context: Context<'_>, kind: &str) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        let exported = exported(kind)?;
        let key = new_key(fields)?;
        let names = match ca_names(fields)? {
            Sans::Der(value) => vec![Extra { oid: "2.5.29.17".to_owned(), critical: false, value }],
            Sans::FromCsr | Sans::None => Vec::new(),
        };
        let csr = key.request(&subject(fields)?, names)?;
        let private_key = exported.then(|| key.to_pkcs8_pem()).transpose()?;
        let key_id = write(&self.issuers).wait(key);
        let csr = match Format::read(&fields.text("format")?)? {
            Format::Der => output::base64(&csr),
            Format::Pem | Format::PemBundle => {
                output::trimmed(x509::pem::encode("CERTIFICATE REQUEST", &csr))
            }
        };
        let mut pairs = vec![("csr", json!(csr)), ("key_id", json!(key_id))];
        if let Some(private_key) = private_key {
            pairs.push(("private_key", json!(output::trimmed(private_key))));
        }
        let mut warnings = self.missing_urls(format!("{NO_AIA}{NO_AIA_INTERMEDIATE}"));
        warnings.extend(fields.unknown(FIELDS));
        Ok(Answer::data_with(object(pairs), warnings))
    }

    pub(crate) fn sign_intermediate(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        fields.refuse(WITHOUT_EFFECT)?;
        let format = Format::read(&fields.text("format")?)?;
        let asked = fields.text("issuer_ref")?;
        let issuer = self.signer(if asked.is_empty() { "default" } else { &asked })?;
        let csr = read_csr(fields)?;
        let mut warnings = self.missing_urls(NO_AIA.to_owned());
        let rules = Role::allowing_everything()?.rules;
        let not_after = self.not_after(&rules, fields, context.now, &mut warnings)?;
        // Unlike a leaf, an intermediate may outlive its issuer.
        let subject = if fields.boolean("use_csr_values", false)? || !fields.has("common_name") {
            Subject::FromCsr
        } else {
            Subject::Der(subject(fields)?)
        };
        let own = issuer.chain.first().and_then(Certificate::path_len);
        let asked = path_length(fields)?;
        let path_len = match own.map(|own| u8::try_from(own.saturating_sub(1)).unwrap_or(u8::MAX)) {
            Some(most) => Some(asked.map_or(most, |asked| asked.min(most))),
            None => asked,
        };
        if path_len == Some(0) {
            warnings.push(PATH_LENGTH_ZERO.to_owned());
        }
        let names = if subject == Subject::FromCsr { Sans::FromCsr } else { ca_names(fields)? };
        let profile = LeafProfile {
            subject_alt_names: names,
            ..self.ca_profile(context, not_after, subject, path_len)
        };
        let authority = issuer.authority.as_ref().ok_or_else(|| Refusal::internal("no private key"))?;
        let certificate = authority.issue_for(&Requested::from(&csr), &profile, vec![ca_usages()])?;
        let serial = output::serial(&certificate);
        self.archive.keep(&certificate, &issuer.id);
        let chain = std::iter::once(&certificate).chain(&issuer.chain);
        let chain: Vec<String> = chain.map(|certificate| one(certificate, format)).collect();
        let certificate_text =
            if format == Format::PemBundle { chain.join("\n") } else { one(&certificate, format) };
        warnings.extend(fields.unknown(FIELDS));
        let data = object([
            ("ca_chain", json!(chain)),
            ("certificate", json!(certificate_text)),
            ("expiration", json!(certificate.not_after().as_second())),
            ("issuing_ca", json!(issuer.chain.first().map(|certificate| one(certificate, format)))),
            ("serial_number", json!(serial)),
        ]);
        Ok(Answer::data_with(data, warnings))
    }

    pub(crate) fn set_signed(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let text = context.request.fields.text("certificate")?;
        if text.len() < 75 {
            return Err(Refusal::bad(
                "provided data for import was too short; perhaps a path was passed to the API rather than the \
                 contents of a PEM file",
            ));
        }
        let certificates = x509::bundle::read_certificates(text.as_bytes())
            .map_err(|error| Refusal::bad(format!("error importing: {error}")))?;
        let imported = write(&self.issuers).import(&certificates)?;
        self.rebuild_crls(context.now);
        let ids: Vec<&str> = imported.iter().map(|(id, _)| &**id).collect();
        let mapping = imported.iter().map(|(id, key)| (id.to_string(), json!(key)));
        let data = json!({
            "existing_issuers": null,
            "existing_keys": null,
            "imported_issuers": Some(&ids).filter(|ids| !ids.is_empty()),
            "imported_keys": null,
            "mapping": Value::Object(mapping.collect()),
        });
        Ok(Answer::data_with(data, self.missing_urls(NO_AIA.to_owned())))
    }

    pub(crate) fn delete_root(&self) -> Answer {
        write(&self.issuers).clear();
        let mut answer = Answer::data_with(
            Value::Null,
            vec![
                "DELETE /root deletes all keys and issuers; prefer the new DELETE /key/:key_ref and DELETE \
                 /issuer/:issuer_ref for finer granularity, unless removal of all keys and issuers is desired."
                    .to_owned(),
            ],
        );
        if let Answer::Envelope(envelope) = &mut answer {
            envelope.data = None;
        }
        answer
    }

    fn ca_profile(
        &self,
        context: Context<'_>,
        not_after: jiff::Timestamp,
        subject: Subject,
        path_len: Option<u8>,
    ) -> LeafProfile {
        let urls = self.urls();
        LeafProfile {
            serial: random::serial(),
            not_before: minus(context.now, 30),
            not_after,
            is_ca: true,
            path_len,
            usages: x509::Usages::unrestricted().with(KeyUsage::CertSign).with(KeyUsage::CrlSign),
            subject,
            subject_alt_names: Sans::None,
            crl_distribution_points: urls.crl_distribution_points.clone(),
            ocsp: urls.ocsp_servers.clone(),
            ca_issuers: urls.issuing_certificates.clone(),
            basic_constraints_on_leaf: false,
        }
    }

    fn has_issuer(&self, name: &str) -> bool {
        crate::sync::read(&self.issuers).find(name).is_some()
    }

    fn missing_urls(&self, warning: String) -> Vec<String> {
        if self.urls().is_empty() { vec![warning] } else { Vec::new() }
    }
}

fn exported(kind: &str) -> Result<bool, Refusal> {
    match kind {
        "internal" => Ok(false),
        "exported" => Ok(true),
        _ => Err(Refusal::bad(
            "the \"exported\" path parameter must be \"internal\", \"existing\", exported\" or \"kms\"",
        )),
    }
}

fn new_key(fields: &Fields) -> Result<SigningKey, Refusal> {
    let kind = fields.text("key_type")?;
    let kind = if kind.is_empty() { "rsa" } else { &kind };
    Ok(random::key(algorithm(kind, fields.integer("key_bits")?)?)?)
}

fn subject(fields: &Fields) -> Result<Vec<u8>, Refusal> {
    let kinds = [
        (AttributeType::Country, "country"),
        (AttributeType::Organization, "organization"),
        (AttributeType::OrganizationalUnit, "ou"),
        (AttributeType::Locality, "locality"),
        (AttributeType::Province, "province"),
        (AttributeType::StreetAddress, "street_address"),
        (AttributeType::PostalCode, "postal_code"),
    ];
    let lists = kinds
        .into_iter()
        .map(|(kind, name)| Ok((kind, fields.list(name)?)))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let lists = lists.iter().map(|(kind, values)| (*kind, values.as_slice()));
    Ok(distinguished_name(lists, &fields.text("common_name")?, &fields.text("serial_number")?)?)
}

/// Absent and -1 mean no limit.
fn path_length(fields: &Fields) -> Result<Option<u8>, Refusal> {
    if !fields.has("max_path_length") {
        return Ok(None);
    }
    Ok(u8::try_from(fields.integer("max_path_length")?).ok())
}

/// keyCertSign and cRLSign, critical.
fn ca_usages() -> Extra {
    Extra { oid: "2.5.29.15".to_owned(), critical: true, value: vec![0x03, 0x02, 0x01, 0x06] }
}

fn one(certificate: &Certificate, format: Format) -> String {
    match format {
        Format::Der => output::base64(certificate.der()),
        Format::Pem | Format::PemBundle => output::pem(certificate),
    }
}
