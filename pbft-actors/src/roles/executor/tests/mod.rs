//! The executor, rule by rule.

mod execute;
mod pages;
mod reads;
mod save;
mod table;
mod tentative;

use bytes::Bytes;

use super::*;
use crate::message::{Choice, Operation, Refusal, Reply, ReplyResult};
use crate::role::{Effect, Event, Finished, Message, Rejoined, To};
use crate::roles::testing::*;
use crate::types::{ClientId, SessionId, Timestamp};

/// K = 4, L = 8, W = 4; two sessions per client and three in all; ten bytes of results per client.
fn executor() -> Executor {
    Executor::new(ExecutorConfig {
        own: replica(0),
        checkpoint_interval: 4,
        window: 8,
        state_limits: StateLimits { raw_pages: 256, named_pages: 64, reserved_pages: 64 },
        table_limits: TableLimits {
            client_window: 4,
            sessions_per_client: 2,
            sessions_total: 3,
            result_bytes_per_client: 10,
        },
        heap_pages_max: usize::MAX,
        service: TestService::shared(),
    })
}

/// One in which client 1 opened session 1 at seq 1.
fn opened() -> Executor {
    let mut executor = executor();
    execute(&mut executor, 1, [sign(opening(1, 1))]);
    executor
}

/// What a step asks for, where digests are computed at once.
fn effects(executor: &mut Executor, input: ExecutorInput) -> Vec<Effect> {
    let mut done = Vec::new();
    for effect in undigested(executor, input) {
        match effect {
            Effect::Digest { generation, taken } => {
                done.extend(undigested(executor, ExecutorInput::Digested { generation, taken }));
            }
            effect => done.push(effect),
        }
    }
    done
}

/// What a step asks for, where digests take their time.
fn undigested(executor: &mut Executor, input: ExecutorInput) -> Vec<Effect> {
    crate::roles::testing::effects(executor, input)
}

/// The digest that is asked for.
fn asked_digest(effects: &[Effect]) -> ExecutorInput {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Digest { generation, taken } => {
            Some(ExecutorInput::Digested { generation: *generation, taken: taken.clone() })
        }
        _ => None,
    });
    asked.unwrap()
}

/// Executes a batch proposed at this second of the group's time.
fn execute<const N: usize>(executor: &mut Executor, seq: u64, requests: [Request; N]) -> Vec<Effect> {
    execute_at(executor, seq, Wall(START + seq * 1_000_000), requests)
}

fn execute_at<const N: usize>(
    executor: &mut Executor,
    seq: u64,
    time: Wall,
    requests: [Request; N],
) -> Vec<Effect> {
    let batch = Batch::new(Choice { time, ..choice() }, requests.to_vec());
    effects(executor, ExecutorInput::Execute(vec![(Seq(seq), Arc::new(batch))]))
}

fn execute_null(executor: &mut Executor, seq: u64) -> Vec<Effect> {
    effects(executor, ExecutorInput::Execute(vec![(Seq(seq), Arc::new(Batch::null()))]))
}

fn ask(executor: &mut Executor, request: &Request) -> Vec<Effect> {
    effects(executor, ExecutorInput::Requests(vec![from_client(request)]))
}

/// What client 1 asks for under this timestamp.
fn asks(timestamp: u64, what: &'static str) -> Request {
    asks_above(timestamp, 1, what)
}

/// The same, with everything below `answered` answered.
fn asks_above(timestamp: u64, answered: u64, what: &'static str) -> Request {
    sign(Operation {
        answered_below: Timestamp(answered),
        operation: Bytes::from_static(what.as_bytes()),
        ..operation(1, timestamp)
    })
}

fn answer(request: &Request, seq: u64, outcome: Outcome) -> Effect {
    let reply = Reply {
        view: View(0),
        tentative: false,
        request: request.id(),
        request_digest: *request.digest(),
        seq: Seq(seq),
        result: ReplyResult::Full(outcome),
    };
    Effect::Send(To::Client(request.id().client), Message::Reply(reply))
}

fn done(result: &str) -> Outcome {
    Outcome::Done(Bytes::copy_from_slice(result.as_bytes()))
}

fn expired(highest: u64) -> Outcome {
    Outcome::SessionExpired { highest: SessionId(highest) }
}

fn admits(request: &Request) -> [Effect; 1] {
    [tell(BatcherInput::Admitted(vec![from_client(request)]))]
}

/// The answers among these effects.
fn answers(effects: &[Effect]) -> Vec<Effect> {
    effects.iter().filter(|effect| matches!(effect, Effect::Send(..))).cloned().collect()
}

/// What the batcher is told of the batch.
fn finished(effects: &[Effect]) -> Finished {
    let told = |effect: &Effect| match effect {
        Effect::Tell(crate::role::Mail::Batcher(BatcherInput::Executed(finished))) => Some(finished.clone()),
        _ => None,
    };
    effects.iter().find_map(told).unwrap()
}

/// The checkpoint taken.
fn taken(effects: &[Effect]) -> Option<Taken> {
    effects.iter().find_map(|effect| match effect {
        Effect::Tell(crate::role::Mail::Checkpointer(CheckpointerInput::Taken(taken))) => Some(taken.clone()),
        _ => None,
    })
}
