//! Primaries that die, lie, favour or dawdle (scenarios 1 to 6, 8, 16 and 37).

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::adversary::{BadNewView, Conspiracy, Face, Mute, Partial, Slow, TwoFaced, Unfair};
use crate::message::Kind;

/// Until what was decided when a primary died is executed everywhere.
const IN_FLIGHT: Micros = 20 * MILLISECOND;

/// How fast is not looked at: steps take no virtual time.
#[test]
fn scenario_1_f_dead_backups_end_no_view() {
    for n in SIZES {
        let mut cluster = group(n);
        (n - cluster.f()..n).for_each(|id| cluster.crash(r(id)));
        cluster.load(ALICE, 100);
        cluster.load(BOB, 100);
        cluster.expect(20 * SECOND, "answering both", Cluster::clients_done);
        assert_eq!((cluster.view(), cluster.checker.view_changes), (View(0), 0), "n={n}");
        cluster.settles();
    }
}

/// A batch is due every 0.9 T, and each client waits less than T: whether such a primary is replaced is
/// for the work against slow ones. Here nobody is left without an answer.
#[test]
fn scenario_6_a_primary_that_proposes_at_the_last_moment_serves_everyone() {
    for n in SIZES {
        let mut cluster = group(n);
        let late = cluster.plan.tuning.timeout.micros() * 9 / 10;
        cluster.turn(r(0), Slow::new(late, true));
        cluster.load(ALICE, 10);
        cluster.load(BOB, 10);
        cluster.expect(60 * SECOND, "answering both", Cluster::clients_done);
        cluster.settles();
    }
}

#[test]
fn scenario_2_the_primary_is_killed_under_load() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.load(BOB, ENDLESS);
        cluster.wait(SECOND);
        cluster.crash(r(0));
        cluster.wait(IN_FLIGHT);
        cluster.executes_within(1);
        assert_eq!(cluster.view(), View(1), "n={n}: one view change");
        cluster.settles();
    }
}

#[test]
fn scenario_3_f_primaries_in_a_row_are_dead() {
    for n in [7, 10, 13] {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND);
        let f = cluster.f();
        (0..f).for_each(|id| cluster.crash(r(id)));
        cluster.wait(IN_FLIGHT);
        cluster.executes_within(f as u32);
        assert_eq!(cluster.view(), View(f as u64), "n={n}");
        cluster.settles();
    }
}

#[test]
fn scenario_4_the_primary_equivocates_between_any_two_halves() {
    for n in SIZES {
        for fooled in 1..n {
            for face in [Face::Null, Face::OtherChoice] {
                for lies in [false, true] {
                    let mut cluster = group(n);
                    let half = set((n - fooled)..n);
                    let conspiracy = Conspiracy::new(cluster.everyone(), half, face, lies);
                    let conspiracy = Rc::new(RefCell::new(conspiracy));
                    cluster.turn(r(0), TwoFaced(conspiracy.clone()));
                    if cluster.f() > 1 {
                        cluster.turn(r(2), TwoFaced(conspiracy));
                    }
                    cluster.load(ALICE, ENDLESS);
                    cluster.executes_within(1);
                    cluster.wait(SECOND);
                    cluster.silence();
                    cluster.settles();
                }
            }
        }
    }
}

#[test]
fn scenario_5_the_primary_serves_all_but_one_client() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 1);
        cluster.load(BOB, 1);
        cluster.settles();
        cluster.turn(r(0), Unfair(BOB));
        cluster.load(ALICE, ENDLESS);
        cluster.wait(100 * MILLISECOND);
        let before = cluster.answered();
        cluster.load(BOB, 1);
        let limit = Cluster::limit(cluster.plan.tuning.timeout, 1);
        cluster.expect(limit, "serving Bob", |c| c.clients[&BOB].is_done());
        assert!(cluster.answered() > before + 10, "n={n}: Alice is served meanwhile");
        cluster.settles();
    }
}

/// A peer whose messages of one kind reach only some: for the others its MACs are wrong.
#[test]
fn scenario_8_every_kind_of_message_reaches_only_some_peers() {
    for n in SIZES {
        for kind in Kind::ALL {
            for (liar, told) in [(0, set(0..n / 2)), (0, set(n / 2..n)), (1, set([2]))] {
                let mut cluster = group(n);
                let everyone = cluster.everyone();
                cluster.turn(r(liar), Partial { everyone, told, kinds: vec![kind], answers: true });
                cluster.load(ALICE, ENDLESS);
                cluster.executes_within(1);
                cluster.wait(200 * MILLISECOND);
                cluster.silence();
                cluster.settles();
            }
        }
    }
}

