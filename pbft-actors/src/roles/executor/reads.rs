//! Reads in one round trip (PROTOCOL 4): answered from the committed prefix, once it holds everything
//! that was prepared here when the read came.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::execute::outcome_of;
use super::*;
use crate::message::{Peer, ProofState};
use crate::ports::service::Query;

/// Reads that wait, and bytes of their operations; what comes beyond is ordered.
const READS_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 16 << 20;

/// Reads on their way.
#[derive(Clone, Default)]
pub(super) struct Reads {
    /// The highest seq prepared here; none while this replica answers no reads.
    floor: Option<Seq>,
    /// Each with what must be executed first, in the order in which they came.
    waiting: VecDeque<(Seq, Verified<Request>)>,
    bytes: usize,
}

impl Reads {
    /// Keeps a read that is to be answered without being ordered; anything else is given back.
    pub(super) fn take_up(&mut self, request: Verified<Request>) -> Option<Verified<Request>> {
        let unordered = request.is_read_only() && !request.hints().ordered && !request.is_opening();
        let length = request.operation().len();
        let room = self.waiting.len() < READS_MAX && self.bytes + length <= READ_BYTES_MAX;
        // What another replica passes on has waited: there it is ordered, or its timer would run for ever.
        let own = matches!(request.from(), Peer::Client(_)) && request.proof_state() == ProofState::Good;
        if !unordered || !own || !room {
            return Some(request);
        }
        self.bytes += length;
        self.waiting.push_back((self.floor.unwrap_or_default(), request));
        None
    }

    /// How many wait for something to become certain.
    pub(super) fn waiting(&self) -> usize {
        self.floor.map_or(0, |_| self.waiting.len())
    }

    pub(super) fn on_prepared(&mut self, seq: Seq) {
        self.floor = self.floor.map(|floor| floor.max(seq));
    }

    /// From now on this replica does not know what the others commit.
    pub(super) fn halt(&mut self) {
        self.floor = None;
    }

    /// Whatever was answered before this is at or below `floor`. That goes for reads that wait, too, and
    /// what they waited for may never come.
    pub(super) fn resume(&mut self, floor: Seq) {
        self.floor = Some(floor);
        self.waiting.iter_mut().for_each(|(wanted, _)| *wanted = floor);
    }

    /// The next read, where this much is executed. Floors rise, so that nobody behind it could go first.
    fn next(&mut self, executed: Seq) -> Option<Verified<Request>> {
        self.floor?;
        let (_, request) = self.waiting.pop_front_if(|(wanted, _)| *wanted <= executed)?;
        self.bytes -= request.operation().len();
        Some(request)
    }
}

impl Executor {
    /// Answers the reads that may be answered now: not from a state that is tentative.
    pub(super) fn answer_reads(&mut self, out: &mut Outbox<NoTimer>) {
        if self.ahead.is_some() || self.broken {
            return;
        }
        while let Some(request) = self.reads.next(self.executed) {
            let outcome = self.read(&request);
            self.reply_read(&request, outcome, out);
        }
    }

    fn read(&self, request: &Request) -> Outcome {
        let query = Query { seq: self.executed, time: self.time };
        let (service, state) = (&self.config.service, &self.state);
        outcome_of(catch_unwind(AssertUnwindSafe(|| service.query(state, &query, request.operation()))))
    }
}
