//! Networks that lose, split and flap; replicas that are away (scenarios 12, 20 and 21).

use bytes::Bytes;

use super::*;

/// What one replica sent to another under load.
fn record(cluster: &mut Cluster, from: ReplicaId, to: ReplicaId) -> Vec<Bytes> {
    cluster.heard = Some(Vec::new());
    cluster.load(ALICE, 5);
    cluster.wait(SECOND);
    let heard = cluster.heard.take().unwrap();
    let ours = |(a, b, _): &(Peer, Peer, Bytes)| (*a, *b) == (Peer::Replica(from), Peer::Replica(to));
    heard.into_iter().filter(ours).map(|(_, _, bytes)| bytes).collect()
}

/// How many of these frames a replica refuses as coming over the link from `from`.
fn refused(cluster: &mut Cluster, at: ReplicaId, from: Peer, frames: &[Bytes]) -> u64 {
    let node = cluster.nodes[at.index()].as_mut().unwrap();
    let before = node.rejected;
    for frame in frames {
        assert!(!node.on_frame(from, frame.clone()), "the frame was taken");
    }
    node.rejected - before
}

#[test]
fn scenario_12_frames_count_on_their_own_link_only() {
    for n in SIZES {
        let mut cluster = group(n);
        let frames = record(&mut cluster, r(0), r(1));
        let all = frames.len() as u64;
        assert!(all > 10, "n={n}: something was said");
        // Reflected, on another link to the same replica, and to another replica.
        assert_eq!(refused(&mut cluster, r(0), Peer::Replica(r(1)), &frames), all, "n={n}: reflected");
        assert_eq!(refused(&mut cluster, r(1), Peer::Replica(r(2)), &frames), all, "n={n}: other link");
        assert_eq!(refused(&mut cluster, r(2), Peer::Replica(r(0)), &frames), all, "n={n}: other receiver");
        assert_eq!(refused(&mut cluster, r(1), Peer::Client(ALICE), &frames), all, "n={n}: a client's link");
        // The same place in another cluster.
        let mut other = Cluster::new(2, plan(n));
        other.wait(SECOND);
        assert_eq!(refused(&mut other, r(1), Peer::Replica(r(0)), &frames), all, "n={n}: other cluster");
        // A connection that is over.
        cluster.connect(Peer::Replica(r(0)), Peer::Replica(r(1)));
        assert_eq!(refused(&mut cluster, r(1), Peer::Replica(r(0)), &frames), all, "n={n}: older key");
        cluster.settles();
    }
}

#[test]
fn scenario_12_a_client_speaks_for_itself_only() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, 1);
        cluster.load(BOB, 1);
        cluster.settles();
        // Alice's own signed request, sent by Bob.
        let request = cluster.sign(cluster.operation_of(ALICE, 2, 1_000_001));
        let rejected = |c: &Cluster| c.correct().map(|node| node.rejected).sum::<u64>();
        let before = rejected(&cluster);
        cluster.send_to_all(BOB, &request);
        cluster.wait(2 * SECOND);
        assert_eq!(rejected(&cluster) - before, n as u64, "n={n}: refused and counted");
        assert_eq!(cluster.position(r(0), 1_000_001), None, "n={n}");
        cluster.settles();
    }
}

/// Minutes away, under load and idle, then back.
#[test]
fn scenario_20_a_replica_that_was_cut_off_for_minutes_catches_up_in_an_idle_group() {
    for n in SIZES {
        for absent in [0, n - 1] {
            let mut cluster = group(n);
            cluster.load(ALICE, 200);
            cluster.wait(100 * MILLISECOND);
            cluster.cut_off(r(absent));
            cluster.wait(180 * SECOND);
            assert_eq!(cluster.clients[&ALICE].to_invoke, 0, "n={n}: the group went on");
            let lag = cluster.highest_executed().0 - cluster.executed(r(absent)).0;
            assert!(lag > cluster.plan.window, "n={n}: it is far behind: {lag}");
            cluster.heal();
            cluster.expect(10 * SECOND, "catching up without a request", |c| {
                c.executed(r(absent)) == c.highest_executed()
            });
            cluster.settles();
        }
    }
}

#[test]
fn scenario_21_a_side_with_a_quorum_keeps_serving() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND / 2);
        let small: Vec<ReplicaId> = (cluster.q()..n).map(r).collect();
        cluster.partition(&small);
        cluster.executes_within(0);
        cluster.wait(3 * SECOND);
        assert_eq!(cluster.view(), View(0), "n={n}: nothing was wrong on the larger side");
        let before = cluster.highest_executed();
        cluster.wait(SECOND);
        assert!(cluster.highest_executed() > before, "n={n}");
        cluster.heal();
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

#[test]
fn scenario_21_without_a_quorum_nobody_goes_on_and_healing_is_enough() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.wait(SECOND / 2);
        let half: Vec<ReplicaId> = (0..n / 2).map(r).collect();
        cluster.partition(&half);
        cluster.wait(100 * MILLISECOND);
        let stuck = cluster.highest_executed();
        cluster.wait(10 * SECOND);
        assert_eq!(cluster.highest_executed(), stuck, "n={n}: two halves are none");
        cluster.heal();
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

#[test]
fn scenario_21_one_way_links_from_and_to_each_replica() {
    for n in SIZES {
        for (lame, deaf) in (0..n).flat_map(|id| [(id, true), (id, false)]) {
            let mut cluster = group(n);
            cluster.load(ALICE, ENDLESS);
            for other in (0..n).filter(|id| *id != lame) {
                let (lame, other) = (Peer::Replica(r(lame)), Peer::Replica(r(other)));
                let (from, to) = if deaf { (other, lame) } else { (lame, other) };
                cluster.network.cut(from, to);
            }
            cluster.executes_within(2);
            cluster.wait(3 * SECOND);
            cluster.heal();
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}

#[test]
fn scenario_21_a_hundred_cycles_of_cut_and_heal() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        for cycle in 0..100_usize {
            // Splits of every shape, one after the other.
            let side: Vec<ReplicaId> =
                (0..n).filter(|id| (cycle * 7 + 1) >> (id % 5) & 1 == 1).map(r).collect();
            cluster.partition(&side);
            cluster.wait((cycle as u64 % 9) * 60 * MILLISECOND);
            cluster.network.mend_all();
            cluster.wait((cycle as u64 % 5) * 20 * MILLISECOND);
        }
        cluster.heal();
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

#[test]
fn scenario_21_flapping_links_and_loss_up_to_a_third() {
    for n in SIZES {
        for loss_per_mille in [0, 50, 150, 300] {
            let mut cluster = group(n);
            let links =
                LinkPlan { loss_per_mille, duplicate_per_mille: 200, delay_min: 100, delay_max: 30_000 };
            cluster.network.set_plan(links);
            cluster.load(ALICE, ENDLESS);
            for flap in 0..60 {
                let (a, b) = (Peer::Replica(r(flap % n)), Peer::Replica(r((flap + 1) % n)));
                cluster.network.cut(a, b);
                cluster.wait(50 * MILLISECOND);
                cluster.network.mend_all();
            }
            assert!(cluster.answered() > 0, "n={n}: something is served at a loss of {loss_per_mille}");
            cluster.heal();
            cluster.executes_after_a_storm_within(2);
            cluster.settles();
        }
    }
}
