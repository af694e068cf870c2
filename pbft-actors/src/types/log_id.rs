use serde::{Deserialize, Serialize};

/// The identity of one log of one replica (PROTOCOL 11).
///
/// A replica that lost its memory has a new log, and so a new id. Ids of one replica are ordered by
/// `number`, the wall time of the log's creation in microseconds, or one above the highest number
/// the others knew where that is later: what is signed under an older log is void.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LogId {
    /// Rises with every new log of the replica.
    pub number: u64,
    /// Random, so that two logs made at one instant differ.
    pub salt: u64,
}
