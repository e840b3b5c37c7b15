//! Where private keys come from: made anew, made from a seed, or taken from a stock.
//!
//! A seeded key depends on the seed and on whom it is for, not on what was asked for before, so that a run may be
//! repeated although its steps come in another order. With a seed the *keys* of ECDSA and Ed25519 repeat. RSA keys
//! cannot be made from a seed with this library; take them from a stock. And ECDSA *signatures* hold a random
//! number, so the CSR of the same ECDSA key differs from run to run in its last bytes; with Ed25519 and RSA it
//! does not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{
    hkdf::{self, KeyType as HkdfLength},
    signature::{EcdsaKeyPair, Ed25519KeyPair},
};

use crate::key::{KeyAlgorithm, KeyEncoding, KeyError, PrivateKey, curve, sec1};

/// Makes or finds private keys.
pub trait KeySource: Send + Sync {
    /// A key of this kind. `purpose` names whom it is for: namespace, Certificate, uid, revision and attempt.
    ///
    /// # Errors
    /// [`KeyError`].
    fn private_key(&self, algorithm: KeyAlgorithm, purpose: &str) -> Result<PrivateKey, KeyError>;

    /// Whether this kind takes long enough to be asked for off the async thread.
    fn is_slow(&self, algorithm: KeyAlgorithm) -> bool {
        algorithm.is_slow()
    }
}

/// Every key is new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fresh;

impl KeySource for Fresh {
    fn private_key(&self, algorithm: KeyAlgorithm, _: &str) -> Result<PrivateKey, KeyError> {
        PrivateKey::generate(algorithm)
    }
}

/// The same keys for the same seed, as far as that can be done (see the module's text); RSA keys are new.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(pub u64);

impl KeySource for Seeded {
    fn private_key(&self, algorithm: KeyAlgorithm, purpose: &str) -> Result<PrivateKey, KeyError> {
        match algorithm {
            KeyAlgorithm::Rsa(_) => PrivateKey::generate(algorithm),
            KeyAlgorithm::Ed25519 => {
                let seed = self.bytes(purpose, 0, 32)?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
                PrivateKey::ed25519(pair.map_err(|_| KeyError::Crypto("make a key"))?)
            }
            KeyAlgorithm::Ecdsa(bits) => self.ecdsa(bits, purpose),
        }
    }
}

impl Seeded {
    /// A random number that is not below the curve's order is no key; then the next one is tried.
    fn ecdsa(self, bits: u32, purpose: &str) -> Result<PrivateKey, KeyError> {
        let unsupported = KeyError::Unsupported(KeyAlgorithm::Ecdsa(bits));
        let curve = curve(bits).ok_or(unsupported.clone())?;
        let length = usize::try_from(bits.div_ceil(8)).unwrap_or(0);
        for attempt in 0..=u8::MAX {
            let mut number = self.bytes(purpose, attempt, length)?;
            if let (521, Some(first)) = (bits, number.first_mut()) {
                *first &= 1;
            }
            let der = sec1(bits, &number).ok_or(unsupported.clone())?;
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve, &der) {
                return PrivateKey::ecdsa(pair);
            }
        }
        Err(KeyError::Crypto("make a key"))
    }

    fn bytes(self, purpose: &str, attempt: u8, length: usize) -> Result<Vec<u8>, KeyError> {
        struct Length(usize);
        impl HkdfLength for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let failed = |_| KeyError::Crypto("make a key");
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA512, b"sim-cert-manager private key");
        let key = salt.extract(&self.0.to_be_bytes());
        let info: [&[u8]; 2] = [purpose.as_bytes(), &[attempt]];
        let mut bytes = vec![0; length];
        let okm = key.expand(&info, Length(length)).map_err(failed)?;
        okm.fill(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

/// A stock of keys made ahead, handed out in turn and then put back to the end: a thousand Certificates need not
/// cost a thousand RSA keys. Kinds that are not in stock come from another source.
pub struct Pool<S> {
    stock: Mutex<BTreeMap<KeyAlgorithm, VecDeque<String>>>,
    otherwise: S,
}

impl<S: KeySource> Pool<S> {
    /// A pool with nothing in it.
    pub fn new(otherwise: S) -> Self {
        Self { stock: Mutex::default(), otherwise }
    }

    /// Puts a key into the stock.
    ///
    /// # Errors
    /// [`KeyError`]: it is not readable.
    pub fn add(&self, pem: &[u8]) -> Result<(), KeyError> {
        let key = PrivateKey::from_pem(pem)?;
        let pem = key.to_pem(KeyEncoding::Pkcs8)?;
        self.stock().entry(key.algorithm()).or_default().push_back(pem);
        Ok(())
    }

    fn stock(&self) -> std::sync::MutexGuard<'_, BTreeMap<KeyAlgorithm, VecDeque<String>>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: KeySource> KeySource for Pool<S> {
    fn private_key(&self, algorithm: KeyAlgorithm, purpose: &str) -> Result<PrivateKey, KeyError> {
        let next = self.stock().get_mut(&algorithm).and_then(|keys| {
            let next = keys.pop_front()?;
            keys.push_back(next.clone());
            Some(next)
        });
        match next {
            Some(pem) => PrivateKey::from_pem(pem.as_bytes()),
            None => self.otherwise.private_key(algorithm, purpose),
        }
    }

    fn is_slow(&self, algorithm: KeyAlgorithm) -> bool {
        !self.stock().contains_key(&algorithm) && self.otherwise.is_slow(algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_keys_and_another_purpose_others() {
        for algorithm in [
            KeyAlgorithm::Ecdsa(256),
            KeyAlgorithm::Ecdsa(384),
            KeyAlgorithm::Ecdsa(521),
            KeyAlgorithm::Ed25519,
        ] {
            let spki = |seed, purpose: &str| {
                let key = Seeded(seed).private_key(algorithm, purpose).unwrap();
                assert_eq!(key.algorithm(), algorithm);
                key.spki_der().to_vec()
            };
            assert_eq!(spki(7, "a/b"), spki(7, "a/b"));
            assert_ne!(spki(7, "a/b"), spki(7, "a/c"));
            assert_ne!(spki(7, "a/b"), spki(8, "a/b"));
        }
    }

    #[test]
    fn a_pool_goes_round_and_asks_elsewhere_for_what_it_has_not() {
        let pool = Pool::new(Fresh);
        let keys = [1, 2].map(|seed| Seeded(seed).private_key(KeyAlgorithm::Ed25519, "").unwrap());
        for key in &keys {
            pool.add(key.to_pem(KeyEncoding::Pkcs8).unwrap().as_bytes()).unwrap();
        }
        let drawn: Vec<_> = (0..3)
            .map(|_| pool.private_key(KeyAlgorithm::Ed25519, "").unwrap().spki_der().to_vec())
            .collect();
        assert_eq!(drawn, [&keys[0], &keys[1], &keys[0]].map(|key| key.spki_der().to_vec()));
        let other = pool.private_key(KeyAlgorithm::Ecdsa(256), "").unwrap();
        assert_eq!(other.algorithm(), KeyAlgorithm::Ecdsa(256));
        assert!(pool.is_slow(KeyAlgorithm::Rsa(2048)));
    }
}
