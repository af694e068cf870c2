use std::fmt;

use serde::{Deserialize, Serialize};

use super::REPLICAS_MAX;

/// A replica's place in the group, `0..n`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(pub u8);

impl ReplicaId {
    /// The id as an index into a list with one entry per replica.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A client's identity in the directory.
///
/// The highest [`REPLICAS_MAX`] numbers are the replicas' own: a replica orders its REJOIN as a
/// client of the group does (PROTOCOL 11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u32);

impl ClientId {
    const FIRST_REPLICA: u32 = u32::MAX - REPLICAS_MAX as u32 + 1;

    /// The identity under which `replica` orders operations about itself.
    pub fn of_replica(replica: ReplicaId) -> Self {
        Self(Self::FIRST_REPLICA + u32::from(replica.0))
    }

    /// The replica whose own identity this is, if it is one.
    pub fn replica(self) -> Option<ReplicaId> {
        self.0.checked_sub(Self::FIRST_REPLICA).and_then(|id| u8::try_from(id).ok()).map(ReplicaId)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.replica() {
            Some(replica) => write!(f, "replica-{replica}"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A session of a client's identity; numbers only rise (PROTOCOL 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// A request's number within its session; 0 opens the session, operations start at 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The timestamp of the request that opens a session.
    pub const OPENING: Self = Self(0);

    /// The next timestamp.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What a client calls one request by: it can be asked again under this id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestId {
    /// The client.
    pub client: ClientId,
    /// Its session.
    pub session: SessionId,
    /// The number within the session.
    pub timestamp: Timestamp,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.client, self.session.0, self.timestamp.0)
    }
}
