mod map;
mod model;
mod named;
mod node;
mod raw;
mod savepoint;
mod snapshot;
mod tree;

use super::arena::Arena;
use super::directory;
use super::map::{Pages, Tree, check};
use super::{Page, State, StateLimits};
use crate::crypto::Digest;

/// Few pages everywhere.
const SMALL: StateLimits = StateLimits { raw_pages: 8, named_pages: 40, reserved_pages: 10 };

/// More pages than any test uses.
fn state() -> State {
    State::new(StateLimits::default())
}

fn root(state: &mut State) -> Digest {
    state.snapshot().root()
}

/// All pages that are not zero.
fn pages(state: &mut State) -> Vec<(u64, Page)> {
    state.snapshot().pages_from(0).map(|(index, page)| (index, *page)).collect()
}

/// A state rebuilt from another's pages.
fn transferred(state: &mut State) -> State {
    let limits = state.region.limits();
    State::from_pages(limits, pages(state)).unwrap()
}

/// Asserts all that holds of every state; every page must have exactly one use.
fn check(state: &State) {
    let reserved = Pages::new(&state.region, Arena::Reserved);
    check::check_pages(reserved, &check::check_tree(Tree::new(reserved, 0), 0));

    let named = Pages::new(&state.region, Arena::Named);
    let directory = super::Map::at(named, directory::HEAD);
    let mut used = check::check_tree(Tree::new(named, directory::HEAD), directory::HEAD);
    for (key, head) in directory.range(&b"m"[..]..&b"n"[..]) {
        assert_eq!(key[0], b'm');
        let head = super::page::u32_at(&head, 0);
        let of_map = check::check_tree(Tree::new(named, head), head);
        assert!(used.is_disjoint(&of_map));
        used.extend(of_map);
    }
    check::check_pages(named, &used);
}

/// Pages of the named arena that were ever taken.
fn named_pages(state: &State) -> u32 {
    Pages::new(&state.region, Arena::Named).taken()
}
