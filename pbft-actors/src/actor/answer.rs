//! Whom an outcome is for, and how it gets there: no future of the client's own waits for it, because
//! an actor polls all its futures at every wake-up.

use std::cell::RefCell;
use std::rc::Rc;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;

use super::client::{Client, Outcomes};
use crate::roles::client::{Committed, Completion, InvokeError};

/// The answer to a mail that is sent when its outcome is known.
pub struct Answer(Rc<RefCell<Slot>>);

/// Where outcome and asker meet, whichever is there first.
pub(super) enum Slot {
    Empty,
    Asker(OneshotSender<Completion>),
    Outcome(Completion),
}

/// Whom one outcome is for.
pub(super) enum Waiter {
    /// Whoever awaits the answer to a mail.
    Asker(Rc<RefCell<Slot>>),
    /// Whoever has outcomes told.
    Told { to: Rc<Recipient<Outcomes>>, token: u64 },
}

/// Outcomes to be told, one mail for each who is told.
#[derive(Default)]
pub(super) struct Told(Vec<Telling>);

/// One mail on its way.
struct Telling {
    to: Rc<Recipient<Outcomes>>,
    outcomes: Vec<(u64, Completion)>,
}

impl Answer {
    /// An answer, and the waiter that completes it.
    pub(super) fn expected() -> (Self, Waiter) {
        let slot = Rc::new(RefCell::new(Slot::Empty));
        (Self(Rc::clone(&slot)), Waiter::Asker(slot))
    }
}

impl<M> MessageResponse<Client, M> for Answer
where
    M: Message<Result = Result<Committed, InvokeError>>,
{
    fn handle(self, _context: &mut Context<Client>, asker: Option<OneshotSender<Completion>>) {
        let Some(asker) = asker else { return };
        let mut slot = self.0.borrow_mut();
        match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Outcome(completion) => drop(asker.send(completion)),
            Slot::Empty | Slot::Asker(_) => *slot = Slot::Asker(asker),
        }
    }
}

impl Waiter {
    /// Passes an outcome on. Whoever asked may have given up waiting.
    pub(super) fn complete(self, completion: Completion, told: &mut Told) {
        match self {
            Self::Asker(slot) => {
                let mut slot = slot.borrow_mut();
                match std::mem::replace(&mut *slot, Slot::Empty) {
                    Slot::Asker(asker) => drop(asker.send(completion)),
                    Slot::Empty | Slot::Outcome(_) => *slot = Slot::Outcome(completion),
                }
            }
            Self::Told { to, token } => told.add(to, token, completion),
        }
    }
}

impl Told {
    fn add(&mut self, to: Rc<Recipient<Outcomes>>, token: u64, completion: Completion) {
        // Most come in runs of one mail's; to compare two addresses takes longer than all the rest.
        let known = self.0.iter().position(|telling| Rc::ptr_eq(&telling.to, &to));
        match known.or_else(|| self.0.iter().position(|telling| telling.to == to)) {
            Some(at) => {
                let telling = &mut self.0[at];
                telling.to = to;
                telling.outcomes.push((token, completion));
            }
            None => self.0.push(Telling { to, outcomes: vec![(token, completion)] }),
        }
    }

    /// Tells everyone.
    pub(super) fn deliver(&mut self) {
        for Telling { to, outcomes } in self.0.drain(..) {
            to.do_send(Outcomes(outcomes));
        }
    }
}
