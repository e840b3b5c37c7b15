//! Identifiers, in the shapes the products give them, and keys that are made here.
//!
//! With a seed they follow from it, in the order in which they are drawn: requests that come one after the other
//! draw the same in every run. Two things do not repeat, since the cryptographic library takes its own randomness
//! for them: RSA keys, and the signatures of ECDSA keys (Ed25519's do).

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca::{CaError, KeyAlgorithm, Serial, SigningKey};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What one PKI draws from: a seed, or chance.
#[derive(Debug)]
pub(crate) struct Source {
    seed: Option<u64>,
    drawn: AtomicU64,
    serials: AtomicU64,
}

thread_local! {
    /// The source of what this thread does now. Work within [`Source::scope`] never awaits, so that it stays on its
    /// thread, and no face has to carry the source through all it does.
    static CURRENT: RefCell<Option<Arc<Source>>> = const { RefCell::new(None) };
}

impl Source {
    pub(crate) fn new(seed: Option<u64>) -> Arc<Self> {
        Arc::new(Self { seed, drawn: AtomicU64::new(0), serials: AtomicU64::new(0) })
    }

    /// Does `work`; what it draws comes from here.
    pub(crate) fn scope<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        struct Back(Option<Arc<Source>>);
        impl Drop for Back {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _back = Back(CURRENT.replace(Some(Arc::clone(self))));
        work()
    }

    /// What faults are diced with: the seed, or a number of this start.
    pub(crate) fn dice(&self) -> u64 {
        self.seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            let _ = rand::fill(&mut bytes);
            u64::from_be_bytes(bytes)
        })
    }

    /// The serial number of the next end entity. Never the same twice, with or without a seed.
    pub(crate) fn serial(&self) -> Serial {
        let made = self.serials.fetch_add(1, Ordering::Relaxed);
        let Some(seed) = self.seed else { return long(chance()) };
        let mut from = seed.to_be_bytes().to_vec();
        from.extend(made.to_be_bytes());
        let mut number = [0; 16];
        number.iter_mut().zip(digest(&SHA256, &from).as_ref()).for_each(|(number, byte)| *number = *byte);
        long(number)
    }

    /// How far it has been drawn from: identifiers, serial numbers.
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.drawn.load(Ordering::Relaxed), self.serials.load(Ordering::Relaxed))
    }

    /// Goes on where another left off, but never back: nothing may come twice.
    pub(crate) fn advance_to(&self, (drawn, serials): (u64, u64)) {
        self.drawn.fetch_max(drawn, Ordering::Relaxed);
        self.serials.fetch_max(serials, Ordering::Relaxed);
    }

    /// Bytes that follow from the seed; nothing without one.
    fn draw<const N: usize>(&self) -> Option<[u8; N]> {
        let seed = self.seed?;
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; N];
        for (block, chunk) in (0_u8..).zip(bytes.chunks_mut(32)) {
            let mut from = b"identifier".to_vec();
            from.extend(seed.to_be_bytes());
            from.extend(drawn.to_be_bytes());
            from.push(block);
            chunk.iter_mut().zip(digest(&SHA256, &from).as_ref()).for_each(|(byte, drawn)| *byte = *drawn);
        }
        Some(bytes)
    }
}

/// Of the system. The library fails only where there is no randomness at all; a mock then goes on with zeros,
/// which the first two equal identifiers make plain.
fn chance<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = rand::fill(&mut bytes);
    bytes
}

fn seeded<const N: usize>() -> Option<[u8; N]> {
    CURRENT.with_borrow(|source| source.as_ref()?.draw())
}

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    seeded().unwrap_or_else(chance)
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

/// PKCS#8 (RFC 8410 7) up to the 32 bytes of an Ed25519 key.
const ED25519: [u8; 16] = [0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32];

/// A private key.
pub(crate) fn key(algorithm: KeyAlgorithm) -> Result<SigningKey, CaError> {
    let (length, curve): (usize, &[u8]) = match algorithm {
        KeyAlgorithm::EcdsaP256 => (32, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
        KeyAlgorithm::EcdsaP384 => (48, &[6, 5, 0x2b, 0x81, 4, 0, 34]),
        KeyAlgorithm::EcdsaP521 => (66, &[6, 5, 0x2b, 0x81, 4, 0, 35]),
        KeyAlgorithm::Ed25519 => (32, &[]),
        _ => return SigningKey::generate(algorithm),
    };
    // A number beyond the curve's order is no key; that is as good as never so, and then the next one is drawn.
    for _ in 0..u8::MAX {
        let Some(mut drawn) = seeded::<66>() else { return SigningKey::generate(algorithm) };
        if algorithm == KeyAlgorithm::EcdsaP521 {
            drawn[0] &= 1;
        }
        let number = drawn.get(..length).unwrap_or_default();
        let pem = if curve.is_empty() {
            x509::pem::encode("PRIVATE KEY", &[&ED25519, number].concat())
        } else {
            x509::pem::encode("EC PRIVATE KEY", &sec1(number, curve))
        };
        if let Ok(key) = SigningKey::from_pem(pem.as_bytes()) {
            return Ok(key);
        }
    }
    Err(CaError::Crypto("make a key from the seed"))
}

/// An EC private key (RFC 5915) of a number and the curve's object identifier; all lengths are below 128.
fn sec1(number: &[u8], curve: &[u8]) -> Vec<u8> {
    let tlv = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap_or_default();
        [&[tag, length], content].concat()
    };
    tlv(0x30, &[tlv(2, &[1]), tlv(4, number), tlv(0xa0, curve)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_serials_and_none_comes_twice() {
        let (one, same, other) = (Source::new(Some(1)), Source::new(Some(1)), Source::new(Some(2)));
        let three = |source: &Source| [source.serial(), source.serial(), source.serial()];
        let [a, b, c] = three(&one);
        assert_eq!(three(&same), [a, b, c]);
        assert!(a != b && b != c && a != c && other.serial() != a);
        assert_ne!(Source::new(None).serial(), Source::new(None).serial());
    }

    #[test]
    fn identifiers_and_keys_follow_from_the_seed_within_its_scope_alone() {
        let ed25519 = |source: &Arc<Source>| {
            source.scope(|| (token(), uuid(), key(KeyAlgorithm::Ed25519).unwrap().to_pkcs8_pem().unwrap()))
        };
        let one = Source::new(Some(1));
        let (first, second) = (ed25519(&one), ed25519(&one));
        assert_ne!(first, second);
        assert_eq!(ed25519(&Source::new(Some(1))), first);
        assert_ne!(ed25519(&Source::new(Some(2))), first);
        assert_ne!(uuid(), uuid());
        assert_eq!(one.position(), (6, 0));
        let later = Source::new(Some(1));
        later.advance_to((3, 0));
        assert_eq!(ed25519(&later), second);
    }

    #[test]
    fn every_kind_of_key_is_made_with_a_seed() {
        for algorithm in KeyAlgorithm::ALL {
            let made = Source::new(Some(7)).scope(|| key(algorithm)).unwrap();
            let again = Source::new(Some(7)).scope(|| key(algorithm)).unwrap();
            assert_eq!(made.algorithm(), algorithm);
            let is_rsa = made.spki_der().len() > 200;
            assert_eq!(made.spki_der() == again.spki_der(), !is_rsa, "{algorithm:?}");
        }
    }
}
