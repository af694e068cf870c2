//! The request timer: a full T for the oldest waiting request, whatever else progresses, and less of it
//! where nothing is seen of the primary at all (`patience.rs`).
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
        match self.deadline() {
            Some(deadline) => out.arm(BatcherTimer::Request, deadline),
            None => out.disarm(BatcherTimer::Request),
        }
    }

    /// Something was seen of the primary. The timer stays as it is: when it fires, the deadline is later.
    pub(super) fn on_sign(&mut self, now: Now) {
        self.patience.on_sign(now.monotonic, self.oldest.map(|(_, since)| since));
    }

    fn deadline(&self) -> Option<Monotonic> {
        let (_, since) = self.oldest?;
        let full = since.plus(self.timeout);
        Some(self.impatient_at().map_or(full, |at| at.min(full)))
    }

    /// When patience with a primary of which nothing is seen ends.
    ///
    /// Only for a request: what a client asked for in signed form has waited too long for the client, too.
    /// A batch that was accepted here may lack nothing but a vote that the next STATUS brings.
    fn impatient_at(&self) -> Option<Monotonic> {
        let (Oldest::Request(_), since) = self.oldest? else { return None };
        let patience = self.patience.micros(self.timeout, &self.config.tuning).filter(|_| !self.is_primary());
        Some(since.max(self.patience.seen()).plus_micros(patience?))
    }

    pub(super) fn on_request_late(&mut self, now: Now, out: &mut Outbox<BatcherTimer>) {
        let Some((_, since)) = self.oldest else { return };
        if now.monotonic < since.plus(self.timeout) && !self.is_out_of_patience(now) {
            // T has grown since the timer was set, or something was seen of the primary.
            out.arm(BatcherTimer::Request, self.deadline().unwrap_or(since.plus(self.timeout)));
            return;
        }
        out.tell(ViewChangerInput::Suspect(self.view));
        // Should the suspicion not be followed, it is raised again a T later.
        self.oldest = self.oldest.map(|(oldest, _)| (oldest, now.monotonic));
        out.arm(BatcherTimer::Request, now.monotonic.plus(self.timeout));
    }

    fn is_out_of_patience(&mut self, now: Now) -> bool {
        let patience = self.patience.micros(self.timeout, &self.config.tuning);
        let (Some(at), Some(patience)) = (self.impatient_at(), patience) else { return false };
        if now.monotonic > at.plus_micros(patience / 2) {
            // This replica itself stood still: what the primary sent meanwhile may be on its way.
            self.patience.restart(now.monotonic);
            return false;
        }
        now.monotonic >= at
    }
}
