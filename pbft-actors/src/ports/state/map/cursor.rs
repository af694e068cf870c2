use std::borrow::Cow;
use std::ops::Bound;

use super::node::Node;
use super::tree::{Tree, check_levels};

/// The entries of a part of a map, in order of keys: what [`Map::range`](super::Map::range) gives.
pub struct Entries<'a> {
    tree: Option<Tree<'a>>,
    /// From the root down: a node, and the next child or cell to visit there.
    stack: Vec<(Node<'a>, usize)>,
    end: Bound<Vec<u8>>,
    /// Entries that the map has and that were not given yet: more is a loop.
    left: u64,
}

impl<'a> Entries<'a> {
    pub(super) fn none() -> Self {
        Self { tree: None, stack: Vec::new(), end: Bound::Unbounded, left: 0 }
    }

    pub(super) fn new(tree: Tree<'a>, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Self {
        let end = end.map(<[u8]>::to_vec);
        let mut entries = Self { tree: Some(tree), stack: Vec::new(), end, left: tree.len() };
        let mut below = tree.root();
        while below != 0 {
            let node = tree.node(below);
            let slot = first_slot(node, start);
            below = entries.enter(node, slot);
        }
        entries
    }

    /// Puts a node on the stack at a place; the child to go on with, 0 in a leaf.
    fn enter(&mut self, node: Node<'a>, slot: usize) -> u32 {
        check_levels(self.stack.len());
        if node.is_leaf() {
            self.stack.push((node, slot));
            return 0;
        }
        self.stack.push((node, slot + 1));
        node.child(slot)
    }

    /// The next leaf and cell.
    fn advance(&mut self) -> Option<(Node<'a>, usize)> {
        let tree = self.tree?;
        loop {
            let (node, slot) = self.stack.last_mut()?;
            let (node, at) = (*node, *slot);
            *slot += 1;
            if node.is_leaf() && at < node.count() {
                return Some((node, at));
            }
            if node.is_leaf() || at > node.count() {
                self.stack.pop();
                continue;
            }
            let below = tree.node(node.child(at));
            assert!(below.count() > 0 || !below.is_leaf(), "no leaf is left empty");
            check_levels(self.stack.len());
            self.stack.push((below, 0));
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (leaf, cell) = self.advance()?;
        let key = leaf.key(cell);
        let inside = match &self.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
        };
        if !inside {
            self.stack.clear();
            return None;
        }
        self.left = self.left.checked_sub(1).expect("a tree has no more entries than it counts");
        let value = self.tree?.pages().value(leaf.entry(cell));
        Some((key, value))
    }
}

/// Where a scan from `start` begins in a node: a child of a branch, a cell of a leaf.
fn first_slot(node: Node<'_>, start: Bound<&[u8]>) -> usize {
    let (Bound::Included(key) | Bound::Excluded(key)) = start else { return 0 };
    if !node.is_leaf() {
        return node.child_slot(key);
    }
    match (node.find(key), start) {
        (Ok(found), Bound::Excluded(_)) => found + 1,
        (Ok(slot) | Err(slot), _) => slot,
    }
}
