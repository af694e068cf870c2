//! What goes wrong in a run, and when: values that a seed draws and a script holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::attack::{Attack, Villains, some_of};
use super::client_attack::ClientAttack;
use super::cluster::{Cluster, Counts};
use super::plan::{Micros, Plan};
use super::rng::Rng;
use crate::message::Peer;
use crate::types::{ClientId, ReplicaId, ReplicaSet};

/// A fault with its time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct TimedFault {
    pub(super) at: Micros,
    pub(super) fault: Fault,
}

/// Something that goes wrong. What would be more than f faults at its time does not happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Fault {
    Crash {
        replica: ReplicaId,
        restart_after: Micros,
    },
    /// In the middle of the next turn that sends something: of its records as much is on disk as the power
    /// cut leaves, of its frames only the first few leave.
    CrashWithin {
        replica: ReplicaId,
        frames: usize,
        restart_after: Micros,
    },
    PowerCut {
        restart_within: Micros,
    },
    /// Keeps a copy of a replica's disk.
    Backup(ReplicaId),
    /// A disk is lost, and the copy is put in its place, if there is one.
    LoseDisk(ReplicaId),
    FlipBit(ReplicaId),
    FlipState(ReplicaId),
    FailDisk {
        replica: ReplicaId,
        after: u64,
    },
    Partition(ReplicaSet),
    /// Everyone hears only who is in the same part; the last part is that of the twin's second copy.
    Split {
        twin: ReplicaId,
        parts: Vec<u8>,
    },
    OneWay(ReplicaId, ReplicaId),
    /// Every link that was cut carries again.
    Mend,
    RestartClient(ClientId),
    /// The replica, or the next one that is correct, turns Byzantine.
    Corrupt {
        replica: ReplicaId,
        attacks: Vec<Attack>,
    },
    CorruptClient(ClientId, ClientAttack),
    /// Nothing passes between a client and a replica.
    CutClient(ClientId, ReplicaId),
    /// What one replica says to another takes so much longer.
    Clog {
        from: ReplicaId,
        to: ReplicaId,
        delay: Micros,
    },
    JumpClock {
        replica: ReplicaId,
        by: i64,
    },
    DriftClock {
        replica: ReplicaId,
        ppm: i64,
    },
    /// The replica stands still, and goes on as if nothing had been.
    Freeze {
        replica: ReplicaId,
        time: Micros,
    },
    /// The disk has room for so many bytes more.
    FillDisk {
        replica: ReplicaId,
        room: usize,
    },
}

impl Fault {
    /// What a plan's run suffers, in order of time.
    pub(super) fn draw_all(rng: &mut Rng, plan: &Plan) -> Vec<TimedFault> {
        let mut faults = Self::draw_world(&mut rng.fork(), plan);
        let mut add = |at, fault| faults.push(TimedFault { at, fault });
        let replicas: Vec<ReplicaId> = plan.quorums.replicas().collect();
        for _ in 0..plan.crashes {
            let (replica, restart_after) = (*rng.pick(&replicas), rng.between(10_000, 1_500_000));
            let fault = if rng.chance(500) {
                Self::Crash { replica, restart_after }
            } else {
                Self::CrashWithin { replica, frames: rng.below(8) as usize, restart_after }
            };
            add(rng.below(plan.faulty_time), fault);
        }
        for (times, fault) in plan.disk_faults(rng) {
            for _ in 0..times {
                let replica = *rng.pick(&replicas);
                add(rng.below(plan.faulty_time), fault(rng, replica));
            }
        }
        for _ in 0..plan.partitions {
            let at = rng.below(plan.faulty_time);
            let fault = if rng.chance(300) {
                Self::OneWay(*rng.pick(&replicas), *rng.pick(&replicas))
            } else {
                Self::Partition(some_of(rng, plan.quorums))
            };
            add(at, fault);
            add(at + rng.between(10_000, 2_000_000), Self::Mend);
        }
        for _ in 0..plan.client_restarts {
            let client = ClientId(rng.below(plan.clients) as u32);
            add(rng.below(plan.faulty_time), Self::RestartClient(client));
        }
        let byzantine = if rng.chance(600) { rng.between(1, plan.quorums.f() as u64) } else { 0 };
        for _ in 0..byzantine {
            let attacks = Attack::draw_some(rng, plan.quorums, plan.clients);
            // A twin that starts later than its group has no vote.
            let twins = attacks.iter().any(|attack| matches!(attack, Attack::Twins(_)));
            let at = if twins || rng.chance(500) { 0 } else { rng.below(plan.faulty_time) };
            add(at, Self::Corrupt { replica: *rng.pick(&replicas), attacks });
        }
        faults.retain(|fault| fault.at < plan.faulty_time);
        faults.sort_by_key(|fault| fault.at);
        faults
    }

