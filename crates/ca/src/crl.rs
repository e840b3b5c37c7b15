//! Certificate revocation lists (RFC 5280 section 5), version 2, complete and delta.
//!
//! What is on the list, and which number it has, is the caller's to know; nothing is sorted or left out here.

use der::{AnyRef, Encode as _, Enumerated, Sequence, Tag, asn1::UintRef};
use jiff::Timestamp;
use x509_cert::{ext::Extension, time::Time};

use crate::{Authority, CaError, der_types::time, extension::Extensions};

/// Version 2, counted from 0.
const V2: u8 = 1;

/// What a CRL says besides its entries.
#[derive(Debug, Clone, Copy)]
pub struct CrlProfile {
    /// crlNumber (5.2.3): grows with each list that the authority signs, complete and delta together.
    pub number: u64,
    /// When it was made (5.1.2.4).
    pub this_update: Timestamp,
    /// When the next one is there at the latest (5.1.2.5). Not compared with `this_update`, because a mock must
    /// be able to sign a stale list.
    pub next_update: Timestamp,
    /// For a delta CRL, the number of the complete one that it builds on (5.2.4).
    pub base: Option<u64>,
}

/// An entry of a CRL (5.1.2.6).
#[derive(Debug, Clone, Copy)]
pub struct RevokedCertificate<'a> {
    /// The serial number, big-endian and positive; leading zeros do not matter, so both
    /// [`Serial::as_bytes`](crate::Serial::as_bytes) and [`x509::Certificate::serial`] will do.
    pub serial: &'a [u8],
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Why; `None` for unspecified, which 5.3.1 wants left out.
    pub reason: Option<CrlReason>,
}

/// Why a certificate was revoked (RFC 5280 5.3.1, the numbers are its own). Unspecified is `None` of this, and
/// removeFromCRL is no reason for a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumerated)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are RFC 5280's")]
pub enum CrlReason {
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    PrivilegeWithdrawn = 9,
    AaCompromise = 10,
}

impl CrlReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];
}

impl Authority {
    /// Signs a CRL; gives its DER. The entries stand in the order given, and are taken one by one: 100,000 of
    /// them need some 16 MB, for a list of 5 MB.
    ///
    /// # Errors
    /// [`CaError::MayNotSignCrls`], [`CaError::Time`], [`CaError::Encode`], or the library fails to sign.
    pub fn sign_crl<'a>(
        &self,
        profile: &CrlProfile,
        revoked: impl IntoIterator<Item = RevokedCertificate<'a>>,
    ) -> Result<Vec<u8>, CaError> {
        self.may_sign_crls()?;
        let mut entries = Vec::new();
        for certificate in revoked {
            Entry::try_from(certificate)?.encode_to_vec(&mut entries)?;
        }
        let list = TbsCertList {
            version: V2,
            signature: AnyRef::try_from(self.key().signature_algorithm())?,
            issuer: AnyRef::try_from(self.name_der())?,
            this_update: time(profile.this_update)?,
            next_update: time(profile.next_update)?,
            // 5.1.2.6: absent when nothing is revoked.
            revoked: if entries.is_empty() { None } else { Some(AnyRef::new(Tag::Sequence, &entries)?) },
            extensions: Extensions::of_crl(self.key_id(), profile.number, profile.base)?.into_inner(),
        };
        self.key().sign_and_assemble(&list.to_der()?)
    }
}

#[derive(Sequence)]
struct TbsCertList<'a> {
    version: u8,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    this_update: Time,
    next_update: Time,
    revoked: Option<AnyRef<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Entry<'a> {
    serial: UintRef<'a>,
    revocation_date: Time,
    extensions: Option<Vec<Extension>>,
}

impl<'a> TryFrom<RevokedCertificate<'a>> for Entry<'a> {
    type Error = CaError;

    fn try_from(revoked: RevokedCertificate<'a>) -> Result<Self, CaError> {
        let extensions = revoked.reason.map(Extensions::of_crl_entry).transpose()?;
        if revoked.serial.is_empty() {
            return Err(der::Error::from(Tag::Integer.length_error()).into());
        }
        Ok(Self {
            serial: UintRef::new(revoked.serial)?,
            revocation_date: time(revoked.revoked_at)?,
            extensions: extensions.map(Extensions::into_inner),
        })
    }
}
