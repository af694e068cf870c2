//! The replicated state of a service: a sparse region of 4 KiB pages (PROTOCOL 8) and what a service
//! sees of it.
//!
//! Everything, down to the free lists and the roots of the maps, is in the pages. So the pages alone
//! are what is digested, transferred and rolled back, and equal pages are equal states. Each part
//! (raw bytes, named structures, the replica's own tables) has page numbers of its own.

mod arena;
mod builder;
mod cell;
mod directory;
mod error;
mod file;
mod heap;
mod map;
mod page;
mod region;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use arena::StateLimits;
pub(crate) use builder::StateBuilder;
pub use cell::{Cell, CellMut, CellValue};
pub use directory::NAME_BYTES_MAX;
pub use error::StateError;
pub use file::PageFileError;
pub(crate) use file::Saved;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use file::reseal;
#[expect(unused_imports, reason = "named by those who read what PageFile returns")]
pub(crate) use file::{PageFile, Scrubbed, Target, Verified};
pub use map::{Entries, KEY_BYTES_MAX, MAP_VALUE_BYTES_MAX, Map, MapMut};
pub use page::PAGE_BYTES;
pub(crate) use page::Page;
pub(crate) use region::Savepoint;
pub(crate) use snapshot::Snapshot;
#[cfg(test)]
pub(crate) use tree::FAN_OUT;
pub(crate) use tree::{DamagedPart, PAGE_LEVEL, TREE_LEVELS, child_index};
pub use value::{VALUE_BYTES_MAX, Value, ValueMut};

use arena::Arena;
use map::{Pages, PagesMut};
use region::Region;
use table::PageTable;

/// The page of the reserved arena that names the root of its map.
const RESERVED_HEAD: u32 = 0;

/// All that a service remembers.
///
/// A service reads and changes it through raw bytes, cells, values and maps, which never overlap;
/// what it keeps anywhere else is lost and makes replicas differ. Whatever is refused has changed
/// nothing, so going on after an error is as deterministic as stopping.
#[derive(Clone)]
pub struct State {
    region: Region,
}

impl State {
    /// An empty state.
    pub fn new(limits: StateLimits) -> Self {
        Self { region: Region::new(PageTable::default(), limits) }
    }

    /// Fills `buffer` with the raw bytes from `offset` on. What was never written is zero, also past
    /// the limit.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) {
        let (mut number, mut within) = split(offset);
        let mut rest = buffer;
        while !rest.is_empty() {
            let (part, after) = rest.split_at_mut(rest.len().min(PAGE_BYTES - within));
            match u32::try_from(number) {
                Ok(page) => {
                    let content = self.region.page(Arena::Raw.index(page));
                    part.copy_from_slice(page::bytes_at(content, within, part.len()));
                }
                Err(_) => part.fill(0),
            }
            (number, within, rest) = (number + 1, 0, after);
        }
    }

    /// Writes raw bytes from `offset` on.
    ///
    /// # Errors
    /// [`StateError::PastLimit`] if they would end past 4096 times `raw_pages`. Nothing was written
    /// then.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StateError> {
        let limit = u64::from(self.region.limits().raw_pages) * PAGE_BYTES as u64;
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > limit) {
            return Err(StateError::PastLimit { offset, length: bytes.len(), limit });
        }
        let (mut number, mut within) = split(offset);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(PAGE_BYTES - within));
            self.write_page(u32::try_from(number).expect("checked against the limit"), within, part);
            (number, within, rest) = (number + 1, 0, after);
        }
        Ok(())
    }

    /// The cell of this name, to be read.
    pub fn cell<'a, T: CellValue>(&'a self, name: &'a str) -> Cell<'a, T> {
        Cell::new(self.named(), name)
    }

    /// The cell of this name, to be changed.
    pub fn cell_mut<'a, T: CellValue>(&'a mut self, name: &'a str) -> CellMut<'a, T> {
        CellMut::new(self.named_mut(), name)
    }

    /// The value of this name, to be read.
    pub fn value<'a, T: DeserializeOwned>(&'a self, name: &'a str) -> Value<'a, T> {
        Value::new(self.named(), name)
    }

    /// The value of this name, to be changed.
    pub fn value_mut<'a, T: Serialize + DeserializeOwned>(&'a mut self, name: &'a str) -> ValueMut<'a, T> {
        ValueMut::new(self.named_mut(), name)
    }

    /// The map of this name, to be read.
    pub fn map(&self, name: &str) -> Map<'_> {
        Map::named(self.named(), name)
    }

    /// The map of this name, to be changed. Its first insertion creates it.
    pub fn map_mut<'a>(&'a mut self, name: &'a str) -> MapMut<'a> {
        MapMut::named(self.named_mut(), name)
    }

    fn named(&self) -> Pages<'_> {
        Pages::new(&self.region, Arena::Named)
    }

    fn named_mut(&mut self) -> PagesMut<'_> {
        PagesMut::new(&mut self.region, Arena::Named)
    }

    /// Writes a part of one page of the raw bytes.
    fn write_page(&mut self, page: u32, within: usize, bytes: &[u8]) {
        let index = Arena::Raw.index(page);
        if bytes == page::ZERO_PAGE {
            return self.region.discard(index);
        }
        let whole = bytes.len() == PAGE_BYTES;
        let content = if whole { self.region.blank(index) } else { self.region.page_mut(index) };
        page::put_at(content, within, bytes);
    }
}

