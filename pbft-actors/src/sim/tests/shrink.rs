use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::message::Refusal;
use crate::ports::service::{Execution, Query, Service};
use crate::ports::state::State;
use crate::sim::run::{Failure, FailureKind};
use crate::sim::script::Script;
use crate::sim::service::LogService;
use crate::sim::workload::Workload;

/// A planted fault: counts outside of the state, so that who missed an operation counts otherwise.
#[derive(Default)]
struct CountsOutside(AtomicU64);

impl Service for CountsOutside {
    const NAME: &'static str = "counts outside";
    const VERSION: u32 = 1;

    fn execute(
        &self,
        state: &mut State,
        context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        let result = LogService.execute(state, context, operation)?;
        state.cell_mut::<u64>("count").set(self.0.fetch_add(1, Ordering::Relaxed))?;
        Ok(result)
    }

    fn query(&self, state: &State, context: &Query, operation: &[u8]) -> Result<Bytes, Refusal> {
        LogService.query(state, context, operation)
    }
}

fn planted() -> Workload {
    Workload::log().with_service(Rc::new(|_| Arc::new(CountsOutside::default())))
}

fn run(script: &Script) -> Result<crate::sim::RunReport, Failure> {
    script.run_with(&planted(), &mut None)
}

#[test]
fn a_planted_fault_is_found_shrunk_and_charted() {
    let found = (1..100).map(|seed| Script::draw(seed, 5)).filter(|script| script.faults() > 3);
    let (script, failure) = found
        .filter_map(|script| run(&script).err().map(|failure| (script, failure)))
        .find(|(_, failure)| failure.kind == FailureKind::Safety)
        .expect("replicas restart in many runs");
    let shrunk = script.shrink_with(&failure, 300, &run);
    assert!(shrunk.script.faults() <= 1, "{} of {}", shrunk.script.faults(), script.faults());
    assert_eq!(shrunk.failure.kind, FailureKind::Safety);

    let replayed = Script::from_json(&shrunk.script.to_json()).unwrap();
    let chart = replayed.chart_with(&planted());
    assert!(chart.mermaid().starts_with("sequenceDiagram\n"));
    for word in ["PRE-PREPARE 0/1", "COMMIT 0/1", "executes 1", &shrunk.failure.what] {
        assert!(chart.text().contains(word), "{word} is not in\n{}", chart.text());
    }
}

#[test]
fn a_script_that_somebody_wrote_is_checked() {
    let script = Script::draw(1, 4);
    assert_eq!(Script::from_json(&script.to_json()), Ok(script.clone()));
    let wrong = script.to_json().replace(
        &format!("\"checkpoint_interval\": {}", script.plan.checkpoint_interval),
        "\"checkpoint_interval\": 0",
    );
    assert!(Script::from_json(&wrong).unwrap_err().contains("checkpoint_interval"));
    assert!(Script::from_json("{}").is_err());
}
