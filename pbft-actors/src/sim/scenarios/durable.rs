//! Replicas that keep a journal: power cuts, failing, lost and rolled back disks (15, 22, 23, 24 and
//! 34), and what the first weeks of durable mode found, each named by its cause.

use std::collections::BTreeSet;

use super::clients::answers;
use super::*;
use crate::message::{FRAME_OVERHEAD_BYTES, HEADER_BYTES, Kind};
use crate::ports::state::PAGE_BYTES;
use crate::ports::storage::{Disk, MemoryDisk};

/// Bytes of a frame after its body.
const TAG_BYTES: usize = FRAME_OVERHEAD_BYTES - HEADER_BYTES;

fn durable_plan(n: usize, sync_max: Micros) -> Plan {
    Plan { durable: true, sync_max, ..plan(n) }
}

/// A group of `n` with disks, in which every replica votes.
fn durable(n: usize) -> Cluster {
    started(durable_plan(n, 500))
}

impl Cluster {
    fn votes(&self, id: usize) -> bool {
        self.nodes[id].as_ref().is_some_and(|node| node.votes())
    }

    /// All replicas lose power at once, and come back one after the other.
    fn lose_power(&mut self) {
        let down = self.cut_power();
        for (count, id) in down.into_iter().enumerate() {
            self.restart_after(id, (1 + count as u64 * 7) * MILLISECOND);
        }
    }

    /// Everyone is back, and nobody lost anything.
    fn resumes(&mut self, lost: u64) {
        let n = self.n();
        self.expect(10 * SECOND, "voting again", |c| c.correct().filter(|node| node.votes()).count() == n);
        assert_eq!(self.checker.rejoins, lost, "n={n}: replicas that asked to be let in again");
    }

    /// A replica that lost its memory abstains until its R, and votes then. Where it asks again, the
    /// first R is the one that counts: it has promised nothing since.
    fn abstains_and_rejoins(&mut self, id: usize, from: usize) {
        self.expect(20 * SECOND, "voting again", |c| {
            let target = c.events[from..].iter().find_map(|(_, own, event)| match event {
                Event::Rejoining { target } if *own == r(id) => Some(*target),
                _ => None,
            });
            let Some(node) = c.nodes[id].as_ref() else { return false };
            let passed = target.is_some_and(|target| node.stable() >= target);
            assert!(!node.votes() || passed, "replica {id} votes before its R {target:?}");
            node.votes()
        });
    }

    /// Damages what is on a disk at the place of these bytes, wherever that is.
    fn damage(&self, id: usize, part: &[u8]) -> bool {
        let disk = &self.disks[id];
        let place = |content: Vec<u8>| content.windows(part.len()).position(|window| window == part);
        let files = disk.clone().list().unwrap();
        let places = files.iter().filter_map(|file| Some((file, place(disk.content(file))?)));
        let damaged: Vec<bool> =
            places.map(|(file, offset)| disk.flip(file, offset + part.len() / 2, 4)).collect();
        damaged.contains(&true)
    }

    /// Bodies of the frames of this kind that a replica's peers heard, while the test listens.
    fn heard_of(&self, from: usize, kind: Kind) -> Vec<bytes::Bytes> {
        let heard = self.heard.iter().flatten();
        let heard = heard.filter(|(sender, _, frame)| {
            *sender == Peer::Replica(r(from)) && frame.get(1) == Some(&(kind as u8))
        });
        heard.map(|(_, _, frame)| frame.slice(HEADER_BYTES..frame.len() - TAG_BYTES)).collect()
    }
}

#[test]
fn scenario_15_an_old_request_gets_its_first_answer_after_restarts_too() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(BOB, 1);
        cluster.settles();
        let request = cluster.sign(cluster.operation_of(BOB, 2, 1_000_001));
        let first = answers(&mut cluster, &request);
        let answered = first.iter().map(|(replica, ..)| *replica).collect::<BTreeSet<ReplicaId>>();
        assert_eq!(answered.len(), n, "n={n}: all answer");
        let (_, seq, outcome) = first[0].clone();
        for id in 0..n {
            cluster.crash(r(id));
            cluster.restart_after(r(id), 10 * MILLISECOND);
            cluster.wait(SECOND);
        }
        cluster.lose_power();
        cluster.resumes(0);
        cluster.wait(SECOND);
        let again = answers(&mut cluster, &request);
        assert_eq!(again.len(), n, "n={n}: all answer after the restarts");
        assert!(again.iter().all(|(_, s, o)| *s == seq && *o == outcome), "n={n}: {again:?}");
        cluster.settles();
    }
}

