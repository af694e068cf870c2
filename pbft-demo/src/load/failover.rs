//! Fail-over: primaries that die under load, how long nobody was served after each, and whether any
//! operation was lost or executed twice.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytes::Bytes;
use hdrhistogram::Histogram;
use pbft_actors::actor::{Invoke, InvokeError, InvokeMany, Outcomes};
use pbft_actors::types::ReplicaId;
use serde::Serialize;
use tokio::sync::Notify;

use super::local::Local;
use crate::Failure;
use crate::ask::ask;
use crate::cli::How;
use crate::config::ClusterFile;
use crate::report::{ClusterReport, ReplicaReport};
use crate::service::Operation;

/// Name of the counter that is added to.
const COUNTER: &str = "fail-over";
/// Time under load before each end of a primary: what is usual must be known, and the moment be any.
const LOAD_MIN: Duration = Duration::from_millis(700);
/// How much longer it is from one to the next, up to a period of its own.
const LOAD_STEP: Duration = Duration::from_millis(37);
const LOAD_STEPS: u32 = 17;
/// Longest time until somebody is served again, and until all replicas vote again.
const DEADLINE: Duration = Duration::from_secs(60);
/// Rest between two questions where the replicas stand.
const ASK_PAUSE: Duration = Duration::from_millis(50);

/// What came of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct FailOvers {
    pub(crate) how: How,
    pub(crate) replicas: u8,
    pub(crate) clients: usize,
    /// Per client.
    pub(crate) outstanding: usize,
    pub(crate) kills: u32,
    /// Time from the end of a primary to the first answer to an operation that was sent after it.
    pub(crate) min_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Views that were entered without need: more than one for each.
    pub(crate) needless_views: u64,
    pub(crate) acknowledged: u64,
    /// Operations whose outcome the clients do not know.
    pub(crate) unknown: u64,
    /// The counter in the end: each acknowledged operation has added one.
    pub(crate) value: i64,
}

impl FailOvers {
    /// Whether no operation is lost and none was executed twice.
    pub(crate) fn is_exactly_once(&self) -> bool {
        let value = u64::try_from(self.value).unwrap_or(0);
        (self.acknowledged..=self.acknowledged + self.unknown).contains(&value)
    }
}

/// What all callers share.
struct Run {
    operation: Bytes,
    /// When a primary ended after which nobody was served yet.
    ended: Cell<Option<Instant>>,
    waits: RefCell<Histogram<u64>>,
    served: Notify,
    acknowledged: Cell<u64>,
    unknown: Cell<u64>,
    stopping: Cell<bool>,
    outstanding: Cell<usize>,
    drained: Notify,
}

/// One client's closed loop of additions.
struct Adder {
    run: Rc<Run>,
    client: Recipient<InvokeMany>,
    sent: Vec<Instant>,
}

impl Adder {
    fn send(&mut self, tokens: Vec<u64>, context: &Context<Self>) {
        let now = Instant::now();
        for token in &tokens {
            self.sent[*token as usize] = now;
        }
        let invoke = |token| (token, Invoke::new(self.run.operation.clone()).timeout(DEADLINE));
        let invocations = tokens.into_iter().map(invoke).collect();
        self.client.do_send(InvokeMany { invocations, to: context.address().recipient() });
    }
}

impl Actor for Adder {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.send((0..self.sent.len() as u64).collect(), context);
    }
}

impl Handler<Outcomes> for Adder {
    type Result = ();

    fn handle(&mut self, Outcomes(outcomes): Outcomes, context: &mut Self::Context) {
        let run = Rc::clone(&self.run);
        let mut tokens = Vec::with_capacity(outcomes.len());
        for (token, outcome) in outcomes {
            let sent = *self.sent.get(token as usize).expect("the client gives back its tokens");
            match outcome {
                Ok(_) => {
                    run.acknowledged.set(run.acknowledged.get() + 1);
                    run.on_answer(sent);
                }
                Err(InvokeError::NotSent) => {}
                Err(_) => run.unknown.set(run.unknown.get() + 1),
            }
            tokens.push(token);
        }
        if run.stopping.get() {
            run.outstanding.set(run.outstanding.get() - tokens.len());
            if run.outstanding.get() == 0 {
                run.drained.notify_one();
            }
        } else {
            self.send(tokens, context);
        }
    }
}

