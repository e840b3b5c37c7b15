//! A certificate authority: its certificate, its issuers up to the root, and its key.

use std::fmt;

use der::{AnyRef, Encode as _, asn1::UintRef};
use x509::{Certificate, Csr, usage::KeyUsage};

use crate::{
    AttributeType, CaError, CaProfile, LeafProfile, Sans, SigningKey, Subject,
    der_types::{TbsCertificate, V3, Validity, time},
    distinguished_name,
    extension::{Extensions, Extra, SUBJECT_ALT_NAME, key_id},
};

/// A Name without any attribute.
const EMPTY_NAME: &[u8] = &[0x30, 0x00];

/// A certificate authority. Never shows its key; share it by reference, it is `Send` and `Sync`.
pub struct Authority {
    chain: Vec<Certificate>,
    key: SigningKey,
    key_id: Vec<u8>,
}

/// The parts of a request that go into a certificate: what [`Authority::issue`] takes from a [`Csr`].
#[derive(Debug, Clone, Copy)]
pub struct Requested<'a> {
    /// DER of the Name.
    pub subject_der: &'a [u8],
    /// DER of the `SubjectPublicKeyInfo`.
    pub spki_der: &'a [u8],
    /// DER of the `GeneralNames`.
    pub subject_alt_names: Option<&'a [u8]>,
}

impl<'a> From<&'a Csr> for Requested<'a> {
    fn from(csr: &'a Csr) -> Self {
        Self {
            subject_der: csr.subject_der(),
            spki_der: csr.spki_der(),
            subject_alt_names: csr.extension(SUBJECT_ALT_NAME),
        }
    }
}

impl Authority {
    /// A root: signed by its own key.
    ///
    /// # Errors
    /// When the profile cannot be encoded or the library fails to sign.
    pub fn self_signed(key: SigningKey, profile: &CaProfile) -> Result<Self, CaError> {
        let id = key_id(key.spki_der())?;
        let subject = common_name(&profile.common_name)?;
        let certificate = ca_certificate(&key, &subject, &id, &subject, key.spki_der(), profile)?;
        Self::new(vec![certificate], key)
    }

    /// A root whose certificate says what a [`LeafProfile`] says; its subject is [`Subject::Der`].
    ///
    /// # Errors
    /// As [`Authority::self_signed`].
    pub fn self_signed_as(
        key: SigningKey,
        profile: &LeafProfile,
        extra: Vec<Extra>,
    ) -> Result<Self, CaError> {
        let id = key_id(key.spki_der())?;
        let subject = match &profile.subject {
            Subject::Der(name) => name.as_slice(),
            Subject::FromCsr => EMPTY_NAME,
        };
        let requested = Requested { subject_der: subject, spki_der: key.spki_der(), subject_alt_names: None };
        let certificate = certificate(&key, subject, &id, &requested, profile, extra)?;
        Self::new(vec![certificate], key)
    }

    /// An authority below this one.
    ///
    /// # Errors
    /// As [`Authority::self_signed`], and [`CaError::PathLength`].
    pub fn subordinate(&self, key: SigningKey, profile: &CaProfile) -> Result<Self, CaError> {
        self.may_sign_cas()?;
        let subject = common_name(&profile.common_name)?;
        let certificate =
            ca_certificate(&self.key, self.name_der(), &self.key_id, &subject, key.spki_der(), profile)?;
        let chain = std::iter::once(certificate).chain(self.chain.iter().cloned()).collect();
        Self::new(chain, key)
    }

