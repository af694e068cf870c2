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
            out.save(Save::Checkpoint { seq, snapshot: snapshot.clone() });
        }
    }

    /// A state is durable: what is on disk is not held in memory any more, what was transferred may be
    /// claimed, and what led to what is stable is needed no more.
    pub(super) fn on_saved(&mut self, state: &SavedState, out: &mut Outbox<CheckpointTimer>) {
        let withheld: Vec<Seq> = self.taken.keys().copied().filter(|seq| !self.disk_allows(*seq)).collect();
        // Down, too, after a repair that went back.
        self.saved = state.seq;
        for seq in withheld.into_iter().filter(|seq| *seq > self.stable && self.disk_allows(*seq)) {
            let digest = self.taken[&seq].root();
            self.claim(Checkpoint { seq, digest }, out);
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

    /// Whether a checkpoint may be claimed as far as the disk goes: a state that was fetched is there,
    /// and what is not there is no more than the journal may hold. A disk that cannot keep up holds its
    /// replica's claims back, and so the group where too many are slow.
    pub(super) fn disk_allows(&self, seq: Seq) -> bool {
        let kept_up = seq <= self.saved.plus(UNSAVED_WINDOWS_MAX * self.config.window);
        self.transferred <= self.saved && kept_up
    }

    /// Claims what was taken and is not stable yet.
    pub(super) fn claim_taken(&self, out: &mut Outbox<CheckpointTimer>) {
        for (seq, snapshot) in self.taken.iter().filter(|(seq, _)| **seq > self.stable) {
            self.claim(Checkpoint { seq: *seq, digest: snapshot.root() }, out);
        }
    }
}