    /// Faulty clients, slow links, clocks, pauses and full disks.
    fn draw_world(rng: &mut Rng, plan: &Plan) -> Vec<TimedFault> {
        let mut faults = Vec::new();
        let replicas: Vec<ReplicaId> = plan.quorums.replicas().collect();
        let mut add = |rng: &mut Rng, per_mille, most, fault: &dyn Fn(&mut Rng, ReplicaId) -> Self| {
            let times = if rng.chance(per_mille) { rng.between(1, most) } else { 0 };
            for _ in 0..times {
                let (at, replica) = (rng.below(plan.faulty_time), *rng.pick(&replicas));
                faults.push(TimedFault { at, fault: fault(rng, replica) });
            }
        };
        add(rng, 300, 3, &|rng, from| Self::Clog {
            from,
            to: *rng.pick(&replicas),
            delay: rng.between(50_000, 2_000_000),
        });
        add(rng, 200, 3, &|rng, to| Self::CutClient(ClientId(rng.below(plan.clients) as u32), to));
        add(rng, 200, 3, &|rng, replica| {
            let by = *rng.pick(&[-3_600_000_000, -10_000_000, -1_000_000, 1_000_000, 10_000_000]);
            Self::JumpClock { replica, by }
        });
        add(rng, 150, 2, &|rng, replica| Self::DriftClock {
            replica,
            ppm: *rng.pick(&[-500_000, -1_000, 1_000, 500_000]),
        });
        add(rng, 300, 2, &|rng, replica| Self::Freeze { replica, time: rng.between(10_000, 2_000_000) });
        if plan.durable {
            add(rng, 150, 1, &|rng, replica| Self::FillDisk { replica, room: rng.below(200_000) as usize });
        }
        // The last client is always an honest one.
        if plan.clients > 1 {
            add(rng, 250, 1, &|rng, _| {
                let client = ClientId(rng.below(plan.clients - 1) as u32);
                Self::CorruptClient(client, ClientAttack::draw(rng, plan.quorums))
            });
        }
        faults
    }

    /// Whether all that it names is there.
    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let member = |replica: &ReplicaId| plan.quorums.contains(*replica);
        match self {
            Self::Crash { replica, .. }
            | Self::CrashWithin { replica, .. }
            | Self::Backup(replica)
            | Self::LoseDisk(replica)
            | Self::FlipBit(replica)
            | Self::FlipState(replica)
            | Self::FailDisk { replica, .. }
            | Self::JumpClock { replica, .. }
            | Self::DriftClock { replica, .. }
            | Self::Freeze { replica, .. }
            | Self::FillDisk { replica, .. }
            | Self::Corrupt { replica, .. } => member(replica),
            Self::Split { twin, parts } => member(twin) && parts.len() == plan.quorums.n() + 1,
            Self::OneWay(a, b) | Self::Clog { from: a, to: b, .. } => member(a) && member(b),
            Self::RestartClient(client) => u64::from(client.0) < plan.clients,
            Self::CutClient(client, replica) => u64::from(client.0) < plan.clients && member(replica),
            Self::CorruptClient(client, _) => u64::from(client.0) + 1 < plan.clients,
            Self::PowerCut { .. } | Self::Partition(_) | Self::Mend => true,
        }
    }

    /// Counts it by kind, and what a Byzantine replica is to do.
    fn count(&self, counts: &mut Counts) {
        let mut count = |kind: String| *counts.faults.entry(kind).or_default() += 1;
        count(kind_of(self));
        if let Self::Corrupt { attacks, .. } = self {
            attacks.iter().for_each(|attack| count(kind_of(attack)));
        }
    }

    /// Lets it happen.
    pub(super) fn apply(&self, cluster: &mut Cluster, villains: &Villains) {
        cluster.chart(None, || format!("{self:?}"));
        self.count(&mut cluster.counts);
        match self {
            Self::Crash { replica, restart_after } => crash(cluster, *replica, *restart_after),
            Self::CrashWithin { replica, frames, restart_after } => {
                cluster.dying.insert(*replica, (*frames, *restart_after));
            }
            Self::PowerCut { restart_within } => {
                for id in cluster.cut_power() {
                    let delay = cluster.rng.below(*restart_within);
                    cluster.restart_after(id, delay);
                }
            }
            Self::Backup(replica) => {
                cluster.backup = Some((*replica, cluster.disks[replica.index()].copy()));
            }
            Self::LoseDisk(replica) => lose_disk(cluster, *replica),
            Self::FlipBit(replica) if !cluster.byzantine.contains(replica) => {
                cluster.flip_bit(*replica);
                cluster.restart_after(*replica, 50_000);
            }
            Self::FlipState(replica) if !cluster.byzantine.contains(replica) => {
                if cluster.may_rot(*replica) {
                    cluster.flip_state(*replica);
                }
            }
            Self::FailDisk { replica, after } if !cluster.byzantine.contains(replica) => {
                cluster.disks[replica.index()].fail_after(*after);
            }
            Self::FlipBit(_) | Self::FlipState(_) | Self::FailDisk { .. } => {}
            Self::Partition(side) => {
                let side: Vec<ReplicaId> = side.iter().collect();
                cluster.partition(&side);
            }
            Self::Split { twin, parts } => cluster.split(*twin, parts),
            Self::OneWay(a, b) => cluster.network.cut(Peer::Replica(*a), Peer::Replica(*b)),
            Self::Mend => cluster.network.mend_all(),
            Self::CutClient(client, replica) => {
                cluster.network.cut(Peer::Client(*client), Peer::Replica(*replica));
                cluster.network.cut(Peer::Replica(*replica), Peer::Client(*client));
            }
            Self::Clog { from, to, delay } => {
                cluster.network.clog(Peer::Replica(*from), Peer::Replica(*to), *delay);
            }
            Self::JumpClock { replica, by } => cluster.clocks[replica.index()].jump(cluster.now, *by),
            Self::DriftClock { replica, ppm } => cluster.clocks[replica.index()].drift(cluster.now, *ppm),
            Self::Freeze { replica, time } => cluster.freeze(*replica, *time),
            Self::FillDisk { replica, room } if !cluster.byzantine.contains(replica) => {
                cluster.disks[replica.index()].leave_room(*room);
            }
            Self::FillDisk { .. } => {}
            Self::CorruptClient(client, attack) => cluster.corrupt_client(*client, *attack),
            Self::RestartClient(id) => cluster.restart_client(*id),
            Self::Corrupt { replica, attacks } => corrupt(cluster, *replica, attacks, villains),
        }
    }
}

