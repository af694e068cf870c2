//! The same service without replication: one server on the same transport, with the same frames and one
//! MAC per message. What replication costs is the difference.
//!
//! | message | body |
//! |---|---|
//! | request | the client's token, 8 bytes big-endian; 1 if it only reads, else 0; the operation |
//! | reply | the token; the code of a refusal as a big-endian `u32`, 0 for none; the result |

mod client;
mod server;

use std::sync::Arc;

use pbft_actors::actor::transport::Node;
use pbft_actors::crypto::Identity;
use pbft_actors::message::Peer;
use pbft_actors::types::{LogId, ReplicaId};

pub(crate) use client::UnreplicatedClient;
pub(crate) use server::start_server;

use crate::config::Cluster;

/// The only server.
const SERVER: Peer = Peer::Replica(ReplicaId(0));
/// What clients of a group, and its replicas, are refused by.
const SERVICE: &str = "counters, unreplicated";

/// A node beside a server that is the cluster's first replica.
fn node(cluster: &Cluster, own: Peer, identity: Identity) -> Node {
    let mut agreed = cluster.group.agreed.clone();
    agreed.replicas.truncate(1);
    agreed.service = SERVICE.to_owned();
    Node { own, identity, agreed: Arc::new(agreed), log: LogId::default() }
}
