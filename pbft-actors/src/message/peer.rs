use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::{ClientId, ReplicaId};

/// Who is at the other end of a link: whoever proved itself in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Peer {
    /// A replica of the group.
    Replica(ReplicaId),
    /// A client of the directory.
    Client(ClientId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(id) => write!(f, "replica {id}"),
            Self::Client(id) => write!(f, "client {id}"),
        }
    }
}
