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
    /// Nodes of the tree over a checkpoint's pages: META-DATA.
    Nodes {
        /// The checkpoint.
        seq: Seq,
        /// Comes back with the answer.
        ticket: u64,
        /// Level and number of each; at most [`NODES_PER_DATA_MAX`](super::NODES_PER_DATA_MAX).
        nodes: Vec<(u8, u64)>,
    },
    /// Pages of a checkpoint: DATA.
    Pages {
        /// The checkpoint.
        seq: Seq,
        /// Comes back with the answer.
        ticket: u64,
        /// Their indexes; at most [`PAGES_PER_DATA_MAX`](super::PAGES_PER_DATA_MAX).
        pages: Vec<u64>,
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

/// META-DATA, in answer to [`Fetch::Nodes`]: what is below each node that was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeData {
    /// The checkpoint.
    pub seq: Seq,
    /// The question's.
    pub ticket: u64,
    /// The nodes, as they were asked for; none if the checkpoint is not held any more.
    pub nodes: Option<Vec<TreeNode>>,
}

/// A node of the tree over a checkpoint's pages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TreeNode {
    /// Its level; pages are level 0.
    pub level: u8,
    /// Its number at that level.
    pub index: u64,
    /// Slot and digest of each child, ascending; at most
    /// [`NODE_CHILDREN_MAX`](super::NODE_CHILDREN_MAX).
    pub children: Vec<(u8, Digest)>,
}

/// DATA, in answer to [`Fetch::Pages`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PageData {
    /// The checkpoint.
    pub seq: Seq,
    /// The question's.
    pub ticket: u64,
    /// The pages with their indexes, as they were asked for; none if the checkpoint is not held any
    /// more.
    pub pages: Option<Vec<(u64, Bytes)>>,
}
