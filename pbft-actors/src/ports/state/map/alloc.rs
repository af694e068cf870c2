//! The pages of one arena. Page 0 holds the allocator and the arena's first tree. Pages given back
//! are zero, thus neither stored nor sent, and named in list pages; those are free pages themselves.

use super::node::LINK_BYTES;
use crate::ports::state::StateError;
use crate::ports::state::arena::Arena;
use crate::ports::state::page::{PAGE_BYTES, Page, put_at, u32_at};
use crate::ports::state::region::Region;

/// Pages ever taken, page 0 not counted: u32.
const TAKEN: usize = 0;
/// First list page, 0 if no page is free: u32.
const FREE_LIST: usize = 4;
/// Pages that are free, list pages included: u32.
const FREE_COUNT: usize = 8;

/// In a list page, the next one: u32.
const LIST_NEXT: usize = 0;
/// In a list page, how many pages it names: u32.
const LIST_COUNT: usize = 4;
/// Bytes of a list page before its entries.
const LIST_HEAD_BYTES: usize = 8;
/// Most pages that a list page names.
const LIST_ENTRIES: u32 = ((PAGE_BYTES - LIST_HEAD_BYTES) / LINK_BYTES) as u32;

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

    /// Every page that is free, and whether it is a list page.
    #[cfg(test)]
    pub(super) fn free(self) -> Vec<(u32, bool)> {
        let mut free = Vec::new();
        let mut list = u32_at(self.page(0), FREE_LIST);
        while list != 0 {
            let page = self.page(list);
            free.push((list, true));
            free.extend((0..u32_at(page, LIST_COUNT)).map(|entry| (u32_at(page, list_entry(entry)), false)));
            list = u32_at(page, LIST_NEXT);
        }
        assert_eq!(free.len(), u32_at(self.page(0), FREE_COUNT) as usize);
        free
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
        let (taken, list, free) = (u32_at(head, TAKEN), u32_at(head, FREE_LIST), u32_at(head, FREE_COUNT));
        if free == 0 {
            put_at(self.page_mut(0), TAKEN, &(taken + 1).to_le_bytes());
            return taken + 1;
        }
        put_at(self.page_mut(0), FREE_COUNT, &(free - 1).to_le_bytes());
        let (next, listed) =
            (u32_at(self.read().page(list), LIST_NEXT), u32_at(self.read().page(list), LIST_COUNT));
        let Some(last) = listed.checked_sub(1) else {
            put_at(self.page_mut(0), FREE_LIST, &next.to_le_bytes());
            self.blank(list);
            return list;
        };
        let number = u32_at(self.read().page(list), list_entry(last));
        let page = self.page_mut(list);
        put_at(page, LIST_COUNT, &last.to_le_bytes());
        put_at(page, list_entry(last), &[0; LINK_BYTES]);
        number
    }

    /// Gives a page back; the next one taken is this.
    pub(super) fn give_back(&mut self, number: u32) {
        let head = self.read().page(0);
        let (list, free) = (u32_at(head, FREE_LIST), u32_at(head, FREE_COUNT));
        put_at(self.page_mut(0), FREE_COUNT, &(free + 1).to_le_bytes());
        let listed = u32_at(self.read().page(list), LIST_COUNT);
        if list == 0 || listed == LIST_ENTRIES {
            put_at(self.blank(number), LIST_NEXT, &list.to_le_bytes());
            return put_at(self.page_mut(0), FREE_LIST, &number.to_le_bytes());
        }
        self.region.discard(self.arena.index(number));
        let page = self.page_mut(list);
        put_at(page, LIST_COUNT, &(listed + 1).to_le_bytes());
        put_at(page, list_entry(listed), &number.to_le_bytes());
    }

    fn blank(&mut self, number: u32) -> &mut Page {
        self.region.blank(self.arena.index(number))
    }
}

/// Where a list page has its entry of this number.
fn list_entry(entry: u32) -> usize {
    LIST_HEAD_BYTES + entry as usize * LINK_BYTES
}
