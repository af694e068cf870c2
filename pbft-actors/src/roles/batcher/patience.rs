//! Patience: how long a primary of which nothing is seen is waited for while a request waits.
//!
//! T is for a primary that serves others and not this request. One that is dead is found out sooner,
//! because it serves nobody: every batch that is accepted or executed, and every dispute over one, is a
//! sign of it. How long it is quiet as a rule is measured; patience is a multiple of that.

use std::collections::VecDeque;

use super::*;
use crate::roles::UsualWait;

/// Patience, in usual waits.
const FACTOR: u64 = 3;

/// When the primary was seen, and how long that takes as a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    /// The last sign of the primary.
    seen: Monotonic,
    /// Batches of this view that are not executed yet, with the time at which they were accepted.
    accepted: VecDeque<(Seq, Monotonic)>,
    /// A batch that was accepted in this view is executed.
    progressed: bool,
    usual: UsualWait,
}

impl Patience {
    /// The last sign of the primary.
    pub(super) fn seen(&self) -> Monotonic {
        self.seen
    }

    /// A view is left or entered, or time stood still: nothing that was waited for counts.
    pub(super) fn restart(&mut self, now: Monotonic) {
        self.seen = now;
        self.accepted.clear();
    }

    /// A view is entered: its primary has shown nothing yet.
    pub(super) fn on_entered(&mut self, now: Monotonic) {
        self.restart(now);
        self.progressed = false;
    }

    /// Something was seen of the primary, while something waited since `since`.
    pub(super) fn on_sign(&mut self, now: Monotonic, since: Option<Monotonic>) {
        if let Some(since) = since {
            self.usual.record(now, now.micros_since(since.max(self.seen)));
        }
        self.seen = now;
    }

    pub(super) fn on_accepted(&mut self, now: Monotonic, seq: Seq) {
        // Only what is above the last one: what is accepted again counts once, and the window is the limit.
        if self.accepted.back().is_none_or(|(last, _)| *last < seq) {
            self.accepted.push_back((seq, now));
        }
    }

    pub(super) fn on_executed(&mut self, now: Monotonic, executed: Seq) {
        while let Some((_, since)) = self.accepted.pop_front_if(|(seq, _)| *seq <= executed) {
            self.usual.record(now, now.micros_since(since));
            self.progressed = true;
        }
    }

    /// How long, in microseconds; none where only T counts: what T is when nothing went wrong of late, or
    /// what is usual here, is not known.
    pub(super) fn micros(&self, timeout: Millis, tuning: &Tuning) -> Option<u64> {
        if !self.progressed || timeout != tuning.timeout {
            return None;
        }
        let patience = self.usual.micros()?.saturating_mul(FACTOR).max(tuning.timeout_min.micros());
        (patience < timeout.micros()).then_some(patience)
    }
}
