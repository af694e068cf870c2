use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use pbft_actors::actor::InvokeMany;
use serde::Serialize;

use super::caller::{Caller, Run};
use super::cpu::Processes;
use crate::Failure;
use crate::invoke::explain;
use crate::service::Nothing;

/// What every client does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Operations that each client has outstanding.
    pub(crate) outstanding: usize,
    /// Their sizes.
    pub(crate) operation: Nothing,
    /// Whether they only read.
    pub(crate) read_only: bool,
    /// Time before anything counts.
    pub(crate) warm_up: Duration,
    /// Time that counts.
    pub(crate) measured: Duration,
}

/// What came of one run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Figures {
    /// `cluster` or `unreplicated`.
    pub(crate) target: &'static str,
    pub(crate) replicas: usize,
    pub(crate) clients: usize,
    /// Per client.
    pub(crate) outstanding: usize,
    pub(crate) op_bytes: usize,
    pub(crate) reply_bytes: u32,
    pub(crate) read_only: bool,
    pub(crate) seconds: f64,
    pub(crate) ops: u64,
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) errors: u64,
    /// Processor time per operation, microseconds: of servers and clients.
    pub(crate) cpu_us_per_op: Option<f64>,
    /// Of the clients' process alone.
    pub(crate) client_cpu_us_per_op: f64,
}

/// Has every client execute one operation, so that all are connected.
///
/// # Errors
/// An operation without a result.
pub(crate) async fn connect(clients: &[Recipient<InvokeMany>], load: &Load) -> Result<(), Failure> {
    let run = start(clients, load, 1);
    drained(&run, ANSWER_DEADLINE).await?;
    run.tally.borrow().first_error().map_or(Ok(()), |error| Err(explain(error)))
}

/// One run. `servers` is nothing where they are on other machines.
///
/// # Errors
/// Operations that are not answered in the end.
pub(crate) async fn measure(
    (target, replicas): (&'static str, usize),
    clients: &[Recipient<InvokeMany>],
    servers: Option<&Processes>,
    load: &Load,
) -> Result<Figures, Failure> {
    let run = start(clients, load, load.outstanding);
    tokio::time::sleep(load.warm_up).await;
    let own = Processes::default();
    let processes = servers.unwrap_or(&own);
    let (began, cpu) = (Instant::now(), processes.cpu_time());
    run.tally.borrow_mut().reset();
    tokio::time::sleep(load.measured).await;
    let figures = {
        let (seconds, tally) = (began.elapsed().as_secs_f64(), run.tally.borrow());
        let after = processes.cpu_time();
        let operations = tally.operations();
        let per_operation = |time: Duration| time.as_secs_f64() * 1e6 / operations.max(1) as f64;
        let client = after.own.saturating_sub(cpu.own);
        let all = after.servers.saturating_sub(cpu.servers) + client;
        Figures {
            target,
            replicas,
            clients: clients.len(),
            outstanding: load.outstanding,
            op_bytes: load.operation.encode().len(),
            reply_bytes: load.operation.reply_bytes,
            read_only: load.read_only,
            seconds,
            ops: operations,
            ops_per_s: operations as f64 / seconds,
            p50_us: tally.quantile_micros(0.5),
            p99_us: tally.quantile_micros(0.99),
            p999_us: tally.quantile_micros(0.999),
            errors: tally.errors(),
            cpu_us_per_op: servers.map(|_| per_operation(all)),
            client_cpu_us_per_op: per_operation(client),
        }
    };
    drained(&run, ANSWER_DEADLINE).await?;
    Ok(figures)
}

/// Longest time for the last answers: a client of a cluster has an outcome of some kind after 10 s.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

async fn drained(run: &Run, deadline: Duration) -> Result<(), Failure> {
    let no_answer = |_| {
        let cause = format!("operations were not answered within {} s", deadline.as_secs_f64());
        Failure::new(cause, "look at the servers' log above")
    };
    tokio::time::timeout(deadline, run.drain()).await.map_err(no_answer)
}

fn start(clients: &[Recipient<InvokeMany>], load: &Load, outstanding: usize) -> Rc<Run> {
    let run = Run::new(load.operation.encode(), load.read_only);
    for client in clients {
        Caller::start(&run, client.clone(), outstanding);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client whose server is gone.
    struct Deaf;

    impl Actor for Deaf {
        type Context = Context<Self>;
    }

    impl Handler<InvokeMany> for Deaf {
        type Result = ();

        fn handle(&mut self, _many: InvokeMany, _context: &mut Self::Context) {}
    }

    #[test]
    fn a_load_that_nobody_answers_ends_with_a_failure() {
        actix_rt::System::new().block_on(async {
            let load = Load {
                outstanding: 2,
                operation: Nothing { operation_bytes: 0, reply_bytes: 0 },
                read_only: false,
                warm_up: Duration::ZERO,
                measured: Duration::ZERO,
            };
            let run = start(&[Deaf.start().recipient()], &load, 2);
            let failure = drained(&run, Duration::from_millis(20)).await.unwrap_err();
            assert!(failure.cause.contains("not answered"), "{failure}");
        });
    }
}
