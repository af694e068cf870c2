//! From PRE-PREPARE to committed (PROTOCOL 5).

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::message::{Choice, Entry, FRESH_DIGESTS_PER_SEQ_MAX, ProofState, Request};
use crate::role::{BatcherInput, Message, Need, Record, To};

/// Whether a proposal can be accepted now.
enum Readiness {
    /// With this batch.
    Ready(Arc<Batch>),
    /// These requests are missing or not proven.
    Lacking(Vec<(Digest, Option<ClientId>)>),
    /// Not in this state of things.
    NotNow,
}

impl Orderer {
    pub(super) fn on_pre_prepare(
        &mut self,
        now: Now,
        from: ReplicaId,
        message: PrePrepare,
        out: &mut Outbox<OrdererTimer>,
    ) {
        if message.view > self.view || (message.view == self.view && !self.active) {
            self.keep_overtaken(from, Overtaken::PrePrepare(message));
            return;
        }
        let seq = message.seq;
        if message.view < self.view || from != self.primary() || from == self.config.own || !self.is_kept(seq)
        {
            return;
        }
        let digest = message.digest();
        let slot = self.slot(seq);
        let first = slot.accepted.or(slot.chosen).or(slot.proposal.as_ref().map(PrePrepare::digest));
        match first {
            Some(first) if first != digest => out.event(misbehaved(from, "two proposals for one seq")),
            Some(_) => {}
            None if seq < self.fresh_from => {}
            None => {
                self.slot(seq).proposal = Some(message);
                self.try_accept(now, seq, out);
            }
        }
    }

    /// Accepts the proposal at a seq if nothing is missing any more.
    pub(super) fn try_accept(&mut self, now: Now, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        if !self.active || !self.window.contains(seq) || seq < self.fresh_from {
            return;
        }
        match self.readiness(now, seq) {
            Readiness::Ready(batch) => {
                let digest = batch.digest();
                let slot = self.slot(seq);
                slot.proposal = None;
                slot.found.clear();
                if !batch.is_null() {
                    slot.fresh.insert(digest);
                }
                self.accept(seq, batch, out);
            }
            Readiness::Lacking(requests) => {
                let slot = self.slot(seq);
                if !slot.asked {
                    slot.asked = true;
                    out.tell(BatcherInput::Need(Need { requests, again: false }));
                }
            }
            Readiness::NotNow => {}
        }
    }

    fn readiness(&self, now: Now, seq: Seq) -> Readiness {
        let Some(slot) = self.slots.get(&seq) else { return Readiness::NotNow };
        let Some(proposal) = slot.proposal.as_ref().filter(|_| slot.accepted.is_none()) else {
            return Readiness::NotNow;
        };
        let digest = proposal.digest();
        let null = digest == Batch::null_digest();
        // A promise on too many fresh digests would make Qs grow without bound (PROTOCOL 7.2).
        if !null && !slot.fresh.contains(&digest) && slot.fresh.len() >= FRESH_DIGESTS_PER_SEQ_MAX {
            return Readiness::NotNow;
        }
        if let Some(batch) = slot.body(digest).filter(|_| null || slot.decided == Some(digest)) {
            return Readiness::Ready(batch);
        }
        let vouched = self.is_vouched(slot, digest);
        let mut requests = Vec::with_capacity(proposal.entries.len());
        let mut lacking = Vec::new();
        for entry in &proposal.entries {
            let wanted = entry.digest();
            match entry {
                Entry::Inline(request) if vouched || self.is_proven(request) => {
                    requests.push(request.clone())
                }
                _ => match slot.found.get(&wanted) {
                    Some(request) => requests.push(request.clone()),
                    None => lacking.push((wanted, entry.client())),
                },
            }
        }
        if !lacking.is_empty() {
            return Readiness::Lacking(lacking);
        }
        let choice_ok = proposal
            .choice
            .as_ref()
            .is_none_or(|choice| vouched || self.is_acceptable(now, choice, &requests));
        if !choice_ok {
            return Readiness::NotNow;
        }
        match proposal.batch_of(requests) {
            Some(batch) => Readiness::Ready(Arc::new(batch)),
            None => Readiness::NotNow,
        }
    }

    /// Whether this replica itself could verify a request.
    fn is_proven(&self, request: &Request) -> bool {
        let must_sign = self.config.signed_requests || self.signed_only.contains(&request.id().client);
        request.proof_state() == ProofState::Good && (request.is_signed() || !must_sign)
    }

    /// Weak-many PREPAREs of other backups vouch: one of them is from a correct replica.
    fn is_vouched(&self, slot: &Slot, digest: Digest) -> bool {
        let others = |id: &ReplicaId| *id != self.config.own && *id != self.primary();
        let vouching = slot.prepares.iter().filter(|(id, vote)| others(id) && **vote == digest).count();
        vouching >= self.config.quorums.weak()
    }

