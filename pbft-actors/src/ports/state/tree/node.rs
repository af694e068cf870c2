use std::sync::{Arc, OnceLock};

use super::children::Children;
use super::{PAGE_LEVEL, TREE_LEVELS, child_index, node_digest, slot_below};
use crate::crypto::Digest;
use crate::ports::state::page::{Frame, ZERO_PAGE};

/// One node, with its digest once somebody asked for it. Shared nodes are never changed: a writer
/// takes copies of those on its way. A node stays at one place of the tree, which its digest covers.
pub(in crate::ports::state) struct Node {
    level: u8,
    index: u64,
    below: Below,
    /// None inside: nothing but zeros below, which is the same as no node.
    digest: OnceLock<Option<Digest>>,
}

#[derive(Clone)]
enum Below {
    Pages(Children<Arc<Frame>>),
    Nodes(Children<Arc<Node>>),
}

/// A page or a node of the tree.
#[derive(Clone, Copy)]
pub(in crate::ports::state) enum Part<'a> {
    Page(&'a Arc<Frame>),
    Node(&'a Arc<Node>),
}

impl Node {
    /// The root of a tree without pages.
    pub(in crate::ports::state) fn root() -> Self {
        Self::new(TREE_LEVELS, 0)
    }

    fn new(level: u8, index: u64) -> Self {
        let below = match level - 1 {
            PAGE_LEVEL => Below::Pages(Children::default()),
            _ => Below::Nodes(Children::default()),
        };
        Self { level, index, below, digest: OnceLock::new() }
    }

    pub(super) fn level(&self) -> u8 {
        self.level
    }

    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// The child in a slot.
    pub(super) fn child(&self, slot: u8) -> Option<Part<'_>> {
        match &self.below {
            Below::Pages(frames) => frames.get(slot).map(Part::Page),
            Below::Nodes(nodes) => nodes.get(slot).map(Part::Node),
        }
    }

    /// The children from a slot on, ascending.
    pub(in crate::ports::state) fn children_from(
        &self,
        slot: u8,
    ) -> Box<dyn Iterator<Item = (u8, Part<'_>)> + '_> {
        match &self.below {
            Below::Pages(frames) => {
                Box::new(frames.iter_from(slot).map(|(slot, frame)| (slot, Part::Page(frame))))
            }
            Below::Nodes(nodes) => {
                Box::new(nodes.iter_from(slot).map(|(slot, node)| (slot, Part::Node(node))))
            }
        }
    }

    /// A part below this node, which the tree has room for.
    pub(in crate::ports::state) fn part(&self, level: u8, index: u64) -> Option<Part<'_>> {
        let mut node = self;
        loop {
            match node.child(slot_below(node.level, level, index))? {
                Part::Node(child) if child.level > level => node = child,
                part => return Some(part),
            }
        }
    }

    /// A page's frame below this node, to be changed: one of zeros if there is none yet.
    pub(in crate::ports::state) fn frame_mut(&mut self, page: u64) -> &mut Arc<Frame> {
        let slot = slot_below(self.level, PAGE_LEVEL, page);
        let (level, index) = (self.level - 1, child_index(self.index, slot));
        match self.below_mut() {
            Below::Pages(frames) => frames.get_or_insert_with(slot, || Arc::new(Frame::new(ZERO_PAGE))),
            Below::Nodes(nodes) => {
                let node = nodes.get_or_insert_with(slot, || Arc::new(Self::new(level, index)));
                Arc::make_mut(node).frame_mut(page)
            }
        }
    }

    /// Sets a page below this node to a frame.
    pub(in crate::ports::state) fn put(&mut self, page: u64, frame: Arc<Frame>) {
        let slot = slot_below(self.level, PAGE_LEVEL, page);
        let (level, index) = (self.level - 1, child_index(self.index, slot));
        match self.below_mut() {
            Below::Pages(frames) => frames.insert(slot, frame),
            Below::Nodes(nodes) => {
                let node = nodes.get_or_insert_with(slot, || Arc::new(Self::new(level, index)));
                Arc::make_mut(node).put(page, frame);
            }
        }
    }

    /// Removes a part below this node, which is there, and nodes that are left without children.
    pub(in crate::ports::state) fn remove(&mut self, level: u8, index: u64) {
        let slot = slot_below(self.level, level, index);
        let direct = self.level - 1 == level;
        match self.below_mut() {
            Below::Pages(frames) => frames.remove(slot),
            Below::Nodes(nodes) if direct => nodes.remove(slot),
            Below::Nodes(nodes) => {
                let Some(node) = nodes.get_mut(slot) else { return };
                let node = Arc::make_mut(node);
                node.remove(level, index);
                if node.is_empty() {
                    nodes.remove(slot);
                }
            }
        }
    }

    /// The digest of all below; None if that is nothing but zeros. What was digested before, and has
    /// not changed, is not read again.
    pub(in crate::ports::state) fn digest(&self) -> Option<Digest> {
        *self.digest.get_or_init(|| {
            let children = self.digests();
            (!children.is_empty()).then(|| node_digest(self.level, self.index, &children))
        })
    }

    #[cfg(test)]
    pub(in crate::ports::state) fn is_digested(&self) -> bool {
        self.digest.get().is_some()
    }

    /// Slots and digests of the children that are not all zero.
    pub(in crate::ports::state) fn digests(&self) -> Vec<(u8, Digest)> {
        self.children_from(0)
            .filter_map(|(slot, part)| Some((slot, part.digest(child_index(self.index, slot))?)))
            .collect()
    }

    /// The lowest page below that is not the same in both. What both share is not looked at.
    pub(in crate::ports::state) fn first_difference(&self, other: &Self) -> Option<u64> {
        let slots = (0..=u8::MAX).filter(|&slot| self.child(slot).is_some() || other.child(slot).is_some());
        for slot in slots {
            let index = child_index(self.index, slot);
            let (one, two) = (self.child(slot), other.child(slot));
            let digest = |part: Option<Part<'_>>| part.and_then(|part| part.digest(index));
            if digest(one) == digest(two) {
                continue;
            }
            return match (one, two) {
                (Some(Part::Node(one)), Some(Part::Node(two))) => one.first_difference(two),
                (Some(part), None) | (None, Some(part)) => part.first_page(index),
                _ => Some(index),
            };
        }
        None
    }

    fn is_empty(&self) -> bool {
        match &self.below {
            Below::Pages(frames) => frames.is_empty(),
            Below::Nodes(nodes) => nodes.is_empty(),
        }
    }

    /// The children, to be changed: forgets the digest.
    fn below_mut(&mut self) -> &mut Below {
        self.digest = OnceLock::new();
        &mut self.below
    }
}

/// A copy is about to be changed, so it carries no digest.
impl Clone for Node {
    fn clone(&self) -> Self {
        Self { below: self.below.clone(), digest: OnceLock::new(), ..*self }
    }
}

impl Part<'_> {
    /// The digest of this part, which has this number at its level.
    pub(in crate::ports::state) fn digest(self, index: u64) -> Option<Digest> {
        match self {
            Self::Page(frame) => frame.digest(index),
            Self::Node(node) => node.digest(),
        }
    }

    /// The lowest page in it that is not all zero.
    fn first_page(self, index: u64) -> Option<u64> {
        match self {
            Self::Page(frame) => frame.digest(index).map(|_| index),
            Self::Node(node) => {
                node.children_from(0).find_map(|(slot, part)| part.first_page(child_index(index, slot)))
            }
        }
    }
}
