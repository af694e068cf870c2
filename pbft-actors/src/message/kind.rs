use serde::{Deserialize, Serialize};

/// What a frame holds. The number is part of every proof, so that no message is read as another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// A client's request.
    Request = 1,
    /// Asks for a request in its signed form.
    NeedSignature = 2,
    /// The primary's proposal.
    PrePrepare = 3,
    /// A backup accepts a proposal.
    Prepare = 4,
    /// A replica has prepared.
    Commit = 5,
    /// A replica knows a batch to be decided.
    Decided = 6,
    /// The answer to a client.
    Reply = 7,
    /// The digest of the state at a checkpoint.
    Checkpoint = 8,
    /// A quorum of CHECKPOINTs.
    Certificate = 9,
    /// A replica wants the next view.
    ViewChange = 10,
    /// The new primary starts its view.
    NewView = 11,
    /// Where a replica stands.
    Status = 12,
    /// Asks for a batch, or for nodes or pages of a checkpoint.
    Fetch = 13,
    /// A batch asked for.
    BatchData = 14,
    /// Pages asked for.
    PageData = 15,
    /// A replica that starts asks what is known of it.
    Recall = 16,
    /// The answer to RECALL.
    Recollection = 17,
    /// A replica has more requests than it can serve.
    Busy = 18,
    /// Nodes asked for.
    NodeData = 19,
    /// Several requests of one client, none of them signed.
    Requests = 20,
    /// Several answers to one client.
    Replies = 21,
}

impl Kind {
    /// Every kind, by number.
    pub const ALL: [Self; 21] = [
        Self::Request,
        Self::NeedSignature,
        Self::PrePrepare,
        Self::Prepare,
        Self::Commit,
        Self::Decided,
        Self::Reply,
        Self::Checkpoint,
        Self::Certificate,
        Self::ViewChange,
        Self::NewView,
        Self::Status,
        Self::Fetch,
        Self::BatchData,
        Self::PageData,
        Self::Recall,
        Self::Recollection,
        Self::Busy,
        Self::NodeData,
        Self::Requests,
        Self::Replies,
    ];

    /// The kind with this number; unknown ones are counted, not fatal.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The word used in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::NeedSignature => "need_signature",
            Self::PrePrepare => "pre_prepare",
            Self::Prepare => "prepare",
            Self::Commit => "commit",
            Self::Decided => "decided",
            Self::Reply => "reply",
            Self::Checkpoint => "checkpoint",
            Self::Certificate => "certificate",
            Self::ViewChange => "view_change",
            Self::NewView => "new_view",
            Self::Status => "status",
            Self::Fetch => "fetch",
            Self::BatchData => "batch_data",
            Self::PageData => "page_data",
            Self::Recall => "recall",
            Self::Recollection => "recollection",
            Self::Busy => "busy",
            Self::NodeData => "node_data",
            Self::Requests => "requests",
            Self::Replies => "replies",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_number() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(22), None);
    }
}
