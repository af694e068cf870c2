//! The client's side of the protocol (PROTOCOL 4): one session, many requests outstanding, and an
//! answer that a correct replica vouches for.

mod candidates;
mod outstanding;
mod sent;
mod session;
mod silence;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use thiserror::Error;

use crate::crypto::{Digest, Hasher, Identity, MacKey};
use crate::message::{Binding, Busy, NeedSignature, Outcome, Peer, Refusal, Reply, RequestKeys, Verified};
use crate::role::{Message, To};
use crate::types::{
    ClientId, Millis, Monotonic, Quorums, ReplicaId, ReplicaSet, RequestId, Seq, SessionId, Timestamp, View,
};
use outstanding::Outstanding;
use sent::Sent;
use session::Session;
use silence::Silence;

/// Results of requests that nobody waited for any more, kept to be asked for.
const LATE_RESULTS_MAX: usize = 1_024;

/// An operation that the group executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The request's name.
    pub id: RequestId,
    /// Where it was executed; 0 for a read that needed no place in the order.
    pub seq: Seq,
    /// The service's answer.
    pub result: Bytes,
}

/// Why there is no result.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvokeError {
    /// The service refused at every correct replica; nothing changed.
    #[error("{refusal}")]
    Refused {
        /// The request's name.
        id: RequestId,
        /// Where it was executed; 0 for a read that needed no place in the order.
        seq: Seq,
        /// The service's refusal.
        refusal: Refusal,
    },
    /// Not known yet whether it was executed: ask again with this id.
    #[error("the outcome of request {id} is not known yet; ask again with its id")]
    Unknown {
        /// The request's name.
        id: RequestId,
    },
    /// Executed, but its result was dropped to stay within the client's share.
    #[error("request {id} was executed, but its result is no longer kept")]
    ResultDropped {
        /// The request's name.
        id: RequestId,
        /// Where it was executed.
        seq: Seq,
    },
    /// The group closed the session; it can no longer tell whether the request was executed.
    #[error("the session of request {id} was closed before its outcome was known")]
    SessionClosed {
        /// The request's name.
        id: RequestId,
    },
    /// Nothing was sent: the operation is larger than a request may be.
    #[error("the operation has {length} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Bytes of the operation.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Nothing was sent before the time was over: no session could be opened or the window is full.
    #[error("the request was not sent within its time: fewer than a quorum of replicas answer")]
    NotSent,
    /// No request of this client has this id, or its result is no longer kept.
    #[error("no request {id} is known to this client")]
    NoSuchRequest {
        /// The id asked for.
        id: RequestId,
    },
    /// The client was stopped.
    #[error("the client was stopped")]
    Stopped,
}

/// What becomes of an invocation.
pub(crate) type Completion = Result<Committed, InvokeError>;

/// What a client needs to know.
#[derive(Clone)]
pub(crate) struct ClientConfig {
    pub(crate) id: ClientId,
    pub(crate) identity: Identity,
    pub(crate) binding: Binding,
    pub(crate) quorums: Quorums,
    /// W.
    pub(crate) client_window: u64,
    pub(crate) tuning: ClientTuning,
    /// The first session number tried; rises from one start to the next.
    pub(crate) first_session: SessionId,
    /// Random; nonces and jitter are derived from it.
    pub(crate) entropy: Digest,
}

/// What each client may choose for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientTuning {
    /// Time without an answer after which a request is sent to all, signed.
    pub retry: Millis,
    /// The least time without any answer at all after which one request is sent to all, signed; more where
    /// answers take longer as a rule. From `retry` on, `retry` alone counts.
    pub retry_min: Millis,
    /// What that time never exceeds, however often it doubled.
    pub retry_max: Millis,
    /// Whether every request is signed from the start.
    pub sign_all: bool,
    /// Whether one replica alone, another one for each request, sends a long result in full.
    pub digest_replies: bool,
    /// Whether reads are answered at once, in one round trip, and ordered only where that fails.
    pub one_round_reads: bool,
}

impl Default for ClientTuning {
    fn default() -> Self {
        Self {
            retry: Millis(300),
            retry_min: Millis(25),
            retry_max: Millis(5_000),
            sign_all: false,
            digest_replies: true,
            one_round_reads: true,
        }
    }
}

/// One thing that a client is told.
#[derive(Clone, Debug)]
pub(crate) enum ClientInput {
    /// Order an operation; the token comes back with the completion.
    Invoke {
        token: u64,
        operation: Bytes,
        read_only: bool,
        timeout: Millis,
    },
    /// What became of an earlier request.
    Ask {
        token: u64,
        id: RequestId,
        timeout: Millis,
    },
    Reply(Verified<Reply>),
    NeedSignature(Verified<NeedSignature>),
    Busy(Verified<Busy>),
    /// A link to a replica came up and gave a key for requests.
    RequestKey {
        replica: ReplicaId,
        epoch: u32,
        key: MacKey,
    },
    /// The link to a replica is gone.
    LinkLost(ReplicaId),
    /// Time has passed.
    Tick,
}

