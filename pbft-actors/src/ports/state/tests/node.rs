use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{check, state};
use crate::ports::state::Map;
use crate::ports::state::arena::Arena;
use crate::ports::state::page::{Page, put_at, u16_at, u32_at};

/// Reads a map whose root was damaged; what it asserted. The damage is told the root's page number.
fn damaged(damage: impl Fn(&mut Page, u32), read: impl Fn(Map<'_>)) -> String {
    let mut state = state();
    for n in 0..1000_u32 {
        state.map_mut("m").insert(&n.to_be_bytes(), &[1; 100]).unwrap();
    }
    check(&state);
    // The first map has its head in page 1.
    let root = u32_at(state.region.page(Arena::Named.index(1)), 16);
    damage(state.region.page_mut(Arena::Named.index(root)), root);
    let cause = catch_unwind(AssertUnwindSafe(|| read(state.map("m")))).unwrap_err();
    match cause.downcast::<String>() {
        Ok(message) => *message,
        Err(cause) => (*cause.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// Sets every child of a branch.
fn set_children(branch: &mut Page, child: u32) {
    put_at(branch, 8, &child.to_le_bytes());
    for cell in 0..u16_at(branch, 2).into() {
        let place = u16_at(branch, 12 + 2 * cell);
        put_at(branch, usize::from(place) + 2, &child.to_le_bytes());
    }
}

fn scan(map: Map<'_>) {
    map.iter().for_each(drop);
}

#[test]
fn a_page_of_no_kind_asserts() {
    let message = damaged(|page, _| page[0] = 9, |map| drop(map.get(b"k")));
    assert_eq!(message, "a page is no node of a tree: kind 9, 27 cells from 3826");
}

#[test]
fn a_cell_outside_its_page_asserts() {
    let message = damaged(|page, _| put_at(page, 12, &[0xff, 0xff]), |map| drop(map.get(&[0; 4])));
    assert!(message.starts_with("a node's offsets stay inside its page"), "{message}");
}

#[test]
fn a_child_that_is_no_page_asserts() {
    let message = damaged(|page, _| set_children(page, 0), |map| drop(map.first()));
    assert_eq!(message, "a branch has a child that is no page");
    assert_eq!(damaged(|page, _| set_children(page, 0), scan), "a branch has a child that is no page");
}

#[test]
fn a_branch_below_itself_asserts_and_does_not_loop() {
    let reads: [fn(Map<'_>); 4] =
        [|map| drop(map.first()), |map| drop(map.last()), |map| drop(map.get(b"k")), scan];
    for read in reads {
        assert_eq!(damaged(set_children, read), "a tree of more than 64 levels");
    }
}

#[test]
fn a_leaf_that_is_there_twice_ends_a_scan_by_the_count() {
    let message = damaged(
        |page, _| {
            let first = u32_at(page, 8);
            set_children(page, first);
        },
        scan,
    );
    assert_eq!(message, "a tree has no more entries than it counts");
}
