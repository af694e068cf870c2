//! The tree under a state against a plain map of pages, and what of it is digested again.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::pages;
use crate::crypto::Digest;
use crate::ports::state::region::{Region, Savepoint};
use crate::ports::state::table::PageTable;
use crate::ports::state::tree::{Frame, Node, Part};
use crate::ports::state::{
    FAN_OUT, PAGE_BYTES, PAGE_LEVEL, Page, Snapshot, State, StateBuilder, StateError, StateLimits,
    TREE_LEVELS, child_index,
};

const LIMITS: StateLimits =
    StateLimits { raw_pages: u32::MAX, named_pages: u32::MAX, reserved_pages: u32::MAX };

type Model = BTreeMap<u64, Page>;

#[derive(Clone, Debug)]
enum Step {
    Write { page: u64, at: usize, byte: u8 },
    Blank { page: u64, byte: u8 },
    Discard { page: u64 },
    Savepoint,
    Rollback,
    Release,
    Snapshot,
}

/// Neighbours, and pages far apart at every level.
fn page_index() -> impl Strategy<Value = u64> {
    let far =
        prop::sample::select(vec![0, 255, 256, 65_535, 65_536, 1 << 24, u64::from(u32::MAX) - 3, 1 << 32]);
    (far, 0..3_u64).prop_map(|(base, more)| base + more)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (page_index(), 0..2_usize, 0..3_u8).prop_map(|(page, at, byte)| Step::Write { page, at, byte }),
        2 => (page_index(), 0..3_u8).prop_map(|(page, byte)| Step::Blank { page, byte }),
        3 => page_index().prop_map(|page| Step::Discard { page }),
        1 => Just(Step::Savepoint),
        1 => Just(Step::Rollback),
        1 => Just(Step::Release),
        1 => Just(Step::Snapshot),
    ]
}

fn apply(region: &mut Region, model: &mut Model, step: &Step) {
    match *step {
        Step::Write { page, at, byte } => {
            region.page_mut(page)[at] = byte;
            model.entry(page).or_insert([0; PAGE_BYTES])[at] = byte;
        }
        Step::Blank { page, byte } => {
            region.blank(page)[9] = byte;
            let content = model.entry(page).or_insert([0; PAGE_BYTES]);
            content.fill(0);
            content[9] = byte;
        }
        Step::Discard { page } => {
            region.discard(page);
            model.remove(&page);
        }
        _ => {}
    }
}

/// What is not zero.
fn content(model: &Model) -> Vec<(u64, Page)> {
    let filled = model.iter().filter(|(_, page)| page.iter().any(|&byte| byte != 0));
    filled.map(|(index, page)| (*index, *page)).collect()
}

fn assert_same(snapshot: &Snapshot, model: &Model) {
    let expected = content(model);
    assert!(snapshot.pages_from(0).map(|(index, page)| (index, *page)).eq(expected.iter().copied()));
    for (from, _) in &expected {
        let rest = expected.iter().map(|(index, _)| *index).filter(|index| index > from);
        assert!(snapshot.pages_from(from + 1).map(|(index, _)| index).eq(rest));
    }
    let mut builder = StateBuilder::new(LIMITS);
    for (index, page) in expected.iter().rev() {
        builder.put(*index, page).unwrap();
    }
    let fresh = builder.finish().1;
    assert_eq!(fresh, *snapshot);
    assert_eq!(fresh.first_difference(snapshot), None);
    assert_eq!(digest_of_children(snapshot, TREE_LEVELS, 0), snapshot.root());
}

/// The digest of a node, by what is said of its children all the way down.
fn digest_of_children(snapshot: &Snapshot, level: u8, index: u64) -> Digest {
    let children = snapshot.node(level, index).unwrap();
    for (slot, digest) in &children {
        let below = child_index(index, *slot);
        let computed = match level - 1 {
            PAGE_LEVEL => Snapshot::page_digest(below, snapshot.page(below).unwrap()).unwrap(),
            level => digest_of_children(snapshot, level, below),
        };
        assert_eq!(computed, *digest);
        assert_eq!(snapshot.digest_at(level - 1, below), Some(*digest));
    }
    Snapshot::node_digest(level, index, &children)
}

