//! How far a transfer is, is kept on disk as it goes, so that a stop does not throw away what came, and
//! so that it need not fit into memory (PROTOCOL 8).

use super::*;
use crate::role::SavedState;

/// Pages that are kept together at most: 64 MiB,
const KEPT_TOGETHER_MAX: usize = 1 << 14;
/// and at least, so that a small limit of memory does not make a sync of every page.
const KEPT_TOGETHER_MIN: usize = 64;
/// How often as many may be in memory before no more are asked for.
const UNKEPT_FACTOR: usize = 2;

impl Checkpointer {
    /// Goes on from a transfer that a stop interrupted, if one is needed.
    pub(crate) fn resume(&mut self, interrupted: Option<(Seq, Snapshot)>) {
        self.interrupted = interrupted;
    }

    /// Pages after which the disk is asked to keep what came.
    fn kept_together(&self) -> usize {
        (self.config.heap_pages_max / 4).clamp(KEPT_TOGETHER_MIN, KEPT_TOGETHER_MAX)
    }

    /// Pages that may be in memory alone while the disk writes others.
    pub(super) fn unkept_max(&self) -> usize {
        UNKEPT_FACTOR * self.kept_together()
    }

    /// Has what came written to disk, if it is enough and the disk is done with what came before.
    pub(super) fn keep(&mut self, out: &mut Outbox<CheckpointTimer>) {
        let enough = self.kept_together();
        if let Some(transfer) = &mut self.transfer
            && !self.keeping
            && !transfer.difference.is_done()
            && transfer.unkept >= enough
        {
            self.keeping = true;
            transfer.unkept = 0;
            let (target, snapshot) = (transfer.target.checkpoint, transfer.difference.snapshot());
            out.save(Save::Transfer { target, snapshot });
        }
    }

    /// What is on disk is not held in memory any more.
    pub(in crate::roles::checkpointer) fn on_transfer_saved(
        &mut self,
        now: Now,
        state: &SavedState,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        self.keeping = false;
        if let (Some(saved), Some(transfer)) = (&state.saved, &mut self.transfer) {
            transfer.difference.adopt(saved);
        }
        self.keep(out);
        self.go_on(now, out);
    }
}
