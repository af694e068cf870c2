//! The request timer: a full T for the oldest waiting request, whatever else progresses.
//!
//! A batch that was accepted waits as well, whoever asked for it: a replica that has restarted, or that
//! is too far behind to admit a request, may know of nothing else that the primary owes.
//!
//! The primary has one too. Where f replicas know what was decided, f are silent and the rest lack one
//! COMMIT, its own VIEW-CHANGE is the one that makes them weak-many: without it nobody moves.

use super::*;
use crate::role::ViewChangerInput;

/// What a replica waits for longest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Oldest {
    /// A signed request.
    Request(RequestId),
    /// The batch after this one: it was accepted, or a rejoining replica needs it.
    Batch(Seq),
}

impl Batcher {
    fn oldest(&self) -> Option<Oldest> {
        if !self.active || self.transferring || self.waiting_for_disk {
            return None;
        }
        let request = self.pending.oldest_timed().map(Oldest::Request);
        let due = self.fill.max(self.accepted);
        request.or_else(|| (self.executed < due).then_some(Oldest::Batch(self.executed)))
    }

    /// Sets the timer anew if another request has become the oldest.
    pub(super) fn watch(&mut self, now: Now, out: &mut Outbox<BatcherTimer>) {
        let oldest = self.oldest();
        if oldest == self.oldest.map(|(oldest, _)| oldest) {
            return;
        }
        self.oldest = oldest.map(|oldest| (oldest, now.monotonic));
        match oldest {
            Some(_) => out.arm(BatcherTimer::Request, now.monotonic.plus(self.timeout)),
            None => out.disarm(BatcherTimer::Request),
        }
    }

    pub(super) fn on_request_late(&mut self, now: Now, out: &mut Outbox<BatcherTimer>) {
        let Some((_, since)) = self.oldest else { return };
        let deadline = since.plus(self.timeout);
        if now.monotonic < deadline {
            // T has grown since the timer was set.
            out.arm(BatcherTimer::Request, deadline);
            return;
        }
        out.tell(ViewChangerInput::Suspect(self.view));
        // Should the suspicion not be followed, it is raised again a T later.
        self.oldest = self.oldest.map(|(oldest, _)| (oldest, now.monotonic));
        out.arm(BatcherTimer::Request, now.monotonic.plus(self.timeout));
    }
}
