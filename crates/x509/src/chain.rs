//! From a heap of certificates to one chain, with cert-manager's rules
//! (`pkg/util/pki/parse_certificate_chain.go`): one line from the leaf upwards, no duplicates, no branches, no
//! strangers. Unlike there, the leaf is known: it is the certificate with the request's key.

use std::collections::HashSet;

use crate::{bundle::MAX_CERTIFICATES, certificate::Certificate, text};

/// The most signatures that are checked for one chain. Every link takes one, every namesake of an issuer one
/// more, so a real chain needs a handful; a thousand namesakes would need half a million without this.
const MAX_SIGNATURES: usize = 2000;

/// A chain in order: each certificate is signed by the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The certificate with the request's key.
    pub leaf: Certificate,
    /// From the leaf's issuer upwards; none of them is self-signed.
    pub intermediates: Vec<Certificate>,
    /// The self-signed certificate at the top, if it is known. A leaf that is self-signed is its own root.
    pub root: Option<Certificate>,
}

/// Why certificates are not one chain for the request's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There are no certificates.
    #[error("there is no certificate")]
    Empty,
    /// More different certificates than [`MAX_CERTIFICATES`].
    #[error("there are more than {MAX_CERTIFICATES} different certificates")]
    TooMany,
    /// None has the request's key.
    #[error("no certificate has the public key of the request; the answer holds: {subjects}")]
    NoLeaf {
        /// The subjects that are there.
        subjects: String,
    },
    /// Several different certificates have the request's key.
    #[error("several certificates have the public key of the request: {certificates}")]
    SeveralLeaves {
        /// Their subjects and serial numbers.
        certificates: String,
    },
    /// Several different certificates could be the issuer, so there are several chains.
    #[error("the chain branches: {subject} is signed by each of: {issuers}")]
    Branch {
        /// The certificate whose issuer is in doubt.
        subject: String,
        /// The candidates' subjects and serial numbers.
        issuers: String,
    },
    /// Certificates that are not in the leaf's chain.
    #[error("not part of the chain of {leaf}: {strangers}")]
    Strangers {
        /// The leaf's subject.
        leaf: String,
        /// Subjects and serial numbers of those that do not belong.
        strangers: String,
    },
    /// More signatures to check than any real chain needs.
    #[error("too many certificates share one name: the order cannot be found with reasonable effort")]
    TooManyNamesakes,
}

impl Chain {
    /// Puts certificates in order, whatever order and however often they come.
    ///
    /// # Errors
    /// [`ChainError`] names the certificates in question.
    pub fn order(leaf_spki: &[u8], certs: Vec<Certificate>) -> Result<Self, ChainError> {
        Self::order_with(leaf_spki, certs, Vec::new())
    }

    /// The same, with CA certificates that are known from elsewhere. They fill gaps and add the top where they
    /// fit; those that do not fit are left out without a word. If several fit (a CA that was renewed with its
    /// key), a self-signed one goes first, then the one valid longest.
    ///
    /// # Errors
    /// [`ChainError`]; `extra` alone never causes one, but for the effort of [`ChainError::TooManyNamesakes`].
    pub fn order_with(
        leaf_spki: &[u8],
        certs: Vec<Certificate>,
        extra: Vec<Certificate>,
    ) -> Result<Self, ChainError> {
        let mut search = Search::new(certs, extra)?;
        let leaf = search.take_leaf(leaf_spki)?;
        let mut intermediates: Vec<Certificate> = Vec::new();
        let mut top = leaf.clone();
        let root = loop {
            if search.is_signed_by(&top, &top)? {
                break Some(top);
            }
            if top != leaf {
                intermediates.push(top.clone());
            }
            match search.take_issuer(&top)? {
                Some(issuer) => top = issuer,
                None => break None,
            }
        };
        search.nothing_left(&leaf)?;
        Ok(Self { leaf, intermediates, root })
    }

    /// What goes into `status.certificate`: the leaf and the intermediates, without a self-signed root, since
    /// whoever trusts it has it. A self-signed leaf is itself. PEM with LF and a newline at the end.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        std::iter::once(&self.leaf).chain(&self.intermediates).map(Certificate::to_pem).collect()
    }

    /// What goes into `status.ca`: the root if it is known, else the highest intermediate (which stays in the
    /// chain too), else nothing.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.root.as_ref().or(self.intermediates.last()).map(Certificate::to_pem)
    }
}

