//! COMMITs that wait for a message that goes to the same replicas anyway (PROTOCOL 10): under load each
//! batch then wakes its replicas once less.

use super::*;
use crate::role::{Message, To};

/// The longest that a COMMIT waits. Clients do not: they were answered tentatively.
const COMMIT_WAIT_MAX: Millis = Millis(2);

impl Orderer {
    /// Whether a COMMIT may wait at all.
    pub(super) fn piggybacks(&self) -> bool {
        let Tuning { piggyback_commits, tentative_execution, pipeline, .. } = self.config.tuning;
        // With one batch in flight the next one waits until this one is certain.
        piggyback_commits && tentative_execution && pipeline > 1
    }

    /// Sends a COMMIT whose record is durable: now, or with the next proposal or vote.
    pub(super) fn send_commit(&mut self, vote: Vote, out: &mut Outbox<OrdererTimer>) {
        self.send_waiting_commit(out);
        if self.may_wait(vote.seq) {
            self.waiting_commit = Some(vote);
        } else {
            out.send(To::Others, Message::Commit(vote));
        }
    }

    /// Whether nobody waits for the COMMIT of this batch.
    fn may_wait(&self, seq: Seq) -> bool {
        // The window moves with checkpoints, and a view is not kept until something commits in it.
        let urgent =
            seq.0.is_multiple_of(self.config.checkpoint_interval) || self.progress_wanted || self.settling;
        // What follows is executed tentatively once this one is certain.
        let last = self.slots.range(seq.next()..).next().is_none();
        !urgent && last
    }

    /// Something else is sent to all, or somebody waits for it, or it waited long enough.
    pub(super) fn send_waiting_commit(&mut self, out: &mut Outbox<OrdererTimer>) {
        if let Some(vote) = self.waiting_commit.take()
            && vote.view == self.view
            && self.may_vote()
        {
            out.send(To::Others, Message::Commit(vote));
        }
    }

    /// At the end of a step.
    pub(super) fn time_waiting_commit(&self, now: Now, before: Option<Vote>, out: &mut Outbox<OrdererTimer>) {
        match self.waiting_commit {
            Some(vote) if before != Some(vote) => {
                out.arm(OrdererTimer::Commit, now.monotonic.plus(COMMIT_WAIT_MAX));
            }
            None if before.is_some() => out.disarm(OrdererTimer::Commit),
            _ => {}
        }
    }
}
