//! Writing checkpoints to disk, one at a time, the latest that is stable.

use super::*;

impl Executor {
    /// Has the state of a checkpoint written, once the one before it is.
    pub(super) fn save(&mut self, seq: Seq, out: &mut Outbox<NoTimer>) {
        if self.saving.is_some() {
            self.to_save = Some(seq);
            return;
        }
        if let Some(snapshot) = self.snapshots.get(&seq) {
            self.saving = Some(seq);
            out.save(seq, snapshot.clone());
        }
    }

    /// What is on disk is not held in memory any more.
    pub(super) fn on_saved(&mut self, state: &SavedState, out: &mut Outbox<NoTimer>) {
        if let Some(saved) = &state.saved {
            self.state.adopt(saved);
            self.snapshots.values_mut().for_each(|snapshot| snapshot.adopt(saved));
        }
        self.saving = None;
        out.tell(CheckpointerInput::Saved(state.seq));
        if let Some(seq) = self.to_save.take() {
            self.save(seq, out);
        }
    }
}
