//! The request batcher: pending requests, admission and fairness, and the timer by which a backup
//! suspects a primary that does not serve (PROTOCOL 5 and 7.1).

mod patience;
mod pending;
mod propose;
#[cfg(test)]
mod tests;
mod timer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::message::{Busy, NeedSignature, Peer, Request, Verified};
use crate::ports::config::Tuning;
use crate::ports::service::AnyService;
use crate::role::{
    BatcherInput, Entered, ExecutorInput, Finished, Grant, Message, Need, OrdererInput, Outbox, Role, To,
};
use crate::roles::RateLimit;
use crate::types::{Millis, Monotonic, Now, Quorums, ReplicaId, RequestId, Seq, Timestamp, View};
use patience::Patience;
use pending::Pending;

/// One client may have this part of the admission, so that no flooder takes all of it.
const CLIENT_SHARE: usize = 2;
/// Disputes remembered, so that a request that comes later still reaches the orderer.
const NEEDED_MAX: usize = 65_536;
/// Disputes of one peer that are answered in one status interval: a batch full of them, and no flood.
const DISPUTES_PER_INTERVAL_MAX: usize = 512;
/// Bytes of pending requests; what comes beyond is answered "busy".
const PENDING_BYTES_MAX: usize = 256 << 20;

/// What the batcher waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum BatcherTimer {
    /// The oldest waiting request must be executed by then.
    Request,
}

/// What a batcher needs to know.
#[derive(Clone, Debug)]
pub(crate) struct BatcherConfig {
    pub(crate) own: ReplicaId,
    pub(crate) quorums: Quorums,
    pub(crate) checkpoint_interval: u64,
    pub(crate) signed_requests: bool,
    pub(crate) tuning: Tuning,
    pub(crate) service: Arc<dyn AnyService>,
    /// Random; seeds of choices are derived from it.
    pub(crate) entropy: Digest,
}

/// The batcher's state.
#[derive(Clone, Debug)]
pub(crate) struct Batcher {
    config: BatcherConfig,
    view: View,
    active: bool,
    transferring: bool,
    /// Committed batches wait for this replica's own disk.
    waiting_for_disk: bool,
    /// T.
    timeout: Millis,
    pending: Pending,
    /// Whether this replica was the primary of the view that was left.
    was_primary: bool,
    grant: Option<Grant>,
    /// The last batch executed in the committed prefix.
    executed: Seq,
    /// The group must pass this seq because a replica rejoins.
    fill: Seq,
    /// The highest seq at which a batch was accepted in this view.
    accepted: Seq,
    /// When the oldest waiting thing became the oldest, and what it is.
    oldest: Option<(timer::Oldest, Monotonic)>,
    patience: Patience,
    /// Requests that a proposal names and that could not be proven here.
    needed: BTreeSet<Digest>,
    signed_only: BTreeSet<crate::types::ClientId>,
    throughput: propose::Throughput,
    rejoins: BTreeMap<ReplicaId, Monotonic>,
    disputes: RateLimit,
    /// Choices made so far; makes each seed differ.
    choices: u64,
}

impl Batcher {
    pub(crate) fn new(config: BatcherConfig) -> Self {
        Self {
            timeout: config.tuning.timeout,
            config,
            view: View(0),
            active: true,
            transferring: false,
            waiting_for_disk: false,
            pending: Pending::default(),
            was_primary: false,
            grant: None,
            executed: Seq::ZERO,
            fill: Seq::ZERO,
            accepted: Seq::ZERO,
            oldest: None,
            patience: Patience::default(),
            needed: BTreeSet::new(),
            signed_only: BTreeSet::new(),
            throughput: propose::Throughput::default(),
            rejoins: BTreeMap::new(),
            disputes: RateLimit::default(),
            choices: 0,
        }
    }

    fn is_primary(&self) -> bool {
        self.config.quorums.primary(self.view) == self.config.own
    }

    fn on_admitted(&mut self, now: Now, requests: Vec<Verified<Request>>, out: &mut Outbox<BatcherTimer>) {
        let mut found = Vec::new();
        for request in requests {
            if !self.lacks_signature(&request) && self.needed.remove(request.digest()) {
                found.push((*request).clone());
            }
            self.admit(now, request, out);
        }
        if !found.is_empty() {
            out.tell(OrdererInput::Found(found));
        }
        self.watch(now, out);
    }

