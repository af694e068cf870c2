//! One client's closed loop, until all clients together have done what is to be done.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytes::Bytes;
use pbft_actors::actor::{Invoke, InvokeMany, Outcomes};
use tokio::sync::Notify;

use crate::Work;

/// What all loops share.
pub(crate) struct Run {
    operation: Bytes,
    work: Work,
    /// Operations that nobody has sent yet.
    unsent: Cell<u64>,
    /// Operations that are not answered.
    unanswered: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
    finished: Notify,
}

impl Run {
    pub(crate) fn new(operations: u64, work: Work) -> Rc<Self> {
        Rc::new(Self {
            operation: vec![0; work.operation_bytes].into(),
            work,
            unsent: Cell::new(operations),
            unanswered: Cell::new(operations),
            latencies: RefCell::default(),
            finished: Notify::new(),
        })
    }

    pub(crate) async fn finished(&self) {
        while self.unanswered.get() > 0 {
            self.finished.notified().await;
        }
    }

    pub(crate) fn take_latencies(&self) -> Vec<Duration> {
        self.latencies.take()
    }

    fn invoke(&self) -> Invoke {
        let operation = self.operation.clone();
        if self.work.read_only { Invoke::read_only(operation) } else { Invoke::new(operation) }
    }
}

/// Sends the next operation for every outcome.
pub(crate) struct Caller {
    run: Rc<Run>,
    client: Recipient<InvokeMany>,
    /// When the operation of each token was sent.
    sent: Vec<Instant>,
}

impl Caller {
    pub(crate) fn start(run: &Rc<Run>, client: Recipient<InvokeMany>) {
        let sent = vec![Instant::now(); run.work.outstanding as usize];
        Self { run: Rc::clone(run), client, sent }.start();
    }

    fn send(&self, tokens: impl Iterator<Item = u64>, context: &Context<Self>) {
        let mut invocations = Vec::new();
        for token in tokens {
            if self.run.unsent.get() > 0 {
                self.run.unsent.set(self.run.unsent.get() - 1);
                invocations.push((token, self.run.invoke()));
            }
        }
        if !invocations.is_empty() {
            self.client.do_send(InvokeMany { invocations, to: context.address().recipient() });
        }
    }
}

impl Actor for Caller {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.send(0..self.sent.len() as u64, context);
    }
}

impl Handler<Outcomes> for Caller {
    type Result = ();

    fn handle(&mut self, Outcomes(outcomes): Outcomes, context: &mut Self::Context) {
        let now = Instant::now();
        let mut tokens = Vec::with_capacity(outcomes.len());
        for (token, outcome) in outcomes {
            outcome.expect("a result");
            let sent = std::mem::replace(&mut self.sent[token as usize], now);
            self.run.latencies.borrow_mut().push(now.duration_since(sent));
            tokens.push(token);
        }
        self.run.unanswered.set(self.run.unanswered.get() - tokens.len() as u64);
        if self.run.unanswered.get() == 0 {
            self.run.finished.notify_one();
        }
        self.send(tokens.into_iter(), context);
    }
}
