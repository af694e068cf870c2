//! The address of a client: invoke operations, ask for outcomes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::builder::{ClientBuilder, GroupConfig, NotChosen};
use super::clock;
use super::transport::{Outbound, Outlet};
use crate::crypto::Identity;
use crate::message::Peer;
use crate::role::To;
use crate::roles::client::{self as role, ClientInput, ClientStep, Committed, Completion, InvokeError};
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
    waiting: BTreeMap<u64, oneshot::Sender<Completion>>,
    next_token: u64,
    outbound: Vec<Outbound>,
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
            waiting: BTreeMap::new(),
            next_token: 0,
            outbound: Vec::new(),
            flush_planned: false,
            wake: None,
            ended: Some(ended),
            _rejections: rejections,
        }
    }

    fn feed(&mut self, input: ClientInput, context: &mut Context<Self>) {
        let step = self.role.on_input(clock::monotonic(), input);
        self.apply(step, context);
    }

    fn apply(&mut self, step: ClientStep, context: &mut Context<Self>) {
        for (to, message) in step.sends {
            let to = match to {
                To::Replica(id) => vec![Peer::Replica(id)],
                To::Replicas(set) => set.iter().map(Peer::Replica).collect(),
                To::Others => self.quorums.replicas().map(Peer::Replica).collect(),
                To::Client(_) => continue,
            };
            self.outbound.push(Outbound { to, payload: message.payload() });
        }
        for (token, completion) in step.completions {
            if let Some(sender) = self.waiting.remove(&token) {
                // Whoever asked may have given up waiting.
                let _given_up = sender.send(completion);
            }
        }
        if !self.outbound.is_empty() && !self.flush_planned {
            // After the mailbox has drained: one write for all that came in one go.
            self.flush_planned = true;
            context.notify(Flush);
        }
        self.plan_wake(context);
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
            client.feed(ClientInput::Tick, context);
        });
        self.wake = Some((handle, next));
    }

    fn expect(&mut self) -> (u64, oneshot::Receiver<Completion>) {
        let token = self.next_token;
        self.next_token += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(token, sender);
        (token, receiver)
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
        if let Some(outlet) = self.outlet.take() {
            outlet.close();
        }
        if let Some(ended) = self.ended.take() {
            let _nobody_waits = ended.send(());
        }
    }
}

impl Handler<Invoke> for Client {
    type Result = ResponseFuture<Result<Committed, InvokeError>>;

    fn handle(&mut self, invoke: Invoke, context: &mut Self::Context) -> Self::Result {
        let (token, receiver) = self.expect();
        let Invoke { operation, read_only, timeout } = invoke;
        self.feed(ClientInput::Invoke { token, operation, read_only, timeout: millis(timeout) }, context);
        Box::pin(async move { receiver.await.unwrap_or(Err(InvokeError::Stopped)) })
    }
}

impl Handler<Ask> for Client {
    type Result = ResponseFuture<Result<Committed, InvokeError>>;

    fn handle(&mut self, ask: Ask, context: &mut Self::Context) -> Self::Result {
        let (token, receiver) = self.expect();
        self.feed(ClientInput::Ask { token, id: ask.id, timeout: millis(ask.timeout) }, context);
        Box::pin(async move { receiver.await.unwrap_or(Err(InvokeError::Stopped)) })
    }
}

impl Handler<Inputs> for Client {
    type Result = ();

    fn handle(&mut self, inputs: Inputs, context: &mut Self::Context) {
        for input in inputs.0 {
            self.feed(input, context);
        }
    }
}

impl Handler<Flush> for Client {
    type Result = ();

    fn handle(&mut self, _flush: Flush, _context: &mut Self::Context) {
        self.flush_planned = false;
        if let Some(outlet) = &self.outlet {
            outlet.send(std::mem::take(&mut self.outbound));
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
