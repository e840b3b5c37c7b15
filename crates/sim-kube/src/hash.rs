//! Digests, as text.

use std::fmt::Write as _;

use aws_lc_rs::digest;

/// The SHA-256 of bytes, in hexadecimal.
#[cfg(feature = "https")]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The SHA-512 of bytes, in hexadecimal.
pub(crate) fn sha512(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA512, bytes).as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
