//! Writing checkpoints to disk, one at a time, the latest that is stable, and what may be said and
//! dropped once they are there (PROTOCOL 11).

use super::*;
use crate::role::SavedState;

impl Checkpointer {
    /// Has the state of a checkpoint written, once the one before it is.
    pub(super) fn save(&mut self, seq: Seq, out: &mut Outbox<CheckpointTimer>) {
        if self.saving.is_some() {
            self.to_save = Some(seq).filter(|_| self.saving != Some(seq));
            return;
        }
        if let Some(snapshot) = self.taken.get(&seq) {
            self.saving = Some(seq);
            out.save(seq, snapshot.clone());
        }
    }

    /// A state is durable: what is on disk is not held in memory any more, what was transferred may be
    /// claimed, and what led to what is stable is needed no more.
    pub(super) fn on_saved(&mut self, state: &SavedState, out: &mut Outbox<CheckpointTimer>) {
        let withheld = self.transferred > self.saved;
        self.saved = self.saved.max(state.seq);
        if withheld && self.transferred <= self.saved {
            self.claim_taken(out);
        }
        self.release(out);
        self.saving = None;
        if let Some(seq) = self.to_save.take() {
            self.save(seq, out);
        }
        // Last, since it may meet a part that the disk lost.
        if let Some(saved) = &state.saved {
            let held = self.taken.values_mut().chain(self.server.snapshots_mut());
            held.for_each(|snapshot| snapshot.adopt(saved));
        }
    }

    /// Records that only lead to what is durable and stable are needed no more.
    pub(super) fn release(&mut self, out: &mut Outbox<CheckpointTimer>) {
        let needless = self.saved.min(self.stable);
        if needless > self.released {
            self.released = needless;
            out.release(needless);
        }
    }

    /// Claims what was taken and is not stable yet.
    pub(super) fn claim_taken(&self, out: &mut Outbox<CheckpointTimer>) {
        for (seq, snapshot) in self.taken.iter().filter(|(seq, _)| **seq > self.stable) {
            self.claim(Checkpoint { seq: *seq, digest: snapshot.root() }, out);
        }
    }
}
