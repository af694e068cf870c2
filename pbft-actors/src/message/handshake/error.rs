use bytes::Bytes;
use thiserror::Error;

use super::wire::Wire;
use super::{Differences, VersionRange};
use crate::codec::DecodeError;
use crate::message::{ClusterId, Peer};

/// Why a handshake failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HandshakeError {
    /// Not a message of a handshake.
    #[error("not a handshake message: {0}")]
    Malformed(DecodeError),
    /// A message of the handshake, but not the next one.
    #[error("a handshake message out of its order")]
    Order,
    /// Some other protocol speaks on this port.
    #[error("the peer does not speak this protocol; check the address")]
    Magic,
    /// No version in common.
    #[error(
        "no common protocol version: here {} to {}, there {} to {}; upgrade the older one",
        ours.min, ours.max, theirs.min, theirs.max
    )]
    Version {
        /// What this node speaks.
        ours: VersionRange,
        /// What the peer speaks.
        theirs: VersionRange,
    },
    /// A node of another cluster.
    #[error("the peer is of another cluster; check that both use the same cluster file")]
    Cluster {
        /// This node's.
        ours: ClusterId,
        /// The peer's.
        theirs: ClusterId,
    },
    /// Our own message came back, or this node called itself.
    #[error("the peer claims to be this node; check that no two nodes have one id or address")]
    Reflection,
    /// Somebody else than the one wanted.
    #[error("{wanted} was wanted and {found} is here; check the addresses")]
    WrongPeer {
        /// Who was wanted.
        wanted: Peer,
        /// Who answered.
        found: Peer,
    },
    /// The directory does not name this peer.
    #[error("{0} is not in the directory; add its public key if it should be")]
    UnknownIdentity(Peer),
    /// The peer's ephemeral key is of low order.
    #[error("{0} sent an ephemeral key that keeps no secret")]
    Ephemeral(Peer),
    /// The signature is not that of the peer's public key. `differences` are what the configurations
    /// seem to differ in, not proven; the key itself may be among them.
    #[error("{peer} did not prove its identity; check its key (not proven: {differences})")]
    Signature {
        /// Who it claims to be.
        peer: Peer,
        /// What may explain it.
        differences: Differences,
    },
    /// The peer proved itself and its agreed configuration is another.
    #[error("{peer} has another configuration: {differences}; give both the same cluster file")]
    Configuration {
        /// Who it is.
        peer: Peer,
        /// Every key that differs.
        differences: Differences,
    },
    /// The peer refused; its word is not proven, nor are `differences`.
    #[error("the peer refused: {reason}; its log says more (not proven: {differences})")]
    Refused {
        /// The word under which it counts that.
        reason: &'static str,
        /// What may explain it.
        differences: Differences,
    },
}

impl HandshakeError {
    /// Every word that [`Self::reason`] gives.
    pub(super) const REASONS: [&'static str; 11] = [
        "handshake_malformed",
        "handshake_order",
        "handshake_magic",
        "handshake_version",
        "handshake_cluster",
        "handshake_reflection",
        "handshake_wrong_peer",
        "handshake_unknown_identity",
        "handshake_ephemeral",
        "handshake_signature",
        "handshake_configuration",
    ];

    /// The word under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "handshake_malformed",
            Self::Order => "handshake_order",
            Self::Magic => "handshake_magic",
            Self::Version { .. } => "handshake_version",
            Self::Cluster { .. } => "handshake_cluster",
            Self::Reflection => "handshake_reflection",
            Self::WrongPeer { .. } => "handshake_wrong_peer",
            Self::UnknownIdentity(_) => "handshake_unknown_identity",
            Self::Ephemeral(_) => "handshake_ephemeral",
            Self::Signature { .. } => "handshake_signature",
            Self::Configuration { .. } => "handshake_configuration",
            Self::Refused { .. } => "handshake_refused",
        }
    }

    /// The peer at fault, where it proved itself.
    pub fn proven_peer(&self) -> Option<Peer> {
        match self {
            Self::Configuration { peer, .. } => Some(*peer),
            _ => None,
        }
    }
}

/// A handshake that failed, and what the peer should still hear before the connection is closed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{error}")]
pub struct Failure {
    /// Why.
    pub error: HandshakeError,
    /// The last message to the peer, if there is any.
    pub answer: Option<Bytes>,
}

impl From<HandshakeError> for Failure {
    /// The peer hears the reason, unless it was the one to refuse.
    fn from(error: HandshakeError) -> Self {
        let refused = matches!(error, HandshakeError::Refused { .. });
        let answer = (!refused).then(|| Wire::refusal(&error));
        Self { error, answer }
    }
}
