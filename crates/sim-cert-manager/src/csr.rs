//! The certificate request of a Certificate, byte for byte as cert-manager's (`pkg/util/pki/{csr,sans,keyusage,
//! nameconstraints}.go`), but for the random part of an ECDSA signature.
//!
//! Written by hand and not with a library for requests: those choose the order of names and attributes
//! themselves and cannot put two organizations into one RDN.

use std::net::IpAddr;

use crate::{
    api::{CertificateSpec, NameConstraintItem, NameConstraints},
    der::{
        BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE, UTF8_STRING, context, context_constructed,
        object_identifier, sequence, set, tlv,
    },
    key::{KeyError, PrivateKey, signature_algorithm},
    subject::{Subject, SubjectError},
    usages::Usages,
};

/// Why there is no request. cert-manager logs these and waits for the Certificate to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Nothing to be certified.
    #[error(
        "at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, \
         ipAddresses, otherNames, or uriSANs must be set"
    )]
    NoName,
    /// A name that is none.
    #[error("{value:?} is no {what}")]
    Name {
        /// What it should be.
        what: &'static str,
        /// The text.
        value: String,
    },
    /// The subject is none.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Usages that do not exist.
    #[error("failed to build key usages: unknown key usages: [{}]", .0.join(" "))]
    UnknownUsages(Vec<String>),
    /// The key cannot sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A request in PEM, signed by the key.
///
/// # Errors
/// [`CsrError`].
pub fn request_pem(spec: &CertificateSpec, key: &PrivateKey) -> Result<String, CsrError> {
    let info = request_info(spec, key.spki_der())?;
    let algorithm = signature_algorithm(key.algorithm(), &spec.signature_algorithm);
    let algorithm = algorithm.ok_or(KeyError::Crypto("sign with an algorithm that is not the key's"))?;
    let signature = key.sign(&spec.signature_algorithm, &info)?;
    let der = sequence(&[info, algorithm, tlv(BIT_STRING, &[&[0][..], &signature].concat())]);
    Ok(x509::pem::encode("CERTIFICATE REQUEST", &der))
}

/// The part of a request for this public key that is signed (RFC 2986 4.1).
///
/// # Errors
/// [`CsrError`].
pub fn request_info(spec: &CertificateSpec, spki: &[u8]) -> Result<Vec<u8>, CsrError> {
    let subject = Subject::of(spec)?;
    let names = general_names(spec)?;
    if subject.common_name.is_empty() && names.is_empty() {
        return Err(CsrError::NoName);
    }
    let mut extensions = Vec::new();
    if !names.is_empty() {
        extensions.push(extension("2.5.29.17", subject.is_empty(), &sequence(&names)));
    }
    if spec.encode_usages_in_request.unwrap_or(true) {
        let usages = Usages::of(&spec.usages, spec.is_ca).map_err(CsrError::UnknownUsages)?;
        extensions.extend(usages.key_usage_value().map(|value| extension("2.5.29.15", true, &value)));
        extensions.extend(usages.extended_value().map(|value| extension("2.5.29.37", false, &value)));
    }
    if let Some(constraints) = &spec.name_constraints
        && let Some(value) = name_constraints(constraints)?
    {
        extensions.push(extension("2.5.29.30", constraints.critical, &value));
    }
    // Go leaves the attributes empty, not out, when there is none.
    let attributes = if extensions.is_empty() {
        Vec::new()
    } else {
        let extension_request = object_identifier("1.2.840.113549.1.9.14").unwrap_or_default();
        sequence(&[extension_request, set(vec![sequence(&extensions)])])
    };
    Ok(sequence(&[tlv(INTEGER, &[0]), subject.der, spki.to_vec(), tlv(context_constructed(0), &attributes)]))
}

fn extension(oid: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(BOOLEAN, &[0xff]) } else { Vec::new() };
    sequence(&[object_identifier(oid).unwrap_or_default(), critical, tlv(OCTET_STRING, value)])
}

