//! Secrets: the one that a Certificate fills, and the one that holds the key of an issuance under way
//! (`pkg/controller/certificates/issuing/internal/secret.go`, `internal/controller/certificates/secrets.go`).
//!
//! A Certificate's Secret is written whole, in one apply patch: key and certificate never belong to two revisions.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt as _;
use serde_json::Value;

use crate::{
    api::{Certificate, IssuerReference},
    names::{
        CA_CRT, CERTIFICATE_NAME, COMBINED_PEM, ISSUER_GROUP, ISSUER_KIND, ISSUER_NAME, ISSUING_MANAGER,
        KEY_DER, LABEL_MANAGED, LABEL_NEXT_PRIVATE_KEY, TLS_CRT, TLS_KEY,
    },
    policies::{data, first_certificate},
    request::{Names, controller_reference},
};

/// What goes into a Certificate's Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretData {
    /// `tls.key`.
    pub private_key: Vec<u8>,
    /// `tls.crt`.
    pub certificate: Vec<u8>,
    /// `ca.crt`; left out when empty.
    pub ca: Vec<u8>,
    /// The Certificate's name as annotation; left out when empty.
    pub certificate_name: String,
    /// The issuer as annotations; left out when all is empty.
    pub issuer: IssuerReference,
}

/// The Secret to apply. `type_` is the existing Secret's: it cannot change.
///
/// `None` when the certificate cannot be read.
#[must_use]
pub fn desired(certificate: &Certificate, secret_data: &SecretData, type_: Option<&str>) -> Option<Secret> {
    let issued = first_certificate(&secret_data.certificate)?;
    let template = certificate.spec.secret_template.clone().unwrap_or_default();
    let mut labels = template.labels;
    labels.insert(LABEL_MANAGED.to_owned(), "true".to_owned());
    let mut annotations = template.annotations;
    annotations.extend(details(&issued));
    if !secret_data.certificate_name.is_empty() {
        annotations.insert(CERTIFICATE_NAME.to_owned(), secret_data.certificate_name.clone());
    }
    if secret_data.issuer != IssuerReference::default() {
        annotations.insert(ISSUER_NAME.to_owned(), secret_data.issuer.name.clone());
        annotations.insert(ISSUER_KIND.to_owned(), secret_data.issuer.kind.clone());
        annotations.insert(ISSUER_GROUP.to_owned(), secret_data.issuer.group.clone());
    }
    let mut entries = output_formats(certificate, &secret_data.private_key, &secret_data.certificate);
    entries.insert(TLS_KEY, secret_data.private_key.clone());
    entries.insert(TLS_CRT, secret_data.certificate.clone());
    if !secret_data.ca.is_empty() {
        entries.insert(CA_CRT, secret_data.ca.clone());
    }
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(certificate.spec.secret_name.clone()),
            namespace: certificate.namespace(),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(entries.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect()),
        type_: Some(type_.unwrap_or("kubernetes.io/tls").to_owned()),
        ..Secret::default()
    })
}

/// The annotations that tell what is in the certificate (`AnnotationsForCertificate`). Which of them are there
/// although they are empty is cert-manager's choice.
fn details(issued: &x509::Certificate) -> BTreeMap<String, String> {
    let subject = issued.subject();
    let values = |oid: &str| -> Vec<String> {
        let attributes = subject.attributes().filter(|attribute| attribute.oid.to_string() == oid);
        attributes.map(|attribute| attribute.value.clone()).collect()
    };
    let names = Names::of(issued.subject_alt_names());
    let ips: Vec<String> = names.ips.iter().map(ToString::to_string).collect();
    let always = [
        ("common-name", subject.common_name().unwrap_or_default().to_owned()),
        ("alt-names", csv(&names.dns)),
        ("ip-sans", csv(&ips)),
        ("uri-sans", csv(&names.uris)),
    ];
    let unless_empty = [
        ("subject-serialnumber", values("2.5.4.5").pop().unwrap_or_default()),
        ("subject-organizations", csv(&values("2.5.4.10"))),
        ("subject-organizationalunits", csv(&values("2.5.4.11"))),
        ("subject-countries", csv(&values("2.5.4.6"))),
        ("subject-provinces", csv(&values("2.5.4.8"))),
        ("subject-localities", csv(&values("2.5.4.7"))),
        ("subject-postalcodes", csv(&values("2.5.4.17"))),
        ("subject-streetaddresses", csv(&values("2.5.4.9"))),
        ("email-sans", csv(&names.emails)),
    ];
    let there = unless_empty.into_iter().filter(|(_, value)| !value.is_empty());
    always.into_iter().chain(there).map(|(key, value)| (format!("cert-manager.io/{key}"), value)).collect()
}

/// One line of CSV as Go writes it: quotes where they are needed, and around a lone empty field and `\.`.
fn csv(fields: &[String]) -> String {
    let quoted = |field: &String| {
        let needed = field == "\\."
            || field.contains([',', '"', '\r', '\n'])
            || field.starts_with(|first: char| first.is_whitespace());
        if needed { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.clone() }
    };
    match fields {
        [only] if only.is_empty() => "\"\"".to_owned(),
        fields => fields.iter().map(quoted).collect::<Vec<_>>().join(","),
    }
}

