//! Identifiers, in the shapes the products give them. Keys and signatures take their randomness from the
//! cryptographic library themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca::Serial;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes. The library fails only where the system has no randomness at all; a mock then goes on with
/// zeros, which the first two equal identifiers make plain.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = rand::fill(&mut bytes);
    bytes
}

/// A UUID as OpenBao's library makes it: 16 random bytes, without version bits.
pub(crate) fn uuid() -> String {
    as_uuid(&bytes::<16>())
}

/// The first 16 bytes as a UUID.
pub(crate) fn as_uuid(bytes: &[u8]) -> String {
    let text = x509::hex(bytes.get(..16).unwrap_or(bytes));
    let mut parts = Vec::with_capacity(5);
    let mut rest = text.as_str();
    for length in [8, 4, 4, 4, 12] {
        let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        parts.push(part);
        rest = after;
    }
    parts.join("-")
}

/// 24 letters and digits: an accessor, the tail of a token or of a lease.
pub(crate) fn base62() -> String {
    bytes::<24>()
        .iter()
        .map(|byte| char::from(BASE62.get(usize::from(byte % 62)).copied().unwrap_or(b'0')))
        .collect()
}

/// 16 bytes in Base64: a token of Trust Protection Platform.
pub(crate) fn base64_token() -> String {
    STANDARD.encode(bytes::<16>())
}

/// OpenBao's service token.
pub(crate) fn token() -> String {
    format!("s.{}", base62())
}

/// The tail of a mount's accessor.
pub(crate) fn accessor_suffix() -> String {
    x509::hex(&bytes::<4>())
}

/// A certificate's serial number.
pub(crate) fn serial() -> Serial {
    long(bytes())
}

/// Always 16 bytes long in DER too.
fn long(mut number: [u8; 16]) -> Serial {
    number[0] |= 0x40;
    Serial::from_bytes(number)
}

/// Where the serial numbers of end entities come from: a seed, so that a run can be repeated, or chance.
#[derive(Debug)]
pub(crate) struct Serials {
    seed: Option<u64>,
    made: AtomicU64,
}

impl Serials {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { seed, made: AtomicU64::new(0) }
    }

    /// The next one. Never the same twice, with or without a seed.
    pub(crate) fn next(&self) -> Serial {
        let Some(seed) = self.seed else { return serial() };
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let mut from = seed.to_be_bytes().to_vec();
        from.extend(made.to_be_bytes());
        let digest = digest::digest(&digest::SHA256, &from);
        let mut number = [0; 16];
        number.iter_mut().zip(digest.as_ref()).for_each(|(number, byte)| *number = *byte);
        long(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_serials_and_none_comes_twice() {
        let (one, same, other) = (Serials::new(Some(1)), Serials::new(Some(1)), Serials::new(Some(2)));
        let three = |serials: &Serials| [serials.next(), serials.next(), serials.next()];
        let [a, b, c] = three(&one);
        assert_eq!(three(&same), [a, b, c]);
        assert!(a != b && b != c && a != c && other.next() != a);
        assert_ne!(Serials::new(None).next(), Serials::new(None).next());
    }
}
