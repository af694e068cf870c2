//! Requests on their way: sending, collecting replies, sending again.

use super::candidates::Candidates;
use super::*;
use crate::message::{Hints, Operation, Request};

/// Requests that are sent again, signed, at one time: some 1 ms of work here and 2 ms at each replica,
const RESENDS_AT_ONCE_MAX: usize = 32;
/// and the rest before the next ones.
const RESEND_PAUSE: Millis = Millis(10);

/// A request that was sent and is not answered.
pub(super) struct Outstanding {
    operation: Operation,
    /// Known once it was sent.
    digest: Digest,
    /// Whom to answer; none once the outcome was reported as unknown.
    pub(super) token: Option<u64>,
    deadline: Monotonic,
    /// When, and in which view as far as is known, it was sent first.
    sent: (Monotonic, View),
    resend_at: Monotonic,
    wait: Millis,
    signed_at: Option<Monotonic>,
    /// A read that every replica answers from what it has executed.
    unordered: bool,
    /// Who owes the result in full; none if all do.
    replier: Option<ReplicaId>,
    /// A BUSY has put the next sending off already: a liar must not do so for ever.
    postponed: bool,
    replies: Candidates,
}

impl Outstanding {
    pub(super) fn new(
        id: RequestId,
        answered_below: Timestamp,
        queued: Queued,
        sent: (Monotonic, View),
        retry: Millis,
    ) -> Self {
        let RequestId { client, session, timestamp } = id;
        let Queued { token, operation, read_only, deadline } = queued;
        Self {
            operation: Operation { client, session, timestamp, answered_below, read_only, operation },
            digest: Digest::default(),
            token: Some(token),
            deadline,
            sent,
            resend_at: sent.0.plus(retry),
            wait: Millis(0),
            signed_at: None,
            unordered: false,
            replier: None,
            postponed: false,
            replies: Candidates::default(),
        }
    }

    pub(super) fn id(&self) -> RequestId {
        let Operation { client, session, timestamp, .. } = self.operation;
        RequestId { client, session, timestamp }
    }

    /// When, and in which view as far as is known, it was sent first.
    pub(super) fn sent(&self) -> (Monotonic, View) {
        self.sent
    }

    /// Whether a BUSY asked for some time.
    pub(super) fn is_put_off(&self, now: Monotonic) -> bool {
        self.postponed && now < self.resend_at
    }

    /// It goes to all, signed.
    pub(super) fn note_signed(&mut self, now: Monotonic) {
        self.signed_at = Some(now);
    }

    pub(super) fn next_wake(&self) -> Monotonic {
        if self.token.is_some() { self.resend_at.min(self.deadline) } else { self.resend_at }
    }

    /// Somebody waits for the outcome again.
    pub(super) fn wait(&mut self, token: u64, deadline: Monotonic) {
        self.token = Some(token);
        self.deadline = deadline;
    }

    /// Counts a reply; the outcome once enough match.
    pub(super) fn on_reply(
        &mut self,
        quorums: Quorums,
        replica: ReplicaId,
        reply: &Reply,
    ) -> Option<(Seq, Outcome)> {
        // What was answered without a place in the order, and comes late, takes the place of no ordered one.
        let late = reply.tentative && reply.seq == Seq::ZERO && !self.unordered;
        if reply.request_digest != self.digest || late {
            return None;
        }
        self.replies.on_reply(quorums, replica, reply)
    }

    /// Whether a read was answered from states so different that no quorum can say the same any more.
    pub(super) fn cannot_agree(&self, quorums: Quorums) -> bool {
        self.unordered && !self.replies.may_agree(quorums)
    }

    /// Whether it is a read that every replica answers from what it has executed.
    pub(super) fn is_unordered(&self) -> bool {
        self.unordered
    }

    fn hints(&self) -> Hints {
        Hints { replier: self.replier, ordered: !self.unordered }
    }
}

impl Client {
    pub(super) fn send_first(&mut self, sent: &mut Outstanding, step: &mut ClientStep) {
        sent.wait = self.config.tuning.retry;
        sent.unordered = sent.operation.read_only && self.config.tuning.one_round_reads;
        sent.replier = self.replier(sent.operation.timestamp);
        let ClientConfig { identity, binding, .. } = &self.config;
        let request = if self.config.tuning.sign_all {
            Request::signed(sent.operation.clone(), identity, binding, sent.hints())
        } else {
            self.authenticated(sent)
        };
        sent.digest = *request.digest();
        let primary = self.config.quorums.primary(self.view);
        let to = if sent.unordered { To::Others } else { To::Replica(primary) };
        step.sends.push((to, Message::Request(request)));
    }

