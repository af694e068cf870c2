//! What is fetched, from whom, and what becomes of those who do not serve (PROTOCOL 8).

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::wire::*;
use super::*;

fn taken(seq: u64, snapshot: Snapshot) -> Taken {
    Taken { seq: Seq(seq), snapshot }
}

/// Pages 0 to `count`-1, those in `changed` another way.
fn large(count: u64, changed: impl IntoIterator<Item = u64>) -> Snapshot {
    let changed: BTreeSet<u64> = changed.into_iter().collect();
    snapshot_of((0..count).map(|index| (index, 1 + u8::from(changed.contains(&index)))))
}

/// The last of `n`, which has `own`, fetches `target` at seq 8.
fn behind(n: usize, own: &Snapshot, target: &Snapshot) -> Wire {
    Wire::new(n, own, &taken(8, target.clone()))
}

fn begin(mut wire: Wire, target: &Snapshot) -> Wire {
    wire.fall_behind(&taken(8, target.clone()));
    wire
}

#[test]
fn what_is_fetched_is_proportional_to_the_difference() {
    let (own, target) = (large(2_000, []), large(2_000, [3, 700, 1_999]));
    let mut wire = begin(behind(4, &own, &target), &target);
    let install = wire.run(100);
    assert_eq!(install.taken.snapshot, target);
    assert_eq!(install.pages, 3);
    // The root from each peer, one node of each level below it, and the lowest of each page.
    assert_eq!((wire.nodes_asked, wire.pages_asked), (3 + 3 + 3, 3));
    assert_eq!(wire.blamed, [0_u8; 0]);
}

#[test]
fn what_the_target_does_not_have_is_removed_and_costs_nothing() {
    let (own, target) = (snapshot_of((0..70_000).step_by(7).map(|i| (i, 1))), large(1, []));
    let mut wire = begin(behind(4, &own, &target), &target);
    let install = wire.run(100);
    assert_eq!((install.taken.snapshot.clone(), install.pages), (target, 0));
}

#[test]
fn a_large_difference_is_spread_over_all_peers_with_few_questions_at_a_time() {
    for n in [4, 7] {
        let (own, target) = (large(10, []), large(3_000, 0..3_000));
        let mut wire = begin(behind(n, &own, &target), &target);
        let install = wire.run(1_000);
        assert_eq!((install.taken.snapshot.clone(), install.pages), (target, 3_000));
        assert_eq!(wire.pages_asked, 3_000, "n={n}: nothing twice");
        assert!(wire.open_max.0 <= 4 && wire.open_max.1 <= 16, "n={n}: {:?}", wire.open_max);
        assert!(wire.questions.values().all(|(asked, _)| *asked > 3), "n={n}: {:?}", wire.questions);
    }
}

/// Whatever f peers do, it ends with the right state; who lies is blamed and nobody else, and the
/// time stays within twice that of honest peers.
#[test]
fn scenario_18_no_face_of_f_peers_keeps_the_state_from_being_fetched() {
    for n in [4, 5, 6, 7] {
        let (own, target) = (large(10, []), large(6_000, 0..6_000));
        let mut honest = begin(behind(n, &own, &target), &target);
        honest.run(1_000);
        for (number, face) in FACES.into_iter().enumerate() {
            let mut wire = behind(n, &own, &target);
            for id in 0..quorums(n).f() as u8 {
                wire = wire.with(id, face);
            }
            let mut wire = begin(wire, &target);
            assert_eq!(wire.run(1_000).taken.snapshot, target, "n={n} face {number}");
            assert!(wire.now < 2 * honest.now, "n={n} face {number}: {} of {}", wire.now, honest.now);
            let pages = wire.pages_asked;
            assert!(pages < 2 * honest.pages_asked, "n={n} face {number}: {pages} pages");
            let lies = (2..=7).contains(&number);
            let expected: Vec<u8> = (0..quorums(n).f() as u8).filter(|_| lies).collect();
            wire.blamed.sort_unstable();
            assert_eq!(wire.blamed, expected, "n={n} face {number}");
        }
    }
}

#[test]
fn a_liar_is_not_asked_again() {
    let (own, target) = (large(10, []), large(3_000, 0..3_000));
    let mut wire = begin(behind(4, &own, &target).with(0, lies_in_nodes), &target);
    wire.run(1_000);
    assert_eq!(wire.questions[&0], (1, 1));
}

#[test]
fn one_that_stalls_is_left_and_its_work_is_done_by_others() {
    let (own, target) = (large(10, []), large(3_000, 0..3_000));
    let mut wire = begin(behind(4, &own, &target).with(0, stalls), &target);
    wire.run(1_000);
    assert!(wire.questions[&0].0 <= 1 + 4, "{:?}", wire.questions);
    assert!(wire.pages_asked <= 3_000 + 4 * 64);
}

/// Slower than the time-out while nothing is known of them, and all alike.
#[test]
fn peers_that_are_all_slow_are_waited_for_longer() {
    let (own, target) = (large(10, []), large(200, 0..200));
    let wire = behind(4, &own, &target).delayed(0, 700).delayed(1, 700).delayed(2, 700);
    assert_eq!(begin(wire, &target).run(20_000).taken.snapshot, target);
}

