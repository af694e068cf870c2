use std::sync::OnceLock;

use super::page::Page;
use super::table::PageTable;
use crate::crypto::{Digest, Hasher};

/// A state as it was at one moment. It shares every page with the state until that changes it, and
/// may be digested on another thread.
pub(crate) struct Snapshot {
    table: PageTable,
    root: OnceLock<Digest>,
}

impl Snapshot {
    pub(super) fn new(table: PageTable) -> Self {
        Self { table, root: OnceLock::new() }
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &PageTable {
        &self.table
    }

    /// The digest of all content. It depends on the content of the pages alone, never on how they
    /// came about; a page of zeros counts as none. Pages digested before are not read again.
    pub(crate) fn root(&self) -> Digest {
        *self.root.get_or_init(|| {
            let mut hasher = Hasher::new("pbft state root");
            for (index, frame) in self.table.frames_from(0) {
                if let Some(digest) = frame.digest(index) {
                    hasher.number(index).part(&digest.0);
                }
            }
            hasher.finish()
        })
    }

    /// The pages from `index` on that are not all zero, ascending: what a transfer sends.
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
