//! The three-phase orderer: slots, votes and water marks; whether this replica votes in its view
//! (PROTOCOL 5).

mod bodies;
mod decide;
mod piggyback;
mod propose;
mod remember;
mod retransmit;
mod slot;
#[cfg(test)]
mod tests;
mod view;
mod vote;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::message::{Batch, Checkpoint, Entry, Peer, PrePrepare, Status, Verified, Vote};
use crate::ports::config::Tuning;
use crate::ports::service::AnyService;
use crate::role::{Event, ExecutorInput, OrdererInput, Outbox, Role};
use crate::roles::RateLimit;
use crate::types::{ClientId, Millis, Now, Quorums, ReplicaId, Seq, View, Window};
use slot::Slot;

/// Messages of a view that is being entered, kept per sender: they may overtake its NEW-VIEW.
const OVERTAKEN_PER_PEER_MAX: usize = 256;

/// Bytes of requests in them.
const OVERTAKEN_BYTES_PER_PEER_MAX: usize = 16 << 20;

/// All that the orderer waits for by itself: it repeats when the view changer says that a STATUS is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum OrdererTimer {
    /// A COMMIT waits for something that it could leave with.
    Commit,
}

/// What an orderer needs to know.
#[derive(Clone, Debug)]
pub(crate) struct OrdererConfig {
    pub(crate) own: ReplicaId,
    pub(crate) quorums: Quorums,
    pub(crate) checkpoint_interval: u64,
    pub(crate) window: u64,
    /// Every client must sign every request.
    pub(crate) signed_requests: bool,
    pub(crate) tuning: Tuning,
    pub(crate) service: Arc<dyn AnyService>,
}

/// A message of a later view than this replica votes in.
#[derive(Clone, Debug)]
enum Overtaken {
    PrePrepare(PrePrepare),
    Prepare(Vote),
    Commit(Vote),
}

impl Overtaken {
    /// Bytes of requests that it holds.
    fn bytes(&self) -> usize {
        match self {
            Self::PrePrepare(message) => message.entries.iter().map(Entry::bytes).sum(),
            Self::Prepare(_) | Self::Commit(_) => 0,
        }
    }

    fn view(&self) -> View {
        match self {
            Self::PrePrepare(message) => message.view,
            Self::Prepare(vote) | Self::Commit(vote) => vote.view,
        }
    }
}

/// The orderer's state.
#[derive(Clone, Debug)]
pub(crate) struct Orderer {
    config: OrdererConfig,
    window: Window,
    view: View,
    /// The view of the votes that are held: the last one entered.
    entered: View,
    /// False from `Freeze` until `Enter`.
    active: bool,
    /// False while this replica has no memory (PROTOCOL 11).
    voting: bool,
    /// Above the stable checkpoint, up to K past the high water mark.
    slots: BTreeMap<Seq, Slot>,
    /// The last batch handed to the executor.
    delivered: Seq,
    /// The last batch that it may have executed tentatively in this view.
    ahead: Seq,
    /// Own checkpoints from the stable one up, for C.
    checkpoints: BTreeMap<Seq, Digest>,
    /// Fresh proposals of this view start here; below it NEW-VIEW chose.
    fresh_from: Seq,
    /// At the primary: the next free seq.
    next_proposal: Seq,
    /// At the primary: where only null may be proposed.
    contested: BTreeSet<Seq>,
    /// At the primary: batches that were granted a place that null took.
    displaced: VecDeque<Arc<Batch>>,
    /// The grant that the batcher holds.
    granted: Option<(View, Seq, usize)>,
    /// The view changer wants to know of the first batch committed in this view.
    progress_wanted: bool,
    /// Batches that NEW-VIEW chose are not all decided here yet.
    settling: bool,
    /// As the new primary: what must be held before NEW-VIEW leaves.
    gathering: Option<(View, Vec<(Seq, Digest)>)>,
    /// A COMMIT that leaves with the next message to all.
    waiting_commit: Option<Vote>,
    overtaken: BTreeMap<ReplicaId, VecDeque<Overtaken>>,
    signed_only: BTreeSet<ClientId>,
    answered: RateLimit,
    fetched: RateLimit,
    recalled: RateLimit,
    /// Replicas whose first log is kept.
    logs: BTreeSet<ReplicaId>,
    /// STATUSes due since the last one was sent: an idle group says less.
    quiet: u32,
    last_status: Option<Status>,
}

