//! Executing the committed prefix, batch by batch.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bytes::Bytes;

use super::client_table::{TableChanges, Verdict};
use super::*;
use crate::message::{Choice, OPERATION_BYTES_MAX, Refusal};
use crate::ports::service::{Execution, Query, Seed};
use crate::role::{Event, Finished};

impl Executor {
    pub(super) fn on_execute(&mut self, batches: &[(Seq, Arc<Batch>)], out: &mut Outbox<NoTimer>) {
        for (seq, batch) in batches {
            let last = self.held.back().map_or(self.executed, |(seq, _)| *seq);
            // A transfer may have overtaken the mail.
            if *seq <= last || self.jumped && *seq > last.next() {
                continue;
            }
            self.jumped = false;
            assert_eq!(*seq, last.next(), "batches execute in order of seq");
            self.held.push_back((*seq, batch.clone()));
        }
        self.proceed(out);
    }

    /// Executes what is held, as far as the disk keeps up.
    pub(super) fn proceed(&mut self, out: &mut Outbox<NoTimer>) {
        let mut operations = 0;
        while !self.waits_for_disk()
            && let Some((seq, batch)) = self.held.pop_front()
        {
            operations += self.execute_batch(seq, &batch, out);
        }
        self.tell_waiting(out);
        out.tell(CheckpointerInput::Executed(self.executed));
        out.event(Event::Executed { seq: self.executed, operations });
    }

    /// Too much of the state is in memory alone, and a save is under way that lets go of some of it: that
    /// of what is stable. Nobody waits for more, because nothing else is certain to be saved.
    pub(super) fn waits_for_disk(&self) -> bool {
        self.saved < self.stable && self.state.heap_pages() > self.config.heap_pages_max
    }

    /// Others must know that this replica has what it does not execute.
    pub(super) fn tell_waiting(&mut self, out: &mut Outbox<NoTimer>) {
        let waiting = !self.held.is_empty();
        if std::mem::replace(&mut self.waiting, waiting) != waiting {
            out.tell(BatcherInput::WaitingForDisk(waiting));
            out.tell(CheckpointerInput::WaitingForDisk(waiting));
        }
    }

    fn execute_batch(&mut self, seq: Seq, batch: &Batch, out: &mut Outbox<NoTimer>) -> usize {
        let done = match self.commit_ahead(seq, batch) {
            Some(done) => {
                self.executed = seq;
                done
            }
            None => {
                self.executed = seq;
                self.run_batch(seq, batch, out)
            }
        };
        for rejoined in done.rejoined {
            out.tell(CheckpointerInput::Rejoined(rejoined));
            out.tell(BatcherInput::Fill(rejoined.target.max(seq)));
        }
        out.tell(BatcherInput::Executed(done.finished));
        if seq.is_checkpoint(self.config.checkpoint_interval) {
            let taken = self.take_checkpoint();
            out.digest(self.generation, taken);
        }
        self.answer_reads(out);
        done.operations
    }

    /// Executes the batch after the last one and answers; what others are told of it comes back.
    pub(super) fn run_batch(&mut self, seq: Seq, batch: &Batch, out: &mut Outbox<NoTimer>) -> Done {
        let mut done = Done { finished: Finished { seq, ..Finished::default() }, ..Done::default() };
        let Some(choice) = batch.choice() else { return done };
        let mut changes = TableChanges::default();
        self.time = choice.time.max(Wall(self.time.0.saturating_add(1)));
        for (position, request) in batch.requests().iter().enumerate() {
            done.finished.requests.push(request.id());
            if let Some(replica) = request.id().client.replica() {
                done.rejoined.extend(self.members.on_ordered(replica, request, seq, self.config.window));
                continue;
            }
            let executed = match self.table.on_ordered(request, seq, &mut changes) {
                Verdict::Skip => continue,
                Verdict::Answer(executed) => executed,
                Verdict::Execute => {
                    done.operations += 1;
                    let outcome = self.execute_one(seq, choice, position as u64, request);
                    self.table.record(request.id(), *request.digest(), seq, outcome.clone());
                    Executed::new(*request.digest(), seq, outcome)
                }
            };
            self.reply(request, &executed, out);
        }
        done.finished.floors =
            changes.floors.into_iter().map(|((client, session), floor)| (client, session, floor)).collect();
        done.finished.closed = changes.closed;
        done
    }

    /// One operation, rolled back if it refuses or panics: the same coded answer everywhere.
    fn execute_one(&mut self, seq: Seq, choice: &Choice, position: u64, request: &Request) -> Outcome {
        let context = Execution {
            seq,
            time: self.time,
            seed: Seed::new(choice.seed, position),
            extra: &choice.extra,
            request: request.id(),
        };
        let savepoint = self.state.savepoint();
        let (service, state) = (&self.config.service, &mut self.state);
        let result = catch_unwind(AssertUnwindSafe(|| {
            if request.is_read_only() {
                service.query(state, &Query { seq, time: context.time }, request.operation())
            } else {
                service.execute(state, &context, request.operation())
            }
        }));
        let outcome = outcome_of(result);
        match outcome {
            Outcome::Done(_) if !request.is_read_only() => self.state.release(savepoint),
            _ => self.state.rollback(savepoint),
        }
        outcome
    }
}

/// What executing a batch came to.
#[derive(Clone, Default)]
pub(super) struct Done {
    finished: Finished,
    rejoined: Vec<Rejoined>,
    operations: usize,
}

/// What a service's answer, or its panic, is to everyone.
pub(super) fn outcome_of(result: Result<Result<Bytes, Refusal>, Box<dyn Any + Send>>) -> Outcome {
    match result {
        Ok(Ok(result)) if result.len() > OPERATION_BYTES_MAX => {
            let detail = format!("{} bytes; at most {OPERATION_BYTES_MAX}", result.len());
            Outcome::Refused(Refusal::new(Refusal::RESULT_TOO_LARGE, detail))
        }
        Ok(Ok(result)) => Outcome::Done(result),
        Ok(Err(refusal)) => Outcome::Refused(Refusal::new(refusal.code, refusal.detail)),
        // The panic's own text may differ between replicas.
        Err(panic) if !panic.is::<DamagedPart>() => {
            Outcome::Refused(Refusal::new(Refusal::PANICKED, "the operation panicked"))
        }
        // Not the operation's doing: elsewhere it does not panic.
        Err(damaged) => resume_unwind(damaged),
    }
}
