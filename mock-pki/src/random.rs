//! Identifiers, in the shapes the products give them. Keys and signatures take their randomness from the
//! cryptographic library themselves.

use aws_lc_rs::rand;
use ca::Serial;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes. The library fails only where the system has no randomness at all; a mock then goes on with
/// zeros, which the first two equal identifiers make plain.
fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = rand::fill(&mut bytes);
    bytes
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

/// A UUID as OpenBao's library makes it: 16 random bytes, without version bits.
pub(crate) fn uuid() -> String {
    let text = hex(&bytes::<16>());
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

/// OpenBao's service token.
pub(crate) fn token() -> String {
    format!("s.{}", base62())
}

/// The tail of a mount's accessor.
pub(crate) fn accessor_suffix() -> String {
    hex(&bytes::<4>())
}

/// A certificate's serial number.
pub(crate) fn serial() -> Serial {
    let mut number = bytes::<16>();
    number[0] |= 0x40;
    Serial::from_bytes(number)
}
