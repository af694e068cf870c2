//! The primary's side: which batch goes where, and how many may be in flight.

use super::*;
use crate::message::PrePrepare;
use crate::role::{BatcherInput, Grant, Message, OrdererInput, Record, To};

impl Orderer {
    pub(super) fn on_propose(&mut self, view: View, batch: Arc<Batch>, out: &mut Outbox<OrdererTimer>) {
        // A proposal for a view that was left: its requests come again through the batcher.
        if view != self.view || !self.may_vote() || !self.is_primary() {
            return;
        }
        self.displaced.push_back(batch);
        self.try_displaced(out);
        self.grant(out);
    }

    /// Proposes what waits, as far as the window reaches; null first where promises forbid more.
    pub(super) fn try_displaced(&mut self, out: &mut Outbox<OrdererTimer>) {
        while self.may_vote() && self.is_primary() && self.window.contains(self.next_proposal) {
            let seq = self.next_proposal;
            // Proposed before this replica stopped, in this very view.
            if self.slots.get(&seq).is_some_and(|slot| slot.chosen.or(slot.accepted).is_some()) {
                self.next_proposal = seq.next();
                continue;
            }
            let batch = if self.displaced.is_empty() {
                return;
            } else if self.contested.remove(&seq) {
                Arc::new(Batch::null())
            } else if let Some(batch) = self.displaced.pop_front() {
                batch
            } else {
                return;
            };
            self.next_proposal = seq.next();
            self.propose(seq, batch, out);
        }
    }

    fn propose(&mut self, seq: Seq, batch: Arc<Batch>, out: &mut Outbox<OrdererTimer>) {
        let view = self.view;
        let digest = batch.digest();
        let message = PrePrepare::of_batch(view, seq, &batch);
        let slot = self.slot(seq);
        slot.accepted = Some(digest);
        slot.fresh.insert(digest);
        slot.promise(digest, view);
        slot.bodies.insert(digest, batch.clone());
        out.persist(Record::PrePrepared { view, seq, batch });
        self.send_waiting_commit(out);
        out.send(To::Others, Message::PrePrepare(message));
        out.tell(OrdererInput::OwnPrePrepare(Vote { view, seq, digest }));
    }

    pub(super) fn on_own_pre_prepare(&mut self, vote: Vote, out: &mut Outbox<OrdererTimer>) {
        if vote.view != self.view || !self.active || vote.seq <= self.window.low() {
            return;
        }
        let slot = self.slot(vote.seq);
        if slot.accepted == Some(vote.digest) {
            slot.proposed = true;
            self.try_prepared(vote.seq, out);
        }
    }

    /// Tells the batcher how many batches it may propose, if that changed.
    pub(super) fn grant(&mut self, out: &mut Outbox<OrdererTimer>) {
        if !self.may_vote() || !self.is_primary() {
            return;
        }
        let last = self.next_proposal.0 - 1;
        let in_flight = last.saturating_sub(self.delivered.0) as usize + self.displaced.len();
        let room = self.window.high().0.saturating_sub(last) as usize;
        let credits = self.config.tuning.pipeline.saturating_sub(in_flight).min(room);
        let grant = (self.view, self.next_proposal, credits);
        if self.granted != Some(grant) {
            self.granted = Some(grant);
            let (view, next, credits) = grant;
            out.tell(BatcherInput::Grant(Grant { view, next, credits }));
        }
    }
}
