//! What the tests of all roles share: keys, requests, batches, messages of peers, and one step.

use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::{Digest, Identity, MacKey};
use crate::message::{
    Batch, Binding, Choice, Hints, Keyring, Kind, Opened, Opener, Operation, Peer, PrePrepare, Refusal,
    Request, RequestKeys, Signer, Verified, Vote, encode_pre_prepare,
};
use crate::ports::service::{AnyService, Execution, Query, Service};
use crate::ports::state::{PAGE_BYTES, State};
use crate::role::{Effect, Mail, Outbox, Role};
use crate::types::{
    ClientId, LogId, Millis, Monotonic, Now, Quorums, ReplicaId, Seq, SessionId, Timestamp, View, Wall,
};

pub(crate) fn quorums(n: usize) -> Quorums {
    Quorums::new(n).unwrap()
}

pub(crate) fn replica(id: u8) -> ReplicaId {
    ReplicaId(id)
}

/// A digest that names nothing real.
pub(crate) fn digest(number: u8) -> Digest {
    Digest([number; Digest::BYTES])
}

/// Wall time at the start of every test, microseconds.
pub(crate) const START: u64 = 1_000_000_000;

/// This many milliseconds after the start.
pub(crate) fn at(milliseconds: u64) -> Now {
    let micros = Millis(milliseconds).micros();
    Now { monotonic: Monotonic(micros), wall: Wall(START + micros) }
}

/// The deadline this many milliseconds after the start.
pub(crate) fn deadline(milliseconds: u64) -> Monotonic {
    at(milliseconds).monotonic
}

/// The first log of a replica.
pub(crate) fn log_of(id: u8) -> LogId {
    LogId { number: 100, salt: u64::from(id) }
}

pub(crate) fn signer(id: u8) -> Signer {
    signer_with(id, log_of(id))
}

pub(crate) fn signer_with(id: u8, log: LogId) -> Signer {
    let identity = Identity::simulated([id; 32]);
    Signer { sender: replica(id), log, identity, binding: Binding::default() }
}

pub(crate) fn from<M>(id: u8, message: M) -> Verified<M> {
    Verified::own(Peer::Replica(replica(id)), message)
}

pub(crate) fn from_client(request: &Request) -> Verified<Request> {
    Verified::own(Peer::Client(request.id().client), request.clone())
}

pub(crate) fn vote(view: u64, seq: u64, digest: Digest) -> Vote {
    Vote { view: View(view), seq: Seq(seq), digest }
}

/// What a client's first session asks for; the operation names client and timestamp.
pub(crate) fn operation(client: u32, timestamp: u64) -> Operation {
    Operation {
        client: ClientId(client),
        session: SessionId(1),
        timestamp: Timestamp(timestamp),
        answered_below: Timestamp(1),
        read_only: false,
        operation: Bytes::from(format!("+{client}.{timestamp}")),
    }
}

pub(crate) fn opening(client: u32, session: u64) -> Operation {
    Operation {
        session: SessionId(session),
        timestamp: Timestamp::OPENING,
        answered_below: Timestamp::OPENING,
        operation: Bytes::from(vec![client as u8; 16]),
        ..operation(client, 0)
    }
}

const HINTS: Hints = Hints { replier: None, ordered: false };

fn client_identity(client: ClientId) -> Identity {
    Identity::simulated([128 + client.0 as u8; 32])
}

pub(crate) fn sign(operation: Operation) -> Request {
    let identity = client_identity(operation.client);
    Request::signed(operation, &identity, &Binding::default(), HINTS)
}

/// A signed request, proven here.
pub(crate) fn signed(client: u32, timestamp: u64) -> Request {
    sign(operation(client, timestamp))
}

/// A request with one MAC per replica, proven here.
pub(crate) fn maced(client: u32, timestamp: u64) -> Request {
    let mut keys = RequestKeys::default();
    keys.insert(1, MacKey::new([client as u8; 32]));
    Request::authenticated(operation(client, timestamp), (0..31).map(|_| Some(&keys)), HINTS)
}

