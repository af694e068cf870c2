//! Values too long for a leaf: the end of the value fills whole pages, each naming the next, and the
//! remainder at its beginning stays in the leaf if it fits there.

use std::borrow::Cow;

use super::alloc::{Pages, PagesMut};
use super::node::{CELL_BYTES_MAX, CELL_HEAD_BYTES, Entry, LINK_BYTES, SLOT_BYTES};
use crate::ports::state::page::{PAGE_BYTES, bytes_at, put_at, u32_at};

/// Bytes of a value in one overflow page, after the number of the next page.
const CHUNK_BYTES: usize = PAGE_BYTES - LINK_BYTES;

/// Where the bytes of a value go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Bytes of its beginning that are in the leaf.
    pub(super) local_bytes: usize,
    /// Overflow pages for the rest, all of them full or the only one.
    pub(super) pages: usize,
}

impl Layout {
    /// Bytes of the cell of a leaf, with a key of so many bytes.
    pub(super) fn cell_bytes(self, key_bytes: usize) -> usize {
        CELL_HEAD_BYTES + key_bytes + self.local_bytes + if self.pages > 0 { LINK_BYTES } else { 0 }
    }
}

/// Where the bytes of a value go, which its length and its key's decide.
pub(super) fn layout(key_bytes: usize, value_bytes: usize) -> Layout {
    let room = (CELL_BYTES_MAX - SLOT_BYTES - CELL_HEAD_BYTES).saturating_sub(key_bytes);
    if value_bytes <= room {
        return Layout { local_bytes: value_bytes, pages: 0 };
    }
    let remainder = value_bytes % CHUNK_BYTES;
    let local_bytes = if remainder + LINK_BYTES <= room { remainder } else { 0 };
    Layout { local_bytes, pages: (value_bytes - local_bytes).div_ceil(CHUNK_BYTES) }
}

impl<'a> Pages<'a> {
    /// The whole value of an entry; one that is all in the leaf is not copied.
    pub(super) fn value(self, entry: Entry<'a>) -> Cow<'a, [u8]> {
        let Some(mut number) = entry.overflow else { return Cow::Borrowed(entry.local) };
        let mut value = entry.local.to_vec();
        while value.len() < entry.value_bytes {
            let page = self.page(number);
            let count = CHUNK_BYTES.min(entry.value_bytes - value.len());
            value.extend_from_slice(bytes_at(page, LINK_BYTES, count));
            number = u32_at(page, 0);
            assert!(
                (number == 0) == (value.len() == entry.value_bytes),
                "a value of {} bytes has its last page after {}",
                entry.value_bytes,
                value.len(),
            );
        }
        Cow::Owned(value)
    }
}

impl PagesMut<'_> {
    /// Writes the part of a value that is not in the leaf; its first page.
    pub(super) fn write_overflow(&mut self, bytes: &[u8]) -> u32 {
        let mut next = 0_u32;
        for chunk in bytes.chunks(CHUNK_BYTES).rev() {
            let number = self.take();
            let page = self.page_mut(number);
            put_at(page, 0, &next.to_le_bytes());
            put_at(page, LINK_BYTES, chunk);
            next = number;
        }
        next
    }

    /// Gives back the `count` overflow pages from `first` on.
    pub(super) fn free_overflow(&mut self, first: Option<u32>, count: usize) {
        let mut next = first.unwrap_or(0);
        for _ in 0..count {
            assert!(next != 0, "a value's overflow pages end before its length does");
            let number = next;
            next = u32_at(self.read().page(number), 0);
            self.give_back(number);
        }
    }
}
