//! The address of a client: invoke operations, ask for outcomes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use slab::Slab;
use tokio::sync::oneshot;

use super::answer::{Answer, Told, Waiter};
use super::builder::{ClientBuilder, GroupConfig, NotChosen};
use super::clock;
use super::transport::Outlet;
use crate::crypto::Identity;
use crate::message::Peer;
use crate::role::{Post, To};
use crate::roles::client::{self as role, ClientInput, ClientStep, Committed, InvokeError};
use crate::types::{ClientId, Millis, Monotonic, Quorums, RequestId};

/// How long an invocation waits for its outcome unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Orders an operation. Answered with its result once a correct replica vouches for it.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Committed, InvokeError>")]
pub struct Invoke {
    operation: Bytes,
    read_only: bool,
    timeout: Duration,
}

impl Invoke {
    /// An operation that may change the state.
    pub fn new(operation: impl Into<Bytes>) -> Self {
        Self { operation: operation.into(), read_only: false, timeout: DEFAULT_TIMEOUT }
    }

    /// An operation that only reads: it goes to the service's `query`. It is ordered like any other.
    pub fn read_only(operation: impl Into<Bytes>) -> Self {
        Self { read_only: true, ..Self::new(operation) }
    }

    /// How long to wait; after it the outcome is reported as unknown and can be asked for.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Orders many operations in one mail, and has their outcomes told in as few: where a caller has
/// hundreds outstanding this costs a tenth of as many [`Invoke`]s.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct InvokeMany {
    /// Each operation with a token of the caller's own, which comes back with its outcome.
    pub invocations: Vec<(u64, Invoke)>,
    /// Who is told.
    pub to: Recipient<Outcomes>,
}

/// Outcomes of operations that [`InvokeMany`] ordered, in the order in which they became known.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Outcomes(pub Vec<(u64, Result<Committed, InvokeError>)>);

/// Asks for the outcome of a request that was reported as unknown.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Result<Committed, InvokeError>")]
pub struct Ask {
    /// The request's name.
    pub id: RequestId,
    /// How long to wait.
    pub timeout: Duration,
}

/// Stops the client: what still waits is answered as stopped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopClient;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Inputs(pub(super) Vec<ClientInput>);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SetOutlet(pub(super) Box<dyn Outlet>);

/// A client of a group: an identity with one session. Its address is cheap to clone.
pub struct Client {
    id: ClientId,
    quorums: Quorums,
    role: role::Client,
    outlet: Option<Box<dyn Outlet>>,
    /// Whom each outcome is for, by the token that the role knows it by.
    waiting: Slab<Waiter>,
    /// Outcomes that are told when this mail is handled.
    told: Told,
    post: Post,
    flush_planned: bool,
    wake: Option<(SpawnHandle, Monotonic)>,
    ended: Option<oneshot::Sender<()>>,
    _rejections: Arc<super::gate::Rejections>,
}

impl Client {
    /// Starts to describe a client of a group.
    pub fn builder(group: GroupConfig, id: ClientId, identity: Identity) -> ClientBuilder<NotChosen> {
        ClientBuilder::new(group, id, identity)
    }

    pub(super) fn new(
        id: ClientId,
        quorums: Quorums,
        role: role::Client,
        rejections: Arc<super::gate::Rejections>,
        ended: oneshot::Sender<()>,
    ) -> Self {
        Self {
            id,
            quorums,
            role,
            outlet: None,
            waiting: Slab::new(),
            told: Told::default(),
            post: Post::default(),
            flush_planned: false,
            wake: None,
            ended: Some(ended),
            _rejections: rejections,
        }
    }

    fn feed(&mut self, inputs: impl IntoIterator<Item = ClientInput>, context: &mut Context<Self>) {
        let now = clock::monotonic();
        for input in inputs {
            let step = self.role.on_input(now, input);
            self.apply(step);
        }
        self.told.deliver();
        if !self.post.is_empty() && !self.flush_planned {
            // After the mailbox has drained: one write for all that came in one go.
            self.flush_planned = true;
            context.notify(Flush);
        }
        self.plan_wake(context);
    }

