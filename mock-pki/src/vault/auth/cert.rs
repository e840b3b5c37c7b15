//! `auth/cert/…`: logging in with a client's certificate. TLS has verified that the client holds the key; whom to trust
//! is said by the roles here.

use std::{collections::BTreeMap, sync::RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use x509::{Certificate, SubjectAltName};

use crate::{
    pem_list, proof,
    serial::{colons, decimal},
    sync::{read, write},
    vault::{
        auth::{Context, Known, TokenSettings},
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        pki::glob,
        request::Operation,
    },
};

/// One mounted method.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Cert {
    roles: RwLock<BTreeMap<String, Role>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Role {
    /// CAs, or the very certificates of clients.
    #[serde(with = "pem_list")]
    certificates: Vec<Certificate>,
    certificate: String,
    allowed_names: Vec<String>,
    allowed_common_names: Vec<String>,
    allowed_dns_sans: Vec<String>,
    allowed_email_sans: Vec<String>,
    allowed_uri_sans: Vec<String>,
    display_name: String,
    token: TokenSettings,
}

/// What the product heeds and this mock does not.
const WITHOUT_EFFECT: &[&str] = &[
    "allowed_metadata_extensions",
    "allowed_organizational_units",
    "ocsp_enabled",
    "required_extensions",
    "token_bound_cidrs",
];

impl Cert {
    pub(crate) fn route(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let Context { request, path, .. } = context;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (segments.as_slice(), request.operation) {
            (["login"], Operation::Update) => self.log_in(context),
            (["certs"], Operation::List) => {
                Ok(Answer::keys(&request.page(read(&self.roles).keys().cloned().collect())))
            }
            (["certs", name], Operation::Update) => self.write(name, &request.fields),
            (["certs", name], Operation::Read) => {
                read(&self.roles).get(*name).map(Role::describe).ok_or_else(Refusal::absent)
            }
            (["certs", name], Operation::Delete) => {
                write(&self.roles).remove(*name);
                Ok(Answer::Nothing)
            }
            (["login" | "certs"] | ["certs", _], _) => Err(Refusal::unsupported_operation()),
            _ => Err(Refusal::unsupported_path()),
        }
    }

    fn write(&self, name: &str, fields: &Fields) -> Result<Answer, Refusal> {
        fields.refuse(WITHOUT_EFFECT)?;
        let mut roles = write(&self.roles);
        let known = roles.get(name);
        let role = Role::read(name, fields, known)?;
        roles.insert(name.to_owned(), role);
        Ok(Answer::Nothing)
    }

    fn log_in(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let read_all =
            || context.client.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
        let shown = read_all().unwrap_or_default();
        let Some((own, others)) = shown.split_first() else {
            return Err(Refusal::bad("no client certificate found"));
        };
        let wanted = context.request.fields.text("name")?;
        let is_valid = own.not_before() <= context.now && context.now <= own.not_after();
        let roles = read(&self.roles);
        let trusting: Vec<(&String, &Role)> = roles
            .iter()
            .filter(|(name, role)| {
                (wanted.is_empty() || **name == *wanted) && is_valid && role.trusts(own, others)
            })
            .collect();
        if trusting.is_empty() {
            return Err(Refusal::bad("invalid certificate or no client certificate supplied"));
        }
        let found = trusting.into_iter().find(|(_, role)| role.allows(own));
        let (name, role) = found.map(|(name, role)| (name.clone(), role.clone())).ok_or_else(|| {
            Refusal::bad("no chain matching all constraints could be found for this login certificate")
        })?;
        drop(roles);
        let subject = own.subject();
        let common_name = subject.common_name().unwrap_or_default().to_owned();
        let known = Known {
            display_name: format!(
                "{}-{}",
                context.mount.trim_end_matches('/').replace('/', "-"),
                role.display_name
            ),
            path: format!("auth/{}login", context.mount),
            alias: common_name.clone(),
            meta: metadata(own, &name, &common_name),
        };
        role.token.log_in(context.state, known, context.now)
    }
}

fn metadata(own: &Certificate, role: &str, common_name: &str) -> Map<String, Value> {
    let id = |id: Option<&[u8]>| colons(&x509::hex(id.unwrap_or_default()));
    let pairs = [
        ("authority_key_id", id(own.authority_key_id())),
        ("cert_name", role.to_owned()),
        ("common_name", common_name.to_owned()),
        ("serial_number", decimal(own.serial())),
        ("subject_key_id", id(own.subject_key_id())),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

impl Role {
    fn read(name: &str, fields: &Fields, known: Option<&Self>) -> Result<Self, Refusal> {
        let certificate =
            fields.updated("certificate", known.map(|known| &known.certificate), Fields::own_text)?;
        let certificates = x509::bundle::read_certificates(certificate.as_bytes());
        let certificates = certificates.map_err(|_| Refusal::bad("failed to parse certificate"))?;
        let list = |field: &str, known: Option<&Vec<String>>| fields.updated(field, known, Fields::list);
        let display_name =
            fields.updated("display_name", known.map(|known| &known.display_name), |fields, field| {
                let given = fields.own_text(field)?;
                Ok(if given.is_empty() { name.to_owned() } else { given })
            })?;
        Ok(Self {
            certificates,
            certificate,
            allowed_names: list("allowed_names", known.map(|known| &known.allowed_names))?,
            allowed_common_names: list(
                "allowed_common_names",
                known.map(|known| &known.allowed_common_names),
            )?,
            allowed_dns_sans: list("allowed_dns_sans", known.map(|known| &known.allowed_dns_sans))?,
            allowed_email_sans: list("allowed_email_sans", known.map(|known| &known.allowed_email_sans))?,
            allowed_uri_sans: list("allowed_uri_sans", known.map(|known| &known.allowed_uri_sans))?,
            display_name,
            token: TokenSettings::read(fields, known.map(|known| &known.token))?,
        })
    }

    fn describe(&self) -> Answer {
        self.token.describe(json!({
            "allowed_common_names": self.allowed_common_names,
            "allowed_dns_sans": self.allowed_dns_sans,
            "allowed_email_sans": self.allowed_email_sans,
            "allowed_names": self.allowed_names,
            "allowed_uri_sans": self.allowed_uri_sans,
            "certificate": self.certificate,
            "display_name": self.display_name,
        }))
    }

    /// Whether the certificate is one of the role's, or leads to one of them by what the client showed besides.
    fn trusts(&self, own: &Certificate, others: &[Certificate]) -> bool {
        let mut current = own;
        for _ in 0..=others.len() {
            let is_given = |trusted: &Certificate| trusted.der() == current.der();
            let signs = |trusted: &Certificate| trusted.is_ca() && proof::is_by(current, trusted);
            if self.certificates.iter().any(|trusted| is_given(trusted) || signs(trusted)) {
                return true;
            }
            let Some(next) = others.iter().find(|issuer| issuer.is_ca() && proof::is_by(current, issuer))
            else {
                return false;
            };
            current = next;
        }
        false
    }

    fn allows(&self, own: &Certificate) -> bool {
        let (mut dns, mut emails, mut uris) = (Vec::new(), Vec::new(), Vec::new());
        for name in own.subject_alt_names() {
            match name {
                SubjectAltName::Dns(name) => dns.push(name),
                SubjectAltName::Email(name) => emails.push(name),
                SubjectAltName::Uri(name) => uris.push(name),
                _ => {}
            }
        }
        let subject = own.subject();
        let common_name: Vec<String> = subject.common_name().map(str::to_owned).into_iter().collect();
        let any_name: Vec<String> = common_name.iter().chain(&dns).chain(&emails).cloned().collect();
        fits(&self.allowed_names, &any_name)
            && fits(&self.allowed_common_names, &common_name)
            && fits(&self.allowed_dns_sans, &dns)
            && fits(&self.allowed_email_sans, &emails)
            && fits(&self.allowed_uri_sans, &uris)
    }
}

/// Whether one of the names is allowed; all are where nothing is said.
fn fits(allowed: &[String], names: &[String]) -> bool {
    allowed.is_empty() || allowed.iter().any(|pattern| names.iter().any(|name| glob(pattern, name)))
}
