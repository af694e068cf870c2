use std::sync::Arc;

use super::frame::Frame;
use super::node::{BoxedParts, Node, Part};
use super::{PAGE_LEVEL, child_index, slot_below};

/// What is left of one node.
struct Rest<'a> {
    index: u64,
    children: BoxedParts<'a>,
}

/// The frames of a tree, ascending by page.
pub(in crate::ports::state) struct Frames<'a> {
    /// From the root down.
    way: Vec<Rest<'a>>,
}

impl<'a> Frames<'a> {
    /// Every frame from a page on, which the tree has room for.
    pub(in crate::ports::state) fn from(root: &'a Node, first: u64) -> Self {
        let mut way = Vec::new();
        let mut node = root;
        loop {
            let slot = slot_below(node.level(), PAGE_LEVEL, first);
            let Some(Part::Node(child)) = node.child(slot) else {
                way.push(Rest { index: node.index(), children: node.children_from(slot) });
                break;
            };
            // The child is gone into here, so the rest begins after it.
            let rest = slot.checked_add(1).map(|next| node.children_from(next));
            let children = rest.unwrap_or_else(|| Box::new(std::iter::empty()));
            way.push(Rest { index: node.index(), children });
            node = child;
        }
        Self { way }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (u64, &'a Arc<Frame>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.way.last_mut()?;
            let Some((slot, part)) = rest.children.next() else {
                self.way.pop();
                continue;
            };
            let index = child_index(rest.index, slot);
            match part {
                Part::Page(frame) => return Some((index, frame)),
                Part::Node(node) => self.way.push(Rest { index, children: node.children_from(0) }),
            }
        }
    }
}
