use std::collections::VecDeque;

use super::*;
use crate::types::Monotonic;

/// Messages that a faulty replica keeps for later.
const KEPT_MAX: usize = 256;

/// Sends everything, or what it says as the primary, late. What does not fit is lost.
pub(crate) struct Slow {
    delay: u64,
    proposals_only: bool,
    now: Monotonic,
    kept: VecDeque<(Monotonic, To, Message)>,
}

impl Slow {
    /// Sends `delay` microseconds late.
    pub(crate) fn new(delay: u64, proposals_only: bool) -> Self {
        Self { delay, proposals_only, now: Monotonic::default(), kept: VecDeque::new() }
    }
}

impl Adversary for Slow {
    fn on_send(&mut self, to: To, message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        if self.proposals_only && !matches!(message, Message::PrePrepare(_)) {
            return vec![(to, message)];
        }
        if self.kept.len() < KEPT_MAX {
            self.kept.push_back((self.now.plus_micros(self.delay), to, message));
        }
        Vec::new()
    }

    fn on_tick(&mut self, now: Now, _signer: &Signer) -> Vec<(To, Message)> {
        self.now = now.monotonic;
        let mut due = Vec::new();
        while self.kept.front().is_some_and(|(at, ..)| *at <= now.monotonic) {
            due.extend(self.kept.pop_front().map(|(_, to, message)| (to, message)));
        }
        due
    }
}

/// Says again and again what it said before.
pub(crate) struct Stale {
    every: u64,
    next: Monotonic,
    said: VecDeque<(To, Message)>,
}

impl Stale {
    /// Repeats an old message every so many microseconds.
    pub(crate) fn new(every: u64) -> Self {
        Self { every, next: Monotonic::default(), said: VecDeque::new() }
    }
}

impl Adversary for Stale {
    fn on_send(&mut self, to: To, message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        if self.said.len() < KEPT_MAX {
            self.said.push_back((to, message.clone()));
        }
        vec![(to, message)]
    }

    fn on_tick(&mut self, now: Now, _signer: &Signer) -> Vec<(To, Message)> {
        if now.monotonic < self.next {
            return Vec::new();
        }
        self.next = now.monotonic.plus_micros(self.every);
        let Some(oldest) = self.said.pop_front() else { return Vec::new() };
        self.said.push_back(oldest.clone());
        vec![oldest]
    }
}