/// The certificates not yet placed, each once, in an order that does not depend on the order they came in.
struct Search {
    left: Vec<Certificate>,
    extra: Vec<Certificate>,
    signatures: usize,
}

impl Search {
    fn new(certs: Vec<Certificate>, extra: Vec<Certificate>) -> Result<Self, ChainError> {
        let left = unique(certs);
        let mut extra = unique(extra);
        extra.retain(|certificate| !left.contains(certificate));
        if left.is_empty() {
            return Err(ChainError::Empty);
        }
        if left.len() > MAX_CERTIFICATES || extra.len() > MAX_CERTIFICATES {
            return Err(ChainError::TooMany);
        }
        Ok(Self { left, extra, signatures: 0 })
    }

    fn take_leaf(&mut self, spki: &[u8]) -> Result<Certificate, ChainError> {
        let (mut leaves, others): (Vec<_>, Vec<_>) = self.left.drain(..).partition(|cert| cert.has_key(spki));
        self.left = others;
        match (leaves.pop(), leaves.is_empty()) {
            (Some(leaf), true) => Ok(leaf),
            (Some(leaf), false) => {
                leaves.push(leaf);
                Err(ChainError::SeveralLeaves { certificates: described(&leaves) })
            }
            (None, _) => {
                let subjects = self.left.iter().map(subject);
                Err(ChainError::NoLeaf { subjects: text::list(subjects, 5) })
            }
        }
    }

    fn take_issuer(&mut self, of: &Certificate) -> Result<Option<Certificate>, ChainError> {
        let mut issuers = self.take(of, |search| &mut search.left)?;
        let Some(issuer) = issuers.pop() else {
            let mut known = Vec::new();
            for certificate in self.take(of, |search| &mut search.extra)? {
                known.push((self.is_signed_by(&certificate, &certificate)?, certificate));
            }
            known.sort_by_key(|(is_self_signed, certificate)| (*is_self_signed, certificate.not_after()));
            return Ok(known.pop().map(|(_, certificate)| certificate));
        };
        if issuers.is_empty() {
            return Ok(Some(issuer));
        }
        issuers.push(issuer);
        Err(ChainError::Branch { subject: subject(of), issuers: described(&issuers) })
    }

    /// Takes out of a pool all that signed `of`.
    fn take(
        &mut self,
        of: &Certificate,
        pool: impl Fn(&mut Self) -> &mut Vec<Certificate>,
    ) -> Result<Vec<Certificate>, ChainError> {
        let mut issuers = Vec::new();
        let mut others = Vec::new();
        for candidate in std::mem::take(pool(self)) {
            if self.is_signed_by(of, &candidate)? {
                issuers.push(candidate);
            } else {
                others.push(candidate);
            }
        }
        *pool(self) = others;
        Ok(issuers)
    }

    fn is_signed_by(&mut self, certificate: &Certificate, issuer: &Certificate) -> Result<bool, ChainError> {
        if certificate.issuer_der() != issuer.subject_der() {
            return Ok(false);
        }
        self.signatures += 1;
        if self.signatures > MAX_SIGNATURES {
            return Err(ChainError::TooManyNamesakes);
        }
        Ok(certificate.is_signed_by(issuer))
    }

    fn nothing_left(&self, leaf: &Certificate) -> Result<(), ChainError> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(ChainError::Strangers { leaf: subject(leaf), strangers: described(&self.left) })
    }
}

fn unique(certs: Vec<Certificate>) -> Vec<Certificate> {
    let mut unique: Vec<_> = certs.into_iter().collect::<HashSet<_>>().into_iter().collect();
    unique.sort_unstable_by(|one, other| one.der().cmp(other.der()));
    unique
}

fn subject(certificate: &Certificate) -> String {
    certificate.subject().shortened()
}

fn described(certificates: &[Certificate]) -> String {
    let each = certificates
        .iter()
        .map(|cert| format!("{} (serial {})", subject(cert), text::bounded(cert.serial_hex(), 40)));
    text::list(each, 5)
}
