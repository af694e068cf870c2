use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;

use super::clock;
use super::hub::{Hub, RoleFailed, Step};
use crate::replica::Driver;
use crate::role::{Effect, Role};
use crate::types::Monotonic;

/// Mail of one replica that was sent and not handled yet. A turn ends when there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// Counts a mail that is about to be sent.
    pub(super) fn raise(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a mail that was handled; true if it was the last.
    pub(super) fn lower(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Several inputs for one role.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Mails<I> {
    pub(super) inputs: Vec<I>,
    /// The only input says that a turn has ended.
    pub(super) turn_end: bool,
}

/// Hosts one role in one mailbox, and knows nothing of what it does.
pub(super) struct RoleActor<R: Role> {
    name: &'static str,
    driver: Driver<R>,
    hub: Addr<Hub>,
    in_flight: InFlight,
    wake: Option<(SpawnHandle, Monotonic)>,
}

impl<R: Role + Unpin + 'static> RoleActor<R> {
    pub(super) fn new(name: &'static str, driver: Driver<R>, hub: Addr<Hub>, in_flight: InFlight) -> Self {
        Self { name, driver, hub, in_flight, wake: None }
    }

    /// Runs a step. A panic here is a bug: the whole replica goes down, loudly.
    fn guarded(
        &mut self,
        context: &mut Context<Self>,
        step: impl FnOnce(&mut Driver<R>) -> Vec<Effect>,
    ) -> Option<Vec<Effect>> {
        let driver = &mut self.driver;
        match catch_unwind(AssertUnwindSafe(|| step(driver))) {
            Ok(effects) => Some(effects),
            Err(panic) => {
                let what = panic.downcast_ref::<String>().cloned();
                let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let what = what.unwrap_or_else(|| "a panic without text".to_owned());
                self.hub.do_send(RoleFailed { role: self.name, what });
                context.stop();
                None
            }
        }
    }

    /// One wake-up for all the role's timers; one that comes too early finds nothing due.
    fn plan_wake(&mut self, context: &mut Context<Self>) {
        let Some(next) = self.driver.next_wake() else { return };
        if self.wake.is_some_and(|(_, at)| at <= next) {
            return;
        }
        if let Some((handle, _)) = self.wake.take() {
            context.cancel_future(handle);
        }
        let wait = Duration::from_micros(next.micros_since(clock::monotonic()));
        let handle = context.run_later(wait, |actor, context| {
            actor.wake = None;
            if let Some(effects) = actor.guarded(context, |driver| driver.on_wake(clock::now())) {
                if !effects.is_empty() {
                    actor.in_flight.raise();
                    actor.hub.do_send(Step { effects });
                }
                actor.plan_wake(context);
            }
        });
        self.wake = Some((handle, next));
    }
}

impl<R: Role + Unpin + 'static> Actor for RoleActor<R> {
    type Context = Context<Self>;
}

impl<R: Role + Unpin + 'static> Handler<Mails<R::Input>> for RoleActor<R>
where
    R::Input: Send + 'static,
{
    type Result = ();

    fn handle(&mut self, mails: Mails<R::Input>, context: &mut Self::Context) {
        let now = clock::now();
        let effects = self.guarded(context, |driver| {
            let mut effects = Vec::new();
            for input in mails.inputs {
                let more = driver.on_input(now, input);
                if effects.is_empty() {
                    effects = more;
                } else {
                    effects.extend(more);
                }
            }
            effects
        });
        let Some(effects) = effects else { return };
        // Mail that led to nothing may still have been the last of the turn. A turn that ended with
        // nothing to do is over.
        let last = self.in_flight.lower();
        let over = mails.turn_end && effects.is_empty();
        if !effects.is_empty() || last && !over {
            self.in_flight.raise();
            self.hub.do_send(Step { effects });
        }
        self.plan_wake(context);
    }
}