fn output_formats(certificate: &Certificate, key: &[u8], pem: &[u8]) -> BTreeMap<&'static str, Vec<u8>> {
    let mut entries = BTreeMap::new();
    for format in &certificate.spec.additional_output_formats {
        match format.type_.as_str() {
            "DER" => {
                let text = String::from_utf8_lossy(key);
                let block = x509::pem::blocks(&text).next().and_then(Result::ok);
                entries.insert(KEY_DER, block.and_then(|block| block.decode().ok()).unwrap_or_default());
            }
            "CombinedPEM" => {
                entries.insert(COMBINED_PEM, [key, b"\n", pem].concat());
            }
            _ => {}
        }
    }
    entries
}

/// The Secret to apply when nothing is to be issued but the Secret is not as the Certificate wants it: the
/// template or the output formats changed, or somebody edited what is cert-manager's (`ensureSecretData`).
#[must_use]
pub fn correction(certificate: &Certificate, secret: &Secret) -> Option<Secret> {
    let annotation = |key: &str| secret.annotations().get(key).cloned().unwrap_or_default();
    let secret_data = SecretData {
        private_key: data(secret, TLS_KEY).to_vec(),
        certificate: data(secret, TLS_CRT).to_vec(),
        ca: data(secret, CA_CRT).to_vec(),
        certificate_name: annotation(CERTIFICATE_NAME),
        issuer: IssuerReference {
            name: annotation(ISSUER_NAME),
            kind: annotation(ISSUER_KIND),
            group: annotation(ISSUER_GROUP),
        },
    };
    if secret_data.private_key.is_empty() || secret_data.certificate.is_empty() {
        return None;
    }
    let desired = desired(certificate, &secret_data, secret.type_.as_deref())?;
    let is_there = contains(secret.labels(), desired.labels())
        && contains(secret.annotations(), desired.annotations())
        && desired.data.iter().flatten().all(|(key, value)| data(secret, key) == value.0);
    let managed = managed_metadata(secret);
    // What is ours, and only that, under our name; except for who issued it, which only issuing may change.
    let ours = |map: &BTreeMap<String, String>| -> BTreeSet<String> { map.keys().cloned().collect() };
    let is_managed = managed.labels == ours(desired.labels())
        && without_origin(managed.annotations) == without_origin(ours(desired.annotations()))
        && managed.formats == output_keys(&desired);
    (!is_there || !is_managed).then_some(desired)
}

fn contains(map: &BTreeMap<String, String>, part: &BTreeMap<String, String>) -> bool {
    part.iter().all(|(key, value)| map.get(key) == Some(value))
}

fn without_origin(mut keys: BTreeSet<String>) -> BTreeSet<String> {
    for key in [CERTIFICATE_NAME, ISSUER_NAME, ISSUER_KIND, ISSUER_GROUP] {
        keys.remove(key);
    }
    keys
}

fn output_keys(secret: &Secret) -> BTreeSet<String> {
    let keys = secret.data.iter().flatten().map(|(key, _)| key.clone());
    keys.filter(|key| key == KEY_DER || key == COMBINED_PEM).collect()
}

#[derive(Default)]
struct Managed {
    labels: BTreeSet<String>,
    annotations: BTreeSet<String>,
    formats: BTreeSet<String>,
}

/// What the issuing field manager owns of a Secret.
fn managed_metadata(secret: &Secret) -> Managed {
    let mut managed = Managed::default();
    let entries = secret.metadata.managed_fields.iter().flatten();
    for entry in entries.filter(|entry| entry.manager.as_deref() == Some(ISSUING_MANAGER)) {
        let Some(fields) = &entry.fields_v1 else { continue };
        let keys = |path: &[&str]| -> BTreeSet<String> {
            let fields = path.iter().try_fold(&fields.0, |fields: &Value, key| fields.get(key));
            let names = fields.and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys());
            names.filter_map(|name| name.strip_prefix("f:").map(str::to_owned)).collect()
        };
        managed.labels.extend(keys(&["f:metadata", "f:labels"]));
        managed.annotations.extend(keys(&["f:metadata", "f:annotations"]));
        let formats = keys(&["f:data"]).into_iter().filter(|key| key == KEY_DER || key == COMBINED_PEM);
        managed.formats.extend(formats);
    }
    managed
}

/// The Secret for the key of an issuance under way. Its name is the server's choice unless the Certificate
/// already has one.
#[must_use]
pub fn next_private_key(certificate: &Certificate, key_pem: String) -> Secret {
    let named = certificate.status.as_ref().and_then(|status| status.next_private_key_secret_name.clone());
    let generate_name = named.is_none().then(|| format!("{}-", certificate.name_any()));
    let labels = [LABEL_NEXT_PRIVATE_KEY, LABEL_MANAGED].map(|label| (label.to_owned(), "true".to_owned()));
    Secret {
        metadata: ObjectMeta {
            name: named,
            generate_name,
            namespace: certificate.namespace(),
            labels: Some(labels.into()),
            owner_references: Some(vec![controller_reference(certificate)]),
            ..ObjectMeta::default()
        },
        data: Some([(TLS_KEY.to_owned(), ByteString(key_pem.into_bytes()))].into()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_csv_as_go_writes_it() {
        let line = |fields: &[&str]| csv(&fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&[]), "");
        assert_eq!(line(&["a", "b"]), "a,b");
        assert_eq!(line(&["Shop, Inc.", "6\" pipe", " x", ""]), "\"Shop, Inc.\",\"6\"\" pipe\",\" x\",");
        assert_eq!(line(&[""]), "\"\"");
    }
}
