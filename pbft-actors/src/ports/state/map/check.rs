//! What holds of every tree and every arena, checked in full after a test.

use std::collections::BTreeSet;

use super::alloc::Pages;
use super::node::Node;
use super::overflow::layout;
use super::tree::Tree;
use crate::ports::state::page::u32_at;

/// Walks a tree and asserts that keys ascend inside their bounds, all leaves are equally deep, none
/// is empty, and the entries are as many as counted. The pages it uses, its head included.
pub(in crate::ports::state) fn check_tree(tree: Tree<'_>, head: u32) -> BTreeSet<u32> {
    let mut walk = Walk { tree, pages: BTreeSet::from([head]), entries: 0, depth: None };
    if tree.root() != 0 {
        walk.node(tree.root(), 0, &[], None);
    }
    assert_eq!(walk.entries, tree.len());
    walk.pages
}

/// Asserts that every page ever taken is either in `used` or in the free list, and none in both.
pub(in crate::ports::state) fn check_pages(pages: Pages<'_>, used: &BTreeSet<u32>) {
    let mut all = used.clone();
    for (free, is_list) in pages.free() {
        assert!(all.insert(free), "page {free} is free and used, or free twice");
        assert!(is_list || pages.page(free).iter().all(|&byte| byte == 0), "free page {free} is not blank");
    }
    assert_eq!(all, (0..=pages.taken()).collect());
}

struct Walk<'a> {
    tree: Tree<'a>,
    pages: BTreeSet<u32>,
    entries: u64,
    depth: Option<usize>,
}

impl Walk<'_> {
    fn node(&mut self, page: u32, depth: usize, low: &[u8], high: Option<&[u8]>) {
        assert!(self.pages.insert(page), "page {page} is in a tree twice");
        let node = self.tree.node(page);
        assert!(!node.is_empty());
        let keys: Vec<&[u8]> = (0..node.count()).map(|cell| node.key(cell)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(keys.first().is_none_or(|&first| low <= first));
        assert!(keys.last().is_none_or(|&last| high.is_none_or(|high| last < high)));
        if node.is_leaf() {
            return self.leaf(node, depth);
        }
        for slot in 0..=node.count() {
            let low = slot.checked_sub(1).map_or(low, |cell| keys[cell]);
            self.node(node.child(slot), depth + 1, low, keys.get(slot).copied().or(high));
        }
    }

    fn leaf(&mut self, node: Node<'_>, depth: usize) {
        assert_eq!(*self.depth.get_or_insert(depth), depth);
        self.entries += node.count() as u64;
        for cell in 0..node.count() {
            let entry = node.entry(cell);
            let mut next = entry.overflow.unwrap_or(0);
            for _ in 0..layout(node.key(cell).len(), entry.value_bytes).pages {
                assert!(self.pages.insert(next), "overflow page {next} is used twice");
                next = u32_at(self.tree.pages().page(next), 0);
            }
            assert_eq!(next, 0);
        }
    }
}