    /// Whether only a signature would prove the request, and it has none.
    fn lacks_signature(&self, request: &Request) -> bool {
        let must_sign = self.config.signed_requests || self.signed_only.contains(&request.id().client);
        must_sign && !request.is_signed()
    }

    fn admit(&mut self, now: Now, request: Verified<Request>, out: &mut Outbox<BatcherTimer>) {
        let (id, from) = (request.id(), request.from());
        if self.lacks_signature(&request) {
            let message = NeedSignature { client: id.client, digest: *request.digest() };
            out.send(To::Client(id.client), Message::NeedSignature(message));
            return;
        }
        if self.pending.contains(&id) {
            self.pending.replace_if_signed(request);
            if !self.is_primary() && from == Peer::Client(id.client) {
                self.forward(&id, out);
            }
            return;
        }
        if let Some(replica) = id.client.replica()
            && !self.admits_rejoin(replica, now)
        {
            return;
        }
        let limit = self.admission();
        let quota = limit / (self.config.quorums.n() - 1);
        let (count, allowed) = match from {
            // What is not signed may be worth nothing to the primary: at a backup it must not keep out
            // what holds a timer.
            Peer::Client(_) if request.is_signed() && !self.is_primary() => {
                (self.pending.signed_len(), limit)
            }
            Peer::Client(_) => (self.pending.len(), limit),
            Peer::Replica(backup) => (self.pending.forwarded_by(backup), quota.max(1)),
        };
        let share = (limit / CLIENT_SHARE).max(1);
        let flooding = matches!(from, Peer::Client(_)) && self.pending.of_client(id.client) >= share;
        if count >= allowed || flooding || self.pending.bytes() >= PENDING_BYTES_MAX {
            if let Peer::Client(client) = from {
                let busy = Busy { request: id, retry_after_ms: self.timeout.0 / 4 + 1 };
                out.send(To::Client(client), Message::Busy(busy));
            }
            return;
        }
        self.pending.insert(request, from);
        if !self.is_primary() && matches!(from, Peer::Client(_)) {
            self.forward(&id, out);
        }
    }

    /// A rejoining replica makes the group order many null batches, so it may not ask all the time.
    fn admits_rejoin(&mut self, replica: ReplicaId, now: Now) -> bool {
        let interval = self.config.tuning.rejoin_interval;
        let due = self.rejoins.get(&replica).is_none_or(|last| now.monotonic >= last.plus(interval));
        if due {
            self.rejoins.insert(replica, now.monotonic);
        }
        due
    }

    /// Passes a client's request on to the primary.
    fn forward(&self, id: &RequestId, out: &mut Outbox<BatcherTimer>) {
        if let Some(request) = self.pending.request(id).filter(|_| self.active) {
            let primary = self.config.quorums.primary(self.view);
            out.send(To::Replica(primary), Message::Request(request.clone()));
        }
    }

    fn on_need_signature(
        &mut self,
        now: Now,
        need: &Verified<NeedSignature>,
        out: &mut Outbox<BatcherTimer>,
    ) {
        let Peer::Replica(peer) = need.from() else { return };
        let interval = self.config.tuning.status_interval;
        if !self.disputes.admits_up_to(DISPUTES_PER_INTERVAL_MAX, peer, now.monotonic, interval) {
            return;
        }
        match self.pending.signed(&need.digest) {
            Some(request) => out.send(To::Replica(peer), Message::Request(request.clone())),
            None => out.send(To::Client(need.client), Message::NeedSignature(**need)),
        }
    }

    fn on_need(&mut self, now: Now, need: Need, out: &mut Outbox<BatcherTimer>) {
        // The primary has proposed something, and is not to blame if a client's proof is bad.
        self.on_sign(now);
        let mut found = Vec::new();
        for (digest, client) in need.requests {
            if let Some(request) = self.pending.proven(&digest, &self.signed_only) {
                found.push(request.clone());
                continue;
            }
            if self.needed.len() < NEEDED_MAX {
                self.needed.insert(digest);
            }
            if let Some(client) = client.filter(|_| need.again) {
                let message = NeedSignature { client, digest };
                out.send(To::Others, Message::NeedSignature(message));
                out.send(To::Client(client), Message::NeedSignature(message));
            }
        }
        if !found.is_empty() {
            out.tell(OrdererInput::Found(found));
        }
    }

