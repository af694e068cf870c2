use std::borrow::Cow;

use super::alloc::Pages;
use super::node::Node;
use crate::ports::state::page::{u32_at, u64_at};

/// In a tree's head page, its root, 0 if it is empty: u32. What is before belongs to the allocator.
pub(super) const ROOT: usize = 16;
/// In a tree's head page, its number of entries: u64.
pub(super) const LEN: usize = 24;

/// Most levels of a tree, and far more than its pages can make: a longer way down is a loop.
const LEVELS_MAX: usize = 64;

/// A B-tree to be read.
#[derive(Clone, Copy)]
pub(in crate::ports::state) struct Tree<'a> {
    pages: Pages<'a>,
    head: u32,
}

/// One node on the way from the root to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// The page of the node.
    pub(super) page: u32,
    /// In a branch the child taken, in a leaf the key's cell or where it would be.
    pub(super) slot: usize,
}

/// Where a key is in a tree, or would be.
pub(super) struct Path {
    /// The nodes from the root to the leaf; none if the tree is empty.
    pub(super) steps: Vec<Step>,
    /// Whether the leaf has the key.
    pub(super) found: bool,
}

impl<'a> Tree<'a> {
    /// The tree whose root is named in page `head`.
    pub(in crate::ports::state) fn new(pages: Pages<'a>, head: u32) -> Self {
        Self { pages, head }
    }

    pub(super) fn root(self) -> u32 {
        u32_at(self.pages.page(self.head), ROOT)
    }

    pub(in crate::ports::state) fn len(self) -> u64 {
        u64_at(self.pages.page(self.head), LEN)
    }

    /// The node in a page; page 0 is never one.
    pub(super) fn node(self, page: u32) -> Node<'a> {
        assert!(page != 0, "a branch has a child that is no page");
        Node::of(self.pages.page(page))
    }

    pub(super) fn pages(self) -> Pages<'a> {
        self.pages
    }

    pub(in crate::ports::state) fn get(self, key: &[u8]) -> Option<Cow<'a, [u8]>> {
        let (leaf, cell) = self.find(key)?;
        Some(self.pages.value(leaf.entry(cell)))
    }

    pub(super) fn contains(self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn first(self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        let leaf = self.leaf(|_| 0)?;
        Some((leaf.key(0), self.pages.value(leaf.entry(0))))
    }

    pub(super) fn last(self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        let leaf = self.leaf(|branch| branch.count())?;
        let cell = leaf.count().checked_sub(1).expect("no leaf is left empty");
        Some((leaf.key(cell), self.pages.value(leaf.entry(cell))))
    }

    /// The way down to a key.
    pub(super) fn path(self, key: &[u8]) -> Path {
        let mut steps = Vec::with_capacity(4);
        let mut page = self.root();
        if page == 0 {
            return Path { steps, found: false };
        }
        loop {
            check_levels(steps.len());
            let node = self.node(page);
            if node.is_leaf() {
                let (slot, found) = node.find(key).map_or_else(|slot| (slot, false), |slot| (slot, true));
                steps.push(Step { page, slot });
                return Path { steps, found };
            }
            let slot = node.child_slot(key);
            steps.push(Step { page, slot });
            page = node.child(slot);
        }
    }

    fn find(self, key: &[u8]) -> Option<(Node<'a>, usize)> {
        let leaf = self.leaf(|branch| branch.child_slot(key))?;
        Some((leaf, leaf.find(key).ok()?))
    }

    /// The leaf at the end of the way that `choose` picks; None in an empty tree.
    fn leaf(self, choose: impl Fn(Node<'a>) -> usize) -> Option<Node<'a>> {
        let mut page = self.root();
        if page == 0 {
            return None;
        }
        let mut above = 0;
        loop {
            check_levels(above);
            above += 1;
            let node = self.node(page);
            if node.is_leaf() {
                return Some(node);
            }
            page = node.child(choose(node));
        }
    }
}

/// Asserts that one more node may follow so many on the way down.
pub(super) fn check_levels(above: usize) {
    assert!(above < LEVELS_MAX, "a tree of more than {LEVELS_MAX} levels");
}
