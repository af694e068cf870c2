//! What a role is, what it can ask for, and the mail between roles.

mod effect;
mod mail;
mod outbox;
mod post;
mod remembered;

pub use effect::Event;
pub(crate) use effect::{Effect, Message, Record, Save, To};
pub(crate) use mail::*;
pub(crate) use outbox::{Outbox, TimerChange};
pub use post::Outbound;
pub(crate) use post::Post;
pub(crate) use remembered::{LogStanding, Remembered, RememberedSlot};

use crate::types::Now;

/// A pure state machine: it sees inputs and timers, and answers with effects. No clock, no I/O, no
/// randomness; time is an argument.
pub(crate) trait Role {
    /// What it is told.
    type Input;
    /// What it waits for.
    type Timer: Copy + Ord + std::fmt::Debug;

    /// Handles one input.
    fn on_input(&mut self, now: Now, input: Self::Input, out: &mut Outbox<Self::Timer>);

    /// Handles a timer that is due. A timer fires once for each time it was armed.
    fn on_timer(&mut self, now: Now, timer: Self::Timer, out: &mut Outbox<Self::Timer>);
}