impl Run {
    /// What was sent before the primary ended may have been decided without it.
    fn on_answer(&self, sent: Instant) {
        if let Some(ended) = self.ended.get().filter(|ended| sent > *ended) {
            self.ended.set(None);
            let micros = u64::try_from(ended.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.waits.borrow_mut().saturating_record(micros);
            self.served.notify_one();
        }
    }
}

/// Ends so many primaries under load, each after all replicas vote again.
///
/// # Errors
/// A replica that does not come back, or nobody who is served.
pub(crate) async fn fail_over(
    local: &mut Local,
    file: &ClusterFile,
    clients: &[Recipient<InvokeMany>],
    (how, kills, outstanding): (How, u32, usize),
) -> Result<FailOvers, Failure> {
    let run = Rc::new(Run {
        operation: Operation::Add { name: COUNTER.to_owned(), by: 1 }.encode(),
        ended: Cell::new(None),
        waits: RefCell::new(Histogram::new_with_bounds(1, 120_000_000, 3).expect("the bounds are in order")),
        served: Notify::new(),
        acknowledged: Cell::new(0),
        unknown: Cell::new(0),
        stopping: Cell::new(false),
        outstanding: Cell::new(clients.len() * outstanding),
        drained: Notify::new(),
    });
    for client in clients {
        let sent = vec![Instant::now(); outstanding];
        Adder { run: Rc::clone(&run), client: client.clone(), sent }.start();
    }
    let first = settled(file).await?.view;
    for kill in 0..kills {
        tokio::time::sleep(LOAD_MIN + LOAD_STEP * (kill % LOAD_STEPS)).await;
        let primary = ReplicaId(settled(file).await?.primary);
        match how {
            How::Kill => local.kill(primary)?,
            How::Silence => local.signal(primary, "STOP")?,
        }
        run.ended.set(Some(Instant::now()));
        in_time("nobody is served", run.served.notified()).await?;
        match how {
            How::Kill => local.start_again(primary)?,
            How::Silence => local.signal(primary, "CONT")?,
        }
    }
    let last = settled(file).await?.view;
    run.stopping.set(true);
    in_time("operations are not answered", run.drained.notified()).await?;
    let value = value(&clients[0]).await?;
    let waits = run.waits.borrow();
    let milliseconds = |micros: u64| micros as f64 / 1_000.0;
    let quantile = |part| milliseconds(waits.value_at_quantile(part));
    Ok(FailOvers {
        how,
        replicas: u8::try_from(file.replicas.len()).unwrap_or(u8::MAX),
        clients: clients.len(),
        outstanding,
        kills,
        min_ms: milliseconds(waits.min()),
        p50_ms: quantile(0.5),
        p90_ms: quantile(0.9),
        p99_ms: quantile(0.99),
        max_ms: milliseconds(waits.max()),
        needless_views: (last - first).saturating_sub(u64::from(kills)),
        acknowledged: run.acknowledged.get(),
        unknown: run.unknown.get(),
        value,
    })
}

async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(DEADLINE, wait).await.map_err(|_| {
        let cause = format!("{what} within {} s", DEADLINE.as_secs());
        Failure::new(cause, "look at the servers' log above")
    })
}

/// Where all replicas stand once they vote in one view.
async fn settled(file: &ClusterFile) -> Result<ReplicaReport, Failure> {
    let asked = async {
        loop {
            let file = file.clone();
            // Not on this thread, on which the clients run.
            let state = tokio::task::spawn_blocking(move || ask(&file)).await;
            if let Some(report) = state.ok().and_then(one_view) {
                return report;
            }
            tokio::time::sleep(ASK_PAUSE).await;
        }
    };
    in_time("not all replicas vote in one view", asked).await
}

fn one_view(state: ClusterReport) -> Option<ReplicaReport> {
    let mut reports = state.replicas.into_iter().map(|replica| replica.report);
    let first = reports.next()??;
    let alike = |report: ReplicaReport| report.voting && !report.changing && report.view == first.view;
    (first.voting && !first.changing && reports.all(|report| report.is_some_and(alike))).then_some(first)
}

/// The counter, by the operation that adds nothing to it.
async fn value(client: &Recipient<InvokeMany>) -> Result<i64, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let to = Reader(Some(sender)).start().recipient();
    let get = Invoke::new(Operation::Get { name: COUNTER.to_owned() }.encode()).timeout(DEADLINE);
    client.do_send(InvokeMany { invocations: vec![(0, get)], to });
    let outcome = in_time("the counter is not read", receiver).await?;
    let unread = || Failure::new("the counter is not read", "look at the servers' log above");
    let committed = outcome.map_err(|_| unread())?.map_err(|error| crate::invoke::explain(&error))?;
    Ok(crate::service::Counter::decode(&committed.result).map_err(|_| unread())?.value)
}

type Read = Result<pbft_actors::actor::Committed, InvokeError>;

/// Waits for one outcome.
struct Reader(Option<tokio::sync::oneshot::Sender<Read>>);

impl Actor for Reader {
    type Context = Context<Self>;
}

impl Handler<Outcomes> for Reader {
    type Result = ();

    fn handle(&mut self, Outcomes(outcomes): Outcomes, context: &mut Self::Context) {
        if let (Some(sender), Some((_, outcome))) = (self.0.take(), outcomes.into_iter().next()) {
            let _nobody_waits = sender.send(outcome);
        }
        context.stop();
    }
}
