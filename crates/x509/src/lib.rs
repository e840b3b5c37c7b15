//! Reading X.509: certificate requests, certificates, bundles, chains, and whether one answers the other.
//!
//! ```text
//! PEM, DER, base64, PKCS#7 ──> Certificate ──> Chain::order ──┐
//! PEM, DER ──> Csr ───────────────────────────────────────────┴──> judge ──> Chain | Mismatch
//! ```
//!
//! Invariants of the whole crate:
//! - **pure**: no I/O, no clock (`now` is an argument), no randomness;
//! - **total**: no input makes it panic, and every input's size and cost is bounded;
//! - **raw**: what is copied or compared (names, keys, extensions) are the bytes that were read, never a
//!   re-encoding, because a re-encoded name or key may differ from the signed one;
//! - **whole messages**: an error's text is complete; it has no `source` that would repeat it;
//! - **discreet**: no error quotes key material or more than a short piece of what was read.
//!
//! Issuing lives elsewhere: nothing here signs or builds a certificate.

pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod csr;
mod extension;
mod go;
mod hash;
pub mod judge;
pub mod key;
pub mod names;
pub mod oid;
pub mod pem;
mod pkcs7;
mod signature;
mod text;
mod time;
mod tlv;
pub mod usage;

pub use certificate::{Certificate, CertificateError, SignatureMatch};
pub use chain::Chain;
pub use csr::Csr;
pub use judge::{Asked, Mismatch, Tolerance};
pub use key::KeyType;
pub use names::{DistinguishedName, SubjectAltName};
pub use oid::Oid;
pub use text::hex;
pub use tlv::Malformed;
pub use usage::Usages;
