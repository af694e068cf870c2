//! All five roles in one pair of hands, as the simulator holds them.

use super::Roles;
use crate::role::{Effect, Mail};
use crate::types::{Monotonic, Now};

impl Roles {
    /// Gives a mail to its role.
    pub(crate) fn deliver(&mut self, now: Now, mail: Mail) -> Vec<Effect> {
        match mail {
            Mail::Batcher(input) => self.batcher.on_input(now, input),
            Mail::Orderer(input) => self.orderer.on_input(now, input),
            Mail::Checkpointer(input) => self.checkpointer.on_input(now, input),
            Mail::ViewChanger(input) => self.view_changer.on_input(now, input),
            Mail::Executor(input) => self.executor.on_input(now, input),
        }
    }

    /// Fires every role's timers that are due.
    pub(crate) fn on_wake(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = self.batcher.on_wake(now);
        effects.extend(self.orderer.on_wake(now));
        effects.extend(self.checkpointer.on_wake(now));
        effects.extend(self.view_changer.on_wake(now));
        effects.extend(self.executor.on_wake(now));
        effects
    }

    /// When the next timer of any role is due.
    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        let wakes = [
            self.batcher.next_wake(),
            self.orderer.next_wake(),
            self.checkpointer.next_wake(),
            self.view_changer.next_wake(),
            self.executor.next_wake(),
        ];
        wakes.into_iter().flatten().min()
    }
}
