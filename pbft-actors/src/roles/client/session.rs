//! Opening a session: an ordered, signed request above the highest session ever opened.

use super::*;
use crate::message::{Hints, Operation, ReplyResult, Request};

/// Random bytes that make each opening a request of its own.
const NONCE_BYTES: usize = 16;

/// The client's session with the group.
pub(super) enum Session {
    /// None; this number is tried next.
    Closed(SessionId),
    /// On its way.
    Opening { request: Request, replies: BTreeMap<ReplicaId, Outcome>, resend_at: Monotonic, wait: Millis },
    /// Open.
    Open(SessionId),
}

impl Session {
    pub(super) fn closed(next: SessionId) -> Self {
        Self::Closed(next)
    }

    pub(super) fn open_number(&self) -> Option<SessionId> {
        match self {
            Self::Open(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn next_wake(&self) -> Option<Monotonic> {
        match self {
            Self::Opening { resend_at, .. } => Some(*resend_at),
            _ => None,
        }
    }
}

impl Client {
    pub(super) fn try_open(&mut self, now: Monotonic, step: &mut ClientStep) {
        let Session::Closed(number) = self.session else { return };
        let nonce = self.draw();
        let operation = Operation {
            client: self.config.id,
            session: number,
            timestamp: Timestamp::OPENING,
            answered_below: Timestamp::OPENING,
            read_only: false,
            operation: Bytes::copy_from_slice(&nonce.0[..NONCE_BYTES]),
        };
        let hints = Hints::default();
        let request = Request::signed(operation, &self.config.identity, &self.config.binding, hints);
        step.sends.push((To::Others, Message::Request(request.clone())));
        let wait = self.config.tuning.retry;
        let resend_at = now.plus_micros(self.jittered(wait));
        self.session = Session::Opening { request, replies: BTreeMap::new(), resend_at, wait };
    }

    /// A link came up: what was sent before it did not reach this replica.
    pub(super) fn resend_opening(&self, replica: ReplicaId, step: &mut ClientStep) {
        if let Session::Opening { request, .. } = &self.session {
            step.sends.push((To::Replica(replica), Message::Request(request.clone())));
        }
    }

    pub(super) fn retry_session(&mut self, now: Monotonic, step: &mut ClientStep) {
        let Session::Opening { request, resend_at, wait, .. } = &mut self.session else { return };
        if now < *resend_at {
            return;
        }
        step.sends.push((To::Others, Message::Request(request.clone())));
        *wait = Millis(wait.0.saturating_mul(2)).min(self.config.tuning.retry_max);
        let wait = *wait;
        let resend = now.plus_micros(self.jittered(wait));
        if let Session::Opening { resend_at, .. } = &mut self.session {
            *resend_at = resend;
        }
    }

    pub(super) fn on_opening_reply(
        &mut self,
        now: Monotonic,
        replica: ReplicaId,
        reply: &Reply,
        step: &mut ClientStep,
    ) {
        let weak = self.config.quorums.weak();
        let Session::Opening { request, replies, .. } = &mut self.session else { return };
        if reply.request != request.id() || reply.request_digest != *request.digest() {
            return;
        }
        let ReplyResult::Full(outcome) = &reply.result else { return };
        replies.insert(replica, outcome.clone());
        if replies.values().filter(|other| *other == outcome).count() < weak {
            return;
        }
        let number = request.id().session;
        match outcome {
            Outcome::Opened => {
                self.session = Session::Open(number);
                self.next = Timestamp(1);
            }
            Outcome::SessionExpired { highest } => {
                self.session = Session::Closed(SessionId(highest.0.max(number.0).saturating_add(1)));
                self.try_open(now, step);
            }
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::ResultDropped => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_comes_up_late_carries_the_opening_at_once() {
        let mut client = Client::new(ClientConfig {
            id: ClientId(1),
            identity: Identity::simulated([1; 32]),
            binding: Binding::default(),
            quorums: Quorums::new(4).unwrap(),
            client_window: 8,
            tuning: ClientTuning::default(),
            first_session: SessionId(1),
            entropy: Digest([2; 32]),
        });
        let link =
            |id| ClientInput::RequestKey { replica: ReplicaId(id), epoch: 1, key: MacKey::new([3; 32]) };
        assert_eq!(client.on_input(Monotonic(0), link(0)).sends, [], "nothing to open a session for");
        let (operation, timeout) = (Bytes::from_static(b"op"), Millis(100));
        let invoke = ClientInput::Invoke { token: 0, operation, read_only: false, timeout };
        let opened = client.on_input(Monotonic(0), invoke).sends;
        let [(To::Others, opening)] = opened.as_slice() else { panic!("the opening to all: {opened:?}") };
        let again = client.on_input(Monotonic(1), link(2)).sends;
        assert_eq!(again, [(To::Replica(ReplicaId(2)), opening.clone())]);
    }
}
