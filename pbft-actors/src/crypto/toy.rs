//! A key agreement for tests and fuzzers.

use super::{EPHEMERAL_BYTES, Ephemeral, Hasher, SharedSecret};

/// A key agreement that a seed decides, and that keeps no secret.
#[derive(Debug)]
pub(crate) struct Toy(pub(crate) [u8; EPHEMERAL_BYTES]);

impl Ephemeral for Toy {
    fn public(&self) -> [u8; EPHEMERAL_BYTES] {
        self.0
    }

    fn agree(self, peer_public: &[u8; EPHEMERAL_BYTES]) -> Option<SharedSecret> {
        let mut hasher = Hasher::new("toy agreement");
        hasher.part(self.0.min(*peer_public).as_slice()).part(self.0.max(*peer_public).as_slice());
        SharedSecret::new(hasher.finish().0)
    }
}