/// What the replica does with a state. No service can: these are out of its reach.
impl State {
    /// A state of transferred pages, which the caller has checked against a digest.
    ///
    /// # Errors
    /// Pages that do not ascend, lie outside the limits, or are all zero.
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at whole states with it"))]
    pub(crate) fn from_pages<P: Borrow<Page>>(
        limits: StateLimits,
        pages: impl IntoIterator<Item = (u64, P)>,
    ) -> Result<Self, StateError> {
        let mut builder = StateBuilder::new(limits);
        let mut above = 0;
        for (index, page) in pages {
            let page = page.borrow();
            if index < above {
                return Err(StateError::PageOutOfOrder(index));
            }
            if *page == page::ZERO_PAGE {
                return Err(StateError::PageEmpty(index));
            }
            builder.put(index, page)?;
            above = index + 1;
        }
        Ok(builder.finish().0)
    }

    /// A state that goes on from a snapshot under the same limits.
    pub(crate) fn of_snapshot(limits: StateLimits, snapshot: &Snapshot) -> Self {
        Self { region: Region::new(snapshot.table().clone(), limits) }
    }

    /// The map of the reserved arena, to be read.
    pub(crate) fn reserved(&self) -> Map<'_> {
        Map::at(Pages::new(&self.region, Arena::Reserved), RESERVED_HEAD)
    }

    /// The map of the reserved arena, to be changed.
    pub(crate) fn reserved_map(&mut self) -> MapMut<'_> {
        MapMut::at(PagesMut::new(&mut self.region, Arena::Reserved), RESERVED_HEAD)
    }

    /// Opens a savepoint inside those that are open.
    pub(crate) fn savepoint(&mut self) -> Savepoint {
        self.region.savepoint()
    }

    /// Takes the state back to the innermost savepoint and ends it. Any other savepoint is a bug and
    /// asserts.
    pub(crate) fn rollback(&mut self, savepoint: Savepoint) {
        self.region.rollback(savepoint);
    }

    /// Ends the innermost savepoint and keeps what was done since. Any other savepoint is a bug and
    /// asserts.
    pub(crate) fn release(&mut self, savepoint: Savepoint) {
        self.region.release(savepoint);
    }

    /// Lets go of the memory of what was saved: wherever this state still shares it, the stored part
    /// takes its place. Costs what that save wrote.
    pub(crate) fn adopt(&mut self, saved: &Saved) {
        self.region.adopt(saved.before().table(), saved.snapshot().table());
    }

    /// How many pages of 4 KiB this state, its snapshots and savepoints have in memory of their own.
    pub(crate) fn heap_pages(&self) -> usize {
        self.region.table().heap().pages()
    }

    /// The state as it is now, also inside savepoints.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        Snapshot::new(self.region.table().clone())
    }

    /// Takes the state back, or forward, to a snapshot under the same limits. With a savepoint open
    /// this is a bug and asserts.
    #[cfg(test)]
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.region.replace(snapshot.table().clone());
    }
}

/// The page number of a raw offset, and the offset in that page.
fn split(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES as u64, (offset % PAGE_BYTES as u64) as usize)
}
