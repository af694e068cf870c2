//! Every role's inputs, on one page. Who tells what to whom:
//!
//! ```text
//! clients --Requests--> executor --Admitted--> batcher --Propose--> orderer --Execute--> executor
//!                          ^  |---Executed-----> batcher               ^ |
//!                          |  '---Taken--------> checkpointer --Stable-' '-Progress--> view changer
//!                          '------Stable/Install------'                  view changer --Freeze/Enter--> orderer
//!                                                          batcher --Suspect--> view changer
//! ```

use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::Digest;
use crate::message::{
    Batch, BatchData, Certificate, Checkpoint, Fetch, NeedSignature, NodeData, PageData, PrePrepare,
    PrePrepared, Prepared, ProvenNewView, ProvenRecollection, Recall, Request, Signed, Status, Verified,
    ViewChange, Vote, VoteKind,
};
use crate::ports::state::{DamagedPart, Saved, Snapshot};
use crate::types::{
    ClientId, LogId, Millis, ReplicaId, ReplicaSet, RequestId, Seq, SessionId, Timestamp, View,
};

/// A message to one role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mail {
    Batcher(BatcherInput),
    Orderer(OrdererInput),
    Checkpointer(CheckpointerInput),
    ViewChanger(ViewChangerInput),
    Executor(ExecutorInput),
}

/// Inputs of the request batcher, which owns pending requests and their timer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BatcherInput {
    /// From the executor: requests of open sessions that were not executed yet.
    Admitted(Vec<Verified<Request>>),
    /// From a peer: it cannot verify a request.
    NeedSignature(Verified<NeedSignature>),
    /// From the orderer: a proposal names requests that it could not prove or lacks.
    Need(Need),
    /// From the orderer, at the primary: what may be proposed.
    Grant(Grant),
    /// From the orderer: a batch was accepted at this seq.
    Accepted(Seq),
    /// From the view changer: the view is left; timers stand still.
    Changing(View),
    /// From the view changer: the view is entered.
    Entered(Entered),
    /// From the view changer: clients whose MACs count no more.
    SignedOnly(Vec<ClientId>),
    /// From the view changer: T changed.
    Timeout(Millis),
    /// From the executor: what the committed prefix finished.
    Executed(Finished),
    /// From the executor: the state jumped to this seq by transfer.
    Jumped(Seq),
    /// From the executor: a replica rejoins, so that the group must pass this seq.
    Fill(Seq),
    /// From the checkpointer: whether state is being fetched; timers stand still meanwhile.
    Transferring(bool),
    /// From the executor: whether committed batches wait for the disk; timers stand still meanwhile.
    WaitingForDisk(bool),
    /// From the carrier: no mail is in flight inside the replica.
    TurnEnd,
}

/// Requests that the orderer asks the batcher for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Need {
    /// Each with its client where that is known.
    pub(crate) requests: Vec<(Digest, Option<ClientId>)>,
    /// Whether it was asked before: now the others are asked for the signed form.
    pub(crate) again: bool,
}

/// What the primary may propose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Grant {
    pub(crate) view: View,
    /// The next free seq.
    pub(crate) next: Seq,
    /// Batches that may be proposed now.
    pub(crate) credits: usize,
}

/// A view was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entered {
    pub(crate) view: View,
    /// T in this view.
    pub(crate) timeout: Millis,
}

/// What the committed prefix finished.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Finished {
    pub(crate) seq: Seq,
    /// Requests executed, now or before.
    pub(crate) requests: Vec<RequestId>,
    /// Sessions whose floor rose: everything below is answered.
    pub(crate) floors: Vec<(ClientId, SessionId, Timestamp)>,
    /// Sessions that were closed.
    pub(crate) closed: Vec<(ClientId, SessionId)>,
}

