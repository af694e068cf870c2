//! Answers before a batch is certain, and reads without a place in the order (26 and 27).

use super::*;
use crate::adversary::{Mute, Partial};
use crate::message::Kind;

impl Cluster {
    /// A client asks for one operation; its place in the history.
    fn asks(&mut self, client: ClientId, behaviour: Behaviour) -> usize {
        self.ask(client, behaviour);
        self.history.len() - 1
    }

    fn is_answered(&self, place: usize) -> bool {
        self.history[place].completed.is_some()
    }

    fn swallow(&mut self, from: usize, to: usize, kind: Kind) {
        self.network.swallow(Peer::Replica(r(from)), Peer::Replica(r(to)), kind);
    }
}

/// The primary lets Q-1 replicas execute, itself among them, and answers nobody; whoever is to send the
/// result in full is silent, too, for one of the operations.
#[test]
fn scenario_26_a_primary_that_isolates_readers_and_writers_blocks_no_client() {
    for n in SIZES {
        let mut cluster = group(n);
        let (q, everyone) = (cluster.q(), cluster.everyone());
        cluster.load(ALICE, 1);
        cluster.load(BOB, 1);
        cluster.settles();
        cluster.turn(r(0), Partial { everyone, told: everyone, kinds: Vec::new(), answers: false });
        // It proposes to Q-1 backups, so that just Q replicas prepare, and one of those lacks its COMMIT.
        for id in q..n {
            [Kind::PrePrepare, Kind::Commit, Kind::Decided]
                .into_iter()
                .for_each(|kind| cluster.swallow(0, id, kind));
        }
        [Kind::Commit, Kind::Decided].into_iter().for_each(|kind| cluster.swallow(0, q - 1, kind));
        let asked = [Behaviour::Append, Behaviour::Long, Behaviour::Read, Behaviour::Long, Behaviour::Read];
        for (count, behaviour) in asked.into_iter().enumerate() {
            let place = cluster.asks(if count % 2 == 0 { ALICE } else { BOB }, behaviour);
            cluster.expect(5 * SECOND, "answering", |c| c.is_answered(place));
        }
        cluster.settles();
    }
}

/// One replica prepares and executes tentatively what the view change does not choose; reads that come
/// meanwhile see it nowhere, or everywhere from then on.
#[test]
fn scenario_27_reads_while_a_tentative_batch_is_undone_are_linearizable() {
    for n in SIZES {
        let mut cluster = group(n);
        let last = n - 1;
        cluster.load(ALICE, 1);
        cluster.load(BOB, 1);
        cluster.settles();
        // Only the last replica hears enough PREPAREs.
        for from in 1..n {
            for to in (0..last).filter(|to| *to != from) {
                cluster.swallow(from, to, Kind::Prepare);
            }
        }
        let write = cluster.asks(ALICE, Behaviour::Append);
        cluster.expect(SECOND, "executing tentatively", |c| {
            c.nodes[last].as_ref().is_some_and(|node| node.is_ahead())
        });
        let first = cluster.asks(BOB, Behaviour::Read);
        cluster.wait(10 * MILLISECOND);
        assert!(!cluster.is_answered(write), "n={n}: nothing prepared at a quorum");
        // It misses the view change.
        cluster.cut_off(r(last));
        (0..last).for_each(|id| cluster.suspect(r(id)));
        let second = cluster.asks(BOB, Behaviour::Read);
        cluster.expect(5 * SECOND, "a new view", |c| c.view() > View(0));
        cluster.heal();
        let third = cluster.asks(BOB, Behaviour::Read);
        let all = [write, first, second, third];
        cluster.expect(10 * SECOND, "answering all", |c| all.iter().all(|place| c.is_answered(*place)));
        cluster.settles();
    }
}

#[test]
fn a_read_that_no_quorum_answers_is_ordered() {
    for n in SIZES {
        let mut cluster = group(n);
        let f = cluster.f();
        cluster.load(ALICE, 1);
        cluster.load(BOB, 1);
        cluster.settles();
        (1..=f).for_each(|id| cluster.turn(r(id), Mute));
        let read = cluster.asks(BOB, Behaviour::Read);
        cluster.expect(SECOND / 20, "reading with n - f replicas", |c| c.is_answered(read));
        let cut = r(n - 1);
        cluster.network.cut(Peer::Client(BOB), Peer::Replica(cut));
        cluster.network.cut(Peer::Replica(cut), Peer::Client(BOB));
        let read = cluster.asks(BOB, Behaviour::Read);
        cluster.expect(5 * SECOND, "reading in order", |c| c.is_answered(read));
        cluster.settles();
    }
}