    /// Whether the primary's choice is one that this replica's clock and the service accept.
    fn is_acceptable(&self, now: Now, choice: &Choice, requests: &[Request]) -> bool {
        let tolerance = self.config.tuning.clock_tolerance.micros();
        let timely = choice.time.0.abs_diff(now.wall.0) <= tolerance;
        let operations: Vec<&[u8]> = requests.iter().map(|request| &request.operation()[..]).collect();
        let service = &self.config.service;
        // A check that panics has not accepted; it must not take the backups down.
        let check = || service.check(now.wall, &operations, choice).is_ok();
        timely && catch_unwind(AssertUnwindSafe(check)).unwrap_or(false)
    }

    /// Accepts a batch in the current view and, if this replica may, promises and votes.
    pub(super) fn accept(&mut self, seq: Seq, batch: Arc<Batch>, out: &mut Outbox<OrdererTimer>) {
        let (view, digest) = (self.view, batch.digest());
        let (voting, primary) = (self.may_vote(), self.is_primary());
        let slot = self.slot(seq);
        slot.accepted = Some(digest);
        slot.bodies.insert(digest, batch.clone());
        if voting {
            out.tell(BatcherInput::Accepted(seq));
            slot.promise(digest, view);
            let vote = Vote { view, seq, digest };
            out.persist(Record::PrePrepared { view, seq, batch });
            self.send_waiting_commit(out);
            if primary {
                out.tell(OrdererInput::OwnPrePrepare(vote));
            } else {
                out.send(To::Others, Message::Prepare(vote));
                out.tell(OrdererInput::OwnPrepare(vote));
            }
        }
        self.try_prepared(seq, out);
        self.try_committed(seq, out);
        // It may have been decided before its body came.
        self.try_deliver(out);
    }

    pub(super) fn on_prepare(
        &mut self,
        now: Now,
        from: ReplicaId,
        vote: Vote,
        out: &mut Outbox<OrdererTimer>,
    ) {
        if vote.view > self.view || (vote.view == self.view && !self.active && from != self.config.own) {
            self.keep_overtaken(from, Overtaken::Prepare(vote));
            return;
        }
        if vote.view < self.view || !self.active || !self.is_kept(vote.seq) || from == self.primary() {
            return;
        }
        let first = *self.slot(vote.seq).prepares.entry(from).or_insert(vote.digest);
        if first != vote.digest {
            out.event(misbehaved(from, "two PREPAREs for one seq"));
            return;
        }
        // It may vouch for requests or a choice that this replica could not accept alone.
        self.try_accept(now, vote.seq, out);
        self.try_prepared(vote.seq, out);
    }

    /// Prepared: the proposal, and PREPAREs of Q-1 distinct backups for the same batch.
    pub(super) fn try_prepared(&mut self, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        if !self.may_vote() || !self.window.contains(seq) {
            return;
        }
        let (view, needed, primary) = (self.view, self.config.quorums.quorum() - 1, self.is_primary());
        let Some(slot) = self.slots.get_mut(&seq).filter(|slot| !slot.prepared) else { return };
        let Some(digest) = slot.accepted.filter(|_| slot.proposed || !primary) else { return };
        if slot.prepares.values().filter(|vote| **vote == digest).count() < needed {
            return;
        }
        slot.prepared = true;
        slot.prepared_latest = Some((digest, view));
        let vote = Vote { view, seq, digest };
        out.tell(ExecutorInput::Prepared(seq));
        out.persist(Record::Prepared { view, seq, digest });
        if !self.piggybacks() {
            out.send(To::Others, Message::Commit(vote));
        }
        out.tell(OrdererInput::OwnCommit(vote));
    }

    pub(super) fn on_commit(&mut self, from: ReplicaId, vote: Vote, out: &mut Outbox<OrdererTimer>) {
        if vote.view > self.view || (vote.view == self.view && !self.active && from != self.config.own) {
            self.keep_overtaken(from, Overtaken::Commit(vote));
            return;
        }
        if vote.view < self.view || !self.active || !self.is_kept(vote.seq) {
            return;
        }
        let first = *self.slot(vote.seq).commits.entry(from).or_insert(vote.digest);
        if first != vote.digest {
            out.event(misbehaved(from, "two COMMITs for one seq"));
            return;
        }
        if from == self.config.own && self.piggybacks() {
            self.send_commit(vote, out);
        }
        self.try_committed(vote.seq, out);
        if from == self.config.own {
            self.try_ahead(out);
        }
    }
}
