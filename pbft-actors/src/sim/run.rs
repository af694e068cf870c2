//! One run from one seed: everything wrong for a while, then healed, and progress is demanded.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::attack::Villains;
use super::chart::Chart;
use super::cluster::Cluster;
use super::divergence::Divergence;
use super::fault::TimedFault;
use super::mark::Marks;
use super::plan::Micros;
use super::script::Script;
use super::workload::Workload;
use crate::ports::storage::MemoryDisk;
use crate::types::ReplicaId;

/// How long the healed cluster may take until every client is answered and all replicas agree.
/// Time-outs may have grown to their maximum while everything was wrong.
const PROGRESS_WITHIN: Micros = 120_000_000;

/// How long an idle group may take to converge before another request is sent.
const IDLE_TIME: Micros = 20_000_000;
/// Requests that are sent to make a group converge.
const REQUESTS_TO_CONVERGE: usize = 3;

/// Why a run failed; the number is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// A replica or client panicked.
    Crash = 127,
    /// No progress although enough replicas were healthy for long enough.
    Liveness = 128,
    /// Something happened that never may.
    Safety = 129,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which kind.
    pub kind: FailureKind,
    /// What was seen.
    pub what: String,
    /// Where two correct replicas' states part, if that is what was seen.
    pub divergence: Option<Divergence>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// What a run did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RunReport {
    /// Covers everything that happened, in order.
    pub trace: u64,
    /// Virtual microseconds.
    pub simulated_micros: u64,
    /// Things that happened.
    pub events: u64,
    /// Frames that arrived.
    pub frames: u64,
    /// Operations answered.
    pub operations: u64,
    /// Batches executed.
    pub batches: u64,
    /// Times a replica left its view.
    pub view_changes: u64,
    /// States fetched.
    pub transfers: u64,
    /// Replicas killed.
    pub crashes: u64,
    /// Replicas that asked to be let in again.
    pub rejoins: u64,
    /// Stable checkpoints, summed over replicas.
    pub stable_checkpoints: u64,
    /// Replicas that turned Byzantine.
    pub byzantine: u64,
    /// Times all replicas lost power at once.
    pub power_cuts: u64,
    /// Replicas that stopped because their disk failed.
    pub disk_failures: u64,
    /// Disks that were lost or went back to an earlier content.
    pub disks_lost: u64,
    /// Disks on which a bit flipped.
    pub flips: u64,
    /// Faults by kind, and what Byzantine replicas did, as they were to happen: what would be more than f
    /// faults did not.
    pub faults: BTreeMap<String, u64>,
    /// Rare states that were reached.
    pub marks: Marks,
}

impl RunReport {
    /// Sums up; of traces a digest that depends on their order.
    pub fn add(&mut self, report: &Self) {
        self.trace = self.trace.rotate_left(1) ^ report.trace;
        self.simulated_micros += report.simulated_micros;
        self.events += report.events;
        self.frames += report.frames;
        self.operations += report.operations;
        self.batches += report.batches;
        self.view_changes += report.view_changes;
        self.transfers += report.transfers;
        self.crashes += report.crashes;
        self.rejoins += report.rejoins;
        self.stable_checkpoints += report.stable_checkpoints;
        self.byzantine += report.byzantine;
        self.power_cuts += report.power_cuts;
        self.disk_failures += report.disk_failures;
        self.disks_lost += report.disks_lost;
        self.flips += report.flips;
        for (kind, count) in &report.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        self.marks.add(&report.marks);
    }
}

/// Runs one seed with `n` replicas.
///
/// # Errors
/// What went wrong; the same seed fails the same way.
///
/// # Panics
/// If `n` is no group size.
pub fn run(seed: u64, n: usize) -> Result<RunReport, Failure> {
    Script::draw(seed, n).run()
}

impl Script {
    /// Runs it; the same script always runs the same way.
    ///
    /// # Errors
    /// What went wrong.
    pub fn run(&self) -> Result<RunReport, Failure> {
        self.run_with(&Workload::log(), &mut None)
    }

    /// Runs it and draws what happened.
    pub fn chart(&self) -> Chart {
        self.chart_with(&Workload::log())
    }

    pub(super) fn chart_with(&self, workload: &Workload) -> Chart {
        let mut chart = Some(Chart::new(self.plan.quorums, self.plan.clients));
        let outcome = self.run_with(workload, &mut chart);
        let mut chart = chart.unwrap_or_else(|| Chart::new(self.plan.quorums, self.plan.clients));
        if let Err(failure) = outcome {
            chart.on_failure(&failure);
        }
        chart
    }

