//! From committed, or DECIDED by others, to the executor.

use super::*;
use crate::role::{ExecutorInput, Record, ViewChangerInput};

impl Orderer {
    /// COMMITs of Q distinct replicas for one batch: enough correct ones prepared it that every
    /// later view will choose it. The own COMMIT counts once it is durable, like any other.
    pub(super) fn try_committed(&mut self, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        let quorum = self.config.quorums.quorum();
        let Some(slot) = self.slots.get(&seq).filter(|_| self.window.contains(seq)) else { return };
        let Some(digest) = majority(&slot.commits, quorum) else { return };
        // In a view change the COMMITs counted are those of the view that was left.
        if self.progress_wanted && self.active {
            self.progress_wanted = false;
            out.tell(ViewChangerInput::Progress(self.view));
        }
        self.decide(seq, digest, out);
    }

    pub(super) fn on_decided(&mut self, from: ReplicaId, vote: Vote, out: &mut Outbox<OrdererTimer>) {
        if !self.is_kept(vote.seq) {
            return;
        }
        let slot = self.slot(vote.seq);
        if *slot.claims.entry(from).or_insert(vote.digest) != vote.digest {
            out.event(misbehaved(from, "two DECIDEDs for one seq"));
            return;
        }
        self.try_claimed(vote.seq, out);
    }

    /// DECIDEDs of weak-many: one of them is a correct replica's. Above the window they wait: C could
    /// not list a checkpoint that this replica reached there (PROTOCOL 7.2).
    pub(super) fn try_claimed(&mut self, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        let weak = self.config.quorums.weak();
        let Some(slot) = self.slots.get(&seq).filter(|_| self.window.contains(seq)) else { return };
        if let Some(digest) = majority(&slot.claims, weak) {
            self.decide(seq, digest, out);
        }
    }

    fn decide(&mut self, seq: Seq, digest: Digest, out: &mut Outbox<OrdererTimer>) {
        let slot = self.slot(seq);
        match slot.decided {
            Some(decided) if decided == digest => return,
            Some(decided) => {
                let why = format!(
                    "seq {seq} was decided as {decided} and as {digest}: more than f replicas are faulty"
                );
                out.event(Event::Fatal { why });
                return;
            }
            None => slot.decided = Some(digest),
        }
        self.try_settled(out);
        self.try_deliver(out);
        if seq > self.delivered {
            self.fetch_if_missing(seq, digest, out);
        }
    }

    /// Tells the view changer once every batch that NEW-VIEW chose is decided here: there is nothing
    /// left to wait for, in this view or from an earlier one.
    pub(super) fn try_settled(&mut self, out: &mut Outbox<OrdererTimer>) {
        let chosen = self.slots.range(..self.fresh_from);
        let open = chosen.into_iter().any(|(_, slot)| slot.chosen.is_some() && slot.decided.is_none());
        if self.settling && !open {
            self.settling = false;
            out.tell(ViewChangerInput::Settled(self.view));
        }
    }

    /// Hands the decided batches that follow the last one to the executor, all in one mail.
    pub(super) fn try_deliver(&mut self, out: &mut Outbox<OrdererTimer>) {
        let mut batches = Vec::new();
        loop {
            let next = self.delivered.next();
            let Some(slot) = self.slots.get(&next) else { break };
            let Some(batch) = slot.decided.and_then(|digest| slot.body(digest)) else { break };
            batches.push((next, batch));
            self.delivered = next;
        }
        if batches.is_empty() {
            return;
        }
        self.next_proposal = self.next_proposal.max(self.delivered.next());
        let decided: Vec<Record> = batches.iter().map(|(seq, batch)| self.decided(*seq, batch)).collect();
        out.tell(ExecutorInput::Execute(batches));
        self.grant(out);
        // Nothing waits for these: a decision can be had again from the votes, or from others.
        decided.into_iter().for_each(|record| out.persist(record));
        self.drop_stable();
        self.try_ahead(out);
    }

    /// Has the next batch executed tentatively, once it is prepared here for good: a tentative reply
    /// promises as much as a COMMIT does.
    pub(super) fn try_ahead(&mut self, out: &mut Outbox<OrdererTimer>) {
        let next = self.delivered.next();
        if !self.config.tuning.tentative_execution || !self.may_vote() || self.ahead >= next {
            return;
        }
        let Some(slot) = self.slots.get(&next).filter(|slot| slot.prepared) else { return };
        let committed = slot.commits.get(&self.config.own).copied();
        let Some(digest) = committed.filter(|digest| slot.accepted == Some(*digest)) else { return };
        if let Some(batch) = slot.body(digest) {
            self.ahead = next;
            out.tell(ExecutorInput::Tentative { view: self.view, seq: next, batch });
        }
    }

    /// Drops what was held only to be executed: after a start that can be something stable.
    pub(super) fn drop_stable(&mut self) {
        let stable = self.delivered.min(self.window.low());
        if self.slots.first_key_value().is_some_and(|(seq, _)| *seq <= stable) {
            self.slots = self.slots.split_off(&stable.next());
        }
    }

    fn decided(&self, seq: Seq, batch: &Arc<Batch>) -> Record {
        let digest = batch.digest();
        let promised = self.slots.get(&seq).is_some_and(|slot| slot.pre_prepared.contains_key(&digest));
        let kept = promised || batch.is_null();
        Record::Decided { seq, digest, batch: (!kept).then(|| batch.clone()) }
    }
}

/// The digest for which at least `count` distinct senders voted.
fn majority(votes: &BTreeMap<ReplicaId, Digest>, count: usize) -> Option<Digest> {
    let enough = |digest: &&Digest| votes.values().filter(|vote| vote == digest).count() >= count;
    votes.values().find(enough).copied()
}