fn lowest_difference(one: &Model, two: &Model) -> Option<u64> {
    let (one, two) = (content(one), content(two));
    let differs = |index: &u64, other: &[(u64, Page)], page: &Page| !other.contains(&(*index, *page));
    let of_one = one.iter().filter(|(index, page)| differs(index, &two, page));
    let of_two = two.iter().filter(|(index, page)| differs(index, &one, page));
    of_one.chain(of_two).map(|(index, _)| *index).min()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_tree_is_a_map_of_pages(steps in prop::collection::vec(step(), 1..120)) {
        let mut region = Region::new(PageTable::default(), LIMITS);
        let mut model = Model::new();
        let mut levels: Vec<(Savepoint, Model)> = Vec::new();
        let mut snapshots: Vec<(Snapshot, Model)> = Vec::new();
        for step in &steps {
            apply(&mut region, &mut model, step);
            match step {
                Step::Savepoint => levels.push((region.savepoint(), model.clone())),
                Step::Rollback => if let Some((savepoint, before)) = levels.pop() {
                    region.rollback(savepoint);
                    model = before;
                },
                Step::Release => if let Some((savepoint, _)) = levels.pop() {
                    region.release(savepoint);
                },
                Step::Snapshot => {
                    let snapshot = Snapshot::new(region.table().clone());
                    // Half of them are digested only when more has been written.
                    if snapshots.len().is_multiple_of(2) {
                        snapshot.root();
                    }
                    snapshots.push((snapshot, model.clone()));
                }
                _ => {}
            }
        }
        snapshots.push((Snapshot::new(region.table().clone()), model));
        for (snapshot, model) in &snapshots {
            assert_same(snapshot, model);
        }
        for (one, of_one) in &snapshots {
            for (two, of_two) in &snapshots {
                let difference = lowest_difference(of_one, of_two);
                prop_assert_eq!(one == two, difference.is_none());
                prop_assert_eq!(one.first_difference(two), difference);
            }
        }
    }

    #[test]
    fn a_builder_becomes_the_target_by_what_differs(
        own in prop::collection::btree_map(page_index(), 1..4_u8, 0..20),
        target in prop::collection::btree_map(page_index(), 1..4_u8, 0..20),
    ) {
        let snapshot = |pages: &BTreeMap<u64, u8>| {
            let mut builder = StateBuilder::new(LIMITS);
            pages.iter().for_each(|(index, byte)| builder.put(*index, &[*byte; PAGE_BYTES]).unwrap());
            builder.finish().1
        };
        let (own, target) = (snapshot(&own), snapshot(&target));
        let mut builder = StateBuilder::of_snapshot(LIMITS, &own);
        descend(&mut builder, &target, TREE_LEVELS, 0);
        prop_assert_eq!(builder.digest_at(TREE_LEVELS, 0), Some(target.root()));
        prop_assert_eq!(builder.snapshot(), target.clone());
        let (mut state, built) = builder.finish();
        prop_assert_eq!(&built, &target);
        prop_assert_eq!(pages(&mut state), pages(&mut State::of_snapshot(LIMITS, &target)));
    }
}

/// A transfer without a network.
fn descend(builder: &mut StateBuilder, target: &Snapshot, level: u8, index: u64) {
    let children: BTreeMap<u8, Digest> = target.node(level, index).unwrap().into_iter().collect();
    for slot in 0..=u8::MAX {
        let (level, index) = (level - 1, child_index(index, slot));
        match children.get(&slot) {
            None => builder.remove_subtree(level, index),
            Some(digest) if builder.digest_at(level, index) == Some(*digest) => {}
            Some(_) if level == PAGE_LEVEL => builder.put(index, target.page(index).unwrap()).unwrap(),
            Some(_) => descend(builder, target, level, index),
        }
    }
}

/// Nodes and pages of a tree whose digest nobody has asked for since they changed.
fn undigested(node: &Arc<Node>) -> (usize, usize) {
    let mut count = (0, 0);
    if node.is_digested() {
        return count;
    }
    for (_, part) in node.children_from(0) {
        match part {
            Part::Page(frame) => count.1 += usize::from(!Frame::is_digested(frame)),
            Part::Node(node) => {
                let below = undigested(node);
                count = (count.0 + below.0, count.1 + below.1);
            }
        }
    }
    (count.0 + 1, count.1)
}