/// Time and seed of a primary whose clock is right.
pub(crate) fn choice() -> Choice {
    Choice { time: Wall(START), seed: digest(77), extra: Bytes::new() }
}

pub(crate) fn batch<const N: usize>(requests: [Request; N]) -> Arc<Batch> {
    Arc::new(Batch::new(choice(), requests.to_vec()))
}

/// A batch with one signed request, another one for every number.
pub(crate) fn batch_of(number: u64) -> Arc<Batch> {
    batch([signed(1, number)])
}

pub(crate) fn pre_prepare(view: u64, seq: u64, batch: &Batch) -> PrePrepare {
    PrePrepare::of_batch(View(view), Seq(seq), batch)
}

/// The proposal as a replica receives it to whom every client's MACs look wrong.
pub(crate) fn disputed(message: &PrePrepare) -> PrePrepare {
    let peers = (0..4).map(|id| Identity::simulated([id; 32]).public_key()).collect();
    let own = Peer::Replica(replica(1));
    let mut keyring = Keyring::new(own, quorums(4), Binding::default(), peers);
    for client in 0..16 {
        keyring.insert_client(ClientId(client), client_identity(ClientId(client)).public_key());
        keyring.insert_request_key(ClientId(client), 1, MacKey::new([255; 32]));
    }
    let opener = Opener { keyring, interval: 4, window: 16 };
    let body = encode_pre_prepare(message).into();
    match opener.open(Peer::Replica(replica(0)), Kind::PrePrepare, body) {
        Ok(Opened::PrePrepare(message)) => message.into_inner(),
        other => unreachable!("a proposal opens as one: {other:?}"),
    }
}

/// One input, and all that the role asks for.
pub(crate) fn step<R: Role>(role: &mut R, now: Now, input: R::Input) -> Outbox<R::Timer> {
    let mut out = Outbox::default();
    role.on_input(now, input, &mut out);
    out
}

/// One input at the start, and its effects.
pub(crate) fn effects<R: Role>(role: &mut R, input: R::Input) -> Vec<Effect> {
    step(role, at(0), input).effects
}

pub(crate) fn fire<R: Role>(role: &mut R, now: Now, timer: R::Timer) -> Outbox<R::Timer> {
    let mut out = Outbox::default();
    role.on_timer(now, timer, &mut out);
    out
}

pub(crate) fn tell(mail: impl Into<Mail>) -> Effect {
    Effect::Tell(mail.into())
}

/// Counts, and misbehaves where it is told to.
pub(crate) struct TestService;

impl TestService {
    pub(crate) fn shared() -> Arc<dyn AnyService> {
        Arc::new(Self)
    }
}

impl Service for TestService {
    const NAME: &'static str = "test";
    const VERSION: u32 = 1;

    /// `+` counts; `!` and `?` count, then panic and refuse; `#n` gives n bytes; `t` the time; `wn`
    /// writes n pages.
    fn execute(
        &self,
        state: &mut State,
        context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        let count = state.cell::<u64>("count").get() + 1;
        state.cell_mut::<u64>("count").set(count)?;
        let number = || std::str::from_utf8(&operation[1..]).unwrap().parse::<usize>().unwrap();
        match operation.first() {
            Some(b'!') => panic!("told to"),
            Some(b'?') => Err(Refusal::new(1_000, "told to")),
            Some(b'#') => Ok(Bytes::from(vec![b'x'; number()])),
            Some(b'w') => {
                state.write(0, &vec![b'w'; number() * PAGE_BYTES])?;
                Ok(Bytes::new())
            }
            Some(b't') => Ok(Bytes::from(context.time.0.to_string())),
            _ => Ok(Bytes::from(count.to_string())),
        }
    }

    fn query(&self, state: &State, _context: &Query, _operation: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::from(state.cell::<u64>("count").get().to_string()))
    }
}
