use std::ops::Deref;

use super::Peer;

/// A message whose proof was checked, with the peer that proved itself.
///
/// Only [`super::Opener`] makes one, so no unauthenticated message can reach a role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified<M> {
    from: Peer,
    message: M,
}

impl<M> Verified<M> {
    pub(super) fn new(from: Peer, message: M) -> Self {
        Self { from, message }
    }

    /// A message that a test vouches for.
    #[cfg(test)]
    pub(crate) fn own(from: Peer, message: M) -> Self {
        Self { from, message }
    }

    /// The peer that proved itself: of a link message the link's, of a signed one the signer.
    pub fn from(&self) -> Peer {
        self.from
    }

    /// The message without its sender.
    pub fn into_inner(self) -> M {
        self.message
    }
}

impl<M> Deref for Verified<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.message
    }
}
