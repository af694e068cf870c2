use std::fmt;
use std::sync::Arc;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Hasher, MacKey, TAG_BYTES};

/// Length of a signature on the wire.
pub const SIGNATURE_BYTES: usize = 64;

/// A signature's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; SIGNATURE_BYTES]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// Who can be recognised by a signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PublicKey {
    /// An Ed25519 public key.
    Ed25519([u8; 32]),
    /// The simulator's stand-in: the key of a keyed hash. Fast, and of no use outside one process.
    Simulated([u8; 32]),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Ed25519(bytes) | Self::Simulated(bytes)) = self;
        write!(f, "PublicKey({:02x}{:02x}{:02x}{:02x}..)", bytes[0], bytes[1], bytes[2], bytes[3])
    }
}

impl PublicKey {
    /// Whether the owner of this key signed `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
            Self::Simulated(key) => {
                signature.len() == SIGNATURE_BYTES
                    && signature[TAG_BYTES..].iter().all(|byte| *byte == 0)
                    && simulated_key(key).verify(&[message], &signature[..TAG_BYTES])
            }
        }
    }
}

/// The secret half of an identity. Never printed; ring zeroes nothing, so it is kept in one place.
#[derive(Clone)]
pub struct Identity(Arc<Secret>);

enum Secret {
    Ed25519(Ed25519KeyPair),
    Simulated([u8; 32], MacKey),
}

/// A private key that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not an Ed25519 private key of 32 bytes")]
pub struct IdentityError;

impl Identity {
    /// The Ed25519 identity whose secret seed is `seed`, 32 bytes.
    pub fn ed25519(seed: &[u8]) -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| IdentityError)?;
        Ok(Self(Arc::new(Secret::Ed25519(pair))))
    }

    /// An identity for the simulator.
    pub fn simulated(key: [u8; 32]) -> Self {
        Self(Arc::new(Secret::Simulated(key, simulated_key(&key))))
    }

    /// What others recognise this identity by.
    pub fn public_key(&self) -> PublicKey {
        match &*self.0 {
            Secret::Ed25519(pair) => {
                let mut key = [0; 32];
                key.copy_from_slice(pair.public_key().as_ref());
                PublicKey::Ed25519(key)
            }
            Secret::Simulated(key, _) => PublicKey::Simulated(*key),
        }
    }

    /// Signs `message`; the same message always gives the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let mut signature = [0; SIGNATURE_BYTES];
        match &*self.0 {
            Secret::Ed25519(pair) => signature.copy_from_slice(pair.sign(message).as_ref()),
            Secret::Simulated(_, key) => signature[..TAG_BYTES].copy_from_slice(&key.tag(&[message])),
        }
        Signature(signature)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.public_key())
    }
}

fn simulated_key(public: &[u8; 32]) -> MacKey {
    let mut hasher = Hasher::new("pbft simulated identity");
    hasher.part(public);
    MacKey::new(hasher.finish().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_verify_their_own_signatures_only() {
        for identity in [Identity::ed25519(&[3; 32]).unwrap(), Identity::simulated([3; 32])] {
            let signature = identity.sign(b"message");
            assert!(identity.public_key().verify(b"message", &signature.0));
            assert!(!identity.public_key().verify(b"massage", &signature.0));
            assert!(!identity.public_key().verify(b"message", &signature.0[..63]));
        }
        let other = Identity::ed25519(&[4; 32]).unwrap();
        assert!(!other.public_key().verify(b"m", &Identity::ed25519(&[3; 32]).unwrap().sign(b"m").0));
    }

    #[test]
    fn a_simulated_key_never_verifies_as_a_real_one() {
        let simulated = Identity::simulated([3; 32]);
        let PublicKey::Simulated(bytes) = simulated.public_key() else { unreachable!("made above") };
        assert!(!PublicKey::Ed25519(bytes).verify(b"m", &simulated.sign(b"m").0));
    }
}
