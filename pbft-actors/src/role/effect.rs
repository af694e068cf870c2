use std::sync::Arc;

use bytes::Bytes;

use super::{CheckpointerInput, ExecutorInput, Mail, SavedState, Taken};
use crate::codec;
use crate::crypto::Digest;
use crate::message::{
    Batch, BatchData, Busy, Certificate, Checkpoint, Entry, Fetch, Kind, NeedSignature, NewView, NodeData,
    PageData, Payload, PrePrepare, Recall, Recollection, Reply, Request, Signed, Status, ViewChange, Vote,
    encode_batch_data, encode_certificate, encode_pre_prepare,
};
use crate::ports::state::{Saved, Snapshot};
use crate::types::{ClientId, LogId, ReplicaId, ReplicaSet, Seq, View};

/// One thing that a step of a role asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Keep this before anything after it leaves.
    Persist(Record),
    /// Send a message to peers.
    Send(To, Message),
    /// Tell a role, the own one too.
    Tell(Mail),
    /// No vote of this view or a lower one may leave any more (PROTOCOL 7.2).
    Fence(View),
    /// What follows depends on none of the records before.
    StepEnd,
    /// Have the digest of a state computed, then tell the executor.
    Digest { generation: u64, taken: Taken },
    /// Write a state to disk, then tell whoever waits for it.
    Save(Save),
    /// Records of this seq and lower ones are needed no more.
    Release(Seq),
    /// Let those who watch know.
    Event(Event),
}

/// A state on its way to disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Save {
    /// That of a checkpoint; the executor waits for it.
    Checkpoint { seq: Seq, snapshot: Snapshot },
    /// How far the transfer to a checkpoint is; the checkpointer waits for it.
    Transfer { target: Checkpoint, snapshot: Snapshot },
}

impl Save {
    /// What is said once it is there.
    pub(crate) fn done(&self, saved: Option<Arc<Saved>>) -> Mail {
        match self {
            Self::Checkpoint { seq, .. } => ExecutorInput::Saved(SavedState { seq: *seq, saved }).into(),
            Self::Transfer { target, .. } => {
                CheckpointerInput::TransferSaved(SavedState { seq: target.seq, saved }).into()
            }
        }
    }
}

/// Who a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum To {
    /// One replica, never the own one.
    Replica(ReplicaId),
    /// Every other replica.
    Others,
    /// These replicas.
    #[cfg_attr(
        not(any(test, feature = "sim")),
        expect(dead_code, reason = "only an adversary tells some replicas what it does not tell others")
    )]
    Replicas(ReplicaSet),
    /// A client.
    Client(ClientId),
}

/// A message on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    Request(Request),
    NeedSignature(NeedSignature),
    PrePrepare(PrePrepare),
    Prepare(Vote),
    Commit(Vote),
    Decided(Vote),
    Reply(Reply),
    Busy(Busy),
    Checkpoint(Signed<Checkpoint>),
    Certificate(Arc<Certificate>),
    ViewChange(Signed<ViewChange>),
    NewView(Signed<NewView>),
    Status(Status),
    Fetch(Fetch),
    BatchData(BatchData),
    NodeData(NodeData),
    PageData(PageData),
    Recall(Recall),
    Recollection(Recollection),
}

impl Message {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Request(_) => Kind::Request,
            Self::NeedSignature(_) => Kind::NeedSignature,
            Self::PrePrepare(_) => Kind::PrePrepare,
            Self::Prepare(_) => Kind::Prepare,
            Self::Commit(_) => Kind::Commit,
            Self::Decided(_) => Kind::Decided,
            Self::Reply(_) => Kind::Reply,
            Self::Busy(_) => Kind::Busy,
            Self::Checkpoint(_) => Kind::Checkpoint,
            Self::Certificate(_) => Kind::Certificate,
            Self::ViewChange(_) => Kind::ViewChange,
            Self::NewView(_) => Kind::NewView,
            Self::Status(_) => Kind::Status,
            Self::Fetch(_) => Kind::Fetch,
            Self::BatchData(_) => Kind::BatchData,
            Self::NodeData(_) => Kind::NodeData,
            Self::PageData(_) => Kind::PageData,
            Self::Recall(_) => Kind::Recall,
            Self::Recollection(_) => Kind::Recollection,
        }
    }

    /// The view of a vote; a PRE-PREPARE is the primary's.
    pub(crate) fn vote_view(&self) -> Option<View> {
        match self {
            Self::PrePrepare(message) => Some(message.view),
            Self::Prepare(vote) | Self::Commit(vote) => Some(vote.view),
            _ => None,
        }
    }

    /// Encodes and hashes the message, once for all its links.
    pub(crate) fn payload(&self) -> Payload {
        let body: Bytes = match self {
            Self::Request(request) => request.wire().clone(),
            Self::NeedSignature(message) => codec::encode(message).into(),
            Self::PrePrepare(message) => encode_pre_prepare(message).into(),
            Self::Prepare(vote) | Self::Commit(vote) | Self::Decided(vote) => codec::encode(vote).into(),
            Self::Reply(message) => codec::encode(message).into(),
            Self::Busy(message) => codec::encode(message).into(),
            Self::Checkpoint(signed) => signed.wire().clone(),
            Self::Certificate(certificate) => encode_certificate(certificate).into(),
            Self::ViewChange(signed) => signed.wire().clone(),
            Self::NewView(signed) => signed.wire().clone(),
            Self::Status(message) => codec::encode(message).into(),
            Self::Fetch(message) => codec::encode(message).into(),
            Self::BatchData(message) => encode_batch_data(message).into(),
            Self::NodeData(message) => codec::encode(message).into(),
            Self::PageData(message) => codec::encode(message).into(),
            Self::Recall(message) => codec::encode(message).into(),
            Self::Recollection(message) => codec::encode(message).into(),
        };
        match self {
            Self::Request(request) => Payload::of_requests(Kind::Request, body, [request].into_iter()),
            Self::PrePrepare(message) => {
                let inline = message.entries.iter().filter_map(|entry| match entry {
                    Entry::Inline(request) => Some(request),
                    Entry::Digest(_) => None,
                });
                Payload::of_requests(Kind::PrePrepare, body, inline)
            }
            Self::BatchData(message) => {
                Payload::of_requests(Kind::BatchData, body, message.batch.requests().iter())
            }
            _ => Payload::new(self.kind(), body),
        }
    }
}

