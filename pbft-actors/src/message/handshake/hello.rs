use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::introduction::HELLO_BYTES_MAX;
use super::{HandshakeError, Introduction, VersionRange};
use crate::codec;
use crate::crypto::EPHEMERAL_BYTES;
use crate::message::{ClusterId, Peer};
use crate::types::LogId;

/// First in every HELLO, so that a stranger on the port is told apart from another version.
const MAGIC: [u8; 8] = *b"pbft-hel";

/// What both ends say first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) magic: [u8; 8],
    pub(super) versions: VersionRange,
    pub(super) cluster: ClusterId,
    pub(super) claimed: Peer,
    pub(super) expected: Peer,
    pub(super) ephemeral: [u8; EPHEMERAL_BYTES],
    pub(super) nonce: [u8; 32],
    pub(super) log: LogId,
    pub(super) entries: Vec<(String, String)>,
}

impl Hello {
    pub(super) fn new(
        introduction: &Introduction,
        expected: Peer,
        ephemeral: [u8; EPHEMERAL_BYTES],
        nonce: [u8; 32],
    ) -> Self {
        Self {
            magic: MAGIC,
            versions: introduction.versions,
            cluster: introduction.cluster,
            claimed: introduction.own,
            expected,
            ephemeral,
            nonce,
            log: introduction.log,
            entries: introduction.entries.clone(),
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        codec::encode(self).into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let hello: Self = codec::decode(bytes, HELLO_BYTES_MAX).map_err(HandshakeError::Malformed)?;
        if hello.magic == MAGIC { Ok(hello) } else { Err(HandshakeError::Magic) }
    }

    /// Checks what needs no key; gives the version that both speak.
    pub(super) fn check(&self, introduction: &Introduction) -> Result<u16, HandshakeError> {
        if self.cluster != introduction.cluster {
            return Err(HandshakeError::Cluster { ours: introduction.cluster, theirs: self.cluster });
        }
        if self.claimed == introduction.own {
            return Err(HandshakeError::Reflection);
        }
        if self.expected != introduction.own {
            return Err(HandshakeError::WrongPeer { wanted: self.expected, found: introduction.own });
        }
        let (ours, theirs) = (introduction.versions, self.versions);
        ours.common(theirs).ok_or(HandshakeError::Version { ours, theirs })
    }
}
