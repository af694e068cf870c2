//! The checkpointer: stable certificates, the transfer of state, and whether this replica may vote
//! at all (PROTOCOL 6, 8 and 11).

mod memory;
mod repair;
mod save;
mod serve;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::message::{
    Certificate, Checkpoint, Kind, Peer, Recall, Recollection, Signed, Signer, Status, Verified,
};
use crate::ports::config::Tuning;
use crate::ports::state::{DamagedPart, Snapshot, StateLimits};
use crate::role::{
    BatcherInput, CheckpointerInput, Event, ExecutorInput, Message, OrdererInput, Outbox, Record, Role, Save,
    Taken, To, ViewChangerInput,
};
use crate::roles::RateLimit;
use crate::types::{LogId, Millis, Now, Quorums, ReplicaId, ReplicaSet, Seq};
use memory::Memory;
use serve::Server;
use transfer::{Target, Tickets, Transfer};

/// What the checkpointer waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum CheckpointTimer {
    /// Ask again for what is missing.
    Retry,
    /// A peer has not answered what is being fetched.
    Fetch,
    /// Those who fetch may have more.
    Serve,
}

/// What a checkpointer needs to know.
#[derive(Clone)]
pub(crate) struct CheckpointerConfig {
    pub(crate) signer: Signer,
    pub(crate) quorums: Quorums,
    pub(crate) checkpoint_interval: u64,
    pub(crate) window: u64,
    pub(crate) state_limits: StateLimits,
    /// Pages of the state that may be in memory of their own before the disk has to catch up.
    pub(crate) heap_pages_max: usize,
    pub(crate) tuning: Tuning,
}

/// Windows that a checkpoint may be above the state on disk and still be claimed.
const UNSAVED_WINDOWS_MAX: u64 = 4;

/// The checkpointer's state.
#[derive(Clone)]
pub(crate) struct Checkpointer {
    config: CheckpointerConfig,
    /// Own checkpoints from the stable one up.
    taken: BTreeMap<Seq, Snapshot>,
    /// CHECKPOINTs above the stable one, of each sender the highest few.
    votes: BTreeMap<Seq, BTreeMap<ReplicaId, Signed<Checkpoint>>>,
    /// The stable checkpoint; no certificate at seq 0.
    stable: Seq,
    certificate: Option<Arc<Certificate>>,
    /// The highest certificate above what was executed here.
    ahead: Option<Arc<Certificate>>,
    executed: Seq,
    /// Batches above it are here and wait for the disk.
    waiting_for_disk: bool,
    /// The first seq that each peer still holds, as it last said.
    first_held: BTreeMap<ReplicaId, Seq>,
    /// What the view starts from, while it is above what was executed.
    chosen: Option<Target>,
    transfer: Option<Transfer>,
    tickets: Tickets,
    /// A transfer that a stop interrupted: to which checkpoint, and how far.
    interrupted: Option<(Seq, Snapshot)>,
    /// How far a transfer is, is being written to disk.
    keeping: bool,
    server: Server,
    /// The state that is being written to disk, and the one to be written next.
    saving: Option<Seq>,
    to_save: Option<Seq>,
    /// The highest state that is durable.
    saved: Seq,
    /// The state that was transferred: nothing says again how to reach it until it is durable.
    transferred: Seq,
    /// Records up to here were released.
    released: Seq,
    /// Parts of the state that the disk lost, level and number.
    damaged: BTreeSet<(u8, u64)>,
    memory: Memory,
    answered: RateLimit,
}

impl Checkpointer {
    pub(crate) fn new(config: CheckpointerConfig) -> Self {
        Self {
            config,
            taken: BTreeMap::new(),
            votes: BTreeMap::new(),
            stable: Seq::ZERO,
            certificate: None,
            ahead: None,
            executed: Seq::ZERO,
            waiting_for_disk: false,
            first_held: BTreeMap::new(),
            chosen: None,
            transfer: None,
            tickets: Tickets::default(),
            interrupted: None,
            keeping: false,
            server: Server::default(),
            saving: None,
            to_save: None,
            saved: Seq::ZERO,
            transferred: Seq::ZERO,
            released: Seq::ZERO,
            damaged: BTreeSet::new(),
            memory: Memory::default(),
            answered: RateLimit::default(),
        }
    }