/// What a replica must not forget (PROTOCOL 11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    /// A batch was accepted at a seq, with its body: an entry of Qs.
    PrePrepared { view: View, seq: Seq, batch: Arc<Batch> },
    /// A batch prepared at a seq: an entry of P.
    Prepared { view: View, seq: Seq, digest: Digest },
    /// The own VIEW-CHANGE.
    ViewChange(Signed<ViewChange>),
    /// A NEW-VIEW that was sent or entered.
    NewView(Signed<NewView>),
    /// The own checkpoint, before it is claimed.
    Checkpoint(Checkpoint),
    /// A stable certificate; what is at or below it may be erased.
    Stable(Arc<Certificate>),
    /// The first log id seen of a peer.
    PeerLog { replica: ReplicaId, log: LogId },
    /// What was decided at a seq; with its body where no other record has it.
    Decided { seq: Seq, digest: Digest, batch: Option<Arc<Batch>> },
    /// This replica has no memory, and asks to be let in again under this log.
    Lost(LogId),
    /// It votes under this log: the group let it in again, or knew of no other one when it began.
    LetIn(LogId),
}

impl Record {
    /// Whether anything waits until it is durable.
    pub(crate) fn is_awaited(&self) -> bool {
        !matches!(self, Self::Decided { .. })
    }
}

/// What those who watch a replica may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The replica left its view and asks for this one.
    ViewChangeStarted {
        /// The view asked for.
        view: View,
    },
    /// A view was entered.
    ViewInstalled {
        /// The view.
        view: View,
        /// Its primary.
        primary: ReplicaId,
    },
    /// The stable checkpoint advanced.
    StableCheckpoint {
        /// What is stable.
        checkpoint: Checkpoint,
    },
    /// Batches were executed, up to and including `seq`.
    Executed {
        /// The last batch.
        seq: Seq,
        /// Operations that were executed now.
        operations: usize,
    },
    /// The replica lacks what the others dropped and fetches their state.
    Behind {
        /// The checkpoint fetched.
        target: Seq,
    },
    /// The state of a checkpoint was fetched and installed.
    Transferred {
        /// The checkpoint.
        seq: Seq,
        /// Pages fetched for it.
        pages: u64,
        /// Bytes of these, and of the nodes of the tree above them.
        bytes: u64,
    },
    /// A peer did what no correct replica does.
    Misbehaved {
        /// Who.
        replica: ReplicaId,
        /// What.
        what: &'static str,
    },
    /// This replica's own state is not the group's; it repairs itself by transfer.
    Diverged {
        /// The stable checkpoint at which this was found.
        seq: Seq,
        /// The own digest.
        own: Digest,
        /// The group's digest.
        stable: Digest,
    },
    /// The state that differed was replaced by the group's.
    Repaired {
        /// The checkpoint.
        seq: Seq,
        /// The first seq whose operations may be what went wrong; the last is the checkpoint's.
        since: Seq,
        /// The first page that differed.
        page: u64,
    },
    /// The group gave this replica a place, or took it: whether it votes.
    Voting {
        /// Whether it votes now.
        votes: bool,
    },
    /// The replica lost its memory and asks to be let in again (PROTOCOL 11).
    Rejoining {
        /// R: where it may vote again.
        target: Seq,
    },
    /// Parts of the state on disk are not what was written there; they are fetched from the others.
    Damaged {
        /// How many are known.
        parts: usize,
        /// The first: its level in the tree over the pages, 0 for a page, and its number there.
        first: (u8, u64),
    },
    /// The replica must stop: going on could be unsafe.
    Fatal {
        /// Why.
        why: String,
    },
}
