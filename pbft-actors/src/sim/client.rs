//! One simulated client: the client role, its links, and a closed loop of operations.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::client_attack::{ClientAttack, ClientKeys};
use super::node::seal_for;
use super::plan::Micros;
use super::rng::Rng;
use super::service::Behaviour;
use super::workload::Operations;
use crate::crypto::{Digest, Identity};
#[cfg(test)]
use crate::message::RequestKeys;
use crate::message::{Binding, Frame, LinkKeys, Opened, Opener, Peer, Request};
use crate::role::{Message, Outbound, Post, To};
use crate::roles::client::{Client, ClientConfig, ClientInput, ClientStep, Completion, InvokeError};
#[cfg(test)]
use crate::types::SessionId;
use crate::types::{ClientId, Millis, Monotonic, ReplicaId, Seq};

/// Operations that are not answered within this time are asked for again by their id.
const INVOKE_TIMEOUT: Millis = Millis(20_000);

/// An operation and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) client: ClientId,
    pub(super) id: u64,
    /// What the simulator's own service shall do with it.
    pub(super) behaviour: Option<Behaviour>,
    pub(super) invoked: Micros,
    pub(super) completed: Option<(Micros, Completion)>,
}

impl Record {
    /// Where it was executed, as the client was told.
    pub(super) fn seq(&self) -> Seq {
        match &self.completed {
            Some((_, Ok(committed))) => committed.seq,
            Some((_, Err(InvokeError::Refused { seq, .. } | InvokeError::ResultDropped { seq, .. }))) => *seq,
            _ => Seq::ZERO,
        }
    }
}

/// A running client.
pub(super) struct SimClient {
    client: Client,
    opener: Opener,
    links: BTreeMap<Peer, (LinkKeys, u64)>,
    /// What is sent when it has done all that there is to do.
    post: Post,
    rng: Rng,
    pub(super) to_invoke: u64,
    /// Requests that it made, in all its lives.
    pub(super) made: BTreeSet<Digest>,
    pub(super) outstanding_max: u64,
    operations: Operations,
    /// Index into the history by token.
    waiting: BTreeMap<u64, usize>,
    next_token: u64,
    pub(super) wake_at: Option<Monotonic>,
    identity: Identity,
    binding: Binding,
    /// What a faulty client does.
    pub(super) attack: Option<ClientAttack>,
    /// Frames that were refused: nothing a correct replica sends.
    pub(super) rejected: u64,
}

impl SimClient {
    pub(super) fn new(
        config: ClientConfig,
        opener: Opener,
        rng: Rng,
        to_invoke: u64,
        outstanding_max: u64,
        operations: Operations,
    ) -> Self {
        Self {
            identity: config.identity.clone(),
            binding: config.binding,
            attack: None,
            client: Client::new(config),
            opener,
            links: BTreeMap::new(),
            post: Post::default(),
            rng,
            to_invoke,
            made: BTreeSet::new(),
            outstanding_max,
            operations,
            waiting: BTreeMap::new(),
            next_token: 0,
            wake_at: None,
            rejected: 0,
        }
    }

