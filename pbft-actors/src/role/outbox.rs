use super::{Effect, Event, Mail, Message, Record, Save, Taken, To};
use crate::types::{Monotonic, Seq};

/// What one step of a role asks for, in order.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    pub(crate) effects: Vec<Effect>,
    pub(crate) timers: Vec<TimerChange<T>>,
}

/// A timer set or cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimerChange<T> {
    Arm(T, Monotonic),
    Disarm(T),
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { effects: Vec::new(), timers: Vec::new() }
    }
}

impl<T> Outbox<T> {
    /// What follows in this step waits until the record is durable.
    pub(crate) fn persist(&mut self, record: Record) {
        self.effects.push(Effect::Persist(record));
    }

    pub(crate) fn send(&mut self, to: To, message: Message) {
        self.effects.push(Effect::Send(to, message));
    }

    pub(crate) fn tell(&mut self, mail: impl Into<Mail>) {
        self.effects.push(Effect::Tell(mail.into()));
    }

    pub(crate) fn digest(&mut self, generation: u64, taken: Taken) {
        self.effects.push(Effect::Digest { generation, taken });
    }

    pub(crate) fn save(&mut self, save: Save) {
        self.effects.push(Effect::Save(save));
    }

    pub(crate) fn release(&mut self, seq: Seq) {
        self.effects.push(Effect::Release(seq));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    /// Sets a timer, or moves it.
    pub(crate) fn arm(&mut self, timer: T, deadline: Monotonic) {
        self.timers.push(TimerChange::Arm(timer, deadline));
    }

    pub(crate) fn disarm(&mut self, timer: T) {
        self.timers.push(TimerChange::Disarm(timer));
    }
}