    /// Who sends the result in full, each in its turn, as long as it does.
    fn replier(&self, timestamp: Timestamp) -> Option<ReplicaId> {
        let n = self.config.quorums.n() as u64;
        let turns = (0..n).map(|step| ReplicaId(((timestamp.0 + step) % n) as u8));
        let mut able = turns.filter(|id| !self.silent.contains(*id));
        able.next().filter(|_| self.config.tuning.digest_replies)
    }

    pub(super) fn authenticated(&self, sent: &Outstanding) -> Request {
        let keys = self.keys.iter().map(Option::as_ref);
        Request::authenticated(sent.operation.clone(), keys, sent.hints())
    }

    /// Sends a request to all in the form that cannot be refused: signed, ordered if it is a read, and to
    /// be answered in full by everyone.
    pub(super) fn send_signed(&mut self, timestamp: Timestamp, step: &mut ClientStep) {
        let ClientConfig { identity, binding, quorums, .. } = &self.config;
        let Some(sent) = self.outstanding.get_mut(timestamp) else { return };
        sent.unordered = false;
        if let Some(replier) = sent.replier.take()
            && sent.replies.is_agreed(*quorums)
        {
            self.silent.insert(replier);
        }
        let request = Request::signed(sent.operation.clone(), identity, binding, sent.hints());
        step.sends.push((To::Others, Message::Request(request)));
    }

    /// A read that could not be answered at once is ordered.
    pub(super) fn order(&mut self, now: Monotonic, timestamp: Timestamp, step: &mut ClientStep) {
        let Some(mut sent) = self.outstanding.remove(timestamp) else { return };
        sent.unordered = false;
        let request = self.authenticated(&sent);
        let primary = self.config.quorums.primary(self.view);
        step.sends.push((To::Replica(primary), Message::Request(request)));
        sent.resend_at = now.plus(self.config.tuning.retry);
        self.note_due(sent.next_wake());
        self.outstanding.insert(timestamp, sent);
    }

    /// What is due is sent to all, signed, and sent again later and later. Not all at once: where many
    /// are late because everyone is busy, to sign them all, and to check that, would keep everyone busy.
    pub(super) fn retry_outstanding(&mut self, now: Monotonic, step: &mut ClientStep) {
        let due = self.outstanding.iter().filter(|(_, sent)| sent.next_wake() <= now);
        let due: Vec<Timestamp> = due.map(|(at, _)| at).collect();
        let mut resends = if now >= self.resend_from { RESENDS_AT_ONCE_MAX } else { 0 };
        for timestamp in due {
            let Some(sent) = self.outstanding.get_mut(timestamp) else { continue };
            if sent.deadline <= now
                && let Some(token) = sent.token.take()
            {
                step.completions.push((token, Err(InvokeError::Unknown { id: sent.id() })));
            }
            let wait = sent.wait;
            if sent.resend_at > now || resends == 0 {
                continue;
            }
            resends -= 1;
            self.resend_from = now.plus(RESEND_PAUSE);
            self.send_signed(timestamp, step);
            let resend_at = now.plus_micros(self.jittered(wait));
            if let Some(sent) = self.outstanding.get_mut(timestamp) {
                sent.signed_at = Some(now);
                sent.postponed = false;
                sent.wait = Millis(wait.0.saturating_mul(2)).min(self.config.tuning.retry_max);
                sent.resend_at = resend_at;
            }
        }
    }

    /// A replica cannot verify a request of ours: everyone gets it signed, but not at anyone's pace.
    pub(super) fn on_need_signature(
        &mut self,
        now: Monotonic,
        need: &Verified<NeedSignature>,
        step: &mut ClientStep,
    ) {
        let retry = self.config.tuning.retry;
        // A read has no need of a signature before its own time: every replica may ask, and one may lie.
        let wanted = |sent: &&mut Outstanding| sent.digest == need.digest && !sent.unordered;
        let Some(sent) = self.outstanding.values_mut().find(wanted) else { return };
        if sent.signed_at.is_none_or(|at| now >= at.plus(retry)) {
            sent.signed_at = Some(now);
            let timestamp = sent.operation.timestamp;
            self.send_signed(timestamp, step);
        }
    }

