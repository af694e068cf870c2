use serde::{Deserialize, Serialize};

use super::{SMALL, check, named_pages, pages, root, state};
use crate::codec::encode;
use crate::ports::state::{NAME_BYTES_MAX, State, StateError, VALUE_BYTES_MAX};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Settings {
    title: String,
    limit: u32,
}

#[test]
fn a_cell_is_zero_until_it_is_set() {
    let mut state = state();
    let empty = root(&mut state);
    assert_eq!(state.cell::<u64>("n").get(), 0);
    assert_eq!(state.cell_mut::<i128>("n").get(), 0);
    assert!(!state.cell::<bool>("n").get());
    assert_eq!(state.cell::<[u8; 3]>("n").get(), [0; 3]);
    assert_eq!(root(&mut state), empty);
}

#[test]
fn cells_come_back_by_name_and_size() {
    let mut state = state();
    state.cell_mut("a").set(u64::MAX - 1).unwrap();
    state.cell_mut("a").set(7_u32).unwrap();
    state.cell_mut("b").set(-5_i64).unwrap();
    state.cell_mut("flag").set(true).unwrap();
    state.cell_mut("large").set([3_u8; 5000]).unwrap();
    assert_eq!(state.cell::<u64>("a").get(), u64::MAX - 1);
    assert_eq!(state.cell::<u32>("a").get(), 7);
    assert_eq!(state.cell::<i64>("b").get(), -5);
    assert_eq!(state.cell::<u64>("c").get(), 0);
    assert!(state.cell::<bool>("flag").get());
    assert_eq!(state.cell::<[u8; 5000]>("large").get(), [3; 5000]);
    check(&state);
}

#[test]
fn setting_a_cell_again_changes_one_page_and_takes_none() {
    let mut state = state();
    state.cell_mut("a").set(1_u64).unwrap();
    let (before, taken) = (pages(&mut state), named_pages(&state));
    state.cell_mut("a").set(2_u64).unwrap();
    let after = pages(&mut state);
    assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1);
    assert_eq!(named_pages(&state), taken);
}

#[test]
fn values_come_back_as_the_type_they_were_and_as_no_other() {
    let mut state = state();
    let settings = Settings { title: "a title".into(), limit: 3 };
    assert_eq!(state.value::<Settings>("s").get(), Ok(None));
    state.value_mut("s").set(&settings).unwrap();
    assert_eq!(state.value::<Settings>("s").get(), Ok(Some(settings.clone())));
    assert_eq!(state.value_mut::<Settings>("s").get(), Ok(Some(settings)));
    assert!(matches!(state.value::<u64>("s").get(), Err(StateError::WrongType(_))));
    state.value_mut::<Settings>("s").remove();
    assert_eq!(state.value::<Settings>("s").get(), Ok(None));
    check(&state);
}

#[test]
fn a_value_over_the_limit_is_refused_and_one_at_it_is_not() {
    let mut state = state();
    // MessagePack puts 3 bytes before a string of this length.
    let fits = "x".repeat(VALUE_BYTES_MAX - 3);
    state.value_mut("v").set(&fits).unwrap();
    let over = "x".repeat(VALUE_BYTES_MAX - 2);
    let length = encode(&over).len();
    assert_eq!(
        state.value_mut("v").set(&over),
        Err(StateError::ValueTooLong { length, limit: VALUE_BYTES_MAX })
    );
    assert_eq!(state.value::<String>("v").get(), Ok(Some(fits)));
}

#[test]
fn kinds_with_one_name_are_apart() {
    let mut state = state();
    state.cell_mut("x").set(1_u8).unwrap();
    state.value_mut("x").set(&2_u8).unwrap();
    state.map_mut("x").insert(b"x", b"3").unwrap();
    state.reserved_map().insert(b"x", b"4").unwrap();
    state.write(0, b"5").unwrap();
    assert_eq!(state.cell::<u8>("x").get(), 1);
    assert_eq!(state.value::<u8>("x").get(), Ok(Some(2)));
    assert_eq!(state.map("x").get(b"x").unwrap(), &b"3"[..]);
    assert_eq!(state.reserved().get(b"x").unwrap(), &b"4"[..]);
    check(&state);
}

#[test]
fn names_over_the_limit_are_refused_and_read_as_never_set() {
    let mut state = state();
    let longest = "n".repeat(NAME_BYTES_MAX);
    state.cell_mut(&longest).set([1_u8; 9]).unwrap();
    state.value_mut(&longest).set(&1_u8).unwrap();
    state.map_mut(&longest).insert(b"k", b"v").unwrap();
    let before = pages(&mut state);

    let over = "n".repeat(NAME_BYTES_MAX + 1);
    let refused = Err(StateError::NameTooLong { length: NAME_BYTES_MAX + 1, limit: NAME_BYTES_MAX });
    assert_eq!(state.cell_mut(&over).set(1_u8), refused);
    assert_eq!(state.value_mut(&over).set(&1_u8), refused);
    assert_eq!(state.map_mut(&over).insert(b"k", b"v"), refused);
    assert_eq!(state.map_mut(&over).remove(b"k"), None);
    state.map_mut(&over).clear();
    state.value_mut::<u8>(&over).remove();
    assert_eq!(state.cell::<u8>(&over).get(), 0);
    assert_eq!(state.value::<u8>(&over).get(), Ok(None));
    assert!(state.map(&over).is_empty());
    assert_eq!(pages(&mut state), before);
}

#[test]
fn a_full_arena_refuses_new_names_and_still_sets_old_ones() {
    let mut state = State::new(SMALL);
    state.cell_mut("old").set(1_u64).unwrap();
    for n in 0..40_u64 {
        let _ = state.map_mut("m").insert(&n.to_be_bytes(), &[1; 4096]);
    }
    let before = pages(&mut state);
    let refused = |needed| Err(StateError::OutOfPages { needed, available: 0 });
    assert_eq!(state.cell_mut("new").set([1_u8; 4096]), refused(1));
    assert_eq!(state.map_mut("new").insert(b"k", b"v"), refused(2));
    assert_eq!(pages(&mut state), before);
    state.cell_mut("old").set(2_u64).unwrap();
    assert_eq!(state.cell::<u64>("old").get(), 2);
    check(&state);
}

#[test]
fn an_arena_of_no_pages_refuses_everything_and_reads_as_empty() {
    let mut state =
        State::new(crate::ports::state::StateLimits { raw_pages: 0, named_pages: 0, reserved_pages: 1 });
    let refused = |needed| Err(StateError::OutOfPages { needed, available: 0 });
    assert_eq!(state.cell_mut("c").set(1_u8), refused(1));
    assert_eq!(state.map_mut("m").insert(b"k", b"v"), refused(3));
    assert_eq!(state.reserved_map().insert(b"k", b"v"), refused(1));
    assert_eq!(state.map_mut("m").remove(b"k"), None);
    assert!(state.map("m").iter().next().is_none());
    assert_eq!(pages(&mut state), []);
}
