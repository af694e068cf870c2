//! The simulator for services other than its own.

use std::fmt;
use std::ops::RangeInclusive;

use super::chart::Chart;
use super::divergence::Divergence;
use super::run::{Failure, RunReport};
use super::script::Script;
use super::workload::Workload;
use crate::ports::service::Service;

/// Your service, replicated by a whole group in virtual time, under everything that the simulator
/// knows to go wrong: crashes, power cuts, bad disks, bad links, Byzantine replicas and clients.
///
/// ```
/// use pbft_actors::message::Refusal;
/// use pbft_actors::ports::service::{Execution, Query, Service};
/// use pbft_actors::ports::state::State;
/// use pbft_actors::sim::Simulation;
///
/// struct Counter;
///
/// impl Service for Counter {
///     const NAME: &'static str = "counter";
///     const VERSION: u32 = 1;
///
///     fn execute(&self, state: &mut State, _: &Execution<'_>, _: &[u8]) -> Result<bytes::Bytes, Refusal> {
///         let count = state.cell::<u64>("count").get() + 1;
///         state.cell_mut::<u64>("count").set(count)?;
///         Ok(count.to_be_bytes().to_vec().into())
///     }
///
///     fn query(&self, state: &State, _: &Query, _: &[u8]) -> Result<bytes::Bytes, Refusal> {
///         Ok(state.cell::<u64>("count").get().to_be_bytes().to_vec().into())
///     }
/// }
///
/// let report = Simulation::new(|| Counter, |draw| draw.to_be_bytes().to_vec()).run(1..=3);
/// assert!(report.unwrap_or_else(|finding| panic!("{finding}")).operations > 0);
/// ```
#[derive(Clone)]
pub struct Simulation {
    workload: Workload,
    replicas: usize,
    shrink_runs: usize,
}

impl Simulation {
    /// `service` makes the service of a replica that starts, anew at each of its starts; `operation`
    /// makes an operation of a random number.
    pub fn new<S: Service>(
        service: impl Fn() -> S + 'static,
        operation: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Self {
        Self { workload: Workload::of(service, operation), replicas: 4, shrink_runs: 200 }
    }

    /// Replicas in the group; 4 unless said.
    pub fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// Runs spent on making a finding smaller; 200 unless said.
    pub fn shrink_runs(self, shrink_runs: usize) -> Self {
        Self { shrink_runs, ..self }
    }

    /// One run per seed, until one does not hold.
    ///
    /// # Errors
    /// What was found, as small as it could be made.
    ///
    /// # Panics
    /// If the number of replicas is no group size.
    pub fn run(&self, seeds: RangeInclusive<u64>) -> Result<RunReport, Box<Finding>> {
        let mut sum = RunReport::default();
        for seed in seeds {
            let script = Script::draw(seed, self.replicas);
            match self.replay(&script) {
                Ok(report) => sum.add(&report),
                Err(failure) => return Err(Box::new(self.finding(seed, &script, &failure))),
            }
        }
        Ok(sum)
    }

    /// Runs a script again, such as one of a [`Finding`].
    ///
    /// # Errors
    /// What went wrong.
    pub fn replay(&self, script: &Script) -> Result<RunReport, Failure> {
        script.run_with(&self.workload, &mut None)
    }

    fn finding(&self, seed: u64, script: &Script, failure: &Failure) -> Finding {
        let shrunk = script.shrink_with(failure, self.shrink_runs, &|script| self.replay(script));
        let chart = shrunk.script.chart_with(&self.workload);
        Finding { seed, failure: shrunk.failure, script: shrunk.script, chart }
    }
}

/// A run of an embedder's service that did not hold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The seed that found it.
    pub seed: u64,
    /// What went wrong.
    pub failure: Failure,
    /// The smallest run that fails alike; [`Simulation::replay`] takes it.
    pub script: Script,
    /// Who said what in that run.
    pub chart: Chart,
}

impl Finding {
    /// Where two replicas' states part, if that is what was found.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.failure.divergence.as_ref()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, failure, script, .. } = self;
        write!(
            f,
            "seed {seed}, shrunk to {} faults among {} replicas: ",
            script.faults(),
            script.replicas()
        )?;
        match &failure.divergence {
            Some(divergence) => write!(f, "the service is not deterministic: {divergence}"),
            None => write!(f, "{failure}"),
        }
    }
}