    /// Runs it on any workload; what is drawn of it comes back in `chart`, also after a panic.
    pub(super) fn run_with(
        &self,
        workload: &Workload,
        chart: &mut Option<Chart>,
    ) -> Result<RunReport, Failure> {
        let mut cluster = None;
        let seen = chart.take();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let cluster = cluster.insert(Cluster::with(self.seed, self.plan.clone(), workload.clone(), seen));
            self.play(cluster)
        }));
        *chart = cluster.and_then(|cluster| cluster.chart);
        outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let what = text.unwrap_or_else(|| "a panic".to_owned());
            Err(Failure { kind: FailureKind::Crash, what, divergence: None })
        })
    }

    fn play(&self, cluster: &mut Cluster) -> Result<RunReport, Failure> {
        let villains = Villains::new(self.scheme, self.plan.quorums);
        for TimedFault { at, fault } in &self.faults {
            cluster.run_until(*at, |_| false);
            if cluster.checker.violation.is_some() {
                break;
            }
            fault.apply(cluster, &villains);
        }
        cluster.run_until(self.plan.faulty_time, |_| false);
        cluster.heal();
        cluster.disks.iter().for_each(MemoryDisk::repair);
        choose_survivors(cluster, self.plan.stay_dead as usize);
        let done = cluster.run_until(cluster.now + PROGRESS_WITHIN, Cluster::clients_done);
        // A Byzantine primary may serve the clients and leave correct replicas behind for a window.
        cluster.silence();
        let done = done && converge(cluster);
        if cluster.checker.violation.is_none() {
            cluster.check_history();
        }
        if let Some(what) = cluster.checker.violation.take() {
            let divergence = cluster.checker.divergence.take();
            return Err(Failure { kind: FailureKind::Safety, what, divergence });
        }
        if !done {
            let what = describe(cluster);
            return Err(Failure { kind: FailureKind::Liveness, what, divergence: None });
        }
        Ok(report(cluster))
    }
}

/// Waits until every replica executed the same and votes.
///
/// An idle group converges if weak-many know what was decided. Where fewer do, the next request makes
/// it converge: without one nobody has a reason to suspect the primary.
fn converge(cluster: &mut Cluster) -> bool {
    for _ in 0..REQUESTS_TO_CONVERGE {
        if cluster.run_until(cluster.now + IDLE_TIME, Cluster::is_converged) {
            return true;
        }
        cluster.invoke_one();
    }
    cluster
        .run_until(cluster.now + PROGRESS_WITHIN, |cluster| cluster.clients_done() && cluster.is_converged())
}

/// Restarts what is down, but for those that stay dead to the end.
///
/// Never more than f are dead or may have forgotten what they promised: a directory that was put back to
/// what it was and that too few notice counts until the group has passed all that it held.
fn choose_survivors(cluster: &mut Cluster, stay_dead: usize) {
    let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
    let down = |cluster: &Cluster, id: &ReplicaId| cluster.nodes[id.index()].is_none();
    let mut suspects = cluster.tainted();
    suspects.extend(cluster.faulty().into_iter().filter(|id| !down(cluster, id)));
    suspects.sort_unstable();
    suspects.dedup();
    let (mut dead, mut spare) = (stay_dead, cluster.plan.quorums.f().saturating_sub(suspects.len()));
    for replica in &replicas {
        if !down(cluster, replica) {
            continue;
        }
        let suspect = suspects.contains(replica);
        if dead > 0 && (suspect || spare > 0) {
            dead -= 1;
            spare -= usize::from(!suspect);
        } else {
            cluster.restart_after(*replica, 1_000);
        }
    }
    while dead > 0 && spare > 0 {
        let victim = *cluster.rng.pick(&replicas);
        if !suspects.contains(&victim) && !down(cluster, &victim) {
            cluster.crash(victim);
            (dead, spare) = (dead - 1, spare - 1);
        }
    }
}

fn report(cluster: &Cluster) -> RunReport {
    RunReport {
        trace: cluster.trace,
        simulated_micros: cluster.now,
        events: cluster.counts.events,
        frames: cluster.counts.frames,
        operations: cluster.history.iter().filter(|record| record.completed.is_some()).count() as u64,
        batches: cluster.highest_executed().0,
        view_changes: cluster.checker.view_changes,
        transfers: cluster.checker.transfers,
        crashes: cluster.counts.crashes,
        rejoins: cluster.checker.rejoins,
        stable_checkpoints: cluster.checker.stable_checkpoints,
        byzantine: cluster.byzantine.len() as u64,
        power_cuts: cluster.counts.power_cuts,
        disk_failures: cluster.counts.disk_failures,
        disks_lost: cluster.counts.disks_lost,
        flips: cluster.counts.flips,
        faults: cluster.counts.faults.clone(),
        marks: cluster.marks(),
    }
}

fn describe(cluster: &Cluster) -> String {
    let nodes = cluster.plan.quorums.replicas().map(|id| match &cluster.nodes[id.index()] {
        None => format!("{id}: down"),
        Some(node) => {
            format!("{id}: executed {} votes {} {}", node.executed(), node.votes(), node.describe())
        }
    });
    let nodes: Vec<String> = nodes.collect();
    let open = cluster.history.iter().filter(|record| record.completed.is_none()).count();
    let byzantine = &cluster.byzantine;
    format!(
        "{open} operations unanswered; Byzantine {byzantine:?}; {}; plan {:?}",
        nodes.join("; "),
        cluster.plan
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slice of what `vopr` runs; the same seed always gives the same run.
    #[test]
    fn some_seeds_at_every_group_size() {
        for n in 4..=7 {
            for seed in 1..=60 {
                run(seed, n).unwrap_or_else(|failure| panic!("seed {seed} n {n}: {failure}"));
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        assert_eq!(run(7, 4).map_err(|f| f.what), run(7, 4).map_err(|f| f.what));
        assert_ne!(run(7, 4).map(|r| r.trace).ok(), run(8, 4).map(|r| r.trace).ok());
    }
}