#[test]
fn scenario_22_all_replicas_lose_power_under_load_again_and_again() {
    for n in SIZES {
        for sync_max in [0, 2 * MILLISECOND] {
            let mut cluster = started(durable_plan(n, sync_max));
            cluster.load(ALICE, ENDLESS);
            for round in 0..8 {
                cluster.wait(60 * MILLISECOND + round * 13_500);
                cluster.lose_power();
                cluster.resumes(0);
                cluster.executes_after_a_storm_within(2);
            }
            cluster.settles();
            assert!(cluster.answered() > 50, "n={n}: {} answered", cluster.answered());
        }
    }
}

/// While its journal is replayed a replica can have nothing saved: who waited for that waited for ever.
#[test]
fn scenario_22_with_more_in_memory_than_is_allowed_and_a_slow_disk() {
    for n in SIZES {
        let mut plan = durable_plan(n, 20 * MILLISECOND);
        plan.tuning.state_memory_bytes = 4_096;
        let mut cluster = started(plan);
        cluster.load(ALICE, ENDLESS);
        for round in 0..4 {
            cluster.wait(SECOND / 2 + round * 13_500);
            cluster.lose_power();
            cluster.resumes(0);
            cluster.executes_after_a_storm_within(2);
        }
        cluster.settles();
    }
}

#[test]
fn scenario_22_power_fails_again_before_anyone_is_back() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND / 4);
        for round in 0..10 {
            cluster.lose_power();
            cluster.wait(round * 4 * MILLISECOND);
        }
        cluster.resumes(0);
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

#[test]
fn scenario_22_every_replica_in_turn_is_killed_and_goes_on_where_it_was() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        for id in 0..n {
            cluster.wait(100 * MILLISECOND);
            cluster.crash(r(id));
            cluster.restart_after(r(id), 30 * MILLISECOND);
            cluster.executes_after_a_storm_within(2);
            cluster.resumes(0);
        }
        cluster.settles();
    }
}

/// One bit is never more than one place of two: no promise is lost, so nobody need be let in again.
#[test]
fn scenario_22_one_bit_anywhere_in_the_journal_of_a_replica() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        for round in 0..12 {
            cluster.wait(80 * MILLISECOND);
            let victim = round % n;
            cluster.flip_bit(r(victim));
            cluster.restart_after(r(victim), 20 * MILLISECOND);
            cluster.expect(20 * SECOND, "voting again", |c| c.votes(victim));
            cluster.executes_after_a_storm_within(2);
        }
        cluster.settles();
    }
}

#[test]
fn scenario_23_a_replica_whose_disk_fails_stops_at_once_and_comes_back_when_it_is_mended() {
    for n in SIZES {
        for victim in 0..n {
            let mut cluster = durable(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND / 4);
            cluster.disks[victim].fail_after(0);
            cluster.expect(SECOND, "stopping", |c| c.nodes[victim].is_none());
            assert_eq!(cluster.counts.disk_failures, 1, "n={n}: it says why");
            // What had left before arrives.
            cluster.wait(3 * MILLISECOND);
            cluster.heard = Some(Vec::new());
            cluster.wait(5 * MILLISECOND);
            assert!(cluster.nodes[victim].is_none(), "n={n}: nothing is tried again");
            for kind in Kind::ALL {
                assert_eq!(cluster.heard_of(victim, kind).len(), 0, "n={n}: {kind:?}");
            }
            cluster.heard = None;
            cluster.resumes(0);
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}

#[test]
fn scenario_23_disks_fail_after_any_number_of_operations() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        for after in 1..20 {
            let victim = after % n;
            cluster.disks[victim].fail_after(after as u64);
            cluster.expect(5 * SECOND, "stopping", |c| c.counts.disk_failures >= after as u64);
            cluster.resumes(0);
        }
        cluster.settles();
    }
}

#[test]
fn scenario_24_a_replica_whose_disk_is_lost_rejoins_and_votes_again() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        for id in 0..n {
            cluster.wait(200 * MILLISECOND);
            let from = cluster.events.len();
            cluster.lose_disk(r(id), None);
            cluster.restart_after(r(id), 20 * MILLISECOND);
            cluster.abstains_and_rejoins(id, from);
            cluster.executes_after_a_storm_within(2);
        }
        assert_eq!(cluster.checker.rejoins, n as u64, "n={n}: each asked once");
        // From here on they have their memory again.
        cluster.lose_power();
        cluster.resumes(n as u64);
        cluster.settles();
    }
}

