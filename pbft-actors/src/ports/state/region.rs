use std::collections::BTreeMap;
use std::sync::Arc;

use super::arena::StateLimits;
use super::page::Page;
use super::table::PageTable;
use super::tree::Frame;

/// The pages of a state, and how they were before each open savepoint. Nothing of a state is kept
/// anywhere else, so that a rollback restores all of it.
#[derive(Clone)]
pub(super) struct Region {
    table: PageTable,
    limits: StateLimits,
    /// Per open savepoint, outermost first: each page changed since, as it was.
    levels: Vec<BTreeMap<u64, Option<Arc<Frame>>>>,
}

/// A point that the state can be taken back to. It must be ended by `rollback` or `release`,
/// innermost first.
#[derive(Clone, Debug)]
#[must_use = "a savepoint that is never ended keeps every page as it was"]
pub(crate) struct Savepoint {
    depth: usize,
}

impl Region {
    pub(super) fn new(table: PageTable, limits: StateLimits) -> Self {
        Self { table, limits, levels: Vec::new() }
    }

    pub(super) fn limits(&self) -> StateLimits {
        self.limits
    }

    pub(super) fn table(&self) -> &PageTable {
        &self.table
    }

    /// Takes, in place of what it shares with `before`, the same of `after`.
    pub(super) fn adopt(&mut self, before: &PageTable, after: &PageTable) {
        self.table.adopt(before, after);
    }

    /// Puts other pages in place of all.
    #[cfg(test)]
    pub(super) fn replace(&mut self, table: PageTable) {
        let open = self.levels.len();
        assert!(open == 0, "a state is replaced only outside savepoints, and {open} are open");
        self.table = table;
    }

    /// The content of a page, zeros if it was never written.
    pub(super) fn page(&self, index: u64) -> &Page {
        self.table.page(index)
    }

    /// The content of a page, to be changed.
    pub(super) fn page_mut(&mut self, index: u64) -> &mut Page {
        self.keep(index);
        self.table.page_mut(index)
    }

    /// A page of zeros in place of what was there.
    pub(super) fn blank(&mut self, index: u64) -> &mut Page {
        self.keep(index);
        self.table.blank(index)
    }

    /// Makes a page as if it was never written.
    pub(super) fn discard(&mut self, index: u64) {
        self.keep(index);
        self.table.put(index, None);
    }

    pub(super) fn savepoint(&mut self) -> Savepoint {
        self.levels.push(BTreeMap::new());
        Savepoint { depth: self.levels.len() }
    }

    pub(super) fn rollback(&mut self, savepoint: Savepoint) {
        for (index, frame) in self.end(savepoint) {
            self.table.put(index, frame);
        }
    }

    pub(super) fn release(&mut self, savepoint: Savepoint) {
        let level = self.end(savepoint);
        let Some(outer) = self.levels.last_mut() else { return };
        for (index, frame) in level {
            outer.entry(index).or_insert(frame);
        }
    }

    fn end(&mut self, savepoint: Savepoint) -> BTreeMap<u64, Option<Arc<Frame>>> {
        let (open, depth) = (self.levels.len(), savepoint.depth);
        assert!(open == depth, "savepoints end innermost first: number {depth} was ended with {open} open");
        self.levels.pop().expect("a savepoint's depth is at least one")
    }

    /// Remembers a page as it is, once per savepoint.
    fn keep(&mut self, index: u64) {
        let Self { table, levels, .. } = self;
        if let Some(level) = levels.last_mut() {
            level.entry(index).or_insert_with(|| table.frame(index).cloned());
        }
    }
}
