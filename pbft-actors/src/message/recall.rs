use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Vote;
use crate::types::LogId;

/// A replica that starts asks what the others know of it (PROTOCOL 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recall {
    /// The log it starts with.
    pub log: LogId,
}

/// The answer to RECALL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recollection {
    /// The log that the question named.
    pub log: LogId,
    /// The log known of each replica, by id; the default where none is.
    pub known: Vec<LogId>,
    /// The highest stable certificate, as signed CHECKPOINTs; none at seq 0.
    pub certificate: Vec<Bytes>,
    /// Votes of the replica that asks which are held here: at most two for each seq.
    pub votes: Vec<(VoteKind, Vote)>,
    /// Its latest VIEW-CHANGE, as it signed it.
    pub view_change: Option<Bytes>,
}

/// Which promise a vote is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum VoteKind {
    /// To accept the batch: the primary's proposal, or a PREPARE.
    PrePrepared,
    /// That the batch prepared: a COMMIT.
    Prepared,
}
