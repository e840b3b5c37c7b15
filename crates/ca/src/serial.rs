//! Serial numbers.

use std::fmt;

use aws_lc_rs::rand;

use crate::CaError;

/// A certificate's serial number: 16 bytes, positive and not zero.
///
/// RFC 5280 allows 20 bytes, but readers disagree about a high bit in the twentieth, and 126 random bits are
/// enough to never meet twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A random one. Always 16 bytes long in DER too.
    ///
    /// # Errors
    /// [`CaError::Crypto`] when the system has no randomness.
    pub fn random() -> Result<Self, CaError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| CaError::Crypto("make a serial number"))?;
        bytes[0] |= 0x40;
        Ok(Self::from_bytes(bytes))
    }

    /// From bytes, made positive (the first bit is cleared) and not zero.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 16]) -> Self {
        bytes[0] &= 0x7f;
        if bytes == [0; 16] {
            bytes[15] = 1;
        }
        Self(bytes)
    }

    /// Big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// Lower-case hex, without separators.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_positive_and_not_zero() {
        assert_eq!(Serial::from_bytes([0; 16]).as_bytes()[15], 1);
        assert_eq!(Serial::from_bytes([0xff; 16]).as_bytes()[0], 0x7f);
        for _ in 0..64 {
            assert_eq!(Serial::random().unwrap().as_bytes()[0] & 0xc0, 0x40);
        }
    }
}
