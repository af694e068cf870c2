use std::ops::Bound;

use super::{SMALL, check, named_pages, pages, root, state};
use crate::ports::state::{Entries, KEY_BYTES_MAX, State, StateError};

/// Lengths around every place where the layout of a value changes.
const LENGTHS: [usize; 14] =
    [0, 1, 300, 1344, 1345, 1346, 1350, 4091, 4092, 4093, 4096, 2 * 4092, 2 * 4092 + 1340, 100_000];

fn numbered(count: u32) -> State {
    let mut state = state();
    for n in 0..count {
        state.map_mut("m").insert(&n.to_be_bytes(), &[n as u8; 50]).unwrap();
    }
    state
}

#[test]
fn values_of_every_length_come_back() {
    let mut state = state();
    for key_bytes in [0, 1, 1000, KEY_BYTES_MAX] {
        for length in LENGTHS {
            let value: Vec<u8> = (0..=250).cycle().take(length).collect();
            let key = vec![b'k'; key_bytes];
            state.map_mut("m").insert(&key, &value).unwrap();
            assert_eq!(state.map("m").get(&key).unwrap(), value);
            check(&state);
        }
    }
    assert_eq!(state.map("m").len(), 4);
    for key_bytes in [0, 1, 1000, KEY_BYTES_MAX] {
        assert_eq!(state.map_mut("m").remove(&vec![b'k'; key_bytes]).unwrap().len(), 100_000);
    }
    assert!(state.map("m").is_empty());
    check(&state);
}

#[test]
fn a_short_value_is_not_copied() {
    let mut state = state();
    state.map_mut("m").insert(b"k", &[1; 1000]).unwrap();
    assert!(matches!(state.map("m").get(b"k"), Some(std::borrow::Cow::Borrowed(_))));
}

#[test]
fn keys_over_the_limit_are_refused_and_change_nothing() {
    let mut state = state();
    let refused = Err(StateError::KeyTooLong { length: KEY_BYTES_MAX + 1, limit: KEY_BYTES_MAX });
    assert_eq!(state.map_mut("m").insert(&[0; KEY_BYTES_MAX + 1], b"v"), refused);
    assert_eq!(pages(&mut state), []);
    assert_eq!(state.map_mut("m").remove(&[0; KEY_BYTES_MAX + 1]), None);
    assert_eq!(state.map("m").get(&[0; KEY_BYTES_MAX + 1]), None);
}

#[test]
fn reads_and_removes_of_what_is_not_there_change_nothing() {
    let mut state = numbered(500);
    let before = pages(&mut state);
    assert_eq!(state.map("m").get(b"absent"), None);
    assert!(!state.map("m").contains(b"absent"));
    assert_eq!(state.map_mut("m").remove(b"absent"), None);
    assert_eq!(state.map_mut("other").remove(b"absent"), None);
    state.map_mut("other").clear();
    assert!(state.map("other").is_empty() && state.map("other").iter().next().is_none());
    assert_eq!((state.map("other").first(), state.map("other").last()), (None, None));
    assert_eq!(pages(&mut state), before);
}

#[test]
fn ranges_take_every_kind_of_bound() {
    let mut state = state();
    for key in ["a", "b", "c", "d"] {
        state.map_mut("m").insert(key.as_bytes(), b"").unwrap();
    }
    let map = state.map("m");
    let text = |entries: Entries<'_>| {
        entries.map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect::<String>()
    };
    let [a, aa, b, bb, c, d, x] = ["a", "aa", "b", "bb", "c", "d", "x"].map(str::as_bytes);
    assert_eq!(text(map.iter()), "abcd");
    assert_eq!(text(map.range(..)), "abcd");
    assert_eq!(text(map.range(b..)), "bcd");
    assert_eq!(text(map.range(aa..)), "bcd");
    assert_eq!(text(map.range(b..d)), "bc");
    assert_eq!(text(map.range(b..=d)), "bcd");
    assert_eq!(text(map.range(..c)), "ab");
    assert_eq!(text(map.range((Bound::Excluded(b), Bound::Included(c)))), "c");
    assert_eq!(text(map.range((Bound::Excluded(bb), Bound::Excluded(d)))), "c");
    assert_eq!(text(map.range(d..b)), "");
    assert_eq!(text(map.range(x..)), "");
    let mut ended = map.range(a..b);
    assert_eq!((ended.by_ref().count(), ended.next()), (1, None));
}

