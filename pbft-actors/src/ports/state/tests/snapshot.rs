use super::{SMALL, check, pages, root, state, transferred};
use crate::crypto::{Digest, Hasher};
use crate::ports::state::{PAGE_BYTES, Page, Snapshot, State, StateError};

fn page(first: u8) -> Page {
    let mut page = [0; PAGE_BYTES];
    page[0] = first;
    page
}

fn refused(pages: &[(u64, Page)]) -> Option<StateError> {
    State::from_pages(SMALL, pages.iter().copied()).err()
}

#[test]
fn the_root_is_the_digest_of_the_way_to_each_page_that_is_not_zero() {
    let mut state = state();
    let node = |level: u64, children: &[(u8, Digest)]| {
        let mut listed = Vec::new();
        for (slot, digest) in children {
            listed.push(*slot);
            listed.extend_from_slice(&digest.0);
        }
        let mut hasher = Hasher::new("pbft state node");
        hasher.number(level).number(0).part(&listed);
        hasher.finish()
    };
    assert_eq!(root(&mut state), node(5, &[]));
    state.write(3 * PAGE_BYTES as u64, &page(7)).unwrap();
    state.write(0, &[0; 10]).unwrap();
    let mut page_hasher = Hasher::new("pbft page");
    page_hasher.number(3).part(&page(7));
    let mut digest = node(1, &[(3, page_hasher.finish())]);
    for level in 2..=5 {
        digest = node(level, &[(0, digest)]);
    }
    assert_eq!(root(&mut state), digest);
}

#[test]
fn the_root_forgets_pages_that_became_zero_again() {
    let mut state = state();
    let empty = root(&mut state);
    state.write(5000, b"something").unwrap();
    assert_ne!(root(&mut state), empty);
    state.write(5000, &[0; 9]).unwrap();
    assert_eq!(root(&mut state), empty);
    assert_eq!(pages(&mut state), []);
}

#[test]
fn the_same_content_at_another_place_has_another_root() {
    let roots = [0, 1, 300].map(|number| {
        let mut state = state();
        state.write(number * PAGE_BYTES as u64, &page(1)).unwrap();
        root(&mut state)
    });
    assert!(roots[0] != roots[1] && roots[1] != roots[2] && roots[0] != roots[2]);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut state = state();
    state.map_mut("m").insert(b"k", &[1; 9000]).unwrap();
    let before = pages(&mut state);
    let snapshot = state.snapshot();
    let root_before: Digest = root(&mut state);
    state.map_mut("m").insert(b"k", &[2; 9000]).unwrap();
    state.write(0, b"later").unwrap();
    assert_eq!(snapshot.root(), root_before);
    assert_eq!(snapshot.pages_from(0).map(|(index, page)| (index, *page)).collect::<Vec<_>>(), before);
    assert_ne!(root(&mut state), root_before);
    state.restore(&snapshot);
    assert_eq!(root(&mut state), root_before);
    assert_eq!(state.map("m").get(b"k").unwrap(), &[1; 9000][..]);
}

#[test]
fn pages_from_starts_at_the_index_and_skips_zeros() {
    let mut state = state();
    for number in [0_u64, 2, 255, 256, 700] {
        state.write(number * PAGE_BYTES as u64, &page(1)).unwrap();
    }
    state.write(2 * PAGE_BYTES as u64, &[0]).unwrap();
    let snapshot = state.snapshot();
    let from = |first| snapshot.pages_from(first).map(|(index, _)| index).collect::<Vec<_>>();
    assert_eq!(from(0), [0, 255, 256, 700]);
    assert_eq!(from(1), [255, 256, 700]);
    assert_eq!(from(256), [256, 700]);
    assert_eq!(from(701), [0; 0]);
}

#[test]
fn the_first_difference_is_the_lowest_page_that_differs() {
    let mut state = state();
    state.write(0, &[1; 600 * PAGE_BYTES]).unwrap();
    let before = state.snapshot();
    let same = state.snapshot();
    assert_eq!(before.first_difference(&same), None);
    state.write(599 * PAGE_BYTES as u64, b"x").unwrap();
    state.write(300 * PAGE_BYTES as u64, b"x").unwrap();
    let after = state.snapshot();
    assert_eq!(before.first_difference(&after), Some(300));
    assert_eq!(after.first_difference(&before), Some(300));
    // The same content in other frames is no difference.
    assert_eq!(after.first_difference(&transferred(&mut state).snapshot()), None);
    // A page of zeros is no page.
    state.restore(&before);
    state.write(5000 * PAGE_BYTES as u64, &[0; 4]).unwrap();
    assert_eq!(before.first_difference(&state.snapshot()), None);
}

#[test]
fn a_state_rebuilt_from_pages_is_the_same_and_goes_on_the_same() {
    let mut state = state();
    for n in 0..300_u32 {
        state.map_mut("m").insert(&n.to_be_bytes(), &vec![n as u8; n as usize * 20]).unwrap();
    }
    state.reserved_map().insert(b"c", b"1").unwrap();
    state.map_mut("m").remove(&7_u32.to_be_bytes());
    let mut other = transferred(&mut state);
    assert_eq!(root(&mut other), root(&mut state));
    assert!(state.map("m").iter().eq(other.map("m").iter()));
    for state in [&mut state, &mut other] {
        state.map_mut("m").insert(b"more", &[5; 5000]).unwrap();
        check(state);
    }
    assert_eq!(pages(&mut other), pages(&mut state));
}

#[test]
fn transferred_pages_are_refused_out_of_order_out_of_limits_or_empty() {
    let reserved = 2_u64 << 32;
    assert_eq!(refused(&[(0, page(1)), (7, page(1)), (reserved + 9, page(1))]), None);
    assert_eq!(refused(&[(2, page(1)), (1, page(1))]), Some(StateError::PageOutOfOrder(1)));
    assert_eq!(refused(&[(2, page(1)), (2, page(1))]), Some(StateError::PageOutOfOrder(2)));
    for outside in [8, (1 << 32) + 40, reserved + 10, 3 << 32, u64::MAX] {
        assert_eq!(refused(&[(outside, page(1))]), Some(StateError::PageOutsideLimits(outside)));
    }
    assert_eq!(refused(&[(1, page(0))]), Some(StateError::PageEmpty(1)));
}

#[test]
fn a_state_and_its_snapshots_may_move_to_another_thread() {
    fn moves<T: Send + Sync>() {}
    moves::<State>();
    moves::<Snapshot>();
}