/// Inputs of the three-phase orderer, which owns slots, votes and water marks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum OrdererInput {
    /// From the batcher, at the primary.
    Propose {
        view: View,
        batch: Arc<Batch>,
    },
    /// From the batcher: requests asked for, with a proof that is good here.
    Found(Vec<Request>),
    /// From the executor: a read waits for what is prepared to be certain.
    ReadWaits,
    PrePrepare(Verified<PrePrepare>),
    Prepare(Verified<Vote>),
    Commit(Verified<Vote>),
    Decided(Verified<Vote>),
    /// The own proposal is durable.
    OwnPrePrepare(Vote),
    /// The own vote is durable.
    OwnPrepare(Vote),
    /// The own vote is durable.
    OwnCommit(Vote),
    Fetch(Verified<Fetch>),
    BatchData(Verified<BatchData>),
    Status(Verified<Status>),
    /// From the view changer: time to say where this replica stands.
    StatusDue {
        view_changes: ReplicaSet,
    },
    /// From the checkpointer: a checkpoint that this replica can serve.
    OwnCheckpoint(Checkpoint),
    /// From the checkpointer: h advanced.
    Stable(Seq),
    /// From the executor: the state jumped to this seq by transfer.
    Jumped(Seq),
    /// From the view changer: stop voting; answered by `Frozen`.
    Freeze(View),
    /// From the view changer: hold these batches; answered by `Gathered`.
    Gather {
        view: View,
        chosen: Vec<(Seq, Digest)>,
    },
    /// From the view changer: vote in this view.
    Enter(Enter),
    /// From the checkpointer: whether this replica may vote at all.
    Voting(bool),
    /// What was remembered is in place: go on from there.
    Start,
    /// From the carrier: a link to a replica came up and showed its log.
    PeerLog {
        replica: ReplicaId,
        log: LogId,
    },
    /// From a replica that starts.
    Recall(ReplicaId, Recall),
}

/// How a view starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Enter {
    pub(crate) view: View,
    /// The checkpoint that V chose.
    pub(crate) checkpoint: Seq,
    /// X.
    pub(crate) chosen: Vec<(Seq, Digest)>,
    /// Seqs above X that some Qs names: only null may be proposed there.
    pub(crate) contested: Vec<Seq>,
    /// Clients whose MACs count no more.
    pub(crate) signed_only: Vec<ClientId>,
}

/// Inputs of the checkpointer, which owns certificates, transfer and this replica's right to vote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CheckpointerInput {
    /// The replica starts with this state.
    Start(Taken),
    /// From the executor: a checkpoint was taken of a committed batch.
    Taken(Taken),
    /// From the executor: the last batch executed.
    Executed(Seq),
    /// From the orderer, which starts: how far the journal leads.
    Replayed(Seq),
    Checkpoint(Verified<Signed<Checkpoint>>),
    /// The own CHECKPOINT is durable.
    OwnCheckpoint(Signed<Checkpoint>),
    Certificate(Verified<Certificate>),
    Status(Verified<Status>),
    /// From a peer: it fetches nodes or pages.
    Fetch(Verified<Fetch>),
    NodeData(Verified<NodeData>),
    PageData(Verified<PageData>),
    /// From the view changer: the checkpoint a view starts from, and who can serve it.
    Chosen {
        checkpoint: Checkpoint,
        holders: ReplicaSet,
    },
    /// From the executor: whether committed batches wait for the disk, so that they need not be fetched.
    WaitingForDisk(bool),
    /// From the executor: what was fetched is the state now.
    Installed(Taken),
    /// From the executor: the checkpoint was reached by executing meanwhile.
    InstallNeedless(Checkpoint),
    /// From the orderer: the first log that this replica sees of another one.
    PeerLog {
        replica: ReplicaId,
        log: LogId,
    },
    /// From the view changer: a replica that starts asks what is known of it.
    Recall(Recalled),
    Recollection(Box<Verified<ProvenRecollection>>),
    /// From the executor: a REJOIN is executed.
    Rejoined(Rejoined),
    /// From the executor: the state of this checkpoint is durable.
    Saved(SavedState),
    /// From the carrier: how far a transfer is, is on disk.
    TransferSaved(SavedState),
    /// From the executor, which met it, or from the carrier, which looked for it: parts of the state
    /// on disk are not what was written there.
    Damaged(Vec<DamagedPart>),
}

/// A checkpoint with the state itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    pub(crate) seq: Seq,
    pub(crate) snapshot: Snapshot,
}

impl Taken {
    /// What is said of it.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { seq: self.seq, digest: self.snapshot.root() }
    }
}

/// What a replica that starts asks for, with what was found on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recalled {
    pub(crate) peer: ReplicaId,
    pub(crate) recall: Recall,
    /// From the orderer: its votes.
    pub(crate) votes: Vec<(VoteKind, Vote)>,
    /// From the view changer: its latest VIEW-CHANGE.
    pub(crate) view_change: Option<Bytes>,
}

/// An executed REJOIN (PROTOCOL 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rejoined {
    pub(crate) replica: ReplicaId,
    pub(crate) log: LogId,
    /// Where it executed.
    pub(crate) seq: Seq,
    /// R.
    pub(crate) target: Seq,
}

