//! A run as a value: what a seed decides, and what a file can hold.

use serde::{Deserialize, Serialize};

use super::attack::Scheme;
use super::fault::{Fault, TimedFault};
use super::plan::{Micros, Plan};
use super::rng::Rng;
use crate::types::{Millis, Quorums};

/// Everything that decides a run: configuration, workload, network, and what goes wrong when.
///
/// A seed draws one. Smaller ones are made of it where it fails ([`shrink`](Self::shrink)). As JSON
/// it is what `vopr --replay` takes; it replays at the commit that wrote it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Script {
    /// For what is drawn while it runs: keys, delays, losses, the order of mailboxes.
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) scheme: Scheme,
    pub(super) faults: Vec<TimedFault>,
}

impl Script {
    /// The run of a seed with `n` replicas.
    ///
    /// # Panics
    /// If `n` is no group size.
    pub fn draw(seed: u64, n: usize) -> Self {
        let quorums = Quorums::new(n).expect("a group size");
        let mut rng = Rng::new(seed ^ (n as u64) << 56);
        // Streams of their own: a draw more in one leaves the others as they are.
        let [mut plan, mut faults, mut clocks, mut rest] = [(); 4].map(|()| rng.fork());
        let mut plan = Plan::draw(&mut plan, quorums);
        if clocks.chance(300) {
            // Replicas whose clocks are a second apart may have to be satisfied with little more.
            plan.tuning.clock_tolerance = Millis(1_200);
        }
        let scheme = Scheme::draw(&mut faults, quorums);
        let faults = Fault::draw_all(&mut faults, &plan);
        Self { seed: rest.next(), plan, scheme, faults }
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// What is wrong with the text, or with the configuration that it describes.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let script: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match script.plan.violations().first() {
            Some(violation) => Err(violation.to_string()),
            None if script.plan.clients == 0 => Err("no clients".to_owned()),
            None => Ok(script.fitting()),
        }
    }

    /// The script for a file that people can read and change.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a script has text for keys and finite numbers")
    }

    /// Without the faults that name who is not there, or that come too late.
    pub(super) fn fitting(mut self) -> Self {
        let plan = &self.plan;
        self.faults.retain(|timed| timed.at < plan.faulty_time && timed.fault.fits(plan));
        self
    }

    /// Replicas in the group.
    pub fn replicas(&self) -> usize {
        self.plan.quorums.n()
    }

    /// How many things go wrong, not counting what a network always does.
    pub fn faults(&self) -> usize {
        self.faults.iter().filter(|timed| timed.fault != Fault::Mend).count()
    }

    /// Virtual microseconds in which things go wrong.
    pub fn faulty_micros(&self) -> Micros {
        self.plan.faulty_time
    }
}
