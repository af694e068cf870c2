//! Faulty replicas, clients and clocks that need no plan of their own: whatever they say, the rest agrees
//! and goes on.

use super::*;
use crate::adversary::{Echoes, Forges, Mutates, Partial};
use crate::sim::client_attack::ClientAttack;

/// Two copies of the primary with one identity, each with its own clients and half of the backups.
#[test]
fn scenario_04_twins_do_not_split_the_group() {
    for n in SIZES {
        let mut cluster = Cluster::new(1, plan(n));
        let side = set(1..=n / 2);
        cluster.start_twin(r(0), side);
        let everyone = cluster.everyone();
        let told = everyone.iter().filter(|id| !side.contains(*id)).collect();
        cluster.turn(r(0), Partial { everyone, told, kinds: Vec::new(), answers: true });
        cluster.load(ALICE, 10);
        cluster.load(BOB, 10);
        cluster.expect(20 * SECOND, "answering every client", Cluster::clients_done);
        cluster.silence();
        cluster.settles();
    }
}

/// Scenario 31 with every message of the primary changed in one field, for all alike or each apart.
#[test]
fn scenario_31_one_field_of_every_message_of_the_primary_is_another_one() {
    for n in SIZES {
        for (seed, each_peer) in [(1, false), (2, true), (3, false), (4, true)] {
            let mut cluster = group(n);
            let everyone = cluster.everyone();
            cluster.turn(r(0), Mutates::new(everyone, seed, 1, each_peer));
            cluster.load(ALICE, 12);
            cluster.expect(30 * SECOND, "answering every client", Cluster::clients_done);
            cluster.silence();
            cluster.settles();
        }
    }
}

/// Scenarios 9 and 16: nobody is misled by what comes out of the air, nor by what was true once.
#[test]
fn scenario_16_forgeries_and_echoes_change_nothing() {
    for n in SIZES {
        let mut cluster = group(n);
        let everyone = cluster.everyone();
        cluster.turn(r(1), Forges::new(everyone, 5, 2 * MILLISECOND));
        if cluster.f() > 1 {
            cluster.turn(r(2), Echoes::new(6, 2 * MILLISECOND));
        }
        cluster.load(ALICE, 60);
        cluster.expect(30 * SECOND, "answering every client", Cluster::clients_done);
        assert_eq!(cluster.view(), View(0), "n={n}: backups alone end no view");
        cluster.silence();
        cluster.settles();
    }
}

/// Scenarios 7, 13 and 14: what faulty clients do costs their neighbours at most a view change.
#[test]
fn scenario_07_faulty_clients_keep_nobody_from_being_served() {
    for n in SIZES {
        let attacks = [
            ClientAttack::TwoOperations,
            ClientAttack::SomeMacs(set(0..=n / 2)),
            ClientAttack::Floods { copies: 200 },
        ];
        for attack in attacks {
            let mut cluster = group(n);
            cluster.corrupt_client(ALICE, attack);
            cluster.load(ALICE, ENDLESS);
            cluster.load(BOB, 30);
            cluster.expect(10 * SECOND, "answering the honest client", |c| c.clients[&BOB].is_done());
            assert!(cluster.view() <= View(1), "n={n} {attack:?}: {}", cluster.view());
            cluster.silence();
            cluster.settles();
        }
    }
}

/// Scenario 20: a replica that stood still for long is caught up with again.
#[test]
fn scenario_20_a_frozen_replica_comes_back() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.freeze(r(n - 1), 3 * SECOND);
        cluster.wait(2 * SECOND);
        assert_eq!(cluster.executed(r(n - 1)), Seq::ZERO, "n={n}: it stood still");
        cluster.stop_load();
        cluster.wait(2 * SECOND);
        cluster.settles();
    }
}

/// Scenario 25: the clocks of f replicas, the primary's too, jump and run away.
#[test]
fn scenario_25_wrong_clocks_cost_at_most_one_view_change_each() {
    for n in SIZES {
        let mut cluster = group(n);
        for id in 0..cluster.f() {
            let now = cluster.now;
            cluster.clocks[id].jump(now, 3_600_000_000 * if id % 2 == 0 { 1 } else { -1 });
            cluster.clocks[id].drift(now, 500_000);
        }
        cluster.load(ALICE, 30);
        cluster.expect(20 * SECOND, "answering every client", Cluster::clients_done);
        assert!(cluster.view() <= View(cluster.f() as u64), "n={n}: {}", cluster.view());
        cluster.settles();
    }
}

/// Scenario 21: what the primary says to one backup takes longer than any time-out.
#[test]
fn scenario_21_a_clogged_link_ends_no_view() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.network.clog(Peer::Replica(r(0)), Peer::Replica(r(n - 1)), 5 * SECOND);
        cluster.load(ALICE, 100);
        cluster.expect(10 * SECOND, "answering every client", Cluster::clients_done);
        cluster.network.mend_all();
        cluster.settles();
    }
}
