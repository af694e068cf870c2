//! Replicas that lost their memory, start late, or are spoken for by their past (35 and 36).

use std::cell::RefCell;
use std::rc::Rc;

use super::regressions::Withholds;
use super::*;
use crate::adversary::{Conspiracy, Face, TwoFaced};
use crate::message::{Kind, Signed, Signer, ViewChange};
use crate::role::To;
use crate::sim::node::Node;
use crate::types::{LogId, Monotonic, Now};

/// Kills a replica; it comes back without memory and votes again, not before its R.
fn forget_and_rejoin(cluster: &mut Cluster, id: usize) {
    let from = cluster.events.len();
    cluster.crash(r(id));
    cluster.wait(50 * MILLISECOND);
    cluster.restart_after(r(id), 0);
    cluster.expect(20 * SECOND, "voting again", |c| {
        c.nodes[id].as_ref().is_some_and(|node| {
            let target = c.events[from..].iter().find_map(|(_, own, event)| match event {
                Event::Rejoining { target } if *own == r(id) => Some(*target),
                _ => None,
            });
            let r_is_stable = target.is_some_and(|target| node.stable() >= target);
            assert!(!node.votes() || r_is_stable, "replica {id} votes before its R {target:?}");
            node.votes()
        })
    });
}

#[test]
fn scenario_35_every_replica_in_turn_loses_its_memory_under_load() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        for id in 0..n {
            cluster.wait(200 * MILLISECOND);
            forget_and_rejoin(&mut cluster, id);
            cluster.executes_after_a_storm_within(2);
        }
        assert_eq!(cluster.checker.rejoins, n as u64, "n={n}: each asked once to be let in");
        cluster.settles();
    }
}

/// n=4 seed 101625, n=5 seed 101135 of their time: the REJOIN of a former life, whose clock was ahead, is ordered
/// after its successor asked.
#[test]
fn scenario_35_a_rejoin_of_a_former_life_does_not_shut_its_successor_out() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 10);
        cluster.settles();
        // The others hear the last one but not each other: they hold a REJOIN and cannot order it.
        for a in 0..n - 1 {
            for b in (0..n - 1).filter(|b| *b != a) {
                cluster.network.cut(Peer::Replica(r(a)), Peer::Replica(r(b)));
            }
        }
        for (lives, by) in [(1, 0), (2, -10 * SECOND as i64)] {
            let now = cluster.now;
            cluster.clocks[n - 1].jump(now, by);
            cluster.crash(r(n - 1));
            cluster.restart_after(r(n - 1), 50 * MILLISECOND);
            cluster.expect(SECOND, "starting", |c| c.nodes[n - 1].is_some());
            if lives == 2 {
                // What it asks for in its second life is lost on the way, until that of the first is executed.
                cluster.nodes[n - 1].as_mut().unwrap().adversary =
                    Some(Box::new(Withholds(vec![Kind::Request])));
            }
            cluster.expect(5 * SECOND, "asking to be let in", |c| c.checker.rejoins >= lives);
            // Until it is heard.
            cluster.wait(20 * MILLISECOND);
        }
        cluster.network.mend_all();
        let executed = cluster.highest_executed();
        cluster.expect(10 * SECOND, "executing it", |c| c.executed(r(n - 1)) > executed);
        cluster.nodes[n - 1].as_mut().unwrap().adversary = None;
        cluster.expect(30 * SECOND, "voting again", |c| c.nodes[n - 1].as_ref().is_some_and(Node::votes));
        cluster.settles();
    }
}

#[test]
fn scenario_35_every_replica_in_turn_loses_its_memory_in_an_idle_group() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 10);
        cluster.settles();
        for id in (0..n).rev() {
            forget_and_rejoin(&mut cluster, id);
        }
        cluster.load(ALICE, 1);
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

#[test]
fn scenario_35_memory_is_lost_in_the_middle_of_a_view_change() {
    for n in SIZES {
        for victim in 0..n {
            let mut cluster = group(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND / 2);
            // The first VIEW-CHANGEs are on their way.
            (1..n).for_each(|id| cluster.suspect(r(id)));
            cluster.wait(500);
            forget_and_rejoin(&mut cluster, victim);
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}

/// f replicas forgot and rejoined; then others, up to f, turn Byzantine.
#[test]
fn scenario_35_f_forgetful_and_then_f_byzantine() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        let f = cluster.f();
        (n - f..n).for_each(|id| forget_and_rejoin(&mut cluster, id));
        let half = set(n - n / 2..n);
        let conspiracy = Conspiracy::new(cluster.everyone(), half, Face::OtherChoice, true);
        let conspiracy = Rc::new(RefCell::new(conspiracy));
        let primary = cluster.plan.quorums.primary(cluster.view());
        cluster.turn(primary, TwoFaced(conspiracy.clone()));
        if f > 1 {
            cluster.turn(r((primary.index() + 1) % n), TwoFaced(conspiracy));
        }
        cluster.executes_after_a_storm_within(f as u32);
        cluster.wait(3 * SECOND);
        cluster.silence();
        cluster.settles();
    }
}

#[test]
fn scenario_36_a_first_start_with_a_quorum_and_the_rest_much_later() {
    for n in SIZES {
        let mut cluster = Cluster::new(1, plan(n));
        let q = cluster.q();
        (q..n).for_each(|id| cluster.crash(r(id)));
        cluster.load(ALICE, 50);
        cluster.executes_within(2);
        cluster.wait(60 * SECOND);
        (q..n).for_each(|id| cluster.restart_after(r(id), 0));
        cluster.expect(10 * SECOND, "catching up", |c| c.correct().count() == n && c.is_converged());
        assert_eq!(cluster.checker.rejoins, 0, "n={n}: a late first start lost no memory");
        cluster.settles();
    }
}

/// Says what another replica signed in a former life, again and again.
struct Ghost {
    past: Vec<Signed<ViewChange>>,
    own: Option<ViewChange>,
    next: Monotonic,
}

impl Adversary for Ghost {
    fn on_tick(&mut self, now: Now, signer: &Signer) -> Vec<(To, Message)> {
        if now.monotonic < self.next {
            return Vec::new();
        }
        self.next = now.monotonic.plus(Millis(5));
        let own = self.own.take().map(|message| signer.sign(Kind::ViewChange, message));
        self.past.iter().cloned().chain(own).map(|vote| (To::Others, Message::ViewChange(vote))).collect()
    }
}

#[test]
fn scenario_36_view_changes_of_a_former_life_count_for_nothing() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        let old: LogId = cluster.nodes[n - 1].as_ref().unwrap().log;
        forget_and_rejoin(&mut cluster, n - 1);
        cluster.wait(SECOND);
        let view = cluster.view();
        let message = ViewChange {
            view: View(view.0 + 5),
            stable: Seq::ZERO,
            checkpoints: Vec::new(),
            prepared: Vec::new(),
            pre_prepared: Vec::new(),
            signed_only: Vec::new(),
        };
        let past = vec![cluster.signer(r(n - 1), old).sign(Kind::ViewChange, message.clone())];
        // With the f Byzantine ones' own these would be weak-many, if the past counted.
        for id in 1..=cluster.f() {
            cluster.turn(r(id), Ghost { past: past.clone(), own: Some(message.clone()), next: Monotonic(0) });
        }
        cluster.wait(3 * SECOND);
        assert_eq!(cluster.view(), view, "n={n}: nobody follows the dead");
        cluster.executes_within(0);
        cluster.silence();
        cluster.settles();
    }
}