#[test]
fn scans_over_many_leaves_begin_and_end_where_they_should() {
    let state = numbered(3000);
    let map = state.map("m");
    let scan = |from: u32, to: u32| {
        map.range(&from.to_be_bytes()[..]..&to.to_be_bytes()[..])
            .map(|(key, _)| u32::from_be_bytes(key.try_into().unwrap()))
            .collect::<Vec<_>>()
    };
    for (from, to) in [(0, 3000), (1, 2), (63, 65), (700, 2100), (2999, 9999), (5, 5)] {
        assert_eq!(scan(from, to), (from..to.min(3000)).collect::<Vec<_>>());
    }
    assert_eq!(map.first().unwrap().0, 0_u32.to_be_bytes());
    assert_eq!(map.last().unwrap().0, 2999_u32.to_be_bytes());
    assert_eq!(map.iter().count() as u64, map.len());
}

#[test]
fn ascending_keys_fill_their_pages() {
    let state = numbered(3000);
    // 3,000 entries of 62 bytes with their places, 65 to a page, and two branches.
    assert!(named_pages(&state) <= 52, "{} pages", named_pages(&state));
    check(&state);
}

#[test]
fn removing_everything_in_any_order_leaves_no_page_in_use() {
    let orders: [fn(u32) -> u32; 3] = [|n| n, |n| 1999 - n, |n| n * 787 % 2000];
    for order in orders {
        let mut state = numbered(2000);
        let taken = named_pages(&state);
        for n in 0..2000 {
            let key = order(n).to_be_bytes();
            assert_eq!(state.map_mut("m").remove(&key), Some(vec![order(n) as u8; 50]));
            assert!(!state.map("m").contains(&key));
            if n % 97 == 0 {
                check(&state);
            }
        }
        check(&state);
        assert_eq!((state.map("m").len(), named_pages(&state)), (0, taken));
        // The directory's leaf, the map's head and page 0 are all that is used.
        assert_eq!(state.named().available() + 3, u64::from(super::StateLimits::default().named_pages));
    }
}

#[test]
fn pages_given_back_are_used_again() {
    let mut state = numbered(100);
    for value in [&[1_u8; 20][..], &[1; 3000], &[1; 50_000]] {
        state.map_mut("m").insert(b"x", value).unwrap();
        let taken = named_pages(&state);
        for _ in 0..200 {
            state.map_mut("m").remove(b"x").unwrap();
            state.map_mut("m").insert(b"x", value).unwrap();
            state.map_mut("m").insert(b"x", value).unwrap();
        }
        assert_eq!(named_pages(&state), taken);
    }
    check(&state);
}

#[test]
fn clear_gives_back_all_and_the_map_goes_on() {
    let mut state = numbered(1000);
    state.map_mut("m").insert(b"large", &[1; 30_000]).unwrap();
    let taken = named_pages(&state);
    state.map_mut("m").clear();
    assert_eq!((state.map("m").len(), state.map("m").iter().count()), (0, 0));
    // Page 0, the directory's leaf, and one page that lists those that are free; the map's head is zero.
    assert_eq!(pages(&mut state).len(), 3);
    check(&state);
    for n in 0..1000_u32 {
        state.map_mut("m").insert(&n.to_be_bytes(), &[n as u8; 50]).unwrap();
    }
    assert_eq!(named_pages(&state), taken);
    check(&state);
}

#[test]
fn an_insertion_that_may_lack_pages_is_refused_and_changes_nothing() {
    let mut state = State::new(SMALL);
    let mut inserted = 0_u64;
    let refused = loop {
        let before = pages(&mut state);
        match state.map_mut("m").insert(&inserted.to_be_bytes(), &[7; 9000]) {
            Ok(()) => inserted += 1,
            Err(error) => {
                assert_eq!(pages(&mut state), before);
                break error;
            }
        }
    };
    // 40 pages: page 0, the directory's leaf, the map's head, branch and 4 leaves, and 2 per value. The
    // next would take 2 for itself, and up to 3 for cutting a leaf, its branch, and a root above.
    assert_eq!((inserted, refused), (16, StateError::OutOfPages { needed: 5, available: 0 }));
    check(&state);
    // What is there can still be read, replaced by what is no larger, and removed.
    state.map_mut("m").insert(&3_u64.to_be_bytes(), &[8; 9000]).unwrap();
    assert_eq!(state.map_mut("m").remove(&3_u64.to_be_bytes()), Some(vec![8; 9000]));
    state.map_mut("m").insert(&3_u64.to_be_bytes(), &[9; 9000]).unwrap();
    check(&state);
}

