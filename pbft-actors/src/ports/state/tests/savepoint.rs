use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{check, pages, root, state};
use crate::ports::state::{PAGE_BYTES, State};

fn change(state: &mut State, tag: u8) {
    state.write(u64::from(tag) * 1000, &[tag; 3000]).unwrap();
    state.cell_mut::<u64>("n").set(tag.into()).unwrap();
    state.map_mut("m").insert(&[tag; 10], &[tag; 6000]).unwrap();
    state.map_mut("m").remove(&[tag - 1; 10]);
    state.reserved_map().insert(&[tag], &[tag]).unwrap();
}

#[test]
fn rollback_restores_every_byte_and_release_keeps_every_byte() {
    let mut state = state();
    change(&mut state, 1);
    let first = pages(&mut state);
    let outer = state.savepoint();
    change(&mut state, 2);
    let second = pages(&mut state);

    let inner = state.savepoint();
    change(&mut state, 3);
    state.rollback(inner);
    assert_eq!(pages(&mut state), second);

    let inner = state.savepoint();
    change(&mut state, 4);
    let fourth = pages(&mut state);
    state.release(inner);
    assert_eq!(pages(&mut state), fourth);

    state.rollback(outer);
    assert_eq!(pages(&mut state), first);
    check(&state);
}

#[test]
fn release_of_the_outermost_keeps_no_page_images() {
    let mut state = state();
    let outer = state.savepoint();
    change(&mut state, 1);
    state.release(outer);
    let after = pages(&mut state);
    let empty = state.savepoint();
    state.rollback(empty);
    assert_eq!(pages(&mut state), after);
}

#[test]
fn pages_first_written_in_a_savepoint_are_gone_after_it() {
    let mut state = state();
    let empty = root(&mut state);
    let savepoint = state.savepoint();
    state.write(PAGE_BYTES as u64 * 1000, b"x").unwrap();
    state.rollback(savepoint);
    assert!(state.region.table().frame(1000).is_none());
    assert_eq!(root(&mut state), empty);
}

#[test]
fn a_panic_inside_nested_work_is_rolled_back() {
    let mut state = state();
    change(&mut state, 1);
    let before = pages(&mut state);
    let batch = state.savepoint();
    let operation = state.savepoint();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        change(&mut state, 2);
        // Half of a write: as if the code between two pages had failed.
        state.region.page_mut(0).fill(9);
        panic!("in the middle");
    }));
    assert!(outcome.is_err());
    state.rollback(operation);
    assert_eq!(pages(&mut state), before);
    change(&mut state, 3);
    check(&state);
    state.rollback(batch);
    assert_eq!(pages(&mut state), before);
    check(&state);
}

#[test]
#[should_panic(expected = "savepoints end innermost first: number 1 was ended with 2 open")]
fn rolling_back_the_outer_before_the_inner_asserts() {
    let mut state = state();
    let outer = state.savepoint();
    let _inner = state.savepoint();
    state.rollback(outer);
}

#[test]
#[should_panic(expected = "savepoints end innermost first: number 1 was ended with 2 open")]
fn releasing_the_outer_before_the_inner_asserts() {
    let mut state = state();
    let outer = state.savepoint();
    let _inner = state.savepoint();
    state.release(outer);
}

#[test]
#[should_panic(expected = "a state is replaced only outside savepoints, and 1 are open")]
fn restoring_inside_a_savepoint_asserts() {
    let mut state = state();
    let snapshot = state.snapshot();
    let _open = state.savepoint();
    state.restore(&snapshot);
}
