//! The pages of one arena. Page 0 holds the allocator and the arena's first tree; pages given back
//! form a list, each naming the next, and are zero otherwise.

use crate::ports::state::StateError;
use crate::ports::state::arena::Arena;
use crate::ports::state::page::{Page, put_at, u32_at};
use crate::ports::state::region::Region;

/// Pages ever taken, page 0 not counted: u32.
const TAKEN: usize = 0;
/// First page of the free list, 0 if none: u32.
const FREE_FIRST: usize = 4;
/// Length of the free list: u32.
const FREE_COUNT: usize = 8;
/// In a free page, the next one: u32.
const FREE_NEXT: usize = 0;

/// One arena of a region, to be read.
#[derive(Clone, Copy)]
pub(in crate::ports::state) struct Pages<'a> {
    region: &'a Region,
    arena: Arena,
}

/// One arena of a region, to be changed.
pub(in crate::ports::state) struct PagesMut<'a> {
    region: &'a mut Region,
    arena: Arena,
}

impl<'a> Pages<'a> {
    pub(in crate::ports::state) fn new(region: &'a Region, arena: Arena) -> Self {
        Self { region, arena }
    }

    pub(super) fn page(self, number: u32) -> &'a Page {
        self.region.page(self.arena.index(number))
    }

    /// Pages that can still be taken.
    pub(in crate::ports::state) fn available(self) -> u64 {
        let head = self.page(0);
        let limit = self.region.limits().pages(self.arena);
        // Page 0 is taken by being there.
        let untouched = limit.saturating_sub(1).saturating_sub(u32_at(head, TAKEN));
        u64::from(u32_at(head, FREE_COUNT)) + u64::from(untouched)
    }

    /// Refuses what could take more pages than are left.
    pub(super) fn check_available(self, needed: u64) -> Result<(), StateError> {
        let available = self.available();
        if needed > available { Err(StateError::OutOfPages { needed, available }) } else { Ok(()) }
    }

    /// Pages ever taken, page 0 not counted.
    #[cfg(test)]
    pub(in crate::ports::state) fn taken(self) -> u32 {
        u32_at(self.page(0), TAKEN)
    }

    /// The first page of the free list, 0 if none.
    #[cfg(test)]
    pub(super) fn first_free(self) -> u32 {
        u32_at(self.page(0), FREE_FIRST)
    }
}

impl<'a> PagesMut<'a> {
    pub(in crate::ports::state) fn new(region: &'a mut Region, arena: Arena) -> Self {
        Self { region, arena }
    }

    pub(in crate::ports::state) fn read(&self) -> Pages<'_> {
        Pages::new(self.region, self.arena)
    }

    pub(super) fn page_mut(&mut self, number: u32) -> &mut Page {
        self.region.page_mut(self.arena.index(number))
    }

    pub(in crate::ports::state) fn reborrow(&mut self) -> PagesMut<'_> {
        PagesMut::new(self.region, self.arena)
    }

    /// Takes a page, all zero; the caller has checked that one is available.
    pub(super) fn take(&mut self) -> u32 {
        assert!(self.read().available() > 0, "an operation takes pages only after it checked for them");
        let head = self.read().page(0);
        let (taken, first, count) = (u32_at(head, TAKEN), u32_at(head, FREE_FIRST), u32_at(head, FREE_COUNT));
        if first == 0 {
            put_at(self.page_mut(0), TAKEN, &(taken + 1).to_le_bytes());
            return taken + 1;
        }
        let next = u32_at(self.read().page(first), FREE_NEXT);
        put_at(self.page_mut(0), FREE_FIRST, &next.to_le_bytes());
        put_at(self.page_mut(0), FREE_COUNT, &(count - 1).to_le_bytes());
        self.region.blank(self.arena.index(first));
        first
    }

    /// Gives a page back; the next one taken is this.
    pub(super) fn give_back(&mut self, number: u32) {
        let head = self.read().page(0);
        let (first, count) = (u32_at(head, FREE_FIRST), u32_at(head, FREE_COUNT));
        let page = self.region.blank(self.arena.index(number));
        put_at(page, FREE_NEXT, &first.to_le_bytes());
        put_at(self.page_mut(0), FREE_FIRST, &number.to_le_bytes());
        put_at(self.page_mut(0), FREE_COUNT, &(count + 1).to_le_bytes());
    }
}
