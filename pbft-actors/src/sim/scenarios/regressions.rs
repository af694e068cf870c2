//! What seeds found, as scripts. Each names the seed that found it, under the plans of its time.

use super::*;
use crate::adversary::Mute;
use crate::message::Kind;
use crate::role::To;

/// n=4 seed 22: a batch is decided before its body comes, and the body comes with a late proposal.
#[test]
fn a_decided_batch_whose_body_comes_late_is_delivered() {
    for n in SIZES {
        let mut cluster = group(n);
        let (primary, late) = (Peer::Replica(r(0)), Peer::Replica(r(n - 1)));
        // It hears everyone but the primary, and nobody hears its questions.
        cluster.network.cut(primary, late);
        for id in 0..n - 1 {
            cluster.network.cut(late, Peer::Replica(r(id)));
        }
        cluster.load(ALICE, 2);
        cluster.wait(80 * MILLISECOND);
        assert!(cluster.highest_executed() > cluster.executed(r(n - 1)), "n={n}: it lacks the bodies");
        cluster.network.mend_all();
        cluster.expect(SECOND, "delivering", |c| c.executed(r(n - 1)) == c.highest_executed());
        cluster.settles();
    }
}

/// A transfer whose checkpoint all peers dropped meanwhile must follow the group.
#[test]
fn a_transfer_follows_a_group_that_moves_on() {
    for n in SIZES {
        let mut plan = plan(n);
        (plan.checkpoint_interval, plan.window) = (1, 2);
        let mut cluster = started(plan);
        cluster.cut_off(r(n - 1));
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND);
        cluster.network.mend_all();
        // The group makes a checkpoint every few milliseconds, and links are slower than that.
        cluster.network.set_plan(LinkPlan { delay_max: 5_000, ..LinkPlan::HEALED });
        cluster.expect(5 * SECOND, "a transfer", |c| {
            c.events_of(r(n - 1)).any(|event| matches!(event, Event::Transferred { .. }))
        });
        cluster.executes_within(0);
        cluster.settles();
    }
}

/// n=4 seed 1424: the only certificate there is has a vote under a log that is void since.
#[test]
fn a_certificate_with_a_vote_under_an_older_log_still_helps() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.cut_off(r(n - 1));
        cluster.load(ALICE, 40);
        cluster.wait(2 * SECOND);
        // A signer of the stable certificate forgets while nobody makes another one.
        cluster.crash(r(1));
        cluster.heal();
        cluster.restart_after(r(1), 10 * MILLISECOND);
        let at_least = cluster.highest_executed();
        cluster.expect(20 * SECOND, "catching up", |c| c.executed(r(n - 1)) >= at_least);
        cluster.settles();
    }
}

/// Keeps back what kinds of message it is told to.
pub(super) struct Withholds(pub(super) Vec<Kind>);

impl Adversary for Withholds {
    fn on_send(&mut self, to: To, message: Message, _signer: &crate::message::Signer) -> Vec<(To, Message)> {
        if self.0.contains(&message.kind()) { Vec::new() } else { vec![(to, message)] }
    }
}

/// n=4 seed 1974 and n=6 seed 443: a replica that transfers reaches the target by executing, or the
/// state jumps while batches are on their way to the executor. Either way the transfer ends.
#[test]
fn a_transfer_overtaken_by_execution_ends() {
    for n in SIZES {
        for lag in 1..12 {
            let mut plan = plan(n);
            (plan.checkpoint_interval, plan.window) = (2, 2);
            let mut cluster = started(plan);
            // f replicas never hand out pages, so that transfers last.
            for id in 0..cluster.f() {
                cluster.turn(r(id + 1), Withholds(vec![Kind::PageData]));
            }
            cluster.load(ALICE, ENDLESS);
            cluster.wait(100 * MILLISECOND);
            for _ in 0..5 {
                cluster.cut_off(r(n - 1));
                cluster.wait(lag * 5 * MILLISECOND);
                cluster.network.mend_all();
                cluster.wait(60 * MILLISECOND);
            }
            cluster.stop_load();
            cluster.expect(20 * SECOND, "ending every transfer", |c| {
                c.executed(r(n - 1)) == c.highest_executed() && c.clients_done()
            });
            cluster.wait(SECOND);
            assert!(cluster.stands().matches("transfer true").count() == 0, "n={n}: {}", cluster.stands());
            cluster.silence();
            cluster.settles();
        }
    }
}

/// A replica that stays behind through many views holds no more than its own window and X's.
///
/// n=4 seed 122, once the checker looked at bounds: what each NEW-VIEW chose beyond the window of
/// the replica was kept for ever.
#[test]
fn slots_do_not_grow_from_view_to_view() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(100 * MILLISECOND);
        let absent = Peer::Replica(r(n - 1));
        for _ in 0..8 {
            // It hears NEW-VIEWs and can fetch nothing.
            (0..n - 1).for_each(|id| cluster.network.cut(absent, Peer::Replica(r(id))));
            let view = cluster.view();
            (0..n - 1).for_each(|id| cluster.suspect(r(id)));
            cluster.expect(3 * SECOND, "the next view", |c| c.view() > view);
            cluster.wait(200 * MILLISECOND);
            cluster.network.mend_all();
            cluster.cut_off(r(n - 1));
            cluster.wait(100 * MILLISECOND);
            cluster.network.mend_all();
        }
        cluster.settles();
    }
}

/// n=7 seed 2767: f replicas know what was decided, f are silent, the rest lack one COMMIT. Of these
/// the backups suspect the primary, too few to be joined, and the primary must suspect itself.
#[test]
fn a_primary_that_lacks_one_commit_leaves_its_view_too() {
    for n in SIZES {
        // A tentative answer would content Alice, and nobody would have to move.
        let mut plan = plan(n);
        plan.tuning.tentative_execution = false;
        let mut cluster = started(plan);
        let f = cluster.f();
        cluster.load(ALICE, 2);
        cluster.settles();
        cluster.wait(SECOND);
        (n - f..n).for_each(|id| cluster.turn(r(id), Mute));
        // The first ones hear of each other until they prepared; the f after them miss nothing.
        let stuck: Vec<usize> = (0..n - 2 * f).collect();
        let pairs = stuck.iter().flat_map(|a| stuck.iter().map(move |b| (*a, *b)));
        let pairs: Vec<(Peer, Peer)> =
            pairs.filter(|(a, b)| a != b).map(|(a, b)| (Peer::Replica(r(a)), Peer::Replica(r(b)))).collect();
        pairs.iter().for_each(|(from, to)| cluster.network.swallow(*from, *to, Kind::Commit));
        cluster.load(ALICE, 1);
        cluster.wait(20 * MILLISECOND);
        pairs.iter().for_each(|(from, to)| cluster.network.cut(*from, *to));
        cluster.wait(SECOND);
        for id in &stuck {
            let (own, others) = (cluster.executed(r(*id)), cluster.executed(r(n - f - 1)));
            assert!(own < others, "n={n}: replica {id} executed with too few COMMITs");
        }
        cluster.heal();
        cluster.expect(3 * SECOND, "answering Alice", Cluster::clients_done);
        cluster.settles();
    }
}
