//! Between a node's actors and whatever carries its frames.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;

use crate::crypto::{Identity, MacKey};
use crate::message::{Frame, Peer};
use crate::ports::config::Agreed;
pub use crate::role::Outbound;
use crate::types::LogId;

/// What a handshake established.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Who is at the other end.
    pub peer: Peer,
    /// The peer's log, if it is a replica (PROTOCOL 11).
    pub log: LogId,
    /// The key for requests between this client and this replica, with its epoch; none between replicas.
    pub request_key: Option<(u32, MacKey)>,
}

/// Frames' way into a node. Shared by all connection tasks.
pub trait Gate: Send + Sync + 'static {
    /// A handshake ended well.
    fn connected(&self, connected: Connected);

    /// The last connection to a peer ended.
    fn disconnected(&self, peer: Peer);

    /// Frames of one socket read, their tags checked. The connection reads on once this is done.
    fn receive(&self, peer: Peer, frames: Vec<Frame>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Something a peer did was refused below the messages; counted under `reason`.
    fn rejected(&self, peer: Option<Peer>, reason: &'static str);

    /// The public key by which a peer is recognised now, if it may connect.
    fn public_key(&self, peer: Peer) -> Option<crate::crypto::PublicKey>;
}

/// A node's way out. Messages that cannot be sent now are dropped: the protocol repeats what matters.
pub trait Outlet: Send {
    /// Sends the messages of one turn: one write per link.
    fn send(&self, messages: Vec<Outbound>);

    /// Ends every connection after what was sent is written.
    fn close(&self);
}

/// Who this node is to others.
#[derive(Clone, Debug)]
pub struct Node {
    /// This node.
    pub own: Peer,
    /// Its secret key.
    pub identity: Identity,
    /// Compared in the handshake; the keys that differ are named.
    pub agreed: Arc<Agreed>,
    /// The replica's current log; the default for a client.
    pub log: LogId,
}

/// A transport that could not start.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// Carries frames to and from peers.
pub trait Transport: Send + 'static {
    /// Starts within the running actix system.
    fn start(self: Box<Self>, node: Node, gate: Arc<dyn Gate>) -> Result<Box<dyn Outlet>, TransportError>;
}
