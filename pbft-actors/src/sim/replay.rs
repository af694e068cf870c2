//! The log, executed once more by one executor alone: what every answer must have been, and the order
//! that clients must have seen. O(n log n) in the operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Record;
use super::plan::Micros;
use crate::crypto::Digest;
use crate::message::{Batch, Outcome, Reply, ReplyResult};
use crate::role::{Effect, ExecutorInput, Message, Outbox, Role};
use crate::roles::client::InvokeError;
use crate::roles::executor::{Executor, ExecutorConfig};
use crate::types::{Now, RequestId, Seq};

/// What became of a request when the log was executed.
struct Executed {
    seq: Seq,
    /// Counted over the whole log.
    position: u64,
    /// What was executed, and what came of it.
    request_digest: Digest,
    result: ReplyResult,
}

impl Executed {
    fn is(&self, outcome: &Outcome) -> bool {
        self.result.digest(self.request_digest) == outcome.digest(self.request_digest)
    }
}

/// Every request's first outcome in the log.
pub(super) struct Replay(BTreeMap<RequestId, Executed>);

impl Replay {
    /// Executes the log from seq 1 on.
    ///
    /// # Errors
    /// A seq that nobody executed.
    pub(super) fn of<'a>(
        config: ExecutorConfig,
        log: impl Iterator<Item = (Seq, &'a Arc<Batch>)>,
    ) -> Result<Self, String> {
        // It takes no checkpoints, since nobody would want them.
        let mut executor = Executor::new(ExecutorConfig { checkpoint_interval: u64::MAX, ..config });
        let mut executed = BTreeMap::new();
        for (index, (seq, batch)) in log.enumerate() {
            if seq.0 != index as u64 + 1 {
                return Err(format!("agreement: nobody executed seq {}", index + 1));
            }
            let mut out = Outbox::default();
            executor.on_input(Now::default(), ExecutorInput::Execute(vec![(seq, batch.clone())]), &mut out);
            for effect in out.effects {
                if let Effect::Send(_, Message::Reply(reply)) = effect {
                    let position = executed.len() as u64;
                    let Reply { request, request_digest, result, .. } = reply;
                    executed.entry(request).or_insert(Executed { seq, position, request_digest, result });
                }
            }
        }
        Ok(Self(executed))
    }

    /// Compares what clients were answered, and when, with the log.
    ///
    /// # Errors
    /// The first answer that another one should have been, or that came in an order that no single
    /// server gives: linearizability.
    pub(super) fn check(&self, history: &[Record]) -> Result<(), String> {
        let mut spans: Vec<(Micros, Micros, u64)> = Vec::new();
        for record in history {
            let Some((completed, completion)) = &record.completed else { continue };
            let (id, seq, answer) = match completion {
                Ok(committed) => (committed.id, committed.seq, Some(Outcome::Done(committed.result.clone()))),
                Err(InvokeError::Refused { id, seq, refusal }) => {
                    (*id, *seq, Some(Outcome::Refused(refusal.clone())))
                }
                Err(InvokeError::ResultDropped { id, seq }) => (*id, *seq, None),
                Err(_) => continue,
            };
            // A read that was not ordered has no place in the log.
            if seq == Seq::ZERO {
                continue;
            }
            match self.0.get(&id) {
                None => {
                    return Err(format!("request {id} was answered {completion:?}, and nobody executed it"));
                }
                Some(executed) if executed.seq == seq && answer.is_none_or(|answer| executed.is(&answer)) => {
                    spans.push((record.invoked, *completed, executed.position));
                }
                Some(Executed { seq, result, .. }) => {
                    return Err(format!(
                        "request {id} was answered {completion:?}, but the log has {result:?} at {seq}"
                    ));
                }
            }
        }
        in_real_time(spans)
    }
}

/// What was answered before another request was sent comes before it.
fn in_real_time(mut spans: Vec<(Micros, Micros, u64)>) -> Result<(), String> {
    let mut answered: Vec<(Micros, u64)> = spans.iter().map(|(_, at, position)| (*at, *position)).collect();
    answered.sort_unstable();
    spans.sort_unstable();
    let (mut answered, mut latest) = (answered.into_iter().peekable(), None);
    for (invoked, _, position) in spans {
        while let Some((_, before)) = answered.next_if(|(at, _)| *at < invoked) {
            latest = latest.max(Some(before));
        }
        if latest.is_some_and(|latest| position < latest) {
            return Err(format!(
                "linearizability: position {position} was invoked after {latest:?} was answered"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_may_come_in_any_order_and_what_does_not_may_not() {
        assert_eq!(in_real_time(vec![(0, 10, 1), (5, 20, 0), (11, 12, 2)]), Ok(()));
        assert!(in_real_time(vec![(0, 10, 1), (11, 20, 0)]).unwrap_err().contains("linearizability"));
        // Answered at the instant at which the other is sent: they overlap.
        assert_eq!(in_real_time(vec![(0, 10, 1), (10, 20, 0)]), Ok(()));
    }
}