/// The names in the order of Go's own writer: DNS, e-mail, IP, URI, then otherName.
fn general_names(spec: &CertificateSpec) -> Result<Vec<Vec<u8>>, CsrError> {
    let mut names = Vec::new();
    for name in &spec.dns_names {
        names.push(ia5(2, "DNS name", name)?);
    }
    for name in &spec.email_addresses {
        names.push(ia5(1, "e-mail address", name)?);
    }
    for name in &spec.ip_addresses {
        let address: IpAddr =
            name.parse().map_err(|_| CsrError::Name { what: "IP address", value: name.clone() })?;
        names.push(match address.to_canonical() {
            IpAddr::V4(address) => tlv(context(7), &address.octets()),
            IpAddr::V6(address) => tlv(context(7), &address.octets()),
        });
    }
    for name in &spec.uris {
        names.push(ia5(6, "URI", name)?);
    }
    for name in spec.other_names.iter().flatten() {
        let error = || CsrError::Name { what: "object identifier", value: name.oid.clone() };
        let oid = object_identifier(&name.oid).ok_or_else(error)?;
        let value = tlv(context_constructed(0), &tlv(UTF8_STRING, name.utf8_value.as_bytes()));
        names.push(tlv(context_constructed(0), &[oid, value].concat()));
    }
    Ok(names)
}

fn ia5(tag: u8, what: &'static str, text: &str) -> Result<Vec<u8>, CsrError> {
    if text.is_ascii() {
        Ok(tlv(context(tag), text.as_bytes()))
    } else {
        Err(CsrError::Name { what, value: text.to_owned() })
    }
}

fn name_constraints(constraints: &NameConstraints) -> Result<Option<Vec<u8>>, CsrError> {
    let part = |tag, item: Option<&NameConstraintItem>| -> Result<Vec<u8>, CsrError> {
        let subtrees = item.map(subtrees).transpose()?.unwrap_or_default();
        Ok(if subtrees.is_empty() { subtrees } else { tlv(context_constructed(tag), &subtrees) })
    };
    let parts = [part(0, constraints.permitted.as_ref())?, part(1, constraints.excluded.as_ref())?].concat();
    Ok((!parts.is_empty()).then(|| tlv(SEQUENCE, &parts)))
}

fn subtrees(item: &NameConstraintItem) -> Result<Vec<u8>, CsrError> {
    let mut bases = Vec::new();
    for domain in &item.dns_domains {
        bases.push(ia5(2, "DNS domain", domain)?);
    }
    for range in &item.ip_ranges {
        let error = || CsrError::Name { what: "IP range", value: range.clone() };
        bases.push(tlv(context(7), &ip_range(range).ok_or_else(error)?));
    }
    for address in &item.email_addresses {
        bases.push(ia5(1, "e-mail address", address)?);
    }
    for domain in &item.uri_domains {
        bases.push(ia5(6, "URI domain", domain)?);
    }
    Ok(bases.iter().flat_map(|base| tlv(SEQUENCE, base)).collect())
}

