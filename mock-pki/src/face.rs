//! What a face is: the API of one product over the PKI that all faces share.
//!
//! A face is a folder with a [`Face`] in it, and one line in [`ALL`]. It is given a whole request and gives a whole
//! answer; faults, limits and the journal are not its affair.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header, request::Parts};

use rustls_pki_types::CertificateDer;

use crate::{
    custom, ejbca,
    fault::{Certificates, Plan},
    state::Stateful,
    store::Epoch,
    vault, venafi,
};

/// All faces.
pub(crate) const ALL: &[&Face] = &[&vault::FACE, &ejbca::FACE, &venafi::FACE, &custom::FACE];

/// The API of one product.
pub(crate) struct Face {
    /// As the journal, the ledger and faults name it.
    pub(crate) name: &'static str,
    /// Where it listens unless told otherwise.
    pub(crate) port: u16,
    /// Whether clients only speak TLS to it.
    pub(crate) needs_tls: bool,
    /// The largest body of a request, bytes.
    pub(crate) max_body: usize,
    /// Answers a request.
    pub(crate) answer: fn(&Epoch, &Call) -> Answered,
    /// What it says to a body that is too large.
    pub(crate) too_large: fn() -> Answered,
    /// How it says that something went wrong: the body and its content type. For faults.
    pub(crate) error: fn(StatusCode, &str) -> (&'static str, String),
    /// Whether a request may make keys or signatures, which takes too long for a thread that serves others.
    pub(crate) computes: fn(&Parts) -> bool,
    /// The common name a request asks for. For faults.
    pub(crate) common_name: fn(&Parts, &[u8]) -> Option<String>,
    /// How what it keeps gets into a document and back; `None` if it keeps nothing of its own, or forgets it.
    pub(crate) state: Option<Stateful>,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A request with all of its body. Without `Debug`: credentials are in it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) head: Arc<Parts>,
    pub(crate) body: Bytes,
    /// The certificates that the client showed, see [`crate::connection::Connection`].
    pub(crate) client: Arc<[CertificateDer<'static>]>,
    /// What applies to it.
    pub(crate) plan: Arc<Plan>,
}

impl Call {
    /// Whether a fault has the product out of service.
    pub(crate) fn is_sealed(&self) -> bool {
        self.plan.any(|fault| fault.seals())
    }

    /// Whether a fault has another node lead.
    pub(crate) fn stands_by(&self) -> bool {
        self.plan.any(|fault| fault.stands_by())
    }

    /// The faults that may spoil a certificate.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.plan.certificates
    }
}

/// A header as text, cut to 200 characters: entries of the ledger and the journal have a bounded size.
pub(crate) fn short_header(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(200).collect())
}

/// An answer, and the request's id for the journal where the product gives one.
pub(crate) struct Answered {
    pub(crate) response: Response<Bytes>,
    pub(crate) request_id: Option<String>,
}

impl Answered {
    /// Nothing: what a fault fills.
    pub(crate) fn empty() -> Self {
        Self { response: Response::new(Bytes::new()), request_id: None }
    }
}

/// The face of this name.
pub(crate) fn named(name: &str) -> Option<&'static Face> {
    ALL.iter().find(|face| face.name == name).copied()
}
