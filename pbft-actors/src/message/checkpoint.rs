use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Signed;
use crate::crypto::Digest;
use crate::types::Seq;

/// The state's digest after the batch `seq`, the client table included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// A multiple of K.
    pub seq: Seq,
    /// The root of the state's pages.
    pub digest: Digest,
}

/// A stable checkpoint: CHECKPOINTs of Q distinct replicas for one (seq, digest).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// What is stable.
    pub checkpoint: Checkpoint,
    /// The proof.
    pub votes: Vec<Signed<Checkpoint>>,
}

impl Certificate {
    /// The encoded form: the votes as they were signed.
    pub(super) fn wire(&self) -> Vec<Bytes> {
        self.votes.iter().map(|vote| vote.wire().clone()).collect()
    }
}
