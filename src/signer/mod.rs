//! The one trait to the outside world. A backend is one file here and one line in `registry.rs`.

pub mod http;
pub mod mockca;
pub mod outcome;
pub mod registry;
pub mod secret;
pub mod submission;
pub mod vault;

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use x509::{Certificate, Csr, Usages};

pub use outcome::{Answer, Handle, Health, Origin, Outcome, Unhealthy, UnhealthyReason};
pub use submission::{IdempotencyKey, Lookup, Offers, Revocation};

/// A PKI, as the controller sees it.
///
/// Every call ends within the issuer's request timeout (a backend may make a few HTTP calls, such as a login
/// first), and may be dropped at any await point: nothing is lost but the answer.
pub trait Signer: Send + Sync {
    /// Sends the order to the PKI.
    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome>;

    /// Asks again about an order that the PKI called pending.
    fn poll<'a>(&'a self, order: &'a Order, handle: &'a Handle) -> BoxFuture<'a, Outcome>;

    /// Checks the configuration, the credentials and the PKI's health, issuing nothing.
    fn check(&self) -> BoxFuture<'_, Health>;

    /// What the PKI offers against a second certificate for one request.
    fn offers(&self) -> Offers;

    /// Looks for what the PKI issued for this order, no longer ago than `since` by the certificate's own notBefore. Only
    /// called where [`Offers::Lookup`] says that it can.
    fn look_up<'a>(&'a self, order: &'a Order, since: Timestamp) -> BoxFuture<'a, Lookup> {
        let _ = (order, since);
        let message = "the PKI cannot be asked what it issued".to_owned();
        Box::pin(std::future::ready(Lookup::GaveUp { message }))
    }

    /// Revokes a certificate that this PKI issued.
    fn revoke<'a>(&'a self, certificate: &'a Certificate) -> BoxFuture<'a, Revocation> {
        let _ = certificate;
        let message = "the PKI revokes nothing".to_owned();
        Box::pin(std::future::ready(Revocation::Refused { message }))
    }
}

/// What the PKI is asked for: a `CertificateRequest` that was found fit to be signed.
#[derive(Clone, Debug)]
pub struct Order {
    /// The CSR; its signature is verified.
    pub csr: Csr,
    /// The lifetime asked for.
    pub duration: Duration,
    /// The usages asked for.
    pub usages: Usages,
    /// Whether a CA certificate is asked for.
    pub is_ca: bool,
    /// The request's namespace, name and uid.
    pub request: RequestIdentity,
}

/// Which `CertificateRequest` an order comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestIdentity {
    /// The namespace.
    pub namespace: String,
    /// The name. Used again by cert-manager after a failed attempt: never a key.
    pub name: String,
    /// The uid, unique for ever.
    pub uid: String,
}
