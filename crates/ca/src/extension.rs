//! The extensions of what is signed: certificates, CRLs and OCSP responses.

use aws_lc_rs::digest::{Algorithm, Digest, SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::{
    Any, AnyRef, Encode, Tag,
    asn1::{Ia5String, ObjectIdentifier, OctetString, OctetStringRef},
    flagset::FlagSet,
};
use x509::usage::KeyUsage;
use x509_cert::ext::{
    Extension,
    pkix::{
        AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
        CrlDistributionPoints, KeyUsage as KeyUsageExtension, KeyUsages,
        crl::dp::DistributionPoint,
        name::{DistributionPointName, GeneralName},
    },
};

use crate::{CaError, CrlReason, LeafProfile};

pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
const CRL_NUMBER: &str = "2.5.29.20";
const CRL_REASON: &str = "2.5.29.21";
const DELTA_CRL_INDICATOR: &str = "2.5.29.27";
pub(crate) const OCSP_NONCE: &str = "1.3.6.1.5.5.7.48.1.2";
const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// An extension as raw bytes, for what the profiles do not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// Which, dotted.
    pub oid: String,
    /// Whether readers that do not know it must refuse the certificate.
    pub critical: bool,
    /// Its value, DER.
    pub value: Vec<u8>,
}

impl TryFrom<Extra> for Extension {
    type Error = CaError;

    fn try_from(extra: Extra) -> Result<Self, CaError> {
        let extn_id = ObjectIdentifier::new(&extra.oid)
            .map_err(|_| CaError::Name { what: "object identifier", value: extra.oid })?;
        Ok(Self { extn_id, critical: extra.critical, extn_value: OctetString::new(extra.value)? })
    }
}

/// The extensions under construction, in the order Go's `crypto/x509` writes them: readers do not care, people
/// who compare dumps do.
#[derive(Default)]
pub(crate) struct Extensions(Vec<Extension>);

impl Extensions {
    pub(crate) fn into_inner(self) -> Vec<Extension> {
        self.0
    }

    /// All that a certificate made from a request carries.
    pub(crate) fn of_leaf(
        leaf: &LeafProfile,
        spki: &[u8],
        authority_key_id: &[u8],
        sans: Option<&[u8]>,
        sans_critical: bool,
    ) -> Result<Self, CaError> {
        let mut extensions = Self::default();
        let usages =
            if leaf.is_ca { leaf.usages.clone().with(KeyUsage::CertSign) } else { leaf.usages.clone() };
        extensions.key_usage(&usages)?;
        extensions.extended_key_usage(&usages)?;
        if leaf.is_ca || leaf.basic_constraints_on_leaf {
            extensions.basic_constraints(leaf.is_ca, leaf.path_len.filter(|_| leaf.is_ca))?;
        }
        extensions.key_ids(spki, authority_key_id)?;
        extensions.authority_info_access(&leaf.ocsp, &leaf.ca_issuers)?;
        if let Some(sans) = sans {
            extensions.raw(SUBJECT_ALT_NAME, sans_critical, sans.to_vec())?;
        }
        extensions.crl_distribution_points(&leaf.crl_distribution_points)?;
        Ok(extensions)
    }

    /// All that a CA made here carries.
    pub(crate) fn of_ca(path_len: Option<u8>, spki: &[u8], authority_key_id: &[u8]) -> Result<Self, CaError> {
        let mut extensions = Self::default();
        extensions
            .key_usage(&x509::Usages::unrestricted().with(KeyUsage::CertSign).with(KeyUsage::CrlSign))?;
        extensions.basic_constraints(true, path_len)?;
        extensions.key_ids(spki, authority_key_id)?;
        Ok(extensions)
    }

    /// All that a CRL carries (RFC 5280 5.2); with a base it is a delta CRL.
    pub(crate) fn of_crl(authority_key_id: &[u8], number: u64, base: Option<u64>) -> Result<Self, CaError> {
        let mut extensions = Self::default();
        extensions.authority_key_id(authority_key_id)?;
        extensions.add(CRL_NUMBER, false, &number)?;
        if let Some(base) = base {
            extensions.add(DELTA_CRL_INDICATOR, true, &base)?;
        }
        Ok(extensions)
    }

    /// What an entry of a CRL carries (RFC 5280 5.3.1).
    pub(crate) fn of_crl_entry(reason: CrlReason) -> Result<Self, CaError> {
        let mut extensions = Self::default();
        extensions.add(CRL_REASON, false, &reason)?;
        Ok(extensions)
    }

    /// What an OCSP response carries that repeats a request's nonce (RFC 9654 2.1).
    pub(crate) fn of_ocsp_response(nonce: &[u8]) -> Result<Self, CaError> {
        let mut extensions = Self::default();
        extensions.add(OCSP_NONCE, false, &OctetStringRef::new(nonce)?)?;
        Ok(extensions)
    }

    pub(crate) fn push(&mut self, extra: Extra) -> Result<(), CaError> {
        let extension = Extension::try_from(extra)?;
        // RFC 5280 4.2: no extension twice. The caller's own wins over what the profile says.
        self.0.retain(|other| other.extn_id != extension.extn_id);
        self.0.push(extension);
        Ok(())
    }

