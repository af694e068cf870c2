//! Executing one batch before it is certain (PROTOCOL 5 and 10): a client that hears the same from a
//! quorum need not wait for the COMMITs.

use super::execute::Done;
use super::*;
use crate::ports::state::Savepoint;

/// A batch that was executed tentatively, and how to undo it.
#[derive(Clone)]
pub(super) struct Ahead {
    seq: Seq,
    digest: Digest,
    savepoint: Savepoint,
    /// Agreed time before it.
    time: Wall,
    done: Done,
}

impl Executor {
    /// Executes a prepared batch, if it is the next and everything before it is committed.
    pub(super) fn on_tentative(
        &mut self,
        view: View,
        seq: Seq,
        batch: &Arc<Batch>,
        out: &mut Outbox<NoTimer>,
    ) {
        if view < self.view {
            return;
        }
        self.enter(view);
        let next = seq == self.executed.next() && self.held.is_empty() && self.ahead.is_none();
        if !next || self.broken || self.waits_for_disk() || !is_plain(batch) {
            return;
        }
        let (savepoint, time) = (self.state.savepoint(), self.time);
        self.table.begin_undo();
        let done = self.run_batch(seq, batch, out);
        self.ahead = Some(Ahead { seq, digest: batch.digest(), savepoint, time, done });
    }

    /// The next batch is certain: if it is the one that was executed, that stays.
    pub(super) fn commit_ahead(&mut self, seq: Seq, batch: &Batch) -> Option<Done> {
        if self.ahead.as_ref().is_none_or(|ahead| (ahead.seq, ahead.digest) != (seq, batch.digest())) {
            self.undo_ahead();
            return None;
        }
        let ahead = self.ahead.take()?;
        self.state.release(ahead.savepoint);
        self.table.end_undo();
        Some(ahead.done)
    }

    /// Whether a batch is executed that is not certain.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// What was prepared in an earlier view must not be answered as prepared in this one.
    pub(super) fn enter(&mut self, view: View) {
        if view > self.view {
            self.undo_ahead();
            self.view = view;
        }
    }

    /// Takes back what is not certain.
    pub(super) fn undo_ahead(&mut self) {
        let Some(ahead) = self.ahead.take() else { return };
        self.state.rollback(ahead.savepoint);
        self.table.undo();
        self.time = ahead.time;
    }
}

/// Whether a batch only executes operations of sessions that are open: the rest is rare, and waits.
fn is_plain(batch: &Batch) -> bool {
    let special = |request: &Request| request.is_opening() || request.id().client.replica().is_some();
    !batch.is_null() && !batch.requests().iter().any(special)
}
