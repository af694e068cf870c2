use std::sync::Arc;

use super::page::{Frame, Page, ZERO_PAGE};
use super::tree::{Frames, Node, PAGE_LEVEL, Part, TREE_LEVELS, has_place};

/// The frames of the pages that were written, by page index. This is all the rest of the state knows
/// about where pages are. A clone is one pointer and shares everything; a write then copies the nodes
/// on its way that are shared, and no others.
#[derive(Clone)]
pub(super) struct PageTable {
    root: Arc<Node>,
}

impl Default for PageTable {
    fn default() -> Self {
        Self { root: Arc::new(Node::root()) }
    }
}

impl PageTable {
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
        Arc::make_mut(self.frame_mut(index)).bytes_mut()
    }

    /// A page of zeros in place of whatever was there, without copying that.
    pub(super) fn blank(&mut self, index: u64) -> &mut Page {
        let frame = self.frame_mut(index);
        match Arc::get_mut(frame) {
            Some(own) => own.bytes_mut().fill(0),
            None => *frame = Arc::new(Frame::new(ZERO_PAGE)),
        }
        Arc::make_mut(frame).bytes_mut()
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

    fn frame_mut(&mut self, index: u64) -> &mut Arc<Frame> {
        assert_has_place(index);
        Arc::make_mut(&mut self.root).frame_mut(index)
    }
}

/// Whoever writes has checked the page against the limits, which lie far below.
fn assert_has_place(index: u64) {
    assert!(has_place(PAGE_LEVEL, index), "the tree has no room for page {index}");
}