    fn apply(&mut self, step: ClientStep) {
        for (to, message) in step.sends {
            let to = match to {
                To::Replica(id) => vec![Peer::Replica(id)],
                To::Replicas(set) => set.iter().map(Peer::Replica).collect(),
                To::Others => self.quorums.replicas().map(Peer::Replica).collect(),
                To::Client(_) => continue,
            };
            self.post.of_client(to, message);
        }
        for (token, completion) in step.completions {
            if let Some(waiter) = self.waiting.try_remove(token as usize) {
                waiter.complete(completion, &mut self.told);
            }
        }
    }

    fn plan_wake(&mut self, context: &mut Context<Self>) {
        let Some(next) = self.role.next_wake() else { return };
        if self.wake.is_some_and(|(_, at)| at <= next) {
            return;
        }
        if let Some((handle, _)) = self.wake.take() {
            context.cancel_future(handle);
        }
        let wait = Duration::from_micros(next.micros_since(clock::monotonic()).max(1_000));
        let handle = context.run_later(wait, |client, context| {
            client.wake = None;
            client.feed([ClientInput::Tick], context);
        });
        self.wake = Some((handle, next));
    }

    fn expect(&mut self, waiter: Waiter) -> u64 {
        self.waiting.insert(waiter) as u64
    }
}

impl Invoke {
    /// The service's own bytes.
    pub fn operation(&self) -> &Bytes {
        &self.operation
    }

    /// Whether it goes to the service's `query`.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn input(self, token: u64) -> ClientInput {
        let Invoke { operation, read_only, timeout } = self;
        ClientInput::Invoke { token, operation, read_only, timeout: millis(timeout) }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Actor for Client {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // The replicas' answers bound what is in flight; callers are bounded by their own windows.
        context.set_mailbox_capacity(1 << 16);
    }

    fn stopped(&mut self, _context: &mut Self::Context) {
        for waiter in self.waiting.drain() {
            waiter.complete(Err(InvokeError::Stopped), &mut self.told);
        }
        self.told.deliver();
        if let Some(outlet) = self.outlet.take() {
            outlet.close();
        }
        if let Some(ended) = self.ended.take() {
            let _nobody_waits = ended.send(());
        }
    }
}

impl Handler<Invoke> for Client {
    type Result = Answer;

    fn handle(&mut self, invoke: Invoke, context: &mut Self::Context) -> Self::Result {
        let (answer, waiter) = Answer::expected();
        let token = self.expect(waiter);
        self.feed([invoke.input(token)], context);
        answer
    }
}

impl Handler<InvokeMany> for Client {
    type Result = ();

    fn handle(&mut self, many: InvokeMany, context: &mut Self::Context) {
        let InvokeMany { invocations, to } = many;
        let to = Rc::new(to);
        let mut inputs = Vec::with_capacity(invocations.len());
        for (token, invoke) in invocations {
            let token = self.expect(Waiter::Told { to: Rc::clone(&to), token });
            inputs.push(invoke.input(token));
        }
        self.feed(inputs, context);
    }
}

impl Handler<Ask> for Client {
    type Result = Answer;

    fn handle(&mut self, ask: Ask, context: &mut Self::Context) -> Self::Result {
        let (answer, waiter) = Answer::expected();
        let token = self.expect(waiter);
        self.feed([ClientInput::Ask { token, id: ask.id, timeout: millis(ask.timeout) }], context);
        answer
    }
}

impl Handler<Inputs> for Client {
    type Result = ();

    fn handle(&mut self, inputs: Inputs, context: &mut Self::Context) {
        self.feed(inputs.0, context);
    }
}

impl Handler<Flush> for Client {
    type Result = ();

    fn handle(&mut self, _flush: Flush, _context: &mut Self::Context) {
        self.flush_planned = false;
        if let Some(outlet) = &self.outlet {
            outlet.send(self.post.take());
        }
    }
}

impl Handler<SetOutlet> for Client {
    type Result = ();

    fn handle(&mut self, outlet: SetOutlet, _context: &mut Self::Context) {
        self.outlet = Some(outlet.0);
    }
}

impl Handler<StopClient> for Client {
    type Result = ();

    fn handle(&mut self, _stop: StopClient, context: &mut Self::Context) {
        tracing::debug!(client = %self.id, "stopping");
        context.stop();
    }
}

fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