/// The others hold votes that the older copy does not.
#[test]
fn scenario_24_a_replica_whose_disk_went_back_to_an_earlier_copy_rejoins_and_votes_again() {
    for n in SIZES {
        for id in 0..n {
            let mut cluster = durable(n);
            cluster.load(ALICE, 5);
            cluster.expect(SECOND, "answering Alice", |c| c.clients_done() && c.is_converged());
            let copy: MemoryDisk = cluster.disks[id].copy();
            cluster.load(ALICE, 1);
            cluster.expect(SECOND, "answering Alice", |c| c.clients_done() && c.is_converged());
            while cluster.highest_executed().0.is_multiple_of(cluster.plan.checkpoint_interval) {
                cluster.load(ALICE, 1);
                cluster.expect(SECOND, "answering Alice", |c| c.clients_done() && c.is_converged());
            }
            // Votes that were still on their way to its disk nobody has seen.
            cluster.wait(10 * MILLISECOND);
            let from = cluster.events.len();
            cluster.lose_disk(r(id), Some(copy));
            cluster.restart_after(r(id), 20 * MILLISECOND);
            cluster.abstains_and_rejoins(id, from);
            assert_eq!(cluster.checker.rejoins, 1, "n={n}: replica {id} found out");
            cluster.load(ALICE, 5);
            cluster.settles();
        }
    }
}

#[test]
fn scenario_34_everyone_crashes_while_votes_are_on_their_way_to_disk_and_the_view_changes() {
    for n in SIZES {
        for after in [0, 500, 1_000, 3_000, 7_000, 15_000, 25_000, 40_000] {
            let mut cluster = started(durable_plan(n, 8 * MILLISECOND));
            cluster.load(ALICE, ENDLESS);
            cluster.load(BOB, ENDLESS);
            cluster.wait(SECOND / 4);
            (1..n).for_each(|id| cluster.suspect(r(id)));
            cluster.wait(after);
            cluster.lose_power();
            cluster.resumes(0);
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}

#[test]
fn scenario_34_the_view_changes_again_and_again_while_disks_are_slow() {
    for n in SIZES {
        let mut cluster = started(durable_plan(n, 20 * MILLISECOND));
        cluster.load(ALICE, ENDLESS);
        for _ in 0..6 {
            cluster.wait(150 * MILLISECOND);
            (0..n).for_each(|id| cluster.suspect(r(id)));
            cluster.executes_after_a_storm_within(2);
        }
        cluster.settles();
    }
}

/// A trap: any one of them, at any point, and it has its memory.
#[test]
fn a_restart_in_the_middle_of_a_view_change() {
    for n in SIZES {
        for victim in 0..n {
            for after in [500, 4_000, 12_000] {
                let mut cluster = durable(n);
                cluster.load(ALICE, ENDLESS);
                cluster.wait(SECOND / 4);
                (1..n).for_each(|id| cluster.suspect(r(id)));
                cluster.wait(after);
                cluster.crash(r(victim));
                cluster.restart_after(r(victim), 30 * MILLISECOND);
                cluster.resumes(0);
                cluster.executes_after_a_storm_within(2);
                cluster.settles();
            }
        }
    }
}

/// A restarted primary granted itself places from its window's begin, where it had proposed before.
#[test]
fn a_restarted_primary_proposes_above_what_it_had_promised() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        cluster.load(BOB, ENDLESS);
        for round in 0..6 {
            cluster.wait(50 * MILLISECOND + round * 3_700);
            // Nobody hears what it proposes last, so that no view changes for it.
            let primary = cluster.plan.quorums.primary(cluster.view());
            cluster.cut_off(primary);
            cluster.wait(10 * MILLISECOND);
            cluster.crash(primary);
            cluster.heal();
            cluster.restart_after(primary, 5 * MILLISECOND);
            cluster.resumes(0);
            cluster.executes_after_a_storm_within(2);
        }
        cluster.settles();
    }
}

/// A VIEW-CHANGE that came while the NEW-VIEW was on its way to disk made another one.
#[test]
fn a_primary_signs_one_new_view_although_more_view_changes_come_while_it_is_written() {
    for n in SIZES {
        let mut cluster = started(durable_plan(n, 30 * MILLISECOND));
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND / 4);
        cluster.heard = Some(Vec::new());
        let q = cluster.q();
        (1..=q).filter(|id| *id < n).for_each(|id| cluster.suspect(r(id)));
        cluster.wait(5 * MILLISECOND);
        (q + 1..n).for_each(|id| cluster.suspect(r(id)));
        cluster.suspect(r(0));
        cluster.executes_after_a_storm_within(2);
        let mut heard = cluster.heard_of(1, Kind::NewView);
        assert!(!heard.is_empty(), "n={n}: view 1 started");
        heard.sort_unstable();
        heard.dedup();
        assert_eq!(heard.len(), 1, "n={n}: one NEW-VIEW");
        cluster.heard = None;
        cluster.settles();
    }
}