    fn key_usage(&mut self, usages: &x509::Usages) -> Result<(), CaError> {
        let flags: FlagSet<KeyUsages> =
            usages.key_usages().map(flag).fold(FlagSet::default(), |all, one| all | one);
        if flags.is_empty() { Ok(()) } else { self.add(KEY_USAGE, true, &KeyUsageExtension(flags)) }
    }

    fn extended_key_usage(&mut self, usages: &x509::Usages) -> Result<(), CaError> {
        let oids = usages
            .extended()
            .map(|oid| {
                AnyRef::new(Tag::ObjectIdentifier, oid.as_bytes()).and_then(|oid| Any::encode_from(&oid))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if oids.is_empty() { Ok(()) } else { self.add(EXTENDED_KEY_USAGE, false, &oids) }
    }

    fn basic_constraints(&mut self, ca: bool, path_len_constraint: Option<u8>) -> Result<(), CaError> {
        self.add(BASIC_CONSTRAINTS, true, &BasicConstraints { ca, path_len_constraint })
    }

    fn key_ids(&mut self, spki: &[u8], authority: &[u8]) -> Result<(), CaError> {
        self.add(SUBJECT_KEY_ID, false, &OctetString::new(key_id(spki)?)?)?;
        self.authority_key_id(authority)
    }

    fn authority_key_id(&mut self, id: &[u8]) -> Result<(), CaError> {
        let key_identifier = Some(OctetString::new(id)?);
        let id = AuthorityKeyIdentifier { key_identifier, ..AuthorityKeyIdentifier::default() };
        self.add(AUTHORITY_KEY_ID, false, &id)
    }

    fn authority_info_access(&mut self, ocsp: &[String], ca_issuers: &[String]) -> Result<(), CaError> {
        let places = ocsp.iter().map(|url| (OCSP, url)).chain(ca_issuers.iter().map(|url| (CA_ISSUERS, url)));
        let access = places
            .map(|(access_method, url)| Ok(AccessDescription { access_method, access_location: uri(url)? }))
            .collect::<Result<Vec<_>, CaError>>()?;
        if access.is_empty() {
            return Ok(());
        }
        self.add(AUTHORITY_INFO_ACCESS, false, &AuthorityInfoAccessSyntax(access))
    }

    fn crl_distribution_points(&mut self, urls: &[String]) -> Result<(), CaError> {
        let points = urls
            .iter()
            .map(|url| {
                let name = DistributionPointName::FullName(vec![uri(url)?]);
                Ok(DistributionPoint { distribution_point: Some(name), reasons: None, crl_issuer: None })
            })
            .collect::<Result<Vec<_>, CaError>>()?;
        if points.is_empty() {
            return Ok(());
        }
        self.add(CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(points))
    }

    fn add(&mut self, oid: &'static str, critical: bool, value: &impl Encode) -> Result<(), CaError> {
        self.raw(oid, critical, value.to_der()?)
    }

    fn raw(&mut self, oid: &'static str, critical: bool, value: Vec<u8>) -> Result<(), CaError> {
        let extn_id = ObjectIdentifier::new_unwrap(oid);
        self.0.push(Extension { extn_id, critical, extn_value: OctetString::new(value)? });
        Ok(())
    }
}

/// The key identifier: SHA-1 of the public key's bits (RFC 5280 4.2.1.2, method 1). It is a label, nothing is
/// protected by it, and it is what every other product computes.
pub(crate) fn key_id(spki: &[u8]) -> Result<Vec<u8>, CaError> {
    Ok(public_key_digest(&SHA1_FOR_LEGACY_USE_ONLY, spki)?.as_ref().to_vec())
}

/// The digest of the public key's bits, without the tag, length and unused bits of their BIT STRING.
pub(crate) fn public_key_digest(algorithm: &'static Algorithm, spki: &[u8]) -> Result<Digest, CaError> {
    let spki: spki::SubjectPublicKeyInfoRef<'_> = der::Decode::from_der(spki)?;
    Ok(digest(algorithm, spki.subject_public_key.raw_bytes()))
}

fn uri(url: &str) -> Result<GeneralName, CaError> {
    let text = Ia5String::new(url).map_err(|_| CaError::Name { what: "URL", value: url.to_owned() })?;
    Ok(GeneralName::UniformResourceIdentifier(text))
}

const fn flag(usage: KeyUsage) -> KeyUsages {
    match usage {
        KeyUsage::DigitalSignature => KeyUsages::DigitalSignature,
        KeyUsage::ContentCommitment => KeyUsages::NonRepudiation,
        KeyUsage::KeyEncipherment => KeyUsages::KeyEncipherment,
        KeyUsage::DataEncipherment => KeyUsages::DataEncipherment,
        KeyUsage::KeyAgreement => KeyUsages::KeyAgreement,
        KeyUsage::CertSign => KeyUsages::KeyCertSign,
        KeyUsage::CrlSign => KeyUsages::CRLSign,
        KeyUsage::EncipherOnly => KeyUsages::EncipherOnly,
        KeyUsage::DecipherOnly => KeyUsages::DecipherOnly,
    }
}
