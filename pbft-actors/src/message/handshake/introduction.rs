use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::hello::Hello;
use crate::crypto::Identity;
use crate::message::{ClusterId, Peer};
use crate::types::LogId;

/// Largest encoded HELLO, bytes: what is left of a handshake message is for the signature.
pub(super) const HELLO_BYTES_MAX: usize = 15 << 10;

/// Versions of the protocol that a node speaks, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRange {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl VersionRange {
    /// What this release speaks.
    pub const SUPPORTED: Self = Self { min: 1, max: 1 };

    /// The newest version that both speak.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min && newest >= other.min).then_some(newest)
    }
}

/// What a node says of itself in every handshake.
#[derive(Clone, Debug)]
pub struct Introduction {
    pub(super) own: Peer,
    pub(super) identity: Identity,
    pub(super) versions: VersionRange,
    pub(super) cluster: ClusterId,
    pub(super) log: LogId,
    pub(super) entries: Vec<(String, String)>,
}

/// A configuration too long to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "the agreed configuration takes {length} of at most {HELLO_BYTES_MAX} bytes in the handshake; \
     give the service a shorter name"
)]
pub struct IntroductionError {
    /// Length of the HELLO in bytes.
    pub length: usize,
}

impl Introduction {
    /// An introduction of `own`; `entries` are the agreed configuration's (`Agreed::entries`), `log`
    /// is the default for a client.
    pub fn new(
        own: Peer,
        identity: Identity,
        cluster: ClusterId,
        log: LogId,
        entries: Vec<(String, String)>,
    ) -> Result<Self, IntroductionError> {
        let introduction = Self { own, identity, versions: VersionRange::SUPPORTED, cluster, log, entries };
        let length = Hello::new(&introduction, own, [u8::MAX; 32], [u8::MAX; 32]).encode().len();
        if length > HELLO_BYTES_MAX { Err(IntroductionError { length }) } else { Ok(introduction) }
    }

    /// The same, for a release that speaks other versions.
    pub fn with_versions(mut self, versions: VersionRange) -> Self {
        self.versions = versions;
        self
    }

    /// Who is introduced.
    pub fn own(&self) -> Peer {
        self.own
    }
}

/// What must be new and random for every handshake.
#[derive(Debug)]
pub struct Fresh<E> {
    /// The key pair for this connection's keys.
    pub ephemeral: E,
    /// Random bytes, so that no handshake equals an earlier one.
    pub nonce: [u8; 32],
}