/// What a step of the client asks for.
#[derive(Debug, Default)]
pub(crate) struct ClientStep {
    pub(crate) sends: Vec<(To, Message)>,
    pub(crate) completions: Vec<(u64, Completion)>,
}

/// An invocation that was not sent yet.
struct Queued {
    token: u64,
    operation: Bytes,
    read_only: bool,
    deadline: Monotonic,
}

/// The client's state.
pub(crate) struct Client {
    config: ClientConfig,
    keys: Vec<Option<RequestKeys>>,
    session: Session,
    queued: VecDeque<Queued>,
    outstanding: Sent<Outstanding>,
    next: Timestamp,
    /// Nothing sent or queued is due before this time.
    due: Option<Monotonic>,
    /// What is due is not sent again before this time.
    resend_from: Monotonic,
    silence: Silence,
    /// Outcomes that nobody waited for when they came.
    late: BTreeMap<RequestId, Completion>,
    /// Replicas that owed a result in full, and did not send it since their link came up.
    silent: ReplicaSet,
    /// The view that each replica last told.
    views: BTreeMap<ReplicaId, View>,
    /// The (f+1)-th highest of these: at least one correct replica is there.
    view: View,
    draws: u64,
}

impl Client {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            keys: vec![None; config.quorums.n()],
            session: Session::closed(config.first_session),
            config,
            queued: VecDeque::new(),
            outstanding: Sent::default(),
            next: Timestamp(1),
            due: None,
            resend_from: Monotonic(0),
            silence: Silence::default(),
            late: BTreeMap::new(),
            silent: ReplicaSet::EMPTY,
            views: BTreeMap::new(),
            view: View::default(),
            draws: 0,
        }
    }

    /// Handles one input.
    pub(crate) fn on_input(&mut self, now: Monotonic, input: ClientInput) -> ClientStep {
        let mut step = ClientStep::default();
        match input {
            ClientInput::Invoke { token, operation, read_only, timeout } => {
                let limit = crate::message::OPERATION_BYTES_MAX;
                if operation.len() > limit {
                    let length = operation.len();
                    step.completions.push((token, Err(InvokeError::TooLarge { length, limit })));
                } else {
                    let deadline = now.plus(timeout);
                    self.note_due(deadline);
                    self.queued.push_back(Queued { token, operation, read_only, deadline });
                }
            }
            ClientInput::Ask { token, id, timeout } => self.on_ask(now, token, id, timeout, &mut step),
            ClientInput::Reply(reply) => self.on_reply(now, &reply, &mut step),
            ClientInput::NeedSignature(need) => self.on_need_signature(now, &need, &mut step),
            ClientInput::Busy(busy) => self.on_busy(now, &busy),
            ClientInput::RequestKey { replica, epoch, key } => {
                self.on_link(replica, true);
                self.on_request_key(now, replica, epoch, key, &mut step);
            }
            ClientInput::LinkLost(replica) => self.on_link(replica, false),
            ClientInput::Tick => self.on_tick(now, &mut step),
        }
        self.advance(now, &mut step);
        self.try_go_round(now, &mut step);
        step
    }

    /// When time alone may make something happen next. What it was for may be gone by then: it is found
    /// out then, not at every reply.
    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.due.into_iter().chain(self.session.next_wake()).chain(self.silence_ends_at()).min()
    }

    fn note_due(&mut self, at: Monotonic) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// The keys shared with the replicas.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn keys(&self) -> Vec<Option<RequestKeys>> {
        self.keys.clone()
    }

    /// The session that is open.
    #[cfg(test)]
    pub(crate) fn session_number(&self) -> Option<SessionId> {
        self.session.open_number()
    }

    /// A replica told its view.
    fn on_view(&mut self, replica: ReplicaId, view: View, step: &mut ClientStep) {
        let seen = self.views.entry(replica).or_default();
        if view > *seen {
            *seen = view;
            let mut views: Vec<View> = self.views.values().copied().collect();
            views.sort_unstable_by(|a, b| b.cmp(a));
            let view = views.get(self.config.quorums.weak() - 1).copied().unwrap_or_default();
            if view > std::mem::replace(&mut self.view, view) {
                self.on_new_primary(step);
            }
        }
    }

    /// Opens a session if needed and sends what the window allows.
    fn advance(&mut self, now: Monotonic, step: &mut ClientStep) {
        if self.queued.is_empty() {
            return;
        }
        let Some(session) = self.session.open_number() else {
            self.try_open(now, step);
            return;
        };
        while !self.queued.is_empty() {
            let lowest = self.outstanding.lowest().unwrap_or(self.next);
            if self.next.0 >= lowest.0.saturating_add(self.config.client_window) {
                return;
            }
            let Some(queued) = self.queued.pop_front() else { return };
            let timestamp = self.next;
            self.next = timestamp.next();
            let id = RequestId { client: self.config.id, session, timestamp };
            let mut sent = Outstanding::new(
                id,
                lowest.min(timestamp),
                queued,
                (now, self.view),
                self.config.tuning.retry,
            );
            self.send_first(&mut sent, step);
            self.silence.on_sent(now, self.outstanding.lowest().is_some());
            self.note_due(sent.next_wake());
            self.outstanding.insert(timestamp, sent);
        }
    }

    fn on_tick(&mut self, now: Monotonic, step: &mut ClientStep) {
        self.retry_session(now, step);
        self.queued.retain(|queued| {
            let late = queued.deadline <= now;
            if late {
                step.completions.push((queued.token, Err(InvokeError::NotSent)));
            }
            !late
        });
        self.try_break_silence(now, step);
        self.retry_outstanding(now, step);
        let sent = self.outstanding.iter().map(|(_, sent)| sent.next_wake());
        let due = sent.chain(self.queued.iter().map(|queued| queued.deadline)).min();
        // What is still due now waits for others to be sent again first.
        self.due = due.map(|due| if due <= now { self.resend_from } else { due });
    }

    fn on_ask(&mut self, now: Monotonic, token: u64, id: RequestId, timeout: Millis, step: &mut ClientStep) {
        if let Some(completion) = self.late.get(&id) {
            step.completions.push((token, completion.clone()));
            return;
        }
        let deadline = now.plus(timeout);
        match self.outstanding.get_mut(id.timestamp).filter(|sent| sent.id() == id && sent.token.is_none()) {
            Some(sent) => {
                sent.wait(token, deadline);
                self.note_due(deadline);
            }
            None => step.completions.push((token, Err(InvokeError::NoSuchRequest { id }))),
        }
    }

    fn on_reply(&mut self, now: Monotonic, reply: &Verified<Reply>, step: &mut ClientStep) {
        let Peer::Replica(replica) = reply.from() else { return };
        self.on_view(replica, reply.view, step);
        if reply.request.client != self.config.id {
            return;
        }
        if reply.request.timestamp == Timestamp::OPENING {
            self.on_opening_reply(now, replica, reply, step);
            return;
        }
        let quorums = self.config.quorums;
        let Some(sent) = self.outstanding.get_mut(reply.request.timestamp) else { return };
        if sent.id() != reply.request {
            return;
        }
        let timestamp = reply.request.timestamp;
        let Some((seq, outcome)) = sent.on_reply(quorums, replica, reply) else {
            if sent.cannot_agree(quorums) {
                self.order(now, timestamp, step);
            }
            return;
        };
        let Some(sent) = self.outstanding.remove(timestamp) else { return };
        self.silence.on_answered(now, self.outstanding.lowest().is_some());
        // What a view change took is not what is usual.
        let (sent_at, view) = sent.sent();
        if view == self.view {
            self.silence.record(now, sent_at);
        }
        let id = sent.id();
        let completion = match outcome {
            Outcome::Done(result) => Ok(Committed { id, seq, result }),
            Outcome::Refused(refusal) => Err(InvokeError::Refused { id, seq, refusal }),
            Outcome::ResultDropped => Err(InvokeError::ResultDropped { id, seq }),
            Outcome::Opened | Outcome::SessionExpired { .. } => Err(InvokeError::SessionClosed { id }),
        };
        if matches!(outcome_of(&completion), Some(InvokeError::SessionClosed { .. })) {
            self.on_session_closed(id.session, step);
        }
        self.complete(sent, completion, step);
    }

    fn complete(&mut self, sent: Outstanding, completion: Completion, step: &mut ClientStep) {
        match sent.token {
            Some(token) => step.completions.push((token, completion)),
            None => {
                self.late.insert(sent.id(), completion);
                if self.late.len() > LATE_RESULTS_MAX {
                    self.late.pop_first();
                }
            }
        }
    }

    /// The session is gone: what was sent in it has no certain outcome, what was not goes into the next.
    fn on_session_closed(&mut self, session: SessionId, step: &mut ClientStep) {
        if self.session.open_number() != Some(session) {
            return;
        }
        self.session = Session::closed(SessionId(session.0.saturating_add(1)));
        self.next = Timestamp(1);
        for sent in std::mem::take(&mut self.outstanding).into_values() {
            let id = sent.id();
            self.complete(sent, Err(InvokeError::SessionClosed { id }), step);
        }
    }

    /// A pseudo-random number of this client's own.
    fn draw(&mut self) -> Digest {
        self.draws += 1;
        let mut hasher = Hasher::new("pbft client draw");
        hasher.part(&self.config.entropy.0).number(self.draws);
        hasher.finish()
    }

    /// A wait of about this length: others must not wake at the same time.
    fn jittered(&mut self, wait: Millis) -> u64 {
        let draw = self.draw();
        let fraction = u64::from(draw.0[0]);
        wait.micros() * 3 / 4 + wait.micros() * fraction / 512
    }
}

fn outcome_of(completion: &Completion) -> Option<&InvokeError> {
    completion.as_ref().err()
}
