use std::fmt;

use super::Saved;
use super::page::Page;
use super::table::PageTable;
use super::tree::{self, Part, TREE_LEVELS};
use crate::crypto::Digest;

/// A state as it was at one moment. It shares every page with the state until that changes it, and
/// may be digested on another thread. A clone is one pointer.
#[derive(Clone)]
pub(crate) struct Snapshot {
    table: PageTable,
}

impl Snapshot {
    pub(super) fn new(table: PageTable) -> Self {
        Self { table }
    }

    pub(super) fn table(&self) -> &PageTable {
        &self.table
    }

    /// The digest of all content. It depends on the content of the pages alone, never on how they
    /// came about; a page of zeros counts as none. What was digested before, here or in another
    /// snapshot, and has not changed, is not read again.
    pub(crate) fn root(&self) -> Digest {
        self.table.root().digest().unwrap_or_else(|| Self::node_digest(TREE_LEVELS, 0, &[]))
    }

    /// Pages in memory of their own, here and in all that shares some with it.
    #[cfg(test)]
    pub(crate) fn heap_pages(&self) -> usize {
        self.table.heap().pages()
    }

    /// As [`State::adopt`](super::State::adopt), for a later snapshot that shares what was saved.
    pub(crate) fn adopt(&mut self, saved: &Saved) {
        self.table.adopt(saved.before().table(), saved.snapshot().table());
    }

    /// The pages that are not all zero from an index on, ascending.
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at whole states with it"))]
    pub(crate) fn pages_from(&self, index: u64) -> impl Iterator<Item = (u64, &Page)> {
        self.table
            .frames_from(index)
            .filter(|(_, frame)| !frame.is_zero())
            .map(|(index, frame)| (index, frame.bytes()))
    }

    /// The lowest index of a page that is not the same in both, for naming what diverged.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<u64> {
        self.table.first_difference(&other.table)
    }
}

/// What a transfer asks of a snapshot, by level and number in the tree: pages are level 0, nodes 1 to
/// [`TREE_LEVELS`], and number 0 of the highest level is the root.
impl Snapshot {
    /// Slots and digests of a node's children, ascending; None if nothing but zeros lies below. The
    /// root is always there, without children in an empty state.
    pub(crate) fn node(&self, level: u8, index: u64) -> Option<Vec<(u8, Digest)>> {
        match self.table.part(level, index)? {
            Part::Node(node) => Some(node.digests()).filter(|all| level == TREE_LEVELS || !all.is_empty()),
            Part::Page(_) => None,
        }
    }

    /// A page; None if it is all zero.
    pub(crate) fn page(&self, index: u64) -> Option<&Page> {
        self.table.frame(index).filter(|frame| !frame.is_zero()).map(|frame| frame.bytes())
    }

    /// The digest of a node or page; None for what is not there or all zero. The root of an empty
    /// state has one.
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at whole states with it"))]
    pub(crate) fn digest_at(&self, level: u8, index: u64) -> Option<Digest> {
        digest_at(&self.table, level, index)
    }

    /// The digest of a page of this index; None if it is all zero.
    pub(crate) fn page_digest(index: u64, page: &Page) -> Option<Digest> {
        tree::page_digest(index, page)
    }
}

impl Snapshot {
    /// The digest of a node with these children, which must ascend by slot.
    pub(crate) fn node_digest(level: u8, index: u64, children: &[(u8, Digest)]) -> Digest {
        tree::node_digest(level, index, children)
    }
}

/// Equal content.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.root()).finish()
    }
}

/// The digest of a part of a table; the root of an empty one has one, too.
pub(super) fn digest_at(table: &PageTable, level: u8, index: u64) -> Option<Digest> {
    let digest = table.part(level, index)?.digest();
    let empty = (level == TREE_LEVELS).then(|| tree::node_digest(level, index, &[]));
    digest.or(empty)
}
