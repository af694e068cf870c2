use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Batch;
use crate::crypto::Digest;
use crate::types::Seq;

/// Asks a peer for what it holds; the answer is checked by digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fetch {
    /// A batch.
    Batch {
        /// Its place.
        seq: Seq,
        /// Its digest.
        digest: Digest,
    },
    /// Pages of a checkpoint, ascending.
    Pages {
        /// The checkpoint.
        seq: Seq,
        /// The first page index wanted.
        from: u64,
    },
}

/// The batch asked for, every request in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchData {
    /// The batch's place.
    pub seq: Seq,
    /// The batch.
    pub batch: Arc<Batch>,
}

/// Pages of a checkpoint, in answer to [`Fetch::Pages`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PageData {
    /// The checkpoint.
    pub seq: Seq,
    /// The index that was asked for.
    pub from: u64,
    /// Pages with their indexes, ascending.
    pub pages: Vec<(u64, Bytes)>,
    /// Where to go on; none if these were the last.
    pub next: Option<u64>,
}