/// Address and mask, the address cut to the mask.
fn ip_range(text: &str) -> Option<Vec<u8>> {
    let (address, bits) = text.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    let (address, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    if bits > width {
        return None;
    }
    let all = u128::MAX >> (128 - width);
    let mask = all & !(all.checked_shr(bits).unwrap_or(0));
    let bytes = |number: u128| {
        let bytes = number.to_be_bytes();
        bytes.get(bytes.len() - usize::try_from(width / 8).unwrap_or(0)..).unwrap_or_default().to_vec()
    };
    Some([bytes(address & mask), bytes(mask)].concat())
}

#[cfg(test)]
mod tests {
    use x509::{Csr, SubjectAltName};

    use super::*;
    use crate::{
        api::{OtherName, X509Subject},
        key::KeyAlgorithm,
    };

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn every_kind_of_name_is_in_the_request_and_every_key_signs() {
        let spec = CertificateSpec {
            common_name: "web".to_owned(),
            subject: Some(X509Subject { organizations: words(&["Ex&mple"]), ..X509Subject::default() }),
            dns_names: words(&["a.example", "*.b.example"]),
            email_addresses: words(&["me@example.com"]),
            ip_addresses: words(&["10.0.0.1", "2001:db8::1", "::ffff:1.2.3.4"]),
            uris: words(&["spiffe://cluster.local/ns/x/sa/y"]),
            other_names: Some(vec![OtherName {
                oid: "1.3.6.1.4.1.311.20.2.3".to_owned(),
                utf8_value: "upn@example".to_owned(),
            }]),
            usages: words(&["server auth", "digital signature", "client auth"]),
            ..CertificateSpec::default()
        };
        for algorithm in [
            KeyAlgorithm::Ecdsa(256),
            KeyAlgorithm::Ecdsa(384),
            KeyAlgorithm::Ecdsa(521),
            KeyAlgorithm::Ed25519,
            KeyAlgorithm::Rsa(2048),
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let csr = Csr::from_pem(request_pem(&spec, &key).unwrap().as_bytes()).unwrap();
            csr.verify().unwrap();
            assert_eq!(csr.spki_der(), key.spki_der());
            assert_eq!(csr.subject().to_string(), "CN=web,O=Ex&mple");
            let names: Vec<_> =
                csr.subject_alt_names().unwrap().iter().map(SubjectAltName::to_string).collect();
            assert_eq!(
                names,
                [
                    "DNS:a.example",
                    "DNS:*.b.example",
                    "email:me@example.com",
                    "IP:10.0.0.1",
                    "IP:2001:db8::1",
                    "IP:1.2.3.4",
                    "URI:spiffe://cluster.local/ns/x/sa/y",
                    "otherName:1.3.6.1.4.1.311.20.2.3"
                ]
            );
            assert_eq!(csr.usages().unwrap().to_string(), "digital signature, server auth, client auth");
            assert_eq!(csr.is_ca(), None);
        }
    }

    #[test]
    fn a_ca_asks_to_sign_certificates_and_may_ask_for_constraints() {
        let spec = CertificateSpec {
            common_name: "ca".to_owned(),
            is_ca: true,
            name_constraints: Some(NameConstraints {
                critical: true,
                permitted: Some(NameConstraintItem {
                    dns_domains: words(&["example.com"]),
                    ip_ranges: words(&["10.1.2.3/8"]),
                    ..NameConstraintItem::default()
                }),
                excluded: None,
            }),
            ..CertificateSpec::default()
        };
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let csr = Csr::from_pem(request_pem(&spec, &key).unwrap().as_bytes()).unwrap();
        assert_eq!(csr.usages().unwrap().to_string(), "digital signature, key encipherment, cert sign");
        assert_eq!(
            csr.extension("2.5.29.30").unwrap(),
            [
                &[0x30, 0x1d, 0xa0, 0x1b, 0x30, 0x0d, 0x82, 0x0b][..],
                b"example.com",
                &[0x30, 0x0a, 0x87, 0x08, 10, 0, 0, 0, 255, 0, 0, 0]
            ]
            .concat()
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_said() {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let error = |spec: CertificateSpec| request_pem(&spec, &key).unwrap_err();
        assert_eq!(error(CertificateSpec::default()), CsrError::NoName);
        let spec = CertificateSpec {
            common_name: "x".to_owned(),
            usages: words(&["server auth", "Server Auth"]),
            ..CertificateSpec::default()
        };
        assert_eq!(error(spec).to_string(), "failed to build key usages: unknown key usages: [Server Auth]");
        let spec = CertificateSpec { ip_addresses: words(&["10.0.0"]), ..CertificateSpec::default() };
        assert_eq!(error(spec).to_string(), "\"10.0.0\" is no IP address");
    }
}
