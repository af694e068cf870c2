//! One run from one seed: everything wrong for a while, then healed, and progress is demanded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::byzantine::Villains;
use super::cluster::Cluster;
use super::plan::{Micros, Plan};
use super::rng::Rng;
use crate::ports::storage::MemoryDisk;
use crate::types::{ClientId, Quorums, ReplicaId};

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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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
}

/// Runs one seed with `n` replicas.
///
/// # Errors
/// What went wrong; the same seed fails the same way.
///
/// # Panics
/// If `n` is no group size.
pub fn run(seed: u64, n: usize) -> Result<RunReport, Failure> {
    let quorums = Quorums::new(n).expect("a group size");
    catch_unwind(AssertUnwindSafe(|| run_seed(seed, quorums))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Failure { kind: FailureKind::Crash, what: text.unwrap_or_else(|| "a panic".to_owned()) })
    })
}

fn run_seed(seed: u64, quorums: Quorums) -> Result<RunReport, Failure> {
    let mut rng = Rng::new(seed ^ (quorums.n() as u64) << 56);
    let mut plan = Plan::draw(&mut rng, quorums);
    let mut villains = Villains::new(Rng::new(!seed ^ (quorums.n() as u64) << 48), quorums, plan.clients);
    villains.draw_clocks(&mut plan.tuning);
    let faults = Faults::draw(&mut rng, &plan, &mut villains);
    let stay_dead = plan.stay_dead as usize;
    let mut cluster = Cluster::new(rng.next(), plan);
    for (at, fault) in faults.0 {
        cluster.run_until(at, |_| false);
        fault.apply(&mut cluster, &mut villains);
    }
    let faulty_time = cluster.plan.faulty_time;
    cluster.run_until(faulty_time, |_| false);
    cluster.heal();
    cluster.disks.iter().for_each(MemoryDisk::repair);
    choose_survivors(&mut cluster, stay_dead);
    let done = cluster.run_until(cluster.now + PROGRESS_WITHIN, Cluster::clients_done);
    // A Byzantine primary may serve the clients and leave correct replicas behind for a window.
    cluster.silence();
    let done = done && converge(&mut cluster);
    if cluster.checker.violation.is_none() {
        cluster.check_history();
    }
    if let Some(what) = cluster.checker.violation.take() {
        return Err(Failure { kind: FailureKind::Safety, what });
    }
    if !done {
        return Err(Failure { kind: FailureKind::Liveness, what: describe(&cluster) });
    }
    Ok(report(&cluster))
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
fn choose_survivors(cluster: &mut Cluster, stay_dead: usize) {
    let mut faulty = cluster.faulty();
    let down = |cluster: &Cluster, id: &ReplicaId| cluster.nodes[id.index()].is_none();
    // Never more than f at once: forgetful replicas count until they vote.
    let forgetful = faulty.iter().filter(|id| !down(cluster, id)).count();
    let mut dead = stay_dead.min(cluster.plan.quorums.f() - forgetful.min(cluster.plan.quorums.f()));
    for replica in cluster.plan.quorums.replicas() {
        if down(cluster, &replica) {
            if dead > 0 {
                dead -= 1;
            } else {
                cluster.restart_after(replica, 1_000);
            }
        }
    }
    while dead > 0 && faulty.len() < cluster.plan.quorums.f() {
        let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
        let victim = *cluster.rng.pick(&replicas);
        if !faulty.contains(&victim) {
            cluster.crash(victim);
            faulty.push(victim);
            dead -= 1;
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

/// What goes wrong, and when.
struct Faults(Vec<(Micros, Fault)>);

enum Fault {
    Crash {
        restart_after: Micros,
    },
    PowerCut {
        restart_within: Micros,
    },
    Backup,
    /// With the backup in its place, if there is one.
    LoseDisk,
    FlipBit,
    FlipState,
    FailDisk {
        after: u64,
    },
    Partition(Vec<ReplicaId>),
    Mend,
    OneWay(ReplicaId, ReplicaId),
    RestartClient(ClientId),
    Corrupt,
}

impl Faults {
    fn draw(rng: &mut Rng, plan: &Plan, villains: &mut Villains) -> Self {
        let mut faults = Vec::new();
        let replicas: Vec<ReplicaId> = plan.quorums.replicas().collect();
        for _ in 0..plan.crashes {
            let restart_after = rng.between(10_000, 1_500_000);
            faults.push((rng.below(plan.faulty_time), Fault::Crash { restart_after }));
        }
        for (times, fault) in plan.disk_faults(rng) {
            faults.extend((0..times).map(|_| (rng.below(plan.faulty_time), fault(rng))));
        }
        for _ in 0..plan.partitions {
            let at = rng.below(plan.faulty_time);
            let fault = if rng.chance(300) {
                Fault::OneWay(*rng.pick(&replicas), *rng.pick(&replicas))
            } else {
                Fault::Partition(replicas.iter().copied().filter(|_| rng.chance(500)).collect())
            };
            faults.push((at, fault));
            faults.push((at + rng.between(10_000, 2_000_000), Fault::Mend));
        }
        for _ in 0..plan.client_restarts {
            let client = ClientId(rng.below(plan.clients) as u32);
            faults.push((rng.below(plan.faulty_time), Fault::RestartClient(client)));
        }
        faults.extend(villains.draw_times(plan.faulty_time).into_iter().map(|at| (at, Fault::Corrupt)));
        faults.retain(|(at, _)| *at < plan.faulty_time);
        faults.sort_by_key(|(at, _)| *at);
        Self(faults)
    }
}

/// How a fault of one kind is drawn.
type DrawFault = fn(&mut Rng) -> Fault;

impl Plan {
    /// What goes wrong with disks, and how often each.
    fn disk_faults(&self, rng: &mut Rng) -> Vec<(u64, DrawFault)> {
        if !self.durable {
            return Vec::new();
        }
        let mut times = |per_mille, most| if rng.chance(per_mille) { rng.between(1, most) } else { 0 };
        vec![
            (times(400, 3), |rng| Fault::PowerCut {
                restart_within: *rng.pick(&[1_000, 100_000, 1_000_000]),
            }),
            (times(300, 1), |_| Fault::Backup),
            (times(400, 2), |_| Fault::LoseDisk),
            (times(400, 3), |_| Fault::FlipBit),
            (times(400, 3), |_| Fault::FlipState),
            (times(300, 3), |rng| Fault::FailDisk { after: rng.below(50) }),
        ]
    }
}

impl Fault {
    fn apply(self, cluster: &mut Cluster, villains: &mut Villains) {
        use crate::message::Peer;
        match self {
            Self::Crash { restart_after } => {
                let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
                let victim = *cluster.rng.pick(&replicas);
                let faulty = cluster.faulty();
                // At most f faulty at any time; one that is down or forgetful may fall again.
                let byzantine = cluster.byzantine.contains(&victim);
                let f = cluster.plan.quorums.f();
                let harmless = cluster.plan.durable || faulty.contains(&victim) || faulty.len() < f;
                let allowed = !byzantine && harmless;
                if allowed && cluster.nodes[victim.index()].is_some() {
                    cluster.crash(victim);
                    cluster.restart_after(victim, restart_after);
                }
            }
            Self::PowerCut { restart_within } => {
                for id in cluster.cut_power() {
                    let delay = cluster.rng.below(restart_within);
                    cluster.restart_after(id, delay);
                }
            }
            Self::Backup => {
                let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
                let chosen = *cluster.rng.pick(&replicas);
                cluster.backup = Some((chosen, cluster.disks[chosen.index()].copy()));
            }
            Self::LoseDisk => {
                let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
                let backup = cluster.backup.take();
                let victim = backup.as_ref().map_or_else(|| *cluster.rng.pick(&replicas), |(id, _)| *id);
                let allowed = cluster.tainted().len() < cluster.plan.quorums.f();
                if allowed && !cluster.byzantine.contains(&victim) {
                    cluster.lose_disk(victim, backup.map(|(_, disk)| disk));
                    cluster.restart_after(victim, 50_000);
                }
            }
            Self::FlipBit => {
                let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
                let victim = *cluster.rng.pick(&replicas);
                if !cluster.byzantine.contains(&victim) {
                    cluster.flip_bit(victim);
                    cluster.restart_after(victim, 50_000);
                }
            }
            Self::FlipState => {
                let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
                let victim = *cluster.rng.pick(&replicas);
                if !cluster.byzantine.contains(&victim) && cluster.may_rot(victim) {
                    cluster.flip_state(victim);
                }
            }
            Self::FailDisk { after } => {
                let replicas: Vec<ReplicaId> = cluster.plan.quorums.replicas().collect();
                let victim = *cluster.rng.pick(&replicas);
                if !cluster.byzantine.contains(&victim) {
                    cluster.disks[victim.index()].fail_after(after);
                }
            }
            Self::Partition(side) => cluster.partition(&side),
            Self::Mend => cluster.network.mend_all(),
            Self::OneWay(a, b) => cluster.network.cut(Peer::Replica(a), Peer::Replica(b)),
            Self::RestartClient(id) => cluster.restart_client(id),
            Self::Corrupt => {
                let faulty = cluster.faulty();
                let correct: Vec<ReplicaId> =
                    cluster.plan.quorums.replicas().filter(|id| !faulty.contains(id)).collect();
                let adversary = villains.adversary();
                let allowed = cluster.tainted().len() < cluster.plan.quorums.f() && !correct.is_empty();
                if allowed {
                    let victim = villains.pick(&correct);
                    cluster.corrupt(victim, adversary);
                }
            }
        }
    }
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