impl Orderer {
    pub(crate) fn new(config: OrdererConfig) -> Self {
        Self {
            window: Window::new(Seq::ZERO, config.window),
            config,
            view: View(0),
            entered: View(0),
            active: true,
            voting: false,
            slots: BTreeMap::new(),
            delivered: Seq::ZERO,
            ahead: Seq::ZERO,
            checkpoints: BTreeMap::new(),
            fresh_from: Seq(1),
            next_proposal: Seq(1),
            contested: BTreeSet::new(),
            displaced: VecDeque::new(),
            granted: None,
            progress_wanted: true,
            settling: false,
            gathering: None,
            waiting_commit: None,
            overtaken: BTreeMap::new(),
            signed_only: BTreeSet::new(),
            answered: RateLimit::default(),
            fetched: RateLimit::default(),
            recalled: RateLimit::default(),
            logs: BTreeSet::new(),
            quiet: 0,
            last_status: None,
        }
    }

    /// Where it stands, for people.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn describe(&self) -> String {
        let open = self.slots.iter().filter(|(seq, _)| **seq > self.delivered).map(|(seq, slot)| {
            format!(
                "{seq}: proposal {} chosen {:?} accepted {:?} prepares {} commits {} decided {:?} claims {}",
                slot.proposal.is_some(),
                slot.chosen,
                slot.accepted,
                slot.prepares.len(),
                slot.commits.len(),
                slot.decided,
                slot.claims.len()
            )
        });
        let open: Vec<String> = open.collect();
        format!(
            "h {} delivered {} next {} open {open:?}",
            self.window.low(),
            self.delivered,
            self.next_proposal
        )
    }

    /// How many seqs above the stable checkpoint something is held about.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn slots(&self) -> usize {
        self.slots.range(self.window.low().next()..).count()
    }

    fn primary(&self) -> ReplicaId {
        self.config.quorums.primary(self.view)
    }

    fn is_primary(&self) -> bool {
        self.primary() == self.config.own
    }

    /// Whether a vote of this replica in its view may be cast now.
    fn may_vote(&self) -> bool {
        self.active && self.voting
    }

    /// Votes this far above the high water mark are kept: their sender's window is ahead by up to K.
    fn is_kept(&self, seq: Seq) -> bool {
        self.window.low() < seq && seq <= self.window.high().plus(self.config.checkpoint_interval)
    }

    /// Reads must see what NEW-VIEW chose, and what is prepared here since.
    fn resume_reads(&mut self, prepared: Seq, out: &mut Outbox<OrdererTimer>) {
        let chosen = Seq(self.fresh_from.0 - 1);
        // What is stable has no promises any more, and the state may be older than that after a start.
        out.tell(ExecutorInput::Resume(chosen.max(prepared).max(self.window.low())));
    }

    fn slot(&mut self, seq: Seq) -> &mut Slot {
        self.slots.entry(seq).or_default()
    }

    /// Keeps a message of a view that this replica is not in yet.
    fn keep_overtaken(&mut self, from: ReplicaId, message: Overtaken) {
        let kept = self.overtaken.entry(from).or_default();
        kept.push_back(message);
        let mut bytes: usize = kept.iter().map(Overtaken::bytes).sum();
        while kept.len() > OVERTAKEN_PER_PEER_MAX || bytes > OVERTAKEN_BYTES_PER_PEER_MAX {
            bytes -= kept.pop_front().map_or(0, |oldest| oldest.bytes());
        }
    }

    fn on_stable(&mut self, now: Now, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        if seq <= self.window.low() {
            return;
        }
        self.window = Window::new(seq, self.window.length());
        self.slots = self.slots.split_off(&seq.next());
        self.checkpoints = self.checkpoints.split_off(&seq);
        self.contested = self.contested.split_off(&seq.next());
        self.next_proposal = self.next_proposal.max(seq.next());
        // What was kept above the old high water mark counts now, however far the window jumped.
        let kept: Vec<Seq> = self.slots.keys().copied().collect();
        for seq in kept {
            self.try_slot(now, seq, out);
        }
        self.try_displaced(out);
        self.grant(out);
    }

    fn is_kept_high(&self) -> Seq {
        self.window.high().plus(self.config.checkpoint_interval)
    }

    /// Does whatever has become possible at a seq.
    fn try_slot(&mut self, now: Now, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        self.try_choose(seq, out);
        self.try_accept(now, seq, out);
        self.try_prepared(seq, out);
        self.try_committed(seq, out);
        self.try_claimed(seq, out);
    }

    fn on_own_checkpoint(&mut self, checkpoint: Checkpoint) {
        self.checkpoints.insert(checkpoint.seq, checkpoint.digest);
    }

    fn on_jumped(&mut self, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        // Down, too: a replica that repairs its state executes again what it holds.
        self.delivered = seq;
        self.ahead = Seq::ZERO;
        // It executes again what led to later ones, and the new one is told next. Older ones stay: a
        // quorum claimed the stable one, and if those who jump no longer list it, no view may start.
        self.checkpoints.split_off(&seq);
        self.next_proposal = self.next_proposal.max(seq.next());
        self.drop_stable();
        self.try_deliver(out);
    }

    fn on_voting(&mut self, now: Now, voting: bool, out: &mut Outbox<OrdererTimer>) {
        let gained = voting && !self.voting;
        if self.voting && !voting {
            out.tell(ExecutorInput::Halt);
        }
        self.voting = voting;
        if !gained {
            return;
        }
        if self.active {
            // Views before this one are remembered with it: too much to wait for is safe.
            let prepared = self.slots.iter().filter(|(_, slot)| slot.prepared_latest.is_some());
            let prepared = prepared.map(|(seq, _)| *seq).max().unwrap_or_default();
            self.resume_reads(prepared, out);
        }
        let seqs: Vec<Seq> = self.slots.keys().copied().collect();
        for seq in seqs {
            // What was accepted without a vote is voted on now.
            if let Some(batch) = self.slot(seq).accepted_batch() {
                self.accept(seq, batch, out);
            }
            self.try_slot(now, seq, out);
        }
        self.grant(out);
    }
}