#[test]
fn a_digest_costs_what_changed_since_the_last() {
    let mut state = State::new(LIMITS);
    state.write(0, &vec![1; 10_000 * PAGE_BYTES]).unwrap();
    let first = state.snapshot();
    assert_eq!(undigested(first.table().root()), (10_000_usize.div_ceil(FAN_OUT) + 4, 10_000));
    first.root();
    assert_eq!(undigested(first.table().root()), (0, 0));
    state.write(5_000 * PAGE_BYTES as u64, b"x").unwrap();
    let second = state.snapshot();
    assert_eq!(undigested(second.table().root()), (usize::from(TREE_LEVELS), 1));
    assert_ne!(second.root(), first.root());
    state.write(5_000 * PAGE_BYTES as u64, &[1]).unwrap();
    assert_eq!(state.snapshot().root(), first.root());
    // A snapshot of what did not change has its digest at once.
    assert_eq!(undigested(state.snapshot().table().root()), (0, 0));
}

#[test]
fn a_write_copies_the_way_to_its_page_and_nothing_else() {
    let mut state = State::new(LIMITS);
    state.write(0, &vec![1; 600 * PAGE_BYTES]).unwrap();
    let snapshot = state.snapshot();
    state.write(300 * PAGE_BYTES as u64, b"x").unwrap();
    let (before, after) = (snapshot.table(), state.region.table());
    for level in 1..=TREE_LEVELS {
        let number = 300 >> (8 * level);
        let (Some(Part::Node(one)), Some(Part::Node(two))) =
            (before.part(level, number), after.part(level, number))
        else {
            panic!("both have level {level}")
        };
        assert!(!Arc::ptr_eq(one, two));
        let same =
            one.children_from(0).zip(two.children_from(0)).filter(|((_, one), (_, two))| match (one, two) {
                (Part::Page(one), Part::Page(two)) => Arc::ptr_eq(one, two),
                (Part::Node(one), Part::Node(two)) => Arc::ptr_eq(one, two),
                _ => false,
            });
        assert_eq!(same.count() + 1, one.children_from(0).count());
    }
}

#[test]
fn what_has_no_place_in_the_tree_is_not_there() {
    let mut state = State::new(LIMITS);
    assert_eq!(state.snapshot().node(TREE_LEVELS, 0), Some(vec![]));
    assert_eq!(state.snapshot().node(1, 0), None);
    state.write(0, b"x").unwrap();
    let snapshot = state.snapshot();
    for (level, index) in [(0, 0), (1, 1 << 32), (1, u64::MAX), (5, 1), (6, 0), (u8::MAX, 0)] {
        assert_eq!(snapshot.node(level, index), None, "{level} {index}");
    }
    for index in [1, 1 << 32, 1 << 40, u64::MAX] {
        assert_eq!((snapshot.page(index), snapshot.digest_at(0, index)), (None, None));
        assert!(index < 1 << 40 || snapshot.pages_from(index).next().is_none());
    }
    let mut builder = StateBuilder::of_snapshot(StateLimits { raw_pages: 1, ..LIMITS }, &snapshot);
    builder.remove_subtree(u8::MAX, 7);
    builder.remove_subtree(2, u64::MAX);
    assert_eq!(builder.put(1, &[1; PAGE_BYTES]), Err(StateError::PageOutsideLimits(1)));
    assert_eq!(builder.put(3 << 32, &[1; PAGE_BYTES]), Err(StateError::PageOutsideLimits(3 << 32)));
    assert_eq!(builder.snapshot(), snapshot);
    builder.put(0, &[0; PAGE_BYTES]).unwrap();
    assert_eq!(builder.snapshot(), State::new(LIMITS).snapshot());
    builder.put(0, &[1; PAGE_BYTES]).unwrap();
    builder.remove_subtree(TREE_LEVELS, 0);
    assert_eq!(builder.finish().1, State::new(LIMITS).snapshot());
}
