//! Requests on their way: sending, collecting replies, sending again.

use super::*;
use crate::message::{Hints, Operation, Request};

/// A request that was sent and is not answered.
pub(super) struct Outstanding {
    operation: Operation,
    /// Known once it was sent.
    digest: Digest,
    /// Whom to answer; none once the outcome was reported as unknown.
    pub(super) token: Option<u64>,
    deadline: Monotonic,
    resend_at: Monotonic,
    wait: Millis,
    signed_at: Option<Monotonic>,
    /// A BUSY has put the next sending off already: a liar must not do so for ever.
    postponed: bool,
    replies: BTreeMap<ReplicaId, (Digest, Seq, bool)>,
    /// Full outcomes by digest, from whoever sent one.
    outcomes: BTreeMap<ReplicaId, (Seq, Outcome)>,
}

impl Outstanding {
    pub(super) fn new(
        id: RequestId,
        answered_below: Timestamp,
        queued: Queued,
        resend_at: Monotonic,
    ) -> Self {
        let RequestId { client, session, timestamp } = id;
        let Queued { token, operation, read_only, deadline } = queued;
        Self {
            operation: Operation { client, session, timestamp, answered_below, read_only, operation },
            digest: Digest::default(),
            token: Some(token),
            deadline,
            resend_at,
            wait: Millis(0),
            signed_at: None,
            postponed: false,
            replies: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    pub(super) fn id(&self) -> RequestId {
        let Operation { client, session, timestamp, .. } = self.operation;
        RequestId { client, session, timestamp }
    }

    pub(super) fn next_wake(&self) -> Monotonic {
        if self.token.is_some() { self.resend_at.min(self.deadline) } else { self.resend_at }
    }

    /// Somebody waits for the outcome again.
    pub(super) fn wait(&mut self, token: u64, deadline: Monotonic) {
        self.token = Some(token);
        self.deadline = deadline;
    }

    /// Counts a reply; the outcome once weak-many committed ones, or Q of which some are tentative,
    /// match and one of them came in full.
    pub(super) fn on_reply(
        &mut self,
        quorums: Quorums,
        replica: ReplicaId,
        reply: &Reply,
    ) -> Option<(Seq, Outcome)> {
        use crate::message::ReplyResult;
        if reply.request_digest != self.digest {
            return None;
        }
        let digest = reply.result.digest(reply.request_digest);
        self.replies.insert(replica, (digest, reply.seq, reply.tentative));
        if let ReplyResult::Full(outcome) = &reply.result {
            self.outcomes.insert(replica, (reply.seq, outcome.clone()));
        }
        let matching = self.replies.values().filter(|(other, seq, _)| *other == digest && *seq == reply.seq);
        let committed = matching.clone().filter(|(_, _, tentative)| !tentative).count();
        if committed < quorums.weak() && matching.count() < quorums.quorum() {
            return None;
        }
        let full = self.outcomes.values().find(|(_, outcome)| outcome.digest(self.digest) == digest);
        full.map(|(_, outcome)| (reply.seq, outcome.clone()))
    }
}

impl Client {
    pub(super) fn send_first(&mut self, sent: &mut Outstanding, step: &mut ClientStep) {
        sent.wait = self.config.tuning.retry;
        let replier = ReplicaId((sent.operation.timestamp.0 % self.config.quorums.n() as u64) as u8);
        let hints = Hints { full_reply: true, replier };
        let request = if self.config.tuning.sign_all {
            Request::signed(sent.operation.clone(), &self.config.identity, &self.config.binding, hints)
        } else {
            Request::authenticated(sent.operation.clone(), self.keys.iter().map(Option::as_ref), hints)
        };
        sent.digest = *request.digest();
        let primary = self.config.quorums.primary(self.view());
        step.sends.push((To::Replica(primary), Message::Request(request)));
    }

    fn signed(&self, sent: &Outstanding) -> Request {
        let hints = Hints { full_reply: true, replier: ReplicaId(0) };
        Request::signed(sent.operation.clone(), &self.config.identity, &self.config.binding, hints)
    }

    /// What is due is sent to all, signed, and sent again later and later.
    pub(super) fn retry_outstanding(&mut self, now: Monotonic, step: &mut ClientStep) {
        let due: Vec<Timestamp> =
            self.outstanding.iter().filter(|(_, sent)| sent.next_wake() <= now).map(|(at, _)| *at).collect();
        for timestamp in due {
            let Some(mut sent) = self.outstanding.remove(&timestamp) else { continue };
            if sent.deadline <= now
                && let Some(token) = sent.token.take()
            {
                step.completions.push((token, Err(InvokeError::Unknown { id: sent.id() })));
            }
            if sent.resend_at <= now {
                step.sends.push((To::Others, Message::Request(self.signed(&sent))));
                sent.signed_at = Some(now);
                sent.postponed = false;
                let wait = sent.wait;
                sent.wait = Millis(wait.0.saturating_mul(2)).min(self.config.tuning.retry_max);
                sent.resend_at = now.plus_micros(self.jittered(wait));
            }
            self.outstanding.insert(timestamp, sent);
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
        let Some(sent) = self.outstanding.values_mut().find(|sent| sent.digest == need.digest) else {
            return;
        };
        if sent.signed_at.is_none_or(|at| now >= at.plus(retry)) {
            sent.signed_at = Some(now);
            let timestamp = sent.operation.timestamp;
            if let Some(sent) = self.outstanding.get(&timestamp) {
                step.sends.push((To::Others, Message::Request(self.signed(sent))));
            }
        }
    }

    pub(super) fn on_busy(&mut self, now: Monotonic, busy: &Verified<Busy>) {
        let wait = Millis(busy.retry_after_ms).min(self.config.tuning.retry_max);
        if let Some(sent) = self.outstanding.get_mut(&busy.request.timestamp)
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
        let hints = Hints { full_reply: true, replier: replica };
        for sent in self.outstanding.values() {
            let request =
                Request::authenticated(sent.operation.clone(), self.keys.iter().map(Option::as_ref), hints);
            step.sends.push((To::Replica(replica), Message::Request(request)));
        }
    }
}