    fn on_executed(&mut self, now: Now, finished: &Finished, out: &mut Outbox<BatcherTimer>) {
        self.executed = self.executed.max(finished.seq);
        self.on_sign(now);
        self.patience.on_executed(now.monotonic, finished.seq);
        self.throughput.record(now.monotonic, finished.requests.len());
        for id in &finished.requests {
            self.pending.remove(id);
            if id.timestamp == Timestamp::OPENING {
                self.pending.remove_openings(id.client, id.session);
            }
        }
        for (client, session, floor) in &finished.floors {
            self.pending.remove_below(*client, *session, *floor);
        }
        for (client, session) in &finished.closed {
            self.pending.remove_session(*client, *session);
        }
        self.watch(now, out);
    }

    /// The state jumped: what waits may be executed in it, which only the client table knows.
    fn on_jumped(&mut self, now: Now, seq: Seq, out: &mut Outbox<BatcherTimer>) {
        self.executed = seq;
        let waiting = self.pending.take_all();
        if !waiting.is_empty() {
            out.tell(ExecutorInput::Requests(waiting));
        }
        self.watch(now, out);
    }

    fn on_entered(&mut self, now: Now, entered: Entered, out: &mut Outbox<BatcherTimer>) {
        self.view = entered.view;
        self.timeout = entered.timeout;
        self.active = true;
        self.grant = None;
        self.accepted = Seq::ZERO;
        self.needed.clear();
        self.pending.forget_proposals();
        if self.was_primary && !self.is_primary() {
            // Its clients send what is not answered to the new primary, signed.
            self.pending.retain_signed();
        }
        self.was_primary = self.is_primary();
        if !self.is_primary() {
            let quota = (self.admission() / (self.config.quorums.n() - 1)).max(1);
            let primary = self.config.quorums.primary(self.view);
            for request in self.pending.oldest_first().take(quota) {
                out.send(To::Replica(primary), Message::Request(request.clone()));
            }
            self.pending.retain_signed();
        }
        self.oldest = None;
        self.patience.on_entered(now.monotonic);
        self.watch(now, out);
    }

    /// Timers stand still from here on, or go on.
    fn on_still(&mut self, now: Now, out: &mut Outbox<BatcherTimer>) {
        self.oldest = None;
        self.patience.restart(now.monotonic);
        self.watch(now, out);
    }
}

impl Role for Batcher {
    type Input = BatcherInput;
    type Timer = BatcherTimer;

    fn on_input(&mut self, now: Now, input: BatcherInput, out: &mut Outbox<BatcherTimer>) {
        match input {
            BatcherInput::Admitted(requests) => self.on_admitted(now, requests, out),
            BatcherInput::NeedSignature(need) => self.on_need_signature(now, &need, out),
            BatcherInput::Need(need) => self.on_need(now, need, out),
            BatcherInput::Grant(grant) => self.grant = Some(grant),
            BatcherInput::Changing(view) => {
                self.was_primary = self.was_primary || self.is_primary();
                self.view = view;
                self.active = false;
                self.grant = None;
                self.watch(now, out);
            }
            BatcherInput::Entered(entered) => self.on_entered(now, entered, out),
            BatcherInput::SignedOnly(clients) => self.signed_only = clients.into_iter().collect(),
            BatcherInput::Timeout(timeout) => self.timeout = timeout,
            BatcherInput::Executed(finished) => self.on_executed(now, &finished, out),
            BatcherInput::Jumped(seq) => self.on_jumped(now, seq, out),
            BatcherInput::Accepted(seq) => {
                self.accepted = self.accepted.max(seq);
                self.on_sign(now);
                self.patience.on_accepted(now.monotonic, seq);
                self.watch(now, out);
            }
            BatcherInput::Fill(seq) => {
                self.fill = self.fill.max(seq.checkpoint_at_or_above(self.config.checkpoint_interval));
                self.watch(now, out);
            }
            BatcherInput::Transferring(transferring) => {
                self.transferring = transferring;
                self.on_still(now, out);
            }
            BatcherInput::WaitingForDisk(waiting) => {
                self.waiting_for_disk = waiting;
                self.on_still(now, out);
            }
            BatcherInput::TurnEnd => self.propose(now, out),
        }
    }

    fn on_timer(&mut self, now: Now, timer: BatcherTimer, out: &mut Outbox<BatcherTimer>) {
        match timer {
            BatcherTimer::Request => self.on_request_late(now, out),
        }
    }
}