    pub(super) fn on_busy(&mut self, now: Monotonic, busy: &Verified<Busy>) {
        let wait = Millis(busy.retry_after_ms).min(self.config.tuning.retry_max);
        if let Some(sent) = self.outstanding.get_mut(busy.request.timestamp)
            && sent.id() == busy.request
            && !sent.postponed
        {
            sent.postponed = true;
            sent.resend_at = sent.resend_at.max(now.plus(wait));
        }
    }

    /// A replica that (re)connected gets what is outstanding straight, under the new key.
    pub(super) fn on_request_key(
        &mut self,
        _now: Monotonic,
        replica: ReplicaId,
        epoch: u32,
        key: MacKey,
        step: &mut ClientStep,
    ) {
        let Some(keys) = self.keys.get_mut(replica.index()) else { return };
        keys.get_or_insert_default().insert(epoch, key);
        self.resend_opening(replica, step);
        self.silent.remove(replica);
        for (_, sent) in self.outstanding.iter() {
            let hints = Hints { replier: None, ..sent.hints() };
            let request =
                Request::authenticated(sent.operation.clone(), self.keys.iter().map(Option::as_ref), hints);
            step.sends.push((To::Replica(replica), Message::Request(request)));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::message::{Reply, ReplyResult};

    /// A client of a group of four with an open session and so many operations sent at time 0.
    pub(in crate::roles::client) fn client_with(outstanding: u64) -> super::Client {
        let mut client = super::Client::new(ClientConfig {
            id: ClientId(1),
            identity: Identity::simulated([1; 32]),
            binding: Binding::default(),
            quorums: Quorums::new(4).unwrap(),
            client_window: 1_024,
            tuning: ClientTuning::default(),
            first_session: SessionId(1),
            entropy: Digest([2; 32]),
        });
        let mut opening = Vec::new();
        for token in 0..outstanding {
            let (operation, timeout) = (Bytes::from_static(b"op"), Millis(60_000));
            let invoke = ClientInput::Invoke { token, operation, read_only: false, timeout };
            opening.extend(client.on_input(Monotonic(0), invoke).sends);
        }
        let [(To::Others, Message::Request(opening))] = &opening[..] else { panic!("{opening:?}") };
        for replica in 0..2 {
            let reply = Reply {
                view: View(0),
                tentative: false,
                request: opening.id(),
                request_digest: *opening.digest(),
                seq: Seq(1),
                result: ReplyResult::Full(Outcome::Opened),
            };
            let reply = Verified::own(Peer::Replica(ReplicaId(replica)), reply);
            client.on_input(Monotonic(0), ClientInput::Reply(reply));
        }
        assert_eq!(client.outstanding.iter().count() as u64, outstanding);
        client
    }

    /// Weak-many replicas answer what was sent under this timestamp.
    pub(in crate::roles::client) fn answer(
        client: &mut super::Client,
        now: Monotonic,
        timestamp: u64,
        view: View,
    ) {
        for replica in 0..2 {
            let Some(sent) = client.outstanding.get_mut(Timestamp(timestamp)) else { return };
            let reply = Reply {
                view,
                tentative: false,
                request: sent.id(),
                request_digest: sent.digest,
                seq: Seq(2),
                result: ReplyResult::Full(Outcome::Done(Bytes::new())),
            };
            let reply = Verified::own(Peer::Replica(ReplicaId(replica)), reply);
            client.on_input(now, ClientInput::Reply(reply));
        }
    }

    #[test]
    fn of_many_that_are_late_only_some_are_signed_at_a_time_and_each_once() {
        let mut client = client_with(100);
        let mut now = client.next_wake().expect("a request waits");
        assert_eq!(now, Monotonic(0).plus(ClientTuning::default().retry));
        let (mut sent, mut times) = (Vec::new(), Vec::new());
        while sent.len() < 100 {
            let step = client.on_input(now, ClientInput::Tick);
            assert!((1..=RESENDS_AT_ONCE_MAX).contains(&step.sends.len()), "{}", step.sends.len());
            for (to, message) in step.sends {
                let Message::Request(request) = message else { panic!("{message:?}") };
                assert!(to == To::Others && request.is_signed());
                sent.push(request.id().timestamp.0);
            }
            times.push(now);
            now = client.next_wake().expect("more wait");
        }
        assert_eq!(sent, (1..=100).collect::<Vec<u64>>());
        assert_eq!(times.len(), 4);
        assert!(times.windows(2).all(|pair| pair[1] == pair[0].plus(RESEND_PAUSE)), "{times:?}");
    }
}
