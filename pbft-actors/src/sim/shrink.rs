//! From a script that fails to the smallest one found that fails alike.

use super::fault::Fault;
use super::plan::LinkPlan;
use super::run::{Failure, RunReport};
use super::script::Script;
use crate::types::Quorums;

/// The smallest script found that fails as the first one did.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What to replay.
    pub script: Script,
    /// How it fails.
    pub failure: Failure,
    /// Runs that it took.
    pub runs: usize,
}

impl Script {
    /// Makes a script that failed smaller for as long as it fails with the same kind, in at most
    /// `runs_max` runs.
    ///
    /// Faults go first, by halves and one by one, then the length of the run, clients, operations,
    /// replicas, and whatever the network does.
    pub fn shrink(&self, failure: &Failure, runs_max: usize) -> Shrunk {
        self.shrink_with(failure, runs_max, &|script| script.run())
    }

    pub(super) fn shrink_with(
        &self,
        failure: &Failure,
        runs_max: usize,
        run: &dyn Fn(&Self) -> Result<RunReport, Failure>,
    ) -> Shrunk {
        let smallest = Shrunk { script: self.clone(), failure: failure.clone(), runs: 0 };
        let mut search = Search { smallest, runs_max, run };
        loop {
            let before = search.smallest.script.clone();
            search.drop_faults();
            search.simplify();
            if search.smallest.script == before || search.is_spent() {
                return search.smallest;
            }
        }
    }
}

struct Search<'a> {
    smallest: Shrunk,
    runs_max: usize,
    run: &'a dyn Fn(&Script) -> Result<RunReport, Failure>,
}

impl Search<'_> {
    fn is_spent(&self) -> bool {
        self.smallest.runs >= self.runs_max
    }

    /// Keeps a smaller script if it fails alike.
    fn attempt(&mut self, script: Script) -> bool {
        if self.is_spent() || script == self.smallest.script {
            return false;
        }
        self.smallest.runs += 1;
        match (self.run)(&script) {
            Err(failure) if failure.kind == self.smallest.failure.kind => {
                (self.smallest.script, self.smallest.failure) = (script, failure);
                true
            }
            _ => false,
        }
    }

    /// Leaves out all faults, then halves of them, and so on to single ones.
    fn drop_faults(&mut self) {
        let mut length = self.smallest.script.faults.len();
        while length > 0 {
            let mut start = 0;
            while start < self.smallest.script.faults.len() {
                let mut fewer = self.smallest.script.clone();
                let end = (start + length).min(fewer.faults.len());
                fewer.faults.drain(start..end);
                if !self.attempt(fewer) {
                    start += length;
                }
            }
            length /= 2;
        }
    }

    fn simplify(&mut self) {
        for step in STEPS {
            loop {
                let mut simpler = self.smallest.script.clone();
                step(&mut simpler);
                if !self.attempt(simpler.fitting()) {
                    break;
                }
            }
        }
        for index in 0..self.smallest.script.faults.len() {
            self.drop_attacks(index);
        }
    }

    /// Leaves a Byzantine replica only the attacks that matter.
    fn drop_attacks(&mut self, index: usize) {
        let mut attack = 0;
        loop {
            let mut simpler = self.smallest.script.clone();
            let Some(Fault::Corrupt { attacks, .. }) =
                simpler.faults.get_mut(index).map(|timed| &mut timed.fault)
            else {
                return;
            };
            if attack >= attacks.len() {
                return;
            }
            attacks.remove(attack);
            if !self.attempt(simpler) {
                attack += 1;
            }
        }
    }
}

/// One way of making a script smaller; one that has nothing left to do changes nothing.
type Step = fn(&mut Script);

const STEPS: [Step; 17] = [
    |script| end_at(script, script.plan.faulty_time / 2),
    |script| end_at(script, script.faults.last().map_or(1, |timed| timed.at + 1)),
    |script| script.faults.iter_mut().for_each(|timed| timed.at /= 2),
    |script| script.plan.clients = 1,
    |script| script.plan.clients = (script.plan.clients - 1).max(1),
    |script| script.plan.operations_per_client = (script.plan.operations_per_client / 2).max(1),
    |script| script.plan.operations_per_client = (script.plan.operations_per_client - 1).max(1),
    |script| script.plan.outstanding = 1,
    |script| script.plan.links = LinkPlan::HEALED,
    |script| script.plan.links.loss_per_mille /= 2,
    |script| script.plan.links.duplicate_per_mille = 0,
    |script| script.plan.stay_dead = 0,
    |script| resize(script, 4),
    |script| script.plan.durable = false,
    |script| script.plan.sync_max = 0,
    |script| (script.plan.checkpoint_interval, script.plan.window) = (1, 4),
    simplest_tuning,
];

fn end_at(script: &mut Script, end: u64) {
    script.plan.faulty_time = end.min(script.plan.faulty_time);
}

fn resize(script: &mut Script, n: usize) {
    script.plan.quorums = Quorums::new(n).expect("a group size");
    script.plan.stay_dead = script.plan.stay_dead.min(script.plan.quorums.f() as u64);
}

/// One request per batch, one batch in flight, no signatures where MACs do.
fn simplest_tuning(script: &mut Script) {
    let plan = &mut script.plan;
    (plan.sign_all, plan.real_signatures) = (false, false);
    (plan.tuning.pipeline, plan.tuning.batch_requests) = (1, 1);
}
