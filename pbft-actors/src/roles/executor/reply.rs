//! What clients are answered.

use super::*;
use crate::message::{ProofState, Reply, ReplyResult};
use crate::role::{Message, To};
use crate::types::SessionId;

/// Longer results are sent in full by one replica only: below it a digest costs more than it saves.
const FULL_BYTES_MAX: u64 = 256;

impl Executor {
    pub(super) fn reply_expired(&self, request: &Request, highest: SessionId, out: &mut Outbox<NoTimer>) {
        let outcome = Outcome::SessionExpired { highest };
        self.send_reply(request, *request.digest(), Seq::ZERO, outcome, false, out);
    }

    /// Answers from the log; tentatively as long as that batch is.
    pub(super) fn reply(&self, request: &Request, executed: &Executed, out: &mut Outbox<NoTimer>) {
        let Executed { digest, seq, outcome, .. } = executed;
        self.send_reply(request, *digest, *seq, outcome.clone(), *seq > self.executed, out);
    }

    /// Answers a read that was not ordered: it counts where a quorum says the same, as what is tentative
    /// does, and has no place in the log.
    pub(super) fn reply_read(&self, request: &Request, outcome: Outcome, out: &mut Outbox<NoTimer>) {
        self.send_reply(request, *request.digest(), Seq::ZERO, outcome, true, out);
    }

    fn send_reply(
        &self,
        request: &Request,
        request_digest: Digest,
        seq: Seq,
        outcome: Outcome,
        tentative: bool,
        out: &mut Outbox<NoTimer>,
    ) {
        // Where the proof is not good here nobody knows whose wishes these are.
        let wish = request.hints().replier.filter(|_| request.proof_state() == ProofState::Good);
        let full = wish.is_none_or(|replier| replier == self.config.own);
        let result = if full || outcome.bytes() <= FULL_BYTES_MAX {
            ReplyResult::Full(outcome)
        } else {
            ReplyResult::Digest(outcome.digest(request_digest))
        };
        let request = request.id();
        let reply = Reply { view: self.view, tentative, request, request_digest, seq, result };
        out.send(To::Client(request.client), Message::Reply(reply));
    }
}
