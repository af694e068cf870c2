use super::*;
use crate::message::{Batch, Kind, NewView, ViewChange};
use crate::types::{Monotonic, Seq, View};

/// Asks for ever higher views.
#[derive(Default)]
pub(crate) struct ViewClimber {
    view: u64,
    every: u64,
    next: Monotonic,
}

impl ViewClimber {
    /// Asks for the next view every so many microseconds.
    pub(crate) fn new(every: u64) -> Self {
        Self { every, ..Self::default() }
    }
}

impl Adversary for ViewClimber {
    fn on_tick(&mut self, now: Now, signer: &Signer) -> Vec<(To, Message)> {
        if now.monotonic < self.next {
            return Vec::new();
        }
        self.next = now.monotonic.plus_micros(self.every);
        self.view += 1;
        let message = ViewChange {
            view: View(self.view),
            stable: Seq::ZERO,
            checkpoints: Vec::new(),
            prepared: Vec::new(),
            pre_prepared: Vec::new(),
            signed_only: Vec::new(),
        };
        vec![(To::Others, Message::ViewChange(signer.sign(Kind::ViewChange, message)))]
    }
}

/// As a new primary, leaves out or invents what its V prepared.
pub(crate) enum BadNewView {
    /// Null in place of the last batch chosen; without one, invents one.
    Omits,
    /// Chooses a batch that nobody knows above everything.
    Invents,
}

impl Adversary for BadNewView {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        let Message::NewView(honest) = message else { return vec![(to, message)] };
        if honest.sender != signer.sender {
            return vec![(to, Message::NewView(honest))];
        }
        let mut lie: NewView = honest.message;
        let invented = (lie.chosen.last().map_or(lie.checkpoint.seq, |(seq, _)| *seq).next(), garbage());
        match (self, lie.chosen.last_mut()) {
            (Self::Omits, Some((_, digest))) if *digest != Batch::null_digest() => {
                *digest = Batch::null_digest();
            }
            _ => lie.chosen.push(invented),
        }
        vec![(to, Message::NewView(signer.sign(Kind::NewView, lie)))]
    }
}