/// The first word of what a value says of itself.
fn kind_of(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(|letter| letter.is_alphanumeric()).collect()
}

fn crash(cluster: &mut Cluster, victim: ReplicaId, restart_after: Micros) {
    if cluster.may_crash(victim) {
        cluster.crash(victim);
        cluster.restart_after(victim, restart_after);
    }
}

fn lose_disk(cluster: &mut Cluster, replica: ReplicaId) {
    let backup = cluster.backup.take();
    let victim = backup.as_ref().map_or(replica, |(id, _)| *id);
    let allowed = cluster.tainted().len() < cluster.plan.quorums.f();
    if allowed && !cluster.byzantine.contains(&victim) {
        cluster.lose_disk(victim, backup.map(|(_, disk)| disk));
        cluster.restart_after(victim, 50_000);
    }
}

fn corrupt(cluster: &mut Cluster, first: ReplicaId, attacks: &[Attack], villains: &Villains) {
    let n = cluster.plan.quorums.n() as u8;
    let faulty = cluster.faulty();
    let victim = (0..n).map(|step| ReplicaId((first.0 + step) % n)).find(|id| !faulty.contains(id));
    if let Some(victim) = victim.filter(|_| cluster.tainted().len() < cluster.plan.quorums.f()) {
        for attack in attacks {
            if let Attack::Twins(side) = attack {
                cluster.start_twin(victim, *side);
            }
        }
        cluster.corrupt(victim, villains.adversary(attacks));
    }
}

/// How a fault of one kind is drawn.
type DrawFault = fn(&mut Rng, ReplicaId) -> Fault;

impl Plan {
    /// What goes wrong with disks, and how often each.
    fn disk_faults(&self, rng: &mut Rng) -> Vec<(u64, DrawFault)> {
        if !self.durable {
            return Vec::new();
        }
        let mut times = |per_mille, most| if rng.chance(per_mille) { rng.between(1, most) } else { 0 };
        vec![
            (times(400, 3), |rng, _| Fault::PowerCut {
                restart_within: *rng.pick(&[1_000, 100_000, 1_000_000]),
            }),
            (times(300, 1), |_, replica| Fault::Backup(replica)),
            (times(400, 2), |_, replica| Fault::LoseDisk(replica)),
            (times(400, 3), |_, replica| Fault::FlipBit(replica)),
            (times(400, 3), |_, replica| Fault::FlipState(replica)),
            (times(300, 3), |rng, replica| Fault::FailDisk { replica, after: rng.below(50) }),
        ]
    }
}
