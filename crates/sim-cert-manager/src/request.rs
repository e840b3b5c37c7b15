//! CertificateRequests: what a new one says, and whether one still says what its Certificate does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest;
use k8s_openapi::{
    ByteString, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{Resource as _, ResourceExt as _};
use x509::{Csr, SubjectAltName, csr::CsrError};

use crate::{
    api::{Certificate, CertificateRequest, CertificateRequestSpec, CertificateSpec, OtherName},
    der::{UTF8_STRING, context_constructed, object_identifier, tlv},
    names::{CERTIFICATE_NAME, PRIVATE_KEY_SECRET_NAME, REVISION},
    subject::{COMMON_NAME, Subject},
};

/// The longest Certificate name that a request's name begins with as it is; 20 characters are left for the
/// revision.
const LONGEST_NAME: usize = 233;

/// Annotations that belong to the tools that applied the Certificate.
const NOT_COPIED: [&str; 3] = ["kubectl.kubernetes.io/", "fluxcd.io/", "argocd.argoproj.io/"];

/// The request for this revision. `csr_pem` is signed by the key in `next_private_key_secret_name`.
#[must_use]
pub fn new_request(
    certificate: &Certificate,
    revision: u64,
    next_private_key_secret_name: &str,
    csr_pem: String,
) -> CertificateRequest {
    let copied = |key: &str| !NOT_COPIED.iter().any(|prefix| key.starts_with(prefix));
    let mut annotations: BTreeMap<_, _> =
        certificate.annotations().clone().into_iter().filter(|(key, _)| copied(key)).collect();
    annotations.insert(REVISION.to_owned(), revision.to_string());
    annotations.insert(PRIVATE_KEY_SECRET_NAME.to_owned(), next_private_key_secret_name.to_owned());
    annotations.insert(CERTIFICATE_NAME.to_owned(), certificate.name_any());
    CertificateRequest {
        metadata: ObjectMeta {
            name: Some(name(&certificate.name_any(), revision)),
            namespace: certificate.namespace(),
            annotations: Some(annotations),
            labels: certificate.metadata.labels.clone(),
            owner_references: Some(vec![controller_reference(certificate)]),
            ..ObjectMeta::default()
        },
        spec: CertificateRequestSpec {
            duration: certificate.spec.duration,
            issuer_ref: certificate.spec.issuer_ref.clone(),
            request: ByteString(csr_pem.into_bytes()),
            is_ca: certificate.spec.is_ca,
            usages: certificate.spec.usages.clone(),
            ..CertificateRequestSpec::default()
        },
        status: None,
    }
}

/// Go's `metav1.NewControllerRef`.
#[must_use]
pub fn controller_reference(certificate: &Certificate) -> OwnerReference {
    OwnerReference {
        api_version: Certificate::api_version(&()).into_owned(),
        kind: Certificate::kind(&()).into_owned(),
        name: certificate.name_any(),
        uid: certificate.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// `<certificate>-<revision>`. A Certificate's name that is too long is cut and hashed
/// (`ComputeSecureUniqueDeterministicNameFromData`).
#[must_use]
pub fn name(certificate: &str, revision: u64) -> String {
    if certificate.len() <= LONGEST_NAME {
        return format!("{certificate}-{revision}");
    }
    let hash = sha256_hex(certificate.as_bytes());
    let cut = certificate.get(..LONGEST_NAME - hash.len() - 1).unwrap_or(certificate);
    let prefix = cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    if prefix.is_empty() { format!("{hash}-{revision}") } else { format!("{prefix}-{hash}-{revision}") }
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The revision that a request is for; `None` without or with a bad annotation.
#[must_use]
pub fn revision(request: &CertificateRequest) -> Option<u64> {
    request.annotations().get(REVISION)?.parse().ok()
}

/// The fields of the spec that a request does not say the same of (`RequestMatchesSpec`).
///
/// # Errors
/// The request's CSR cannot be read.
pub fn violations(
    request: &CertificateRequest,
    spec: &CertificateSpec,
) -> Result<Vec<&'static str>, CsrError> {
    let csr = Csr::from_pem(&request.spec.request.0)?;
    let names = Names::of(csr.subject_alt_names()?);
    let mut found = Vec::new();
    let mut check = |field, same: bool| {
        if !same {
            found.push(field);
        }
    };
    let wanted: Vec<Option<IpAddr>> = spec.ip_addresses.iter().map(|text| address(text)).collect();
    check("spec.ipAddresses", same(&names.ips.into_iter().map(Some).collect::<Vec<_>>(), &wanted));
    check("spec.uris", same(&names.uris, &spec.uris));
    check("spec.emailAddresses", same(&names.emails, &spec.email_addresses));
    check("spec.dnsNames", same(&names.dns, &spec.dns_names));
    if let Some(other_names) = &spec.other_names {
        let wanted: Vec<_> = other_names.iter().map(encoded).collect();
        check("spec.otherNames", same(&names.other.into_iter().map(Some).collect::<Vec<_>>(), &wanted));
    }
    if spec.literal_subject.is_empty() {
        let subject = csr.subject();
        let values = |oid: &str| -> Vec<String> {
            let attributes = subject.attributes().filter(|attribute| attribute.oid.to_string() == oid);
            attributes.map(|attribute| attribute.value.clone()).collect()
        };
        let single = |oid: &str| values(oid).pop().unwrap_or_default();
        let empty = crate::api::X509Subject::default();
        let wanted = spec.subject.as_ref().unwrap_or(&empty);
        check("spec.commonName", single(COMMON_NAME) == spec.common_name);
        check("spec.subject.serialNumber", single("2.5.4.5") == wanted.serial_number);
        check("spec.subject.organizations", same(&values("2.5.4.10"), &wanted.organizations));
        check("spec.subject.countries", same(&values("2.5.4.6"), &wanted.countries));
        check("spec.subject.localities", same(&values("2.5.4.7"), &wanted.localities));
        check("spec.subject.organizationalUnits", same(&values("2.5.4.11"), &wanted.organizational_units));
        check("spec.subject.postCodes", same(&values("2.5.4.17"), &wanted.postal_codes));
        check("spec.subject.provinces", same(&values("2.5.4.8"), &wanted.provinces));
        check("spec.subject.streetAddresses", same(&values("2.5.4.9"), &wanted.street_addresses));
    } else {
        let wanted = Subject::of(spec).is_ok_and(|subject| subject.der == csr.subject_der());
        check("spec.literalSubject", wanted);
    }
    check("spec.isCA", request.spec.is_ca == spec.is_ca);
    check("spec.usages", same(&request.spec.usages, &spec.usages));
    let durations = request.spec.duration.zip(spec.duration);
    check("spec.duration", durations.is_none_or(|(one, other)| one == other));
    check("spec.issuerRef", request.spec.issuer_ref.is_same(&spec.issuer_ref));
    Ok(found)
}

/// The fields of the spec that a certificate does not say the same of, where its request is gone
/// (`FuzzyX509AltNamesMatchSpec`). Common name and DNS names may have changed places, because issuers do that.
#[must_use]
pub fn certificate_violations(certificate: &x509::Certificate, spec: &CertificateSpec) -> Vec<&'static str> {
    let names = Names::of(certificate.subject_alt_names());
    let subject = certificate.subject();
    let common_name = subject.common_name().unwrap_or_default();
    let with = |names: &[String], common_name: &str| -> BTreeSet<String> {
        let common_name = Some(common_name).filter(|name| !name.is_empty()).map(str::to_owned);
        names.iter().cloned().chain(common_name).collect()
    };
    let actual = with(&names.dns, common_name);
    let expected = with(&spec.dns_names, &spec.common_name);
    let mut found = Vec::new();
    if actual != expected {
        if (!spec.common_name.is_empty() && !actual.contains(&spec.common_name))
            || (!common_name.is_empty() && !expected.contains(common_name))
        {
            found.push("spec.commonName");
        }
        if !spec.dns_names.iter().all(|name| actual.contains(name))
            || !names.dns.iter().all(|name| expected.contains(name))
        {
            found.push("spec.dnsNames");
        }
    }
    let wanted: Vec<Option<IpAddr>> = spec.ip_addresses.iter().map(|text| address(text)).collect();
    if !same(&names.ips.into_iter().map(Some).collect::<Vec<_>>(), &wanted) {
        found.push("spec.ipAddresses");
    }
    if !same(&names.uris, &spec.uris) {
        found.push("spec.uris");
    }
    if !same(&names.emails, &spec.email_addresses) {
        found.push("spec.emailAddresses");
    }
    found
}

/// Alternative names by kind.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) dns: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) uris: Vec<String>,
    /// Raw.
    other: Vec<Vec<u8>>,
}

impl Names {
    pub(crate) fn of(names: Vec<SubjectAltName>) -> Self {
        let mut sorted = Self::default();
        for name in names {
            match name {
                SubjectAltName::Dns(name) => sorted.dns.push(name),
                SubjectAltName::Email(name) => sorted.emails.push(name),
                SubjectAltName::Uri(name) => sorted.uris.push(name),
                SubjectAltName::Ip(address) => sorted.ips.push(address.to_canonical()),
                SubjectAltName::Other(raw) => sorted.other.push(raw),
            }
        }
        sorted
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn encoded(name: &OtherName) -> Option<Vec<u8>> {
    let value = tlv(context_constructed(0), &tlv(UTF8_STRING, name.utf8_value.as_bytes()));
    Some(tlv(context_constructed(0), &[object_identifier(&name.oid)?, value].concat()))
}

/// The same elements, in whatever order.
fn same<T: Ord + Clone>(one: &[T], other: &[T]) -> bool {
    let sorted = |list: &[T]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::{GoDuration, IssuerReference, X509Subject},
        csr,
        key::{KeyAlgorithm, PrivateKey},
    };

    fn certificate(spec: CertificateSpec) -> Certificate {
        let mut certificate = Certificate::new("web", spec);
        certificate.metadata.namespace = Some("shop".to_owned());
        certificate.metadata.uid = Some("u-1".to_owned());
        certificate
    }

    fn request_for(spec: &CertificateSpec) -> CertificateRequest {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let csr = csr::request_pem(spec, &key).unwrap();
        new_request(&certificate(spec.clone()), 1, "web-abcde", csr)
    }

    #[test]
    fn annotations_of_tools_stay_behind() {
        let mut certificate = certificate(CertificateSpec::default());
        let annotations = ["kubectl.kubernetes.io/last-applied-configuration", "example.com/team", REVISION];
        certificate.metadata.annotations =
            Some(annotations.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect());
        let request = new_request(&certificate, 7, "web-abcde", String::new());
        let annotations: Vec<_> =
            request.annotations().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            annotations,
            [
                (CERTIFICATE_NAME, "web"),
                (REVISION, "7"),
                (PRIVATE_KEY_SECRET_NAME, "web-abcde"),
                ("example.com/team", "x"),
            ]
        );
        assert_eq!(request.name_any(), "web-7");
        assert_eq!(revision(&request), Some(7));
    }

    #[test]
    fn a_long_name_is_cut_behind_a_letter_and_hashed() {
        let long = format!("{}.{}", "a".repeat(167), "b".repeat(80));
        let name = name(&long, 12);
        assert!(name.starts_with(&format!("{}-", "a".repeat(167))), "{name}");
        assert!(name.ends_with("-12"));
        assert_eq!(name.len(), 167 + 1 + 64 + 3);
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-z]{1,5}", 0..3)
    }

    prop_compose! {
        fn specs()(
            common_name in "[a-z]{1,8}", dns_names in texts(), uris in texts(), email_addresses in texts(),
            ips in proptest::collection::vec(any::<IpAddr>(), 0..3), organizations in texts(), countries in texts(),
            is_ca: bool, hours in 1..9999_i64, serial_number in "[0-9]{0,3}",
        ) -> CertificateSpec {
            CertificateSpec {
                common_name, dns_names, uris, email_addresses, is_ca,
                ip_addresses: ips.iter().map(IpAddr::to_string).collect(),
                duration: Some(GoDuration::from_hours(hours)),
                subject: Some(X509Subject { organizations, countries, serial_number, ..X509Subject::default() }),
                ..CertificateSpec::default()
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_new_request_matches_its_own_certificate(spec in specs()) {
            prop_assert_eq!(violations(&request_for(&spec), &spec).unwrap(), Vec::<&str>::new());
        }

        #[test]
        fn order_is_no_difference(mut spec in specs()) {
            let request = request_for(&spec);
            spec.dns_names.reverse();
            spec.ip_addresses.reverse();
            spec.uris.reverse();
            prop_assert_eq!(violations(&request, &spec).unwrap(), Vec::<&str>::new());
        }
    }

    #[test]
    fn each_changed_field_is_named_and_no_other() {
        let old = CertificateSpec { common_name: "web".to_owned(), ..CertificateSpec::default() };
        let request = request_for(&old);
        let changed = |change: &dyn Fn(&mut CertificateSpec)| {
            let mut spec = old.clone();
            change(&mut spec);
            violations(&request, &spec).unwrap()
        };
        let text = || vec!["x".to_owned()];
        assert_eq!(changed(&|spec| spec.common_name = "other".to_owned()), ["spec.commonName"]);
        assert_eq!(changed(&|spec| spec.dns_names = text()), ["spec.dnsNames"]);
        assert_eq!(changed(&|spec| spec.usages = vec!["server auth".to_owned()]), ["spec.usages"]);
        assert_eq!(changed(&|spec| spec.literal_subject = "CN=other".to_owned()), ["spec.literalSubject"]);
        assert_eq!(changed(&|spec| spec.duration = Some(GoDuration::from_hours(1))), Vec::<&str>::new());
        assert_eq!(changed(&|spec| spec.other_names = Some(vec![OtherName::default()])), ["spec.otherNames"]);
        let issuer = |kind: &str| IssuerReference { kind: kind.to_owned(), ..IssuerReference::default() };
        assert_eq!(changed(&|spec| spec.issuer_ref = issuer("Issuer")), Vec::<&str>::new());
        assert_eq!(changed(&|spec| spec.issuer_ref = issuer("Other")), ["spec.issuerRef"]);
    }
}