/// Inputs of the view-change manager, which owns which view this replica moves to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ViewChangerInput {
    /// From the batcher: the primary of this view does not serve.
    Suspect(View),
    ViewChange(Verified<Signed<ViewChange>>),
    /// The own VIEW-CHANGE is durable.
    OwnViewChange(Signed<ViewChange>),
    NewView(Verified<ProvenNewView>),
    /// From the orderer, in answer to `Freeze`.
    Frozen(Frozen),
    /// From the orderer, in answer to `Gather`.
    Gathered(View),
    /// The own NEW-VIEW is durable.
    OwnNewView(ProvenNewView),
    /// From the orderer: a batch was committed in this view.
    Progress(View),
    /// From the orderer: all that the NEW-VIEW of this view chose is decided here.
    Settled(View),
    /// From the checkpointer: h advanced.
    Stable(Seq),
    Status(Verified<Status>),
    /// From the checkpointer: what a replica signs under an older log is void.
    Log {
        replica: ReplicaId,
        log: LogId,
    },
    /// From the checkpointer: this replica signs under this log.
    OwnLog(LogId),
    /// From the checkpointer: whether this replica may vote at all.
    Voting(bool),
    /// From the checkpointer: whether state is being fetched.
    Transferring(bool),
    /// The replica starts: where its journal says it was.
    Start(Box<Whereabouts>),
    /// From the orderer: a replica that starts asks what is known of it.
    Recall(Recalled),
}

/// Where a replica was when it stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Whereabouts {
    /// The highest view asked for, with the VIEW-CHANGE unless the disk lost it.
    pub(crate) asked: Option<(View, Option<Signed<ViewChange>>)>,
    /// The highest view entered by NEW-VIEW, with it unless the disk lost it.
    pub(crate) entered: Option<(View, Option<ProvenNewView>)>,
}

/// What the orderer promised, as of one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frozen {
    pub(crate) view: View,
    pub(crate) stable: Seq,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) pre_prepared: Vec<PrePrepared>,
    /// Clients whose requests blocked a seq because their MAC was wrong here.
    pub(crate) disputed: Vec<ClientId>,
}

/// Inputs of the executor, which owns the state, the client table and the replies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ExecutorInput {
    /// From clients, or forwarded by peers.
    Requests(Vec<Verified<Request>>),
    /// From the orderer: the next batches of the committed prefix.
    Execute(Vec<(Seq, Arc<Batch>)>),
    /// From the checkpointer: h advanced; older checkpoints may go.
    Stable(Seq),
    /// From the checkpointer: the state of a checkpoint was fetched.
    Install(Install),
    /// From the orderer: the next batch, prepared in this view and not certain yet.
    Tentative { view: View, seq: Seq, batch: Arc<Batch> },
    /// From the orderer: a batch is prepared here, so a read that comes now must see it.
    Prepared(Seq),
    /// From the orderer: this replica left its view, or may not vote. What is tentative is undone, and no
    /// read is answered.
    Halt,
    /// From the orderer: this replica votes; reads must see everything up to this seq.
    Resume(Seq),
    /// From the view changer.
    Entered(View),
    /// From the carrier, in the order asked: a state of this generation has its digest.
    Digested { generation: u64, taken: Taken },
    /// From the carrier: a state is on disk.
    Saved(SavedState),
    /// From the checkpointer: the disk lost a part of the state, which is being fetched.
    Damaged,
}

/// A state that is on disk now.
#[derive(Clone)]
pub(crate) struct SavedState {
    pub(crate) seq: Seq,
    /// Where its pages are; none in memory mode.
    pub(crate) saved: Option<Arc<Saved>>,
}

impl PartialEq for SavedState {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl Eq for SavedState {}

impl std::fmt::Debug for SavedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SavedState({})", self.seq)
    }
}

/// A fetched state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Install {
    /// Its root is what the checkpoint names.
    pub(crate) taken: Taken,
    /// Pages that came from peers.
    pub(crate) pages: u64,
    /// Bytes of these, and of the nodes above them.
    pub(crate) bytes: u64,
    /// How the own state at this checkpoint differed, if it did.
    pub(crate) repairs: Option<Divergence>,
}

/// How a replica's own state at a checkpoint differs from the group's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Divergence {
    /// The first seq that may be what went wrong.
    pub(crate) since: Seq,
    /// The first page that differs.
    pub(crate) page: u64,
}

macro_rules! into_mail {
    ($($input:ident => $variant:ident),*) => {
        $(impl From<$input> for Mail {
            fn from(input: $input) -> Self {
                Self::$variant(input)
            }
        })*
    };
}

into_mail!(
    BatcherInput => Batcher,
    OrdererInput => Orderer,
    CheckpointerInput => Checkpointer,
    ViewChangerInput => ViewChanger,
    ExecutorInput => Executor
);
