//! The checkpointer: stable certificates, the transfer of state, and whether this replica may vote
//! at all (PROTOCOL 6, 8 and 11).

mod memory;
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
use crate::role::{
    BatcherInput, CheckpointerInput, Event, ExecutorInput, Message, OrdererInput, Outbox, Record, Role, To,
    ViewChangerInput,
};
use crate::roles::RateLimit;
use crate::types::{LogId, Now, Quorums, ReplicaId, Seq};
use memory::Memory;
use transfer::Transfer;

/// What the checkpointer waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum CheckpointTimer {
    /// Ask again for what is missing.
    Retry,
}

/// What a checkpointer needs to know.
pub(crate) struct CheckpointerConfig {
    pub(crate) signer: Signer,
    pub(crate) quorums: Quorums,
    pub(crate) checkpoint_interval: u64,
    pub(crate) window: u64,
    /// Pages that a state may have, the replica's own included.
    pub(crate) pages_max: u64,
    pub(crate) tuning: Tuning,
}

/// The checkpointer's state.
pub(crate) struct Checkpointer {
    config: CheckpointerConfig,
    /// Own checkpoints from the stable one up.
    taken: BTreeMap<Seq, Digest>,
    /// CHECKPOINTs above the stable one, of each sender the highest few.
    votes: BTreeMap<Seq, BTreeMap<ReplicaId, Signed<Checkpoint>>>,
    /// The stable checkpoint; no certificate at seq 0.
    stable: Seq,
    certificate: Option<Arc<Certificate>>,
    /// The highest certificate above what was executed here.
    ahead: Option<Arc<Certificate>>,
    executed: Seq,
    /// The first seq that each peer still holds, as it last said.
    first_held: BTreeMap<ReplicaId, Seq>,
    transfer: Option<Transfer>,
    /// The highest state that is durable.
    saved: Seq,
    /// The state that was transferred: nothing says again how to reach it until it is durable.
    transferred: Seq,
    /// Records up to here were released.
    released: Seq,
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
            first_held: BTreeMap::new(),
            transfer: None,
            saved: Seq::ZERO,
            transferred: Seq::ZERO,
            released: Seq::ZERO,
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
            "stable {} ahead {ahead:?} transfer {} {}",
            self.stable,
            self.transfer.is_some(),
            self.memory.describe()
        )
    }

    fn own(&self) -> ReplicaId {
        self.config.signer.sender
    }

    fn on_start(&mut self, now: Now, genesis: Checkpoint, out: &mut Outbox<CheckpointTimer>) {
        self.executed = genesis.seq;
        self.saved = genesis.seq;
        self.taken.insert(genesis.seq, genesis.digest);
        out.tell(OrdererInput::OwnCheckpoint(genesis));
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

    fn on_taken(&mut self, now: Now, checkpoint: Checkpoint, out: &mut Outbox<CheckpointTimer>) {
        self.executed = self.executed.max(checkpoint.seq);
        self.taken.insert(checkpoint.seq, checkpoint.digest);
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
    }

    /// Says what the own state is at a checkpoint, if this replica may say anything.
    fn claim(&self, checkpoint: Checkpoint, out: &mut Outbox<CheckpointTimer>) {
        if self.memory.votes() && checkpoint.seq > Seq::ZERO && self.transferred <= self.saved {
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

    /// Claims what was taken and is not stable yet.
    fn claim_taken(&self, out: &mut Outbox<CheckpointTimer>) {
        for (seq, digest) in self.taken.iter().filter(|(seq, _)| **seq > self.stable) {
            self.claim(Checkpoint { seq: *seq, digest: *digest }, out);
        }
    }

    /// The state at `seq` is durable: what was transferred may be claimed, and what led to what is
    /// stable is needed no more.
    fn on_saved(&mut self, seq: Seq, out: &mut Outbox<CheckpointTimer>) {
        let withheld = self.transferred > self.saved;
        self.saved = self.saved.max(seq);
        if withheld && self.transferred <= self.saved {
            self.claim_taken(out);
        }
        self.release(out);
    }

    fn release(&mut self, out: &mut Outbox<CheckpointTimer>) {
        let needless = self.saved.min(self.stable);
        if needless > self.released {
            self.released = needless;
            out.release(needless);
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
        match self.taken.get(&checkpoint.seq) {
            Some(own) if *own == checkpoint.digest => self.advance(now, certificate, out),
            Some(own) => {
                out.event(Event::Diverged { seq: checkpoint.seq, own: *own, stable: checkpoint.digest });
                self.start_transfer(now, checkpoint, self.holders(&certificate), out);
            }
            // Executed later, or fetched once the others dropped what leads there.
            None => {}
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

    fn holders(&self, certificate: &Certificate) -> Vec<ReplicaId> {
        certificate.votes.iter().map(|vote| vote.sender).filter(|id| *id != self.own()).collect()
    }

    /// A certificate that was ahead may have been reached.
    fn try_ahead(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        if let Some(ahead) = self.ahead.clone() {
            self.on_certificate(now, ahead, out);
        }
        let reached: Vec<Checkpoint> =
            self.taken.iter().map(|(seq, digest)| Checkpoint { seq: *seq, digest: *digest }).collect();
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
        match input {
            CheckpointerInput::Start(genesis) => self.on_start(now, genesis, out),
            CheckpointerInput::Taken(checkpoint) => self.on_taken(now, checkpoint, out),
            CheckpointerInput::Executed(seq) => self.executed = self.executed.max(seq),
            CheckpointerInput::Checkpoint(vote) => {
                if vote.sender != self.own() {
                    self.on_vote(now, vote.into_inner(), out);
                }
            }
            CheckpointerInput::OwnCheckpoint(vote) => self.on_vote(now, vote, out),
            CheckpointerInput::Certificate(certificate) => {
                self.on_certificate(now, Arc::new(certificate.into_inner()), out);
            }
            CheckpointerInput::Status(status) => self.on_status(now, &status, out),
            CheckpointerInput::PageData(data) => self.on_page_data(now, &data, out),
            CheckpointerInput::Chosen { checkpoint, holders } => {
                if self.executed < checkpoint.seq {
                    let holders = holders.iter().filter(|id| *id != self.own()).collect();
                    self.start_transfer(now, checkpoint, holders, out);
                }
            }
            CheckpointerInput::Installed(checkpoint) => self.on_installed(now, checkpoint, out),
            CheckpointerInput::InstallNeedless(checkpoint) => self.on_install_needless(checkpoint, out),
            CheckpointerInput::InstallFailed(checkpoint) => self.on_install_failed(now, checkpoint, out),
            CheckpointerInput::PeerLog { replica, log } => self.raise_log(replica, log, out),
            CheckpointerInput::Recall(recalled) => self.on_recall(recalled, out),
            CheckpointerInput::Recollection(answer) => self.on_recollection(now, &answer, out),
            CheckpointerInput::Rejoined(rejoined) => self.on_rejoined(now, rejoined, out),
            CheckpointerInput::Saved(seq) => self.on_saved(seq, out),
        }
    }

    fn on_timer(&mut self, now: Now, timer: CheckpointTimer, out: &mut Outbox<CheckpointTimer>) {
        match timer {
            CheckpointTimer::Retry => {
                self.arm(now, out);
                self.retry_transfer(now, out);
                self.retry_memory(now, out);
            }
        }
    }
}