    /// Reads an authority: the certificate for the key, and its issuers, in any order. The root may be missing.
    ///
    /// # Errors
    /// [`CaError::Certificates`], [`CaError::UnusableKey`], and those of [`Authority::from_certificates`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, CaError> {
        let certificates = x509::bundle::read_certificates(certificates)?;
        Self::from_certificates(certificates, SigningKey::from_pem(key)?)
    }

    /// As [`Authority::from_pem`], with what was read already.
    ///
    /// # Errors
    /// [`CaError::KeyMismatch`], [`CaError::NotACa`], [`CaError::MayNotSign`] or
    /// [`CaError::UnrelatedCertificate`].
    pub fn from_certificates(mut certificates: Vec<Certificate>, key: SigningKey) -> Result<Self, CaError> {
        let found = certificates.iter().position(|certificate| certificate.has_key(key.spki_der()));
        let own = found.ok_or(CaError::KeyMismatch { certificates: certificates.len() })?;
        let mut current = certificates.remove(own);
        if !current.is_ca() {
            return Err(CaError::NotACa { subject: current.subject().to_string() });
        }
        let usages = current.usages();
        if usages.restricts_key_usage() && !usages.has(KeyUsage::CertSign) {
            return Err(CaError::MayNotSign { subject: current.subject().to_string() });
        }
        let mut chain = vec![current.clone()];
        while !current.is_self_issued() {
            let Some(next) = certificates.iter().position(|issuer| current.is_signed_by(issuer)) else {
                break;
            };
            current = certificates.remove(next);
            chain.push(current.clone());
        }
        // The same certificate twice does no harm; a stranger would be served to clients as part of the chain.
        certificates.retain(|certificate| !chain.iter().any(|known| known.der() == certificate.der()));
        if let Some(stranger) = certificates.first() {
            return Err(CaError::UnrelatedCertificate { subject: stranger.subject().to_string() });
        }
        Self::new(chain, key)
    }

    /// This CA's certificate first, then its issuers up to the root.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The key, for what is signed besides certificates (CRLs, OCSP answers).
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Issues a certificate for a request, after checking that the request's own key signed it.
    ///
    /// # Errors
    /// [`CaError::Request`] when it did not; [`CaError::PathLength`] when a CA is asked for and this one may not
    /// sign any; else when something in the request or the profile cannot be encoded.
    pub fn issue(&self, csr: &Csr, leaf: &LeafProfile) -> Result<Certificate, CaError> {
        csr.verify()?;
        self.issue_for(&Requested::from(csr), leaf, Vec::new())
    }

    /// Issues a certificate without asking who holds the key: for callers that checked already, and for mocks
    /// that must issue what nobody asked for. `extra` extensions replace those the profile makes.
    ///
    /// # Errors
    /// As [`Authority::issue`], except [`CaError::Request`].
    pub fn issue_for(
        &self,
        requested: &Requested<'_>,
        leaf: &LeafProfile,
        extra: Vec<Extra>,
    ) -> Result<Certificate, CaError> {
        if leaf.is_ca {
            self.may_sign_cas()?;
        }
        certificate(&self.key, self.name_der(), &self.key_id, requested, leaf, extra)
    }

    fn new(chain: Vec<Certificate>, key: SigningKey) -> Result<Self, CaError> {
        let named = chain.first().and_then(Certificate::subject_key_id).map(<[u8]>::to_vec);
        let key_id = named.map_or_else(|| key_id(key.spki_der()), Ok)?;
        Ok(Self { chain, key, key_id })
    }

    fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// The Name that stands as issuer in all it signs.
    pub(crate) fn name_der(&self) -> &[u8] {
        self.certificate().map_or(EMPTY_NAME, Certificate::subject_der)
    }

    /// What the authority key identifiers in all it signs say.
    pub(crate) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// RFC 5280 4.2.1.3: a key usage extension without cRLSign forbids it.
    pub(crate) fn may_sign_crls(&self) -> Result<(), CaError> {
        let forbids = |certificate: &&Certificate| {
            let usages = certificate.usages();
            usages.restricts_key_usage() && !usages.has(KeyUsage::CrlSign)
        };
        match self.certificate().filter(forbids) {
            Some(own) => Err(CaError::MayNotSignCrls { subject: own.subject().to_string() }),
            None => Ok(()),
        }
    }

    fn may_sign_cas(&self) -> Result<(), CaError> {
        let exhausted = self.certificate().and_then(Certificate::path_len) == Some(0);
        if exhausted { Err(CaError::PathLength) } else { Ok(()) }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.certificate().map(|certificate| certificate.subject().to_string());
        f.debug_struct("Authority").field("subject", &subject).field("key", &self.key).finish_non_exhaustive()
    }
}

fn common_name(text: &str) -> Result<Vec<u8>, CaError> {
    distinguished_name(&[vec![(AttributeType::CommonName, text.to_owned())]])
}

fn ca_certificate(
    signer: &SigningKey,
    issuer: &[u8],
    authority_key_id: &[u8],
    subject: &[u8],
    spki: &[u8],
    profile: &CaProfile,
) -> Result<Certificate, CaError> {
    let tbs = TbsCertificate {
        version: V3,
        serial: UintRef::new(profile.serial.as_bytes())?,
        signature: AnyRef::try_from(signer.signature_algorithm())?,
        issuer: AnyRef::try_from(issuer)?,
        validity: Validity { not_before: time(profile.not_before)?, not_after: time(profile.not_after)? },
        subject: AnyRef::try_from(subject)?,
        spki: AnyRef::try_from(spki)?,
        extensions: Extensions::of_ca(profile.path_len, spki, authority_key_id)?.into_inner(),
    };
    Ok(Certificate::from_der(&signer.sign_and_assemble(&tbs.to_der()?)?)?)
}

fn certificate(
    signer: &SigningKey,
    issuer: &[u8],
    authority_key_id: &[u8],
    requested: &Requested<'_>,
    leaf: &LeafProfile,
    extra: Vec<Extra>,
) -> Result<Certificate, CaError> {
    let subject = match &leaf.subject {
        Subject::FromCsr => requested.subject_der,
        Subject::Der(name) => name,
    };
    let sans = match &leaf.subject_alt_names {
        Sans::FromCsr => requested.subject_alt_names,
        Sans::Der(names) => Some(names.as_slice()),
        Sans::None => None,
    };
    let mut extensions =
        Extensions::of_leaf(leaf, requested.spki_der, authority_key_id, sans, subject == EMPTY_NAME)?;
    extra.into_iter().try_for_each(|extra| extensions.push(extra))?;
    let tbs = TbsCertificate {
        version: V3,
        serial: UintRef::new(leaf.serial.as_bytes())?,
        signature: AnyRef::try_from(signer.signature_algorithm())?,
        issuer: AnyRef::try_from(issuer)?,
        validity: Validity { not_before: time(leaf.not_before)?, not_after: time(leaf.not_after)? },
        subject: AnyRef::try_from(subject)?,
        spki: AnyRef::try_from(requested.spki_der)?,
        extensions: extensions.into_inner(),
    };
    Ok(Certificate::from_der(&signer.sign_and_assemble(&tbs.to_der()?)?)?)
}