/// One that was signed again beside the first would look like two different ones for one view.
#[test]
fn a_view_change_whose_body_the_disk_lost() {
    for n in SIZES {
        for victim in 1..n {
            let mut cluster = durable(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND / 4);
            // The primary of the next view hears nothing, so that it does not start.
            let next = if victim == 1 { 2 } else { 1 };
            cluster.cut_off(r(next));
            cluster.heard = Some(Vec::new());
            (0..n).filter(|id| *id != next).for_each(|id| cluster.suspect(r(id)));
            cluster.wait(20 * MILLISECOND);
            let signed = cluster.heard_of(victim, Kind::ViewChange);
            assert!(!signed.is_empty(), "n={n}: replica {victim} asked for view 1");
            cluster.heard = None;
            cluster.crash(r(victim));
            // It passes on those of others as well, which are not on its disk.
            let lost = signed.iter().any(|signed| cluster.damage(victim, signed));
            assert!(lost, "n={n}: it is on its disk");
            cluster.restart_after(r(victim), 10 * MILLISECOND);
            cluster.wait(100 * MILLISECOND);
            cluster.heal();
            cluster.resumes(0);
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}

/// A state that is fetched up to the very checkpoint that the journal knows to be stable moves no
/// window, and the VIEW-CHANGE went on to name seqs below it: it counted nowhere.
#[test]
fn a_view_change_after_a_transfer_names_nothing_below_the_stable_checkpoint() {
    for n in SIZES {
        for id in 0..n {
            let mut cluster = durable(n);
            // Enough that the journal has let go of what leads there from the beginning.
            cluster.load(ALICE, 300);
            cluster.expect(10 * SECOND, "answering Alice", |c| c.clients_done() && c.is_converged());
            // Nothing is decided above the checkpoint, so nothing but the transfer moves anything.
            while !cluster.highest_executed().0.is_multiple_of(cluster.plan.checkpoint_interval) {
                cluster.load(ALICE, 1);
                cluster.expect(SECOND, "answering Alice", |c| c.clients_done() && c.is_converged());
            }
            cluster.wait(SECOND);
            cluster.crash(r(id));
            let mut disk = cluster.disks[id].clone();
            disk.remove("state").and_then(|()| disk.sync_names()).unwrap();
            cluster.restart_after(r(id), 10 * MILLISECOND);
            cluster.expect(5 * SECOND, "a transfer", |c| c.checker.transfers > 0 && c.votes(id));
            let rejected = |c: &Cluster| -> u64 { c.nodes.iter().flatten().map(|node| node.rejected).sum() };
            let before = rejected(&cluster);
            (0..n).for_each(|id| cluster.suspect(r(id)));
            cluster.wait(SECOND);
            assert_eq!(rejected(&cluster), before, "n={n}: the VIEW-CHANGE of replica {id} is valid");
            cluster.load(ALICE, 5);
            cluster.settles();
        }
    }
}

/// The group let it in under the log that it has, so nobody knows another one; but it stopped before
/// it could vote.
#[test]
fn a_replica_that_lost_its_memory_and_stops_again_while_it_waits() {
    for n in SIZES {
        for after in [5, 20, 40, 80, 160, 320] {
            let mut cluster = durable(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND / 4);
            let (id, from) = (n - 1, cluster.events.len());
            cluster.lose_disk(r(id), None);
            cluster.restart_after(r(id), 0);
            cluster.wait(after * MILLISECOND);
            if cluster.nodes[id].is_some() {
                cluster.crash(r(id));
                cluster.restart_after(r(id), 10 * MILLISECOND);
            }
            cluster.abstains_and_rejoins(id, from);
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}

/// Scenario 28 on disk: the state file of a replica that runs rots. It finds out by itself, fetches the
/// state and never answers wrongly.
#[test]
fn scenario_28_a_state_that_rots_on_disk_is_found_and_repaired() {
    for n in SIZES {
        let mut cluster = durable(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND);
        for victim in [0, n - 1] {
            let from = cluster.events.len();
            let (disk, first) = (cluster.disks[victim].clone(), 2 * PAGE_BYTES);
            (first..disk.content("state").len()).step_by(512).for_each(|at| {
                disk.flip("state", at, 2);
            });
            cluster.flip_state(r(victim));
            let happened = |c: &Cluster, wanted: fn(&Event) -> bool| {
                c.events[from..].iter().any(|(_, by, event)| *by == r(victim) && wanted(event))
            };
            cluster.expect(3 * SECOND, "finding it", |c| happened(c, |e| matches!(e, Event::Damaged { .. })));
            cluster.expect(3 * SECOND, "repairing it", |c| {
                happened(c, |event| matches!(event, Event::Transferred { .. }))
            });
        }
        cluster.executes_after_a_storm_within(1);
        cluster.settles();
    }
}