    /// Whether this replica has its memory and votes.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn votes(&self) -> bool {
        self.memory.votes()
    }

    /// The stable checkpoint.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn stable(&self) -> Seq {
        self.stable
    }

    /// Where it stands, for people.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn describe(&self) -> String {
        let ahead = self.ahead.as_ref().map(|ahead| ahead.checkpoint.seq);
        format!(
            "stable {} ahead {ahead:?} taken {:?} transfer {} to {} saved {} saving {:?} damaged {:?} {}",
            self.stable,
            self.taken.keys().map(|seq| seq.0).collect::<Vec<_>>(),
            self.transfer.is_some(),
            self.transferred,
            self.saved,
            self.saving,
            self.damaged,
            self.memory.describe()
        )
    }

    fn own(&self) -> ReplicaId {
        self.config.signer.sender
    }

    fn on_start(&mut self, now: Now, genesis: Taken, out: &mut Outbox<CheckpointTimer>) {
        self.executed = genesis.seq;
        self.saved = genesis.seq;
        // C names them, too: a quorum may have claimed one that all who claimed it have passed since, and
        // what is above the state on disk may never be executed here again.
        for claimed in self.memory.claims() {
            out.tell(OrdererInput::OwnCheckpoint(claimed));
        }
        out.tell(OrdererInput::OwnCheckpoint(genesis.checkpoint()));
        self.taken.insert(genesis.seq, genesis.snapshot);
        out.tell(ViewChangerInput::OwnLog(self.config.signer.log));
        for (replica, log) in self.memory.logs() {
            out.tell(ViewChangerInput::Log { replica, log });
        }
        self.try_ahead(now, out);
        out.send(To::Others, Message::Recall(Recall { log: self.config.signer.log }));
        self.arm(now, out);
    }

    fn arm(&self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        out.arm(CheckpointTimer::Retry, now.monotonic.plus(self.config.tuning.status_interval));
    }

    fn on_taken(&mut self, now: Now, taken: Taken, out: &mut Outbox<CheckpointTimer>) {
        let checkpoint = taken.checkpoint();
        self.executed = self.executed.max(checkpoint.seq);
        self.taken.insert(taken.seq, taken.snapshot);
        out.tell(OrdererInput::OwnCheckpoint(checkpoint));
        // Who begins to vote claims all that it took.
        let voting = self.memory.votes();
        self.try_ahead(now, out);
        self.try_vote_again(now, out);
        // What is stable needs no more votes, and one repaired must not contradict the vote before.
        if voting && checkpoint.seq > self.stable {
            self.claim(checkpoint, out);
        }
        self.try_end_transfer(out);
        self.try_chosen(now, out);
    }

    /// Says what the own state is at a checkpoint, if this replica may say anything.
    fn claim(&self, checkpoint: Checkpoint, out: &mut Outbox<CheckpointTimer>) {
        if self.memory.votes() && checkpoint.seq > Seq::ZERO && self.disk_allows(checkpoint.seq) {
            if let Some(claimed) = self.memory.claimed(checkpoint.seq).filter(|own| *own != checkpoint.digest)
            {
                let Checkpoint { seq, digest } = checkpoint;
                out.event(Event::Diverged { seq, own: digest, stable: claimed });
                return;
            }
            let signed = self.config.signer.sign(Kind::Checkpoint, checkpoint);
            out.persist(Record::Checkpoint(checkpoint));
            out.send(To::Others, Message::Checkpoint(signed.clone()));
            out.tell(CheckpointerInput::OwnCheckpoint(signed));
        }
    }

    fn on_vote(&mut self, now: Now, vote: Signed<Checkpoint>, out: &mut Outbox<CheckpointTimer>) {
        let (sender, checkpoint) = (vote.sender, vote.message);
        if checkpoint.seq <= self.stable || self.memory.is_void(sender, vote.log) {
            return;
        }
        let held = self.votes.entry(checkpoint.seq).or_default().entry(sender).or_insert(vote);
        if held.message != checkpoint {
            let what = "two different CHECKPOINTs for one seq";
            out.event(Event::Misbehaved { replica: sender, what });
            return;
        }
        self.bound_votes(sender);
        self.try_certificate(now, checkpoint, out);
    }

    /// Keeps of one sender only as many CHECKPOINTs as a window can hold, the highest.
    fn bound_votes(&mut self, sender: ReplicaId) {
        let limit = (self.config.window / self.config.checkpoint_interval + 2) as usize;
        let held: Vec<Seq> =
            self.votes.iter().filter(|(_, by)| by.contains_key(&sender)).map(|(seq, _)| *seq).collect();
        if held.len() > limit
            && let Some(votes) = held.first().and_then(|lowest| self.votes.get_mut(lowest))
        {
            votes.remove(&sender);
        }
        self.votes.retain(|_, by| !by.is_empty());
    }

    fn try_certificate(&mut self, now: Now, checkpoint: Checkpoint, out: &mut Outbox<CheckpointTimer>) {
        let Some(votes) = self.votes.get(&checkpoint.seq) else { return };
        let matching: Vec<Signed<Checkpoint>> =
            votes.values().filter(|vote| vote.message == checkpoint).cloned().collect();
        if matching.len() >= self.config.quorums.quorum() {
            self.on_certificate(now, Arc::new(Certificate { checkpoint, votes: matching }), out);
        }
    }

    fn on_certificate(&mut self, now: Now, certificate: Arc<Certificate>, out: &mut Outbox<CheckpointTimer>) {
        let checkpoint = certificate.checkpoint;
        if !self.is_of_this_life(&certificate) || checkpoint.seq < self.stable {
            return;
        }
        if checkpoint.seq == self.stable {
            if let Some(held) = &self.certificate
                && held.checkpoint != checkpoint
            {
                let why =
                    format!("two stable checkpoints at {}: more than f replicas are faulty", checkpoint.seq);
                out.event(Event::Fatal { why });
            }
            return;
        }
        if self.ahead.as_ref().is_none_or(|ahead| ahead.checkpoint.seq < checkpoint.seq) {
            self.ahead = Some(certificate.clone());
        }
        match self.taken.get(&checkpoint.seq).map(Snapshot::root) {
            Some(own) if own == checkpoint.digest => self.advance(now, certificate, out),
            Some(own) => {
                out.event(Event::Diverged { seq: checkpoint.seq, own, stable: checkpoint.digest });
                self.start_transfer(now, checkpoint, self.others(), out);
            }
            // Executed later, or fetched once the others dropped what leads there.
            None => self.go_on(now, out),
        }
    }

    /// A peer shows its stable checkpoint.
    fn on_shown(&mut self, now: Now, certificate: Verified<Certificate>, out: &mut Outbox<CheckpointTimer>) {
        let (peer, certificate) = (certificate.from(), Arc::new(certificate.into_inner()));
        self.on_certificate(now, certificate.clone(), out);
        if let (Peer::Replica(peer), true) = (peer, self.is_of_this_life(&certificate)) {
            self.on_offer(now, peer, certificate.checkpoint, out);
        }
    }

    /// Whether weak-many of a certificate's votes are under logs that count.
    ///
    /// One correct replica that still has the memory of what it signed is enough to know that the
    /// digest is the group's. Asking it of every vote would void the only certificate there is when a
    /// signer restarts, and a replica that is behind could not be helped any more (ADR 3).
    fn is_of_this_life(&self, certificate: &Certificate) -> bool {
        let counting = certificate.votes.iter().filter(|vote| !self.memory.is_void(vote.sender, vote.log));
        counting.count() >= self.config.quorums.weak()
    }

    fn others(&self) -> Vec<ReplicaId> {
        self.config.quorums.others(self.own()).collect()
    }

    /// A certificate that was ahead may have been reached.
    fn try_ahead(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        if let Some(ahead) = self.ahead.clone() {
            self.on_certificate(now, ahead, out);
        }
        let reached: Vec<Checkpoint> =
            self.taken.iter().map(|(seq, own)| Checkpoint { seq: *seq, digest: own.root() }).collect();
        for checkpoint in reached {
            if checkpoint.seq > self.stable {
                self.try_certificate(now, checkpoint, out);
            }
        }
    }

    fn advance(&mut self, now: Now, certificate: Arc<Certificate>, out: &mut Outbox<CheckpointTimer>) {
        let checkpoint = certificate.checkpoint;
        assert!(checkpoint.seq > self.stable, "the stable checkpoint only rises");
        self.stable = checkpoint.seq;
        if self.ahead.as_ref().is_some_and(|ahead| ahead.checkpoint.seq <= checkpoint.seq) {
            self.ahead = None;
        }
        self.taken = self.taken.split_off(&checkpoint.seq);
        self.votes = self.votes.split_off(&checkpoint.seq.next());
        out.persist(Record::Stable(certificate.clone()));
        self.certificate = Some(certificate);
        out.event(Event::StableCheckpoint { checkpoint });
        out.tell(OrdererInput::Stable(checkpoint.seq));
        out.tell(ExecutorInput::Stable(checkpoint.seq));
        out.tell(ViewChangerInput::Stable(checkpoint.seq));
        self.save(checkpoint.seq, out);
        self.release(out);
        self.try_vote_again(now, out);
    }

    /// Gives a peer that is behind the certificate, and one that is near what it may have lost.
    fn on_status(&mut self, now: Now, status: &Verified<Status>, out: &mut Outbox<CheckpointTimer>) {
        let Peer::Replica(peer) = status.from() else { return };
        self.first_held.insert(peer, status.first_held);
        self.try_transfer(now, out);
        if !self.answered.admits(peer, now.monotonic, self.config.tuning.status_interval) {
            return;
        }
        if let Some(certificate) = self.certificate.as_ref().filter(|_| status.stable < self.stable) {
            out.send(To::Replica(peer), Message::Certificate(certificate.clone()));
        }
        let own = self.own();
        let unstable = self.votes.range(status.stable.max(self.stable).next()..);
        for vote in unstable.filter_map(|(_, by)| by.get(&own)) {
            out.send(To::Replica(peer), Message::Checkpoint(vote.clone()));
        }
    }

    fn tell_transferring(&self, transferring: bool, out: &mut Outbox<CheckpointTimer>) {
        out.tell(BatcherInput::Transferring(transferring));
        out.tell(ViewChangerInput::Transferring(transferring));
    }
}