/// The replica at the other end of a link between replicas.
fn sender<M>(message: &Verified<M>) -> Option<ReplicaId> {
    match message.from() {
        Peer::Replica(id) => Some(id),
        Peer::Client(_) => None,
    }
}

impl Role for Orderer {
    type Input = OrdererInput;
    type Timer = OrdererTimer;

    fn on_input(&mut self, now: Now, input: OrdererInput, out: &mut Outbox<OrdererTimer>) {
        let waiting = self.waiting_commit;
        match input {
            OrdererInput::Propose { view, batch } => self.on_propose(view, batch, out),
            OrdererInput::Found(requests) => self.on_found(now, requests, out),
            OrdererInput::PrePrepare(message) => {
                if let Some(from) = sender(&message) {
                    self.on_pre_prepare(now, from, message.into_inner(), out);
                }
            }
            OrdererInput::Prepare(vote) => {
                if let Some(from) = sender(&vote) {
                    self.on_prepare(now, from, *vote, out);
                }
            }
            OrdererInput::Commit(vote) => {
                if let Some(from) = sender(&vote) {
                    self.on_commit(from, *vote, out);
                }
            }
            OrdererInput::Decided(vote) => {
                if let Some(from) = sender(&vote) {
                    self.on_decided(from, *vote, out);
                }
            }
            OrdererInput::OwnPrePrepare(vote) => self.on_own_pre_prepare(vote, out),
            OrdererInput::OwnPrepare(vote) => self.on_prepare(now, self.config.own, vote, out),
            OrdererInput::OwnCommit(vote) => self.on_commit(self.config.own, vote, out),
            OrdererInput::Fetch(fetch) => self.on_fetch(now, &fetch, out),
            OrdererInput::BatchData(data) => self.on_batch_data(now, data.into_inner(), out),
            OrdererInput::Status(status) => self.on_status(now, &status, out),
            OrdererInput::StatusDue { view_changes } => self.on_status_due(now, view_changes, out),
            OrdererInput::OwnCheckpoint(checkpoint) => self.on_own_checkpoint(checkpoint),
            OrdererInput::Stable(seq) => self.on_stable(now, seq, out),
            OrdererInput::Jumped(seq) => self.on_jumped(seq, out),
            OrdererInput::Freeze(view) => self.on_freeze(view, out),
            OrdererInput::Gather { view, chosen } => self.on_gather(view, chosen, out),
            OrdererInput::Enter(enter) => self.on_enter(now, enter, out),
            OrdererInput::Voting(voting) => self.on_voting(now, voting, out),
            OrdererInput::Start => self.on_start(out),
            OrdererInput::PeerLog { replica, log } => self.on_peer_log(replica, log, out),
            OrdererInput::Recall(peer, recall) => self.on_recall(now, peer, recall, out),
            OrdererInput::ReadWaits => self.send_waiting_commit(out),
        }
        self.time_waiting_commit(now, waiting, out);
    }

    fn on_timer(&mut self, _now: Now, timer: OrdererTimer, out: &mut Outbox<OrdererTimer>) {
        match timer {
            OrdererTimer::Commit => self.send_waiting_commit(out),
        }
    }
}

/// A peer did what no correct replica does.
fn misbehaved(replica: ReplicaId, what: &'static str) -> Event {
    Event::Misbehaved { replica, what }
}