/// Replica 1 is to lead the next view; its NEW-VIEW is refused and the group goes on to view 2.
#[test]
fn scenario_16_a_new_view_omits_or_invents_a_batch() {
    for n in SIZES {
        for lie in [BadNewView::Omits, BadNewView::Invents] {
            let mut cluster = group(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND);
            cluster.turn(r(1), lie);
            cluster.cut_off(r(0));
            cluster.expect(2 * SECOND, "leaving view 0", |c| c.correct().any(|node| !node.is_active()));
            cluster.heal();
            cluster.executes_within(2);
            cluster.wait(SECOND);
            assert!(cluster.view() >= View(2), "n={n}: nobody entered the view of the lie");
            let blamed = cluster.events.iter().filter(|(_, _, event)| {
                matches!(event, Event::Misbehaved { replica, what }
                    if *replica == r(1) && what.contains("NEW-VIEW"))
            });
            assert!(blamed.count() >= cluster.q() - 1, "n={n}: everyone saw the lie");
            cluster.silence();
            cluster.settles();
        }
    }
}

/// Nothing waits and everything was executed, yet X is not empty: the new view is settled all the same.
#[test]
fn scenario_37_a_view_change_in_an_idle_group_is_the_only_one() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 30);
        cluster.settles();
        for id in 0..n {
            cluster.suspect(r(id));
        }
        cluster.wait(30 * SECOND);
        assert_eq!(cluster.view(), View(1), "n={n}");
        assert!(cluster.correct().all(|node| node.is_active() && node.view() == View(1)), "n={n}");
        cluster.load(ALICE, 1);
        cluster.executes_within(0);
        cluster.settles();
    }
}

/// Only replica 1 executed the checkpoint that the view starts from; the other replicas that list it
/// are Byzantine and serve no pages.
#[test]
fn scenario_37_the_chosen_checkpoint_is_held_by_one_correct_replica_only() {
    for n in SIZES {
        let mut plan = plan(n);
        plan.outstanding = 16;
        let mut cluster = started(plan);
        let (f, q) = (cluster.f(), cluster.q());
        cluster.load(ALICE, 1);
        cluster.load(BOB, 1);
        cluster.settles();
        cluster.wait(SECOND);
        // Replica 0 and the last f-1 are Byzantine. Of the others, Q-1 beside replica 1 hear of
        // proposals and of each other, so that they prepare and lack one COMMIT.
        let byzantine: Vec<usize> = std::iter::once(0).chain(n - f + 1..n).collect();
        let busy: Vec<usize> = (2..2 + q - 1).collect();
        let everyone = cluster.everyone();
        for id in &byzantine {
            let kinds =
                vec![Kind::Commit, Kind::Decided, Kind::PageData, Kind::Certificate, Kind::Checkpoint];
            cluster.turn(r(*id), Partial { everyone, told: set([0, 1]), kinds, answers: false });
        }
        let peer = |id: usize| Peer::Replica(r(id));
        for to in 2..n {
            for from in 1..n {
                if !(busy.contains(&from) && busy.contains(&to)) {
                    cluster.network.cut(peer(from), peer(to));
                }
            }
        }
        let start = cluster.executed(r(1));
        let target = start.next().checkpoint_at_or_above(4);
        for _ in start.0..target.0 {
            cluster.load(ALICE, 1);
            cluster.wait(20 * MILLISECOND);
        }
        assert!(cluster.executed(r(1)) >= target, "n={n}: {}", cluster.stands());
        let behind = |c: &Cluster| busy.iter().all(|id| c.executed(r(*id)) < target);
        assert!(behind(&cluster), "n={n}: only replica 1 holds {target}: {}", cluster.stands());
        cluster.network.mend_all();
        (1..n).for_each(|id| cluster.suspect(r(id)));
        cluster.load(ALICE, ENDLESS);
        cluster.executes_within(2);
        cluster.wait(SECOND);
        cluster.silence();
        cluster.settles();
    }
}

#[test]
fn scenario_37_a_new_primary_never_saw_the_waiting_request() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 1);
        cluster.settles();
        cluster.network.cut(Peer::Client(ALICE), Peer::Replica(r(1)));
        cluster.turn(r(0), Mute);
        cluster.load(ALICE, 1);
        cluster.executes_within(1);
        cluster.settles();
    }
}
