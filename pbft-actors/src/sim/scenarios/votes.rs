//! View changes that are forged, lost or interrupted (scenarios 16 and 17, and traps).

use super::*;
use crate::adversary::ViewClimber;
use crate::message::{Kind, Signer};
use crate::role::To;

/// Tells each half of its peers another story of what it prepared.
struct Contradictory {
    half: ReplicaSet,
    other: ReplicaSet,
}

impl Adversary for Contradictory {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        match message {
            Message::ViewChange(vote) if vote.sender == signer.sender => {
                let mut lie = vote.message.clone();
                lie.prepared.clear();
                let lie = signer.sign(Kind::ViewChange, lie);
                vec![
                    (To::Replicas(self.half), Message::ViewChange(vote)),
                    (To::Replicas(self.other), Message::ViewChange(lie)),
                ]
            }
            other => vec![(to, other)],
        }
    }
}

#[test]
fn scenario_16_contradictory_view_changes() {
    for n in SIZES {
        for liar in 1..n {
            let mut cluster = group(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND / 2);
            cluster.turn(r(liar), Contradictory { half: set(0..n / 2), other: set(n / 2..n) });
            (0..n).filter(|id| *id != liar).for_each(|id| cluster.suspect(r(id)));
            cluster.executes_within(2);
            cluster.wait(SECOND);
            cluster.silence();
            cluster.settles();
        }
    }
}

#[test]
fn scenario_16_and_17_f_replicas_ask_for_ever_higher_views_and_nobody_moves() {
    for n in SIZES {
        let mut cluster = group(n);
        for id in n - cluster.f()..n {
            cluster.turn(r(id), ViewClimber::new(2 * MILLISECOND));
        }
        cluster.load(ALICE, ENDLESS);
        cluster.wait(5 * SECOND);
        assert_eq!(cluster.checker.view_changes, 0, "n={n}");
        assert!(cluster.answered() > 100, "n={n}: {} answered", cluster.answered());
        cluster.silence();
        cluster.settles();
    }
}

#[test]
fn trap_view_changes_are_lost_and_the_partition_heals() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND / 2);
        // Everyone alone: all suspect, and no VIEW-CHANGE arrives anywhere.
        for id in 0..n {
            cluster.partition(&[r(id)]);
        }
        cluster.wait(5 * SECOND);
        cluster.heal();
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

/// One replica is away during the whole view change: it lacks every VIEW-CHANGE and the NEW-VIEW.
#[test]
fn trap_new_view_reaches_a_replica_that_lacks_its_view_changes() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 5);
        cluster.settles();
        cluster.cut_off(r(n - 1));
        (0..n - 1).for_each(|id| cluster.suspect(r(id)));
        cluster.wait(SECOND);
        assert_eq!(cluster.view(), View(1), "n={n}");
        cluster.heal();
        cluster.expect(SECOND, "entering view 1", |c| c.correct().all(|node| node.view() == View(1)));
        cluster.settles();
    }
}

/// A replica that is behind the checkpoint from which a view starts transfers, and then votes in it.
#[test]
fn trap_a_view_is_entered_again_after_a_transfer() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 150);
        cluster.cut_off(r(n - 1));
        cluster.wait(2 * SECOND);
        (0..n - 1).for_each(|id| cluster.suspect(r(id)));
        cluster.wait(SECOND);
        cluster.heal();
        cluster.wait(3 * SECOND);
        assert!(cluster.checker.transfers > 0, "n={n}");
        assert!(cluster.correct().all(|node| node.is_active() && node.view() == cluster.view()), "n={n}");
        // Its vote is needed now.
        let f = cluster.f();
        let primary = cluster.plan.quorums.primary(cluster.view()).index();
        let dead = (1..n).map(|id| (primary + id) % n).filter(|id| *id != n - 1).take(f);
        dead.collect::<Vec<_>>().into_iter().for_each(|id| cluster.crash(r(id)));
        cluster.load(ALICE, 20);
        cluster.executes_within(0);
        cluster.settles();
    }
}

/// A backup whose stable checkpoint is one behind is proposed to beyond its window.
#[test]
fn trap_the_window_of_a_backup_is_behind_its_primary_s() {
    for n in SIZES {
        let mut plan = plan(n);
        (plan.checkpoint_interval, plan.window) = (1, 1);
        let mut cluster = started(plan);
        let (slow, others) = (Peer::Replica(r(n - 1)), (1..n - 1).map(|id| Peer::Replica(r(id))));
        // It hears of proposals, and of checkpoints only when the primary repeats them.
        others.for_each(|other| cluster.network.cut(other, slow));
        cluster.load(ALICE, ENDLESS);
        cluster.executes_within(0);
        cluster.wait(2 * SECOND);
        cluster.heal();
        cluster.executes_within(0);
        cluster.settles();
    }
}

/// Batches prepared before a long partition are proposed again with a time that no clock accepts.
#[test]
fn trap_a_batch_proposed_again_is_not_held_against_the_clock() {
    for n in SIZES {
        let mut plan = plan(n);
        plan.tuning.clock_tolerance = Millis(1_500);
        let mut cluster = started(plan);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND / 2);
        let half: Vec<ReplicaId> = (0..n / 2).map(r).collect();
        cluster.partition(&half);
        cluster.wait(30 * SECOND);
        cluster.heal();
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
        let view = cluster.view();
        cluster.load(ALICE, 50);
        cluster.wait(5 * SECOND);
        assert_eq!(cluster.view(), view, "n={n}: healthy replicas need no further view change");
        cluster.settles();
    }
}

#[test]
fn trap_agreed_time_never_goes_back() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        let mut last = cluster.nodes[n - 1].as_ref().unwrap().time();
        // Every replica's clock is off by up to a second, so each new primary's is another.
        for view in 0..n {
            for _ in 0..20 {
                cluster.wait(10 * MILLISECOND);
                let node = cluster.nodes[n - 1].as_ref().unwrap();
                // What is tentative may be undone.
                if node.is_ahead() {
                    continue;
                }
                let time = node.time();
                assert!(time >= last, "n={n}: {time} after {last}");
                last = time;
            }
            (0..n).for_each(|id| cluster.suspect(r(id)));
            cluster.expect(3 * SECOND, "the next view", |c| c.view() > View(view as u64));
        }
        cluster.settles();
    }
}
