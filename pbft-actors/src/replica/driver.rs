use std::collections::BTreeMap;

use crate::role::{Effect, Outbox, Role, TimerChange};
use crate::types::{Monotonic, Now};

/// A role with its timer table.
#[derive(Clone)]
pub(crate) struct Driver<R: Role> {
    role: R,
    timers: BTreeMap<R::Timer, Monotonic>,
}

impl<R: Role> Driver<R> {
    pub(crate) fn new(role: R) -> Self {
        Self { role, timers: BTreeMap::new() }
    }

    /// Handles what is due, then the input.
    pub(crate) fn on_input(&mut self, now: Now, input: R::Input) -> Vec<Effect> {
        let mut effects = self.on_wake(now);
        let mut out = Outbox::default();
        self.role.on_input(now, input, &mut out);
        self.settle(out, &mut effects);
        effects
    }

    /// Handles the timers that are due; a late or needless wake-up is harmless.
    pub(crate) fn on_wake(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let due: Vec<R::Timer> =
            self.timers.iter().filter(|(_, at)| **at <= now.monotonic).map(|(timer, _)| *timer).collect();
        for timer in due {
            // An earlier one may have disarmed or moved it.
            if self.timers.get(&timer).is_some_and(|at| *at <= now.monotonic) {
                self.timers.remove(&timer);
                let mut out = Outbox::default();
                self.role.on_timer(now, timer, &mut out);
                self.settle(out, &mut effects);
            }
        }
        effects
    }

    fn settle(&mut self, out: Outbox<R::Timer>, effects: &mut Vec<Effect>) {
        for change in out.timers {
            match change {
                TimerChange::Arm(timer, at) => self.timers.insert(timer, at),
                TimerChange::Disarm(timer) => self.timers.remove(&timer),
            };
        }
        let records = out.effects.iter().any(|effect| matches!(effect, Effect::Persist(_)));
        // As a rule nothing was due before: then nothing is moved.
        if effects.is_empty() {
            *effects = out.effects;
        } else {
            effects.extend(out.effects);
        }
        if records {
            effects.push(Effect::StepEnd);
        }
    }

    /// When the next timer is due.
    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.timers.values().min().copied()
    }

    /// For those who look at a role from outside.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn role(&self) -> &R {
        &self.role
    }

    /// For those who damage a role from outside.
    #[cfg(test)]
    pub(crate) fn role_mut(&mut self) -> &mut R {
        &mut self.role
    }
}
