use std::sync::Arc;

use super::heap::{HeapCount, HeapPage};
use super::page::{Page, ZERO_PAGE};
use super::tree::{Frame, Frames, Node, PAGE_LEVEL, Part, TREE_LEVELS, adopt, has_place};

/// The frames of the pages that were written, by page index. This is all the rest of the state knows
/// about where pages are. A clone is one pointer and shares everything; a write then copies the nodes
/// on its way that are shared, and no others.
#[derive(Clone)]
pub(super) struct PageTable {
    root: Arc<Node>,
    heap: HeapCount,
}

impl Default for PageTable {
    fn default() -> Self {
        Self::of_root(Arc::new(Node::root()), HeapCount::default())
    }
}

impl PageTable {
    pub(super) fn of_root(root: Arc<Node>, heap: HeapCount) -> Self {
        Self { root, heap }
    }

    /// Pages in memory of their own, here and in every clone.
    pub(super) fn heap(&self) -> &HeapCount {
        &self.heap
    }

    pub(super) fn root(&self) -> &Arc<Node> {
        &self.root
    }

    /// A node or page; none where the tree has no room for one.
    pub(super) fn part(&self, level: u8, index: u64) -> Option<Part<'_>> {
        match level {
            _ if !has_place(level, index) => None,
            TREE_LEVELS => Some(Part::Node(&self.root)),
            _ => self.root.part(level, index),
        }
    }

    /// The content of a page, zeros if it was never written.
    pub(super) fn page(&self, index: u64) -> &Page {
        self.frame(index).map_or(&ZERO_PAGE, |frame| frame.bytes())
    }

    pub(super) fn frame(&self, index: u64) -> Option<&Arc<Frame>> {
        match self.part(PAGE_LEVEL, index)? {
            Part::Page(frame) => Some(frame),
            Part::Node(_) => None,
        }
    }

    /// The content of a page, to be changed. Copies it first if it is shared.
    pub(super) fn page_mut(&mut self, index: u64) -> &mut Page {
        let (frame, heap) = self.frame_mut(index);
        if Arc::get_mut(frame).is_none() {
            *frame = Arc::new(Frame::new(index, HeapPage::of(frame.bytes(), heap)));
        }
        Arc::get_mut(frame).expect("it was copied if shared").bytes_mut(heap)
    }

    /// A page of zeros in place of whatever was there, without copying that.
    pub(super) fn blank(&mut self, index: u64) -> &mut Page {
        let (frame, heap) = self.frame_mut(index);
        if Arc::get_mut(frame).is_none() {
            *frame = Arc::new(Frame::zero(index, heap));
        }
        Arc::get_mut(frame).expect("it was replaced if shared").blank(heap)
    }

    /// Sets a page to a frame, or to nothing.
    pub(super) fn put(&mut self, index: u64, frame: Option<Arc<Frame>>) {
        match frame {
            Some(frame) => {
                assert_has_place(index);
                Arc::make_mut(&mut self.root).put(index, frame);
            }
            None => self.remove(PAGE_LEVEL, index),
        }
    }

    /// Removes a page, or a node with everything below.
    pub(super) fn remove(&mut self, level: u8, index: u64) {
        if self.part(level, index).is_none() {
            return;
        }
        if level == TREE_LEVELS {
            self.root = Arc::new(Node::root());
        } else {
            Arc::make_mut(&mut self.root).remove(level, index);
        }
    }

    /// Every frame from page `first` on, ascending.
    pub(super) fn frames_from(&self, first: u64) -> impl Iterator<Item = (u64, &Arc<Frame>)> {
        has_place(PAGE_LEVEL, first).then(|| Frames::from(&self.root, first)).into_iter().flatten()
    }

    /// The lowest page whose content differs.
    pub(super) fn first_difference(&self, other: &Self) -> Option<u64> {
        if Arc::ptr_eq(&self.root, &other.root) { None } else { self.root.first_difference(&other.root) }
    }

    /// Takes, in place of what it shares with `before`, the same of `after`.
    pub(super) fn adopt(&mut self, before: &Self, after: &Self) {
        adopt(&mut self.root, &before.root, &after.root);
    }

    fn frame_mut(&mut self, index: u64) -> (&mut Arc<Frame>, &HeapCount) {
        assert_has_place(index);
        (Arc::make_mut(&mut self.root).frame_mut(index, &self.heap), &self.heap)
    }
}

/// Whoever writes has checked the page against the limits, which lie far below.
fn assert_has_place(index: u64) {
    assert!(has_place(PAGE_LEVEL, index), "the tree has no room for page {index}");
}
