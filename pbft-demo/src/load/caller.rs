use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use actix::prelude::*;
use bytes::Bytes;
use pbft_actors::actor::{Invoke, InvokeMany, Outcomes};
use tokio::sync::Notify;

use super::tally::Tally;

/// What all callers of one run share.
pub(super) struct Run {
    pub(super) operation: Bytes,
    pub(super) read_only: bool,
    pub(super) tally: RefCell<Tally>,
    /// No operation is sent any more.
    pub(super) stopping: Cell<bool>,
    /// Operations that were sent and are not answered.
    outstanding: Cell<usize>,
    drained: Notify,
}

/// One client's closed loop: every outcome sends the next operation.
pub(super) struct Caller {
    run: Rc<Run>,
    client: Recipient<InvokeMany>,
    /// When the operation of each token was sent.
    sent: Vec<Instant>,
}

impl Run {
    pub(super) fn new(operation: Bytes, read_only: bool) -> Rc<Self> {
        Rc::new(Self {
            operation,
            read_only,
            tally: RefCell::new(Tally::new()),
            stopping: Cell::new(false),
            outstanding: Cell::new(0),
            drained: Notify::new(),
        })
    }

    fn invoke(&self) -> Invoke {
        match self.read_only {
            true => Invoke::read_only(self.operation.clone()),
            false => Invoke::new(self.operation.clone()),
        }
    }

    /// Sends no more, and waits until all that was sent is answered.
    pub(super) async fn drain(&self) {
        self.stopping.set(true);
        while self.outstanding.get() > 0 {
            self.drained.notified().await;
        }
    }
}

impl Caller {
    /// Starts a loop with so many operations outstanding.
    pub(super) fn start(run: &Rc<Run>, client: Recipient<InvokeMany>, outstanding: usize) {
        run.outstanding.set(run.outstanding.get() + outstanding);
        Self { run: Rc::clone(run), client, sent: vec![Instant::now(); outstanding] }.start();
    }

    fn send(&mut self, tokens: impl Iterator<Item = u64>, context: &Context<Self>) {
        let invocations = tokens.map(|token| (token, self.run.invoke())).collect();
        self.client.do_send(InvokeMany { invocations, to: context.address().recipient() });
    }
}

impl Actor for Caller {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let tokens = 0..self.sent.len() as u64;
        self.send(tokens, context);
    }
}

impl Handler<Outcomes> for Caller {
    type Result = ();

    fn handle(&mut self, Outcomes(outcomes): Outcomes, context: &mut Self::Context) {
        let now = Instant::now();
        let mut tokens = Vec::with_capacity(outcomes.len());
        {
            let mut tally = self.run.tally.borrow_mut();
            for (token, outcome) in outcomes {
                let sent = self.sent.get_mut(token as usize).expect("the client gives back its tokens");
                match outcome {
                    Ok(_) => tally.succeeded(now.duration_since(*sent)),
                    Err(error) => tally.failed(error),
                }
                *sent = now;
                tokens.push(token);
            }
        }
        if self.run.stopping.get() {
            let left = self.run.outstanding.get() - tokens.len();
            self.run.outstanding.set(left);
            if left == 0 {
                self.run.drained.notify_one();
            }
        } else {
            self.send(tokens.into_iter(), context);
        }
    }
}