impl Role for Checkpointer {
    type Input = CheckpointerInput;
    type Timer = CheckpointTimer;

    fn on_input(&mut self, now: Now, input: CheckpointerInput, out: &mut Outbox<CheckpointTimer>) {
        if let Err(part) = DamagedPart::catch(|| self.handle(now, input, out)) {
            self.on_damaged(now, &[part], out);
        }
    }

    fn on_timer(&mut self, now: Now, timer: CheckpointTimer, out: &mut Outbox<CheckpointTimer>) {
        if let Err(part) = DamagedPart::catch(|| self.handle_timer(now, timer, out)) {
            self.on_damaged(now, &[part], out);
        }
    }
}

impl Checkpointer {
    fn handle(&mut self, now: Now, input: CheckpointerInput, out: &mut Outbox<CheckpointTimer>) {
        match input {
            CheckpointerInput::Start(genesis) => self.on_start(now, genesis, out),
            CheckpointerInput::Taken(taken) => self.on_taken(now, taken, out),
            CheckpointerInput::Executed(seq) => {
                self.executed = self.executed.max(seq);
                self.server.on_executed(now.monotonic);
                self.try_vote_again(now, out);
            }
            CheckpointerInput::Replayed(seq) => self.on_replayed(now, seq, out),
            CheckpointerInput::Checkpoint(vote) => {
                if vote.sender != self.own() {
                    self.on_vote(now, vote.into_inner(), out);
                }
            }
            CheckpointerInput::OwnCheckpoint(vote) => self.on_vote(now, vote, out),
            CheckpointerInput::Certificate(certificate) => {
                self.on_shown(now, certificate, out);
            }
            CheckpointerInput::Status(status) => self.on_status(now, &status, out),
            CheckpointerInput::Fetch(fetch) => self.on_fetch(now, fetch, out),
            CheckpointerInput::NodeData(data) => self.on_node_data(now, &data, out),
            CheckpointerInput::PageData(data) => self.on_page_data(now, &data, out),
            CheckpointerInput::Chosen { checkpoint, holders } => {
                self.on_chosen(now, checkpoint, holders, out);
            }
            CheckpointerInput::WaitingForDisk(waiting) => self.waiting_for_disk = waiting,
            CheckpointerInput::Installed(taken) => self.on_installed(now, taken, out),
            CheckpointerInput::InstallNeedless(checkpoint) => {
                self.on_install_needless(now, checkpoint, out);
            }
            CheckpointerInput::PeerLog { replica, log } => self.on_peer_log(replica, log, out),
            CheckpointerInput::Recall(recalled) => self.on_recall(recalled, out),
            CheckpointerInput::Recollection(answer) => self.on_recollection(now, &answer, out),
            CheckpointerInput::Rejoined(rejoined) => self.on_rejoined(now, rejoined, out),
            CheckpointerInput::Saved(state) => self.on_saved(&state, out),
            CheckpointerInput::TransferSaved(state) => self.on_transfer_saved(now, &state, out),
            CheckpointerInput::Damaged(parts) => self.on_damaged(now, &parts, out),
        }
    }

    fn handle_timer(&mut self, now: Now, timer: CheckpointTimer, out: &mut Outbox<CheckpointTimer>) {
        match timer {
            CheckpointTimer::Retry => {
                self.arm(now, out);
                self.retry_transfer(now, out);
                self.try_repair(now, out);
                self.retry_memory(now, out);
                self.drop_unfetched(now);
            }
            CheckpointTimer::Fetch => self.on_fetch_due(now, out),
            CheckpointTimer::Serve => self.on_serve_due(now, out),
        }
    }
}
