use super::{SMALL, pages, state};
use crate::ports::state::{PAGE_BYTES, State, StateError};

fn read(state: &State, offset: u64, count: usize) -> Vec<u8> {
    let mut buffer = vec![0xaa; count];
    state.read(offset, &mut buffer);
    buffer
}

#[test]
fn bytes_come_back_across_pages_and_the_rest_is_zero() {
    let mut state = state();
    let bytes: Vec<u8> = (1..=200).cycle().take(3 * PAGE_BYTES).collect();
    state.write(4000, &bytes).unwrap();
    assert_eq!(read(&state, 4000, bytes.len()), bytes);
    assert_eq!(read(&state, 3990, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(read(&state, 4000 + bytes.len() as u64, 5000), [0; 5000]);
    assert_eq!(pages(&mut state).iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn writes_reach_the_limit_and_not_past_it() {
    let mut state = State::new(SMALL);
    let limit = 8 * PAGE_BYTES as u64;
    state.write(limit - 2, b"ab").unwrap();
    let before = pages(&mut state);
    let past = |offset, length| Err(StateError::PastLimit { offset, length, limit });
    assert_eq!(state.write(limit - 2, b"xyz"), past(limit - 2, 3));
    assert_eq!(state.write(limit, b"x"), past(limit, 1));
    assert_eq!(state.write(u64::MAX, b"x"), past(u64::MAX, 1));
    assert_eq!(pages(&mut state), before);
    assert_eq!(state.write(limit, b""), Ok(()));
}

#[test]
fn no_offset_reaches_another_arena() {
    let mut state = state();
    state.cell_mut::<[u8; 32]>("secret").set([0xff; 32]).unwrap();
    state.reserved_map().insert(b"client", &[0xff; 32]).unwrap();
    for (index, _) in pages(&mut state) {
        assert_eq!(read(&state, index * PAGE_BYTES as u64, PAGE_BYTES), [0; PAGE_BYTES]);
    }
    assert_eq!(read(&state, u64::MAX - 1, 5000), [0; 5000]);
}

#[test]
fn a_whole_page_of_zeros_takes_no_memory() {
    let mut state = state();
    state.write(0, &[7; PAGE_BYTES]).unwrap();
    state.write(0, &[0; PAGE_BYTES]).unwrap();
    assert!(state.region.table().frame(0).is_none());
    assert_eq!(read(&state, 0, PAGE_BYTES), [0; PAGE_BYTES]);
}
