use std::sync::Arc;

use super::heap::HeapPage;
use super::page::{Page, ZERO_PAGE};
use super::region::Region;
use super::snapshot::digest_at;
use super::table::PageTable;
use super::tree::{Frame, PAGE_LEVEL};
use super::{Saved, Snapshot, State, StateError, StateLimits};
use crate::crypto::Digest;

/// A state in the making: starts from what is there and becomes another one page by page. Levels and
/// numbers are those of [`Snapshot::node`]; pages are level 0.
#[derive(Clone)]
pub(crate) struct StateBuilder {
    table: PageTable,
    limits: StateLimits,
}

impl StateBuilder {
    /// Starts from a snapshot, of which nothing is copied.
    pub(crate) fn of_snapshot(limits: StateLimits, snapshot: &Snapshot) -> Self {
        Self { table: snapshot.table().clone(), limits }
    }

    /// As [`State::adopt`].
    pub(crate) fn adopt(&mut self, saved: &Saved) {
        self.table.adopt(saved.before().table(), saved.snapshot().table());
    }

    /// Puts a page whose digest the caller computed, which no page of zeros has.
    ///
    /// # Errors
    /// A page outside the limits.
    pub(crate) fn put_digested(&mut self, index: u64, page: &Page, digest: Digest) -> Result<(), StateError> {
        self.check(index)?;
        let heap = HeapPage::of(page, self.table.heap());
        // Also in place of the same content: what was stored of it may be damaged.
        self.table.put(index, Some(Arc::new(Frame::digested(index, heap, digest))));
        Ok(())
    }

    fn check(&self, index: u64) -> Result<(), StateError> {
        if self.limits.allow(index) { Ok(()) } else { Err(StateError::PageOutsideLimits(index)) }
    }

    /// Removes a page, or a node with everything below; what is not there stays so.
    pub(crate) fn remove_subtree(&mut self, level: u8, index: u64) {
        self.table.remove(level, index);
    }

    /// The digest of a node or page as it is now; None for what is not there or all zero. The root
    /// always has one, also without pages.
    pub(crate) fn digest_at(&self, level: u8, index: u64) -> Option<Digest> {
        digest_at(&self.table, level, index)
    }

    /// How far it is, to be kept.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.table.clone())
    }
}

impl StateBuilder {
    /// Starts from nothing.
    pub(crate) fn new(limits: StateLimits) -> Self {
        Self { table: PageTable::default(), limits }
    }

    /// Puts a page in place of what was there; one of zeros only removes that.
    ///
    /// # Errors
    /// A page outside the limits.
    pub(crate) fn put(&mut self, index: u64, page: &Page) -> Result<(), StateError> {
        self.check(index)?;
        if *page == ZERO_PAGE {
            self.table.remove(PAGE_LEVEL, index);
        } else {
            let frame = Frame::new(index, HeapPage::of(page, self.table.heap()));
            self.table.put(index, Some(Arc::new(frame)));
        }
        Ok(())
    }

    /// The state with these pages, and a snapshot of it. The caller compares the snapshot's root with
    /// what it was to become.
    pub(crate) fn finish(self) -> (State, Snapshot) {
        let snapshot = Snapshot::new(self.table.clone());
        (State { region: Region::new(self.table, self.limits) }, snapshot)
    }
}
