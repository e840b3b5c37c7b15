//! From text to [`PkiConfig`]: YAML or JSON, then the document's types, then the rules between fields.

use serde_json::Value;
use x509::judge::{SanTolerance, SubjectTolerance, UsageTolerance, ValidityTolerance};

use super::document::{
    self, BackendType, Document, VaultAuthDocument, VaultAuthMethod, VaultDocument, VaultLookupDocument,
};
use super::url::PkiUrl;
use super::vault::{VaultAuth, VaultConfig, VaultLookup, VaultPath, is_name};
use super::{Backend, PkiConfig, TlsConfig, TlsVersion};

/// A ConfigMap holds at most 1 MiB; nothing sensible comes near a quarter of it, CA bundles included.
pub const MAX_LEN: usize = 256 * 1024;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Longer than [`MAX_LEN`].
    #[error("is longer than {MAX_LEN} bytes")]
    TooLong,
    /// Neither YAML nor JSON.
    #[error("is neither YAML nor JSON: {0}")]
    Syntax(String),
    /// A field is unknown, missing, of the wrong type or of a wrong value.
    #[error("{path}: {problem}")]
    Field {
        /// The field's path, such as `vault.auth.method`.
        path: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
}

fn field(path: &str, problem: impl std::fmt::Display) -> ConfigError {
    ConfigError::Field { path: path.to_owned(), problem: problem.to_string() }
}

/// Reads a configuration document.
///
/// An unknown or misplaced field is an error with its path; so is a key given twice. Aliases and nesting are
/// bounded by the YAML reader's budget.
pub fn parse(text: &str) -> Result<PkiConfig, ConfigError> {
    if text.len() > MAX_LEN {
        return Err(ConfigError::TooLong);
    }
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| ConfigError::Syntax(complaint(&error.render())))?;
    let document: Document = serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        field(if path == "." { "document" } else { &path }, bounded(&error.inner().to_string()))
    })?;
    let backend = match (document.type_, document.vault) {
        (BackendType::Vault, Some(vault)) => Backend::Vault(read_vault(vault)?),
        (BackendType::Vault, None) => return Err(field("vault", "is missing: type vault needs it")),
    };
    Ok(PkiConfig { backend, tls: read_tls(document.tls)?, tolerance: read_tolerance(&document.tolerance) })
}

fn read_vault(vault: VaultDocument) -> Result<VaultConfig, ConfigError> {
    let namespace = vault.namespace.map(|text| text.trim_matches('/').to_owned());
    if namespace.as_deref().is_some_and(|text| !text.split('/').all(is_name)) {
        return Err(field("vault.namespace", "may only hold letters, digits and . _ - /"));
    }
    Ok(VaultConfig {
        url: PkiUrl::parse(&vault.url).map_err(|error| field("vault.url", error))?,
        path: VaultPath::parse(&vault.path).map_err(|error| field("vault.path", error))?,
        namespace,
        auth: read_auth(vault.auth)?,
        lookup: vault.lookup.as_ref().map(read_lookup).transpose()?,
    })
}

fn read_lookup(lookup: &VaultLookupDocument) -> Result<VaultLookup, ConfigError> {
    let Some(most) = lookup.max_certificates else { return Ok(VaultLookup::default()) };
    match usize::try_from(most) {
        Ok(max_certificates @ 1..=1_000_000) => Ok(VaultLookup { max_certificates }),
        _ => Err(field("vault.lookup.maxCertificates", "must be between 1 and 1000000")),
    }
}

fn read_auth(auth: VaultAuthDocument) -> Result<VaultAuth, ConfigError> {
    match auth.method {
        VaultAuthMethod::Token => {
            if auth.role_id.is_some() {
                return Err(field("vault.auth.roleId", "is only for method appRole"));
            }
            if auth.mount_path.is_some() {
                return Err(field("vault.auth.mountPath", "is only for method appRole"));
            }
            Ok(VaultAuth::Token)
        }
        VaultAuthMethod::AppRole => {
            let role_id = auth.role_id.unwrap_or_default().trim().to_owned();
            if role_id.is_empty() {
                return Err(field("vault.auth.roleId", "is missing: method appRole needs it"));
            }
            let mount_path = auth.mount_path.map_or("approle".to_owned(), |p| p.trim_matches('/').to_owned());
            if !mount_path.split('/').all(is_name) {
                return Err(field("vault.auth.mountPath", "may only hold letters, digits and . _ - /"));
            }
            Ok(VaultAuth::AppRole { role_id, mount_path })
        }
    }
}

fn read_tls(tls: document::TlsDocument) -> Result<TlsConfig, ConfigError> {
    let ca_bundle = match tls.ca_bundle {
        None => Vec::new(),
        Some(text) => {
            x509::bundle::read_certificates(text.as_bytes()).map_err(|error| field("tls.caBundle", error))?
        }
    };
    let min_version = match tls.min_version {
        None | Some(document::MinVersion::V1_2) => TlsVersion::V1_2,
        Some(document::MinVersion::V1_3) => TlsVersion::V1_3,
    };
    Ok(TlsConfig { ca_bundle, min_version })
}

fn read_tolerance(tolerance: &document::ToleranceDocument) -> x509::Tolerance {
    let default = ValidityTolerance::default();
    x509::Tolerance {
        subject: match tolerance.subject {
            document::SubjectDocument::CommonName => SubjectTolerance::CommonName,
            document::SubjectDocument::Exact => SubjectTolerance::Exact,
            document::SubjectDocument::Any => SubjectTolerance::Any,
        },
        subject_alt_names: match tolerance.subject_alt_names {
            document::SansDocument::CommonNameAdded => SanTolerance::CommonNameAdded,
            document::SansDocument::Exact => SanTolerance::Exact,
            document::SansDocument::Superset => SanTolerance::Superset,
            document::SansDocument::Any => SanTolerance::Any,
        },
        usages: match tolerance.usages {
            document::UsagesDocument::Superset => UsageTolerance::Superset,
            document::UsagesDocument::Exact => UsageTolerance::Exact,
            document::UsagesDocument::Any => UsageTolerance::Any,
        },
        validity: ValidityTolerance {
            longer_by: match tolerance.longer_by {
                None => default.longer_by,
                Some(document::LongerBy::Any(document::AnyWord::Any)) => None,
                Some(document::LongerBy::By(duration)) => Some(duration.0),
            },
            clock_skew: tolerance.clock_skew.map_or(default.clock_skew, |d| d.0),
        },
    }
}

/// The YAML reader's complaint: place and problem, without its advice to programmers and the excerpt below.
fn complaint(rendered: &str) -> String {
    let line = rendered.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    bounded(line.split(", set ").next().unwrap_or(line))
}

/// Messages go into conditions and events; a hostile document must not make them long.
fn bounded(text: &str) -> String {
    const MAX: usize = 300;
    if text.chars().count() <= MAX {
        text.to_owned()
    } else {
        text.chars().take(MAX).chain(['…']).collect()
    }
}
