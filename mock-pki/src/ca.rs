//! The hierarchy all faces share: one root, one intermediate.

use std::sync::Arc;

use ca::{Authority, CaError, CaProfile, KeyAlgorithm, SigningKey};
use jiff::{SignedDuration, Timestamp};

use crate::{archive::Archive, random};

/// Ten years, as `bao write pki/root/generate/internal ttl=87600h` in every tutorial.
const ROOT_VALIDITY: SignedDuration = SignedDuration::from_hours(87_600);

/// Five years.
const INTERMEDIATE_VALIDITY: SignedDuration = SignedDuration::from_hours(43_800);

/// What is valid now was valid a little earlier, for clients whose clock is behind.
pub(crate) const BACKDATE: SignedDuration = SignedDuration::from_secs(30);

/// The keys and certificates made at start. They outlive a reset: clients trust the root.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    pub(crate) root: Part,
    pub(crate) intermediate: Part,
}

/// A CA as PEM: what a mount loads, again after every reset.
pub(crate) struct Part {
    pub(crate) certificates: Vec<x509::Certificate>,
    pub(crate) key_pem: String,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("certificates", &self.certificates.len()).finish_non_exhaustive()
    }
}

impl Part {
    pub(crate) fn authority(&self) -> Result<Authority, CaError> {
        Authority::from_certificates(
            self.certificates.clone(),
            SigningKey::from_pem(self.key_pem.as_bytes())?,
        )
    }
}

/// The CAs that faces issue from.
pub(crate) struct Cas {
    pub(crate) root: Ca,
    pub(crate) issuing: Ca,
}

/// A CA, and what it has issued.
#[derive(Clone)]
pub(crate) struct Ca {
    pub(crate) name: &'static str,
    pub(crate) id: Arc<str>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) archive: Arc<Archive>,
}

impl Hierarchy {
    /// The CAs, with nothing issued yet.
    pub(crate) fn cas(&self) -> Result<Cas, CaError> {
        let ca = |name, part: &Part| {
            let authority = Arc::new(part.authority()?);
            Ok::<_, CaError>(Ca { name, id: random::uuid().into(), authority, archive: Arc::default() })
        };
        Ok(Cas { root: ca("root", &self.root)?, issuing: ca("intermediate", &self.intermediate)? })
    }

    /// Makes both CAs. With RSA this takes up to a few seconds.
    pub(crate) fn generate(algorithm: KeyAlgorithm, now: Timestamp) -> Result<Self, CaError> {
        let (root_key, root_pem) = key(algorithm)?;
        let root = Authority::self_signed(root_key, &profile("Mock PKI Root CA", now, ROOT_VALIDITY))?;
        let (intermediate_key, intermediate_pem) = key(algorithm)?;
        let profile = profile("Mock PKI Intermediate CA", now, INTERMEDIATE_VALIDITY);
        let intermediate = root.subordinate(intermediate_key, &profile)?;
        Ok(Self {
            root: Part { certificates: root.chain().to_vec(), key_pem: root_pem },
            intermediate: Part { certificates: intermediate.chain().to_vec(), key_pem: intermediate_pem },
        })
    }
}

fn key(algorithm: KeyAlgorithm) -> Result<(SigningKey, String), CaError> {
    let key = random::key(algorithm)?;
    let pem = key.to_pkcs8_pem()?;
    Ok((key, pem))
}

fn profile(common_name: &str, now: Timestamp, validity: SignedDuration) -> CaProfile {
    CaProfile {
        common_name: common_name.to_owned(),
        not_before: now.checked_sub(BACKDATE).unwrap_or(now),
        not_after: now.checked_add(validity).unwrap_or(now),
        serial: random::serial(),
        path_len: None,
    }
}
