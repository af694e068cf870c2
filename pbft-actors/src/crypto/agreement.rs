use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of an X25519 public key.
pub const EPHEMERAL_BYTES: usize = 32;

/// One connection's key pair for key agreement: a port, because real ones need a random source that
/// no simulator can seed.
pub trait Ephemeral {
    /// What the peer needs.
    fn public(&self) -> [u8; EPHEMERAL_BYTES];

    /// The secret shared with the peer; `None` if its key is of low order or no key at all.
    fn agree(self, peer_public: &[u8; EPHEMERAL_BYTES]) -> Option<SharedSecret>;
}

/// The result of a key agreement; zeroed when dropped, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// A shared secret, refused if it is all zero: then the peer's key was of low order and the
    /// secret is known to everyone (RFC 7748, 6.1).
    pub fn new(bytes: [u8; 32]) -> Option<Self> {
        let secret = Self(bytes);
        if bool::from(secret.0.ct_eq(&[0; 32])) { None } else { Some(secret) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}
