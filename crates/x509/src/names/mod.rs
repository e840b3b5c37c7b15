//! Names: distinguished names (RFC 5280 4.1.2.4) and subject alternative names (4.2.1.6).

mod dn;
pub(crate) mod san;

pub use dn::{Attribute, DistinguishedName};
pub use san::SubjectAltName;