    fn id(&self) -> ClientId {
        match self.opener.keyring.own {
            Peer::Client(id) => id,
            Peer::Replica(_) => unreachable!("a client's keyring is its own"),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.attack.is_some() || self.to_invoke == 0 && self.waiting.is_empty()
    }

    /// A faulty client stops.
    pub(super) fn fall_silent(&mut self) {
        self.to_invoke = 0;
        self.links.clear();
    }

    pub(super) fn next_wake(&self) -> Option<Monotonic> {
        self.client.next_wake()
    }

    pub(super) fn disconnect(
        &mut self,
        now: Monotonic,
        replica: ReplicaId,
        history: &mut [Record],
    ) -> Vec<(Peer, Bytes)> {
        self.links.remove(&Peer::Replica(replica));
        self.input(now, ClientInput::LinkLost(replica), history);
        self.flush()
    }

    pub(super) fn connect(
        &mut self,
        now: Monotonic,
        replica: ReplicaId,
        keys: LinkKeys,
        request_key: (u32, crate::crypto::MacKey),
        history: &mut [Record],
    ) -> Vec<(Peer, Bytes)> {
        self.links.insert(Peer::Replica(replica), (keys, 0));
        let (epoch, key) = request_key;
        self.input(now, ClientInput::RequestKey { replica, epoch, key }, history);
        self.flush()
    }

    pub(super) fn on_frame(
        &mut self,
        now: Monotonic,
        from: Peer,
        bytes: Bytes,
        history: &mut [Record],
    ) -> Vec<(Peer, Bytes)> {
        let Some((keys, _)) = self.links.get(&from) else { return Vec::new() };
        let opened =
            Frame::open(&keys.receive, bytes).ok().and_then(|frame| self.opener.open_frame(from, frame).ok());
        match opened {
            Some(Opened::Reply(reply)) => self.input(now, ClientInput::Reply(reply), history),
            Some(Opened::Replies(replies)) => {
                replies.into_iter().for_each(|reply| self.input(now, ClientInput::Reply(reply), history));
            }
            Some(Opened::NeedSignature(need)) => self.input(now, ClientInput::NeedSignature(need), history),
            Some(Opened::Busy(busy)) => self.input(now, ClientInput::Busy(busy), history),
            _ => self.rejected += 1,
        }
        self.flush()
    }

    pub(super) fn on_wake(&mut self, now: Monotonic, history: &mut [Record]) -> Vec<(Peer, Bytes)> {
        self.input(now, ClientInput::Tick, history);
        self.flush()
    }

    /// Invokes one operation; its record is the last of the history.
    fn invoke(
        &mut self,
        now: Monotonic,
        operation: Bytes,
        behaviour: Option<Behaviour>,
        id: u64,
        history: &mut Vec<Record>,
    ) {
        let token = self.next_token;
        self.next_token += 1;
        self.waiting.insert(token, history.len());
        history.push(Record { client: self.id(), id, behaviour, invoked: now.0, completed: None });
        let read_only = behaviour == Some(Behaviour::Read);
        let input = ClientInput::Invoke { token, operation, read_only, timeout: INVOKE_TIMEOUT };
        self.input(now, input, history);
    }

    /// Invokes one operation of the simulator's own service.
    #[cfg(test)]
    pub(super) fn ask(
        &mut self,
        now: Monotonic,
        behaviour: Behaviour,
        id: u64,
        history: &mut Vec<Record>,
    ) -> Vec<(Peer, Bytes)> {
        self.invoke(now, super::service::operation(id, behaviour), Some(behaviour), id, history);
        self.flush()
    }

    /// Invokes as many operations as may be outstanding.
    pub(super) fn work(
        &mut self,
        now: Monotonic,
        next_id: &mut u64,
        history: &mut Vec<Record>,
    ) -> Vec<(Peer, Bytes)> {
        while self.to_invoke > 0 && (self.waiting.len() as u64) < self.outstanding_max {
            self.to_invoke -= 1;
            *next_id += 1;
            let (operation, behaviour) = self.operations.draw(&mut self.rng, *next_id);
            self.invoke(now, operation, behaviour, *next_id, history);
        }
        self.flush()
    }

    fn input(&mut self, now: Monotonic, input: ClientInput, history: &mut [Record]) {
        let step = self.client.on_input(now, input);
        self.finish(now, step, history);
    }

    fn finish(&mut self, now: Monotonic, step: ClientStep, history: &mut [Record]) {
        step.sends.into_iter().for_each(|(to, message)| self.send(to, message));
        for (token, completion) in step.completions {
            let Some(index) = self.waiting.remove(&token) else { continue };
            if let Err(InvokeError::Unknown { id }) = completion {
                let again = self.next_token;
                self.next_token += 1;
                self.waiting.insert(again, index);
                self.input(now, ClientInput::Ask { token: again, id, timeout: INVOKE_TIMEOUT }, history);
            } else if let Some(record) = history.get_mut(index) {
                record.completed = Some((now.0, completion));
            }
        }
    }

    fn send(&mut self, to: To, message: Message) {
        let peers: Vec<Peer> = match to {
            To::Replica(id) => vec![Peer::Replica(id)],
            To::Replicas(set) => set.iter().map(Peer::Replica).collect(),
            To::Others => self.opener.keyring.quorums.replicas().map(Peer::Replica).collect(),
            To::Client(_) => Vec::new(),
        };
        match (self.attack, &message) {
            (Some(attack), Message::Request(honest)) => return self.send_twisted(attack, honest, &peers),
            (None, Message::Request(request)) => {
                self.made.insert(*request.digest());
            }
            _ => {}
        }
        self.post.of_client(peers, message);
    }

    fn send_twisted(&mut self, attack: ClientAttack, honest: &Request, peers: &[Peer]) {
        let request_keys = self.client.keys();
        let keys =
            ClientKeys { identity: &self.identity, binding: &self.binding, request_keys: &request_keys };
        for peer in peers {
            let Peer::Replica(replica) = peer else { continue };
            for request in attack.twist(*replica, honest, &keys) {
                self.post.of_client(vec![*peer], Message::Request(request));
            }
        }
    }

    /// What there is to send, in as few frames as the carrier of the real sockets makes of it.
    fn flush(&mut self) -> Vec<(Peer, Bytes)> {
        let mut frames = Vec::new();
        for Outbound { to, payload } in self.post.take() {
            for peer in to {
                frames.extend(seal_for(&payload, self.links.get_mut(&peer)).map(|bytes| (peer, bytes)));
            }
        }
        frames
    }

    /// Sends a message of the test's own making, as a faulty client would.
    #[cfg(test)]
    pub(super) fn forge(&mut self, to: ReplicaId, message: &Message) -> Vec<(Peer, Bytes)> {
        self.send(To::Replica(to), message.clone());
        self.flush()
    }

    /// The keys it shares with the replicas, for tests that forge authenticators.
    #[cfg(test)]
    pub(super) fn request_keys(&self) -> Vec<Option<RequestKeys>> {
        self.client.keys()
    }

    /// Opens a frame as this client would.
    #[cfg(test)]
    pub(super) fn read(&self, from: Peer, bytes: Bytes) -> Option<Opened> {
        let (keys, _) = self.links.get(&from)?;
        let frame = Frame::open(&keys.receive, bytes).ok()?;
        self.opener.open_frame(from, frame).ok()
    }

    /// The session that is open.
    #[cfg(test)]
    pub(super) fn session(&self) -> Option<SessionId> {
        self.client.session_number()
    }
}