#[test]
fn one_that_is_slow_is_used_where_nobody_else_serves() {
    let (own, target) = (large(10, []), large(200, 0..200));
    let wire = behind(4, &own, &target).with(0, lies_in_pages).with(1, drops).delayed(2, 300);
    let mut wire = begin(wire, &target);
    assert_eq!(wire.run(20_000).taken.snapshot, target);
    assert_eq!(wire.blamed, [0]);
}

#[test]
fn nobody_serves_for_a_while_and_then_one_does() {
    let (own, target) = (large(10, []), large(200, 0..200));
    let wire = behind(4, &own, &target).with(0, says_nothing).with(1, says_nothing).with(2, says_nothing);
    let mut wire = begin(wire, &target);
    while wire.now < 3_000_000 {
        wire.turn();
    }
    assert_eq!(wire.with(1, honest).run(10_000).taken.snapshot, target);
}

/// The group drops the checkpoint before anybody was asked for it, and was asked for the next one.
#[test]
fn a_transfer_follows_a_group_that_has_dropped_the_checkpoint() {
    let (own, old, new) = (large(10, []), large(500, 0..500), large(500, 0..499));
    let mut wire = behind(4, &own, &old);
    wire.fall_behind(&taken(8, old));
    wire.reach(&taken(12, new.clone()));
    let install = wire.run(1_000);
    assert_eq!((install.taken.seq, install.taken.snapshot.clone()), (Seq(12), new));
}

/// Half of a state is here when those who serve it forget it: only the rest, and what changed since,
/// is fetched after that.
#[test]
fn what_was_fetched_stays_when_the_transfer_moves_on() {
    let (own, old) = (large(10, []), large(6_000, 0..6_000));
    let new = large(6_000, (0..6_000).filter(|index| index % 1_000 != 0));
    let mut wire = behind(4, &own, &old);
    wire.fall_behind(&taken(8, old));
    while wire.pages_asked < 3_000 {
        wire.turn();
    }
    let mut wire = wire.with(0, drops).with(1, drops).with(2, drops);
    wire.reach(&taken(12, new.clone()));
    wire.tell(3, wire.certificate(&taken(12, new.clone())));
    let before = wire.now;
    while wire.now < before + 30_000 {
        wire.turn();
    }
    let mut wire = wire.with(0, honest).with(1, honest).with(2, honest);
    let install = wire.run(5_000).clone();
    assert_eq!((install.taken.seq, install.taken.snapshot), (Seq(12), new));
    // At most what was on its way when they forgot it, and six pages that are other ones now.
    assert!(wire.pages_asked <= 6_000 + 16 * 64 + 6, "{}", wire.pages_asked);
    assert!(install.pages <= 6_000 + 6, "{}", install.pages);
}

/// A checkpoint every millisecond, and links as slow: whoever fetches one has it kept.
#[test]
fn scenario_19_a_group_that_moves_on_all_the_time_does_not_outrun_a_transfer() {
    for n in [4, 7] {
        let own = large(10, []);
        let at = |step: u64| taken(8 + 4 * step, large(1_500, 0..1_000 + step % 500));
        let mut wire = Wire::new(n, &own, &at(0));
        wire.fall_behind(&at(0));
        let mut step = 0;
        while wire.install.is_none() {
            assert!(step < 200, "n={n}: it never ends");
            step += 1;
            wire.reach(&at(step));
            wire.tell(wire.fetcher(), wire.certificate(&at(step)));
            let until = wire.now + 1_000;
            while wire.now < until && wire.install.is_none() {
                wire.turn();
            }
        }
        let install = wire.install.unwrap();
        let reached = (install.taken.seq.0 - 8) / 4;
        assert_eq!(install.taken, at(reached), "n={n}");
    }
}

/// Pages in all arenas and in every part of them, many of them neighbours.
fn any_state() -> impl Strategy<Value = Snapshot> {
    let base = prop::sample::select(vec![0_u64, 250, 65_530, 1 << 19, 1 << 32, (1 << 32) + 70_000, 2 << 32]);
    let cluster = (base, btree_map(0..40_u64, 1..4_u8, 0..30));
    vec(cluster, 0..6).prop_map(|clusters| {
        let pages: BTreeMap<u64, u8> = clusters
            .into_iter()
            .flat_map(|(base, pages)| pages.into_iter().map(move |(index, content)| (base + index, content)))
            .collect();
        snapshot_of(pages)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_state_becomes_any_other(
        own in any_state(),
        target in any_state(),
        n in 4..=7_usize,
        faces in vec((0..FACES.len(), 0..7_u8), 2),
    ) {
        let mut wire = behind(n, &own, &target);
        for (face, id) in faces.into_iter().take(quorums(n).f()) {
            wire = wire.with(id % (n as u8 - 1), FACES[face]);
        }
        let mut wire = begin(wire, &target);
        prop_assert_eq!(wire.run(10_000).taken.snapshot.root(), target.root());
    }
}
