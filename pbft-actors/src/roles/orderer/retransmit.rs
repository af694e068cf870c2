//! STATUS: what this replica lacks, and what it has that another one lacks (PROTOCOL 2).

use super::*;
use crate::message::SeqBitmap;
use crate::role::{Message, To};
use crate::types::ReplicaSet;

/// Decisions told in answer to one STATUS.
const DECIDED_PER_STATUS_MAX: usize = 256;
/// Votes repeated in answer to one STATUS.
const VOTES_PER_STATUS_MAX: usize = 64;
/// Bytes of proposals repeated in answer to one STATUS; one is always sent.
const PROPOSAL_BYTES_PER_STATUS_MAX: usize = 1 << 20;
/// A group in which nothing changes says where it stands every so many times that it could.
const QUIET_INTERVALS: u32 = 10;

impl Orderer {
    pub(super) fn on_status_due(
        &mut self,
        now: Now,
        view_changes: ReplicaSet,
        out: &mut Outbox<OrdererTimer>,
    ) {
        self.ask_again(now, out);
        let (low, length) = (self.window.low(), self.window.length());
        let with = |wanted: fn(&Slot) -> bool| {
            let seqs = self.slots.iter().filter(move |(_, slot)| wanted(slot)).map(|(seq, _)| *seq);
            SeqBitmap::new(low, length, seqs)
        };
        let status = Status {
            view: self.view,
            changing: !self.active,
            stable: low,
            executed: self.delivered,
            first_held: low.next(),
            prepared: with(|slot| slot.prepared),
            decided: with(|slot| slot.decided.is_some()),
            view_changes,
        };
        let settled = self.active && self.slots.keys().all(|seq| *seq <= self.delivered);
        self.quiet += 1;
        if settled && self.last_status.as_ref() == Some(&status) && self.quiet < QUIET_INTERVALS {
            return;
        }
        self.quiet = 0;
        self.last_status = Some(status.clone());
        out.send(To::Others, Message::Status(status));
    }

    pub(super) fn on_status(&mut self, now: Now, status: &Verified<Status>, out: &mut Outbox<OrdererTimer>) {
        let Some(peer) = sender(status) else { return };
        let half = crate::types::Millis(self.config.tuning.status_interval.0 / 2);
        if !self.voting || !self.answered.admits(peer, now.monotonic, half) {
            return;
        }
        let from = status.stable.max(status.executed);
        let same_view = self.active && status.view == self.view && !status.changing;
        let (mut decisions, mut votes, mut bytes) = (0, 0, 0);
        for (seq, slot) in self.slots.range(from.next()..) {
            let seq = *seq;
            if status.decided.contains(status.stable, seq) {
                continue;
            }
            if let Some(digest) = slot.decided.filter(|_| decisions < DECIDED_PER_STATUS_MAX) {
                decisions += 1;
                out.send(To::Replica(peer), Message::Decided(Vote { view: self.view, seq, digest }));
            }
            if !same_view || votes >= VOTES_PER_STATUS_MAX {
                continue;
            }
            let own = self.config.own;
            if !status.prepared.contains(status.stable, seq) {
                if let Some(batch) = slot.accepted.and_then(|digest| slot.body(digest))
                    && self.is_primary()
                    && slot.proposed
                    && slot.decided.is_none()
                    && seq >= self.fresh_from
                    && bytes <= PROPOSAL_BYTES_PER_STATUS_MAX
                {
                    bytes += batch.requests().iter().map(|request| request.wire().len()).sum::<usize>();
                    let message = PrePrepare::of_batch(self.view, seq, &batch);
                    out.send(To::Replica(peer), Message::PrePrepare(message));
                }
                if let Some(digest) = slot.prepares.get(&own) {
                    votes += 1;
                    let vote = Vote { view: self.view, seq, digest: *digest };
                    out.send(To::Replica(peer), Message::Prepare(vote));
                }
            }
            if let Some(digest) = slot.commits.get(&own) {
                votes += 1;
                out.send(To::Replica(peer), Message::Commit(Vote { view: self.view, seq, digest: *digest }));
            }
        }
    }
}