#[test]
fn small_entries_fill_an_arena_to_the_last_pages() {
    let mut state = State::new(SMALL);
    let mut n = 0_u64;
    while state.map_mut("m").insert(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes(), &[7; 100]).is_ok() {
        n += 1;
    }
    check(&state);
    // A cut of a leaf two levels down may need three pages, so fewer than three are left.
    assert!(state.named().available() < 3);
    state.map_mut("m").clear();
    check(&state);
}

#[test]
fn the_reserved_map_is_out_of_a_services_reach() {
    let mut state = State::new(SMALL);
    state.reserved_map().insert(b"client", &[1; 5000]).unwrap();
    let with_reserved = pages(&mut state);
    state.write(0, b"x").unwrap();
    state.map_mut("client").insert(b"client", b"x").unwrap();
    state.map_mut("client").clear();
    assert_eq!(state.reserved().get(b"client").unwrap(), &[1; 5000][..]);
    assert!(with_reserved.iter().all(|page| pages(&mut state).contains(page)));
    // Ten pages: page 0, a leaf, one for the value, seven left.
    let refused = StateError::OutOfPages { needed: 8, available: 7 };
    assert_eq!(state.reserved_map().insert(b"more", &[1; 8 * 4092]), Err(refused));
    check(&state);
}

#[test]
fn equal_operations_give_equal_bytes_and_orders_may_not() {
    let (mut one, mut two) = (numbered(700), numbered(700));
    assert_eq!(pages(&mut one), pages(&mut two));
    one.map_mut("m").remove(&5_u32.to_be_bytes());
    assert_ne!(root(&mut one), root(&mut two));
    two.map_mut("m").remove(&5_u32.to_be_bytes());
    assert_eq!(root(&mut one), root(&mut two));
}

#[test]
fn more_free_pages_than_one_list_page_names_are_all_used_again() {
    let mut state = state();
    for n in 0..3_u8 {
        state.map_mut("m").insert(&[n], &vec![n + 1; 800 * 4092]).unwrap();
    }
    let (before, taken) = (pages(&mut state), named_pages(&state));
    state.map_mut("m").clear();
    check(&state);
    assert_eq!(pages(&mut state).len(), 2 + 3);
    for n in 0..3_u8 {
        state.map_mut("m").insert(&[n], &vec![n + 1; 800 * 4092]).unwrap();
        check(&state);
    }
    assert_eq!(named_pages(&state), taken);
    assert_eq!(pages(&mut state).len(), before.len());
}

/// A key of 1,004 bytes: three to a leaf, and five children to a branch.
fn long(n: u32) -> Vec<u8> {
    [&[b'k'; 1000][..], &n.to_be_bytes()].concat()
}

#[test]
fn a_branch_that_loses_its_only_child_goes_too() {
    let mut state = state();
    for n in 0..200 {
        state.map_mut("m").insert(&long(n), &[n as u8]).unwrap();
        let (before, available) = (pages(&mut state), state.named().available());
        // The last leaf, and branches above it, may have held this alone.
        assert_eq!(state.map_mut("m").remove(&long(n)), Some(vec![n as u8]));
        check(&state);
        state.map_mut("m").insert(&long(n), &[n as u8]).unwrap();
        assert_eq!((pages(&mut state).len(), state.named().available()), (before.len(), available));
    }
    for n in (0..200).rev() {
        assert_eq!(state.map_mut("m").remove(&long(n)), Some(vec![n as u8]));
        check(&state);
    }
}

#[test]
fn two_small_neighbours_become_one_and_two_larger_do_not() {
    // Of 101 entries 65 are in the first leaf and 36 in the second; 21 are less than a third of one.
    for (first, second, merged) in [(21, 36, true), (22, 36, false), (31, 21, true), (31, 22, false)] {
        let mut state = numbered(101);
        let available = state.named().available();
        for n in (0..65 - first).chain(65..101 - second) {
            state.map_mut("m").remove(&u32::to_be_bytes(n)).unwrap();
        }
        check(&state);
        // With the second leaf, the root above both is gone.
        let given_back = if merged { 2 } else { 0 };
        assert_eq!(state.named().available() - available, given_back, "{first} and {second}");
    }
}

#[test]
fn replacing_by_shorter_values_merges_and_by_longer_ones_cuts() {
    let mut state = state();
    for length in [10, 1000, 0, 1300, 20_000, 1] {
        for n in 0..300_u32 {
            state.map_mut("m").insert(&n.to_be_bytes(), &vec![n as u8; length]).unwrap();
            check(&state);
        }
        assert_eq!(state.map("m").len(), 300);
    }
    // 300 entries of 13 bytes fill one leaf, or two that are less than full.
    let used = u64::from(super::StateLimits::default().named_pages) - state.named().available();
    assert!(used <= 3 + 3, "{used} pages");
}
