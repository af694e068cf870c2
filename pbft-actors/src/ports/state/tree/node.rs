use std::sync::{Arc, OnceLock};

use super::children::Children;
use super::frame::Frame;
use super::stored::{DamagedPart, NodeRecord, Stored};
use super::{PAGE_LEVEL, TREE_LEVELS, child_index, node_digest, slot_below};
use crate::crypto::Digest;
use crate::ports::state::heap::HeapCount;

/// One node, with its digest once somebody asked for it: in memory, in a page file, or both. Shared
/// nodes are never changed: a writer takes copies of those on its way. A node stays at one place of
/// the tree, which its digest covers.
#[derive(Clone)]
pub(in crate::ports::state) struct Node {
    level: u8,
    index: u64,
    below: OnceLock<Below>,
    /// None inside: nothing but zeros below, which is the same as no node.
    digest: OnceLock<Option<Digest>>,
    stored: OnceLock<Arc<Stored>>,
}

#[derive(Clone)]
pub(in crate::ports::state) enum Below {
    Pages(Children<Arc<Frame>>),
    Nodes(Children<Arc<Node>>),
}

/// A page or a node of the tree.
#[derive(Clone)]
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
        let below = Below::empty(level).into();
        Self { level, index, below, digest: OnceLock::new(), stored: OnceLock::new() }
    }

    /// A node that lies in a store and is read on access.
    pub(in crate::ports::state) fn of_stored(
        level: u8,
        index: u64,
        digest: Option<Digest>,
        stored: Arc<Stored>,
    ) -> Self {
        Self { level, index, below: OnceLock::new(), digest: digest.into(), stored: stored.into() }
    }

    /// A node that was just written to a store.
    pub(in crate::ports::state) fn of_written(
        level: u8,
        index: u64,
        digest: Option<Digest>,
        below: Below,
        stored: Arc<Stored>,
    ) -> Self {
        Self { below: below.into(), ..Self::of_stored(level, index, digest, stored) }
    }

    pub(in crate::ports::state) fn level(&self) -> u8 {
        self.level
    }

    pub(in crate::ports::state) fn index(&self) -> u64 {
        self.index
    }

    /// The children. Panics with [`DamagedPart`] if they are not what was stored.
    fn below(&self) -> &Below {
        self.try_below().unwrap_or_else(|damaged| damaged.give_up())
    }

    pub(in crate::ports::state) fn try_below(&self) -> Result<&Below, DamagedPart> {
        match self.below.get() {
            Some(below) => Ok(below),
            None => {
                let below = self.load()?;
                Ok(self.below.get_or_init(|| below))
            }
        }
    }

    fn load(&self) -> Result<Below, DamagedPart> {
        let stored = self.stored.get().expect("a node without children of its own is stored");
        let record = self.reread(stored)?;
        let mut below = Below::empty(self.level);
        for child in record.children {
            let index = child_index(self.index, child.slot);
            let place = Stored::new(child.at, stored.store());
            if self.level - 1 == PAGE_LEVEL {
                below.insert_page(child.slot, Arc::new(Frame::of_stored(index, child.digest, place)));
            } else {
                let node = Self::of_stored(self.level - 1, index, Some(child.digest), place);
                below.insert_node(child.slot, Arc::new(node));
            }
        }
        Ok(below)
    }

    /// The record as it is on the disk now, if it is what was stored.
    fn reread(&self, stored: &Stored) -> Result<NodeRecord, DamagedPart> {
        let damaged = DamagedPart { level: self.level, index: self.index };
        let record = stored.store().read_node(self.level, self.index, stored.slot()).map_err(|_| damaged)?;
        let children: Vec<_> = record.children.iter().map(|child| (child.slot, child.digest)).collect();
        let digest = (!children.is_empty()).then(|| node_digest(self.level, self.index, &children));
        let known = self.digest.get().expect("a stored node has its digest");
        if digest == *known { Ok(record) } else { Err(damaged) }
    }

    /// Slots of the store, after the first, that its record takes; none for what is only in memory.
    pub(in crate::ports::state) fn chain(&self) -> Result<Vec<u64>, DamagedPart> {
        self.stored.get().map_or(Ok(Vec::new()), |stored| Ok(self.reread(stored)?.chain))
    }

    /// Compares what is stored with the digest; what is only in memory is as it should be.
    pub(in crate::ports::state) fn scrub(&self) -> Result<(), DamagedPart> {
        self.chain().map(drop)
    }

    /// The child in a slot.
    pub(in crate::ports::state) fn child(&self, slot: u8) -> Option<Part<'_>> {
        self.below().child(slot)
    }

    /// The children from a slot on, ascending.
    pub(in crate::ports::state) fn children_from(&self, slot: u8) -> BoxedParts<'_> {
        self.below().children_from(slot)
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
    pub(in crate::ports::state) fn frame_mut(&mut self, page: u64, count: &HeapCount) -> &mut Arc<Frame> {
        let slot = slot_below(self.level, PAGE_LEVEL, page);
        let (level, index) = (self.level - 1, child_index(self.index, slot));
        match self.below_mut() {
            Below::Pages(frames) => frames.get_or_insert_with(slot, || Arc::new(Frame::zero(index, count))),
            Below::Nodes(nodes) => {
                let node = nodes.get_or_insert_with(slot, || Arc::new(Self::new(level, index)));
                Arc::make_mut(node).frame_mut(page, count)
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
                if node.below().is_empty() {
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

    /// Slots and digests of the children that are not all zero.
    pub(in crate::ports::state) fn digests(&self) -> Vec<(u8, Digest)> {
        self.children_from(0).filter_map(|(slot, part)| Some((slot, part.digest()?))).collect()
    }

    /// The lowest page below that is not the same in both. What both share is not looked at.
    pub(in crate::ports::state) fn first_difference(&self, other: &Self) -> Option<u64> {
        let slots = (0..=u8::MAX).filter(|&slot| self.child(slot).is_some() || other.child(slot).is_some());
        for slot in slots {
            let index = child_index(self.index, slot);
            let (one, two) = (self.child(slot), other.child(slot));
            let digest = |part: &Option<Part<'_>>| part.as_ref().and_then(Part::digest);
            if digest(&one) == digest(&two) {
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

    pub(in crate::ports::state) fn stored(&self) -> Option<&Arc<Stored>> {
        self.stored.get()
    }

    /// Remembers where it was stored; a node that is stored elsewhere stays so.
    pub(in crate::ports::state) fn set_stored(&self, stored: &Arc<Stored>) {
        self.stored.get_or_init(|| stored.clone());
    }

    /// Its children if they are in memory.
    pub(super) fn loaded(&self) -> Option<&Below> {
        self.below.get()
    }

    /// The children, to be replaced by others of the same content.
    pub(super) fn same_below_mut(&mut self) -> Option<&mut Below> {
        self.below.get_mut()
    }

    /// The children, to be changed: forgets the digest, and where the node was stored.
    fn below_mut(&mut self) -> &mut Below {
        self.below();
        (self.digest, self.stored) = (OnceLock::new(), OnceLock::new());
        self.below.get_mut().expect("it is loaded")
    }

    #[cfg(test)]
    pub(in crate::ports::state) fn is_digested(&self) -> bool {
        self.digest.get().is_some()
    }
}

/// Children by slot, ascending.
pub(in crate::ports::state) type BoxedParts<'a> = Box<dyn Iterator<Item = (u8, Part<'a>)> + 'a>;

impl Below {
    /// No children, for a node of this level.
    pub(in crate::ports::state) fn empty(level: u8) -> Self {
        match level - 1 {
            PAGE_LEVEL => Self::Pages(Children::default()),
            _ => Self::Nodes(Children::default()),
        }
    }

    /// Adds a part of the level below.
    pub(in crate::ports::state) fn insert_page(&mut self, slot: u8, frame: Arc<Frame>) {
        if let Self::Pages(frames) = self {
            frames.insert(slot, frame);
        }
    }

    /// Adds a part of the level below.
    pub(in crate::ports::state) fn insert_node(&mut self, slot: u8, node: Arc<Node>) {
        if let Self::Nodes(nodes) = self {
            nodes.insert(slot, node);
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Pages(frames) => frames.is_empty(),
            Self::Nodes(nodes) => nodes.is_empty(),
        }
    }

    pub(in crate::ports::state) fn child(&self, slot: u8) -> Option<Part<'_>> {
        match self {
            Self::Pages(frames) => frames.get(slot).map(Part::Page),
            Self::Nodes(nodes) => nodes.get(slot).map(Part::Node),
        }
    }

    pub(in crate::ports::state) fn children_from(&self, slot: u8) -> BoxedParts<'_> {
        match self {
            Self::Pages(frames) => {
                Box::new(frames.iter_from(slot).map(|(slot, frame)| (slot, Part::Page(frame))))
            }
            Self::Nodes(nodes) => {
                Box::new(nodes.iter_from(slot).map(|(slot, node)| (slot, Part::Node(node))))
            }
        }
    }
}

impl Part<'_> {
    /// The digest; None if it is all zero.
    pub(in crate::ports::state) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Page(frame) => frame.digest(),
            Self::Node(node) => node.digest(),
        }
    }

    /// The lowest page in it that is not all zero.
    fn first_page(&self, index: u64) -> Option<u64> {
        match self {
            Self::Page(frame) => frame.digest().map(|_| index),
            Self::Node(node) => {
                node.children_from(0).find_map(|(slot, part)| part.first_page(child_index(index, slot)))
            }
        }
    }
}
