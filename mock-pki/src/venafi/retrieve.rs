//! `Certificates/Retrieve`: the certificate in the form that was asked for, or how far it is.

use http::StatusCode;
use serde_json::{Value, json};
use x509::Certificate;

use crate::{
    pkcs7,
    sync::lock,
    venafi::{
        answer::{Answer, Refusal},
        dn::Dn,
        encoding,
        enrollment::{POST_CSR, Version},
        fields::Fields,
        issuing::{self, Context},
    },
};

/// The product demands this many characters of a password for a key, of three of four kinds.
const SHORTEST_PASSWORD: usize = 12;

/// The form a certificate leaves in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Base64,
    Pkcs8,
    Der,
    Pkcs7,
}

impl Format {
    /// By the product's name, whose case some clients do not keep.
    fn named(name: &str) -> Result<Self, Refusal> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "base64" => Self::Base64,
            "base64 (pkcs #8)" => Self::Pkcs8,
            "der" => Self::Der,
            "pkcs #7" => Self::Pkcs7,
            _ => return Err(Refusal::bad(format!("The certificate format [{name}] is not supported."))),
        })
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Base64 | Self::Der => "cer",
            Self::Pkcs8 => "pem",
            Self::Pkcs7 => "p7b",
        }
    }
}

/// `Retrieve`
pub(crate) fn retrieve(context: &Context<'_>, fields: &Fields) -> Result<Answer, Refusal> {
    let text = fields.needed("CertificateDN")?;
    let dn = Dn::parse(text).ok_or_else(|| missing(text))?;
    issuing::come_back(context, &dn)?;
    let tree = lock(&context.state.tree);
    let enrollment = tree.find(&dn).and_then(|node| node.enrollment()).ok_or_else(|| missing(text))?;
    if let Some((status, in_error)) = enrollment.processing() {
        return Ok(under_way(&dn, status, in_error));
    }
    let version = enrollment
        .current()
        .ok_or_else(|| Refusal::bad(format!("Certificate {dn} does not have a certificate to retrieve.")))?;
    let body = Wanted::read(fields)?.send(&dn, version)?;
    Ok(Answer::ok(body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// The current certificate alone, as `Request` sends it to those who wait.
pub(crate) fn plain(context: &Context<'_>, dn: &Dn) -> Result<Vec<(&'static str, Value)>, Refusal> {
    let tree = lock(&context.state.tree);
    let current = tree.find(dn).and_then(|node| node.enrollment()?.current());
    let current = current.ok_or_else(|| missing(&dn.to_string()))?;
    Wanted { format: Format::Base64, name: "Base64", chain: false, root_first: false, password: None }
        .send(dn, current)
}

fn missing(dn: &str) -> Refusal {
    let body = json!({ "Error": format!("Certificate {dn} does not exist.") });
    Refusal(Answer::with(StatusCode::BAD_REQUEST, "Certificate does not exist.", Some(body)))
}

/// The status line tells as much as the body, and more of where.
fn under_way(dn: &Dn, status: &str, in_error: bool) -> Answer {
    let (code, how) = if in_error {
        (StatusCode::INTERNAL_SERVER_ERROR, "has encountered an error while processing")
    } else {
        (StatusCode::ACCEPTED, "being processed")
    };
    let reason = format!("Certificate {dn} {how}, Status: {status}, Stage: {POST_CSR}.");
    Answer::with(code, reason, Some(json!({ "Stage": POST_CSR, "Status": status })))
}

struct Wanted<'a> {
    format: Format,
    /// As the client wrote it: it is answered so.
    name: &'a str,
    chain: bool,
    root_first: bool,
    /// Of the private key, if that is wanted too.
    password: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(fields: &'a Fields) -> Result<Self, Refusal> {
        let name = fields.needed("Format")?;
        let format = Format::named(name)?;
        let password = if fields.flag("IncludePrivateKey")? {
            if !matches!(format, Format::Base64 | Format::Pkcs8) {
                return Err(Refusal::bad(format!(
                    "The certificate format [{name}] does not carry a private key."
                )));
            }
            Some(fields.text("Password")?.unwrap_or_default())
        } else {
            None
        };
        let (chain, root_first) = (fields.flag("IncludeChain")?, fields.flag("RootFirstOrder")?);
        Ok(Self { format, name, chain, root_first, password })
    }

    fn send(&self, dn: &Dn, version: &Version) -> Result<Vec<(&'static str, Value)>, Refusal> {
        let mut all: Vec<&Certificate> = vec![&version.certificate];
        if self.chain && self.format != Format::Der {
            all.extend(&version.chain);
        }
        if self.root_first {
            all.reverse();
        }
        let key = self.password.map(|password| key(version, password)).transpose()?.unwrap_or_default();
        let data = match self.format {
            Format::Der => version.certificate.der().to_vec(),
            Format::Pkcs7 => encoding::pem("PKCS7", &pkcs7::with(all.iter().copied())).into_bytes(),
            Format::Base64 | Format::Pkcs8 => {
                let pems: String =
                    all.iter().map(|certificate| encoding::pem("CERTIFICATE", certificate.der())).collect();
                (key + &pems).into_bytes()
            }
        };
        Ok(vec![
            ("CertificateData", json!(encoding::base64(&data))),
            ("Filename", json!(format!("{}.{}", dn.name(), self.format.extension()))),
            ("Format", json!(self.name)),
        ])
    }
}

/// A key that is not there is told of before a password that is too weak: vcert tries the one to see the other.
fn key(version: &Version, password: &str) -> Result<String, Refusal> {
    let key = version.key.as_ref().ok_or_else(|| {
        let text = "Failed to lookup private key, error: Failed to lookup private key vault id";
        Refusal(Answer::with(StatusCode::BAD_REQUEST, text, Some(json!({ "Error": text }))))
    })?;
    if !is_strong(password) {
        return Err(Refusal::bad(
            "The password does not meet the complexity requirements: at least 12 characters, of three of these kinds: \
             lower case, upper case, digits, others.",
        ));
    }
    Ok(encoding::pem("ENCRYPTED PRIVATE KEY", &encoding::encrypted_key(key, password)?))
}

fn is_strong(password: &str) -> bool {
    let kinds = [
        password.chars().any(char::is_lowercase),
        password.chars().any(char::is_uppercase),
        password.chars().any(|c| c.is_ascii_digit()),
        password.chars().any(|c| !c.is_alphanumeric()),
    ];
    password.chars().count() >= SHORTEST_PASSWORD && kinds.iter().filter(|has| **has).count() >= 3
}
