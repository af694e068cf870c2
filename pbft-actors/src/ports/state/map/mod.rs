//! The ordered map: a B-tree whose nodes are pages of one arena.

mod alloc;
mod change;
#[cfg(test)]
pub(super) mod check;
mod cursor;
mod node;
mod overflow;
mod tree;

use std::borrow::Cow;
use std::ops::{Bound, RangeBounds};

pub(super) use alloc::{Pages, PagesMut};
pub(super) use change::TreeMut;
pub use cursor::Entries;
pub(super) use tree::Tree;

use super::StateError;
use super::directory::{self, Kind};

/// Longest key of a map, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest value of a map, in bytes.
pub const MAP_VALUE_BYTES_MAX: usize = u32::MAX as usize;

/// An ordered map from bytes to bytes, to be read. One that nobody wrote to is empty.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    tree: Option<Tree<'a>>,
}

/// An ordered map from bytes to bytes, to be changed.
///
/// A change that is refused has changed nothing, so an operation may go on after it. Equal changes
/// give equal pages, byte for byte.
pub struct MapMut<'a> {
    pages: PagesMut<'a>,
    place: Place<'a>,
}

/// Where a map is.
enum Place<'a> {
    /// Its root is named in this page.
    Head(u32),
    /// Nowhere yet: its first insertion enters it under this name.
    Missing(&'a str),
}

impl<'a> Map<'a> {
    pub(super) fn named(pages: Pages<'a>, name: &str) -> Self {
        Self { tree: directory::map_head(pages, name).map(|head| Tree::new(pages, head)) }
    }

    pub(super) fn at(pages: Pages<'a>, head: u32) -> Self {
        Self { tree: Some(Tree::new(pages, head)) }
    }

    /// The value of a key. A short one is not copied.
    pub fn get(&self, key: &[u8]) -> Option<Cow<'a, [u8]>> {
        self.tree?.get(key)
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.tree.is_some_and(|tree| tree.contains(key))
    }

    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.tree.map_or(0, Tree::len)
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry with the least key.
    pub fn first(&self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        self.tree?.first()
    }

    /// The entry with the greatest key.
    pub fn last(&self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        self.tree?.last()
    }

    /// All entries in order of keys.
    pub fn iter(&self) -> Entries<'a> {
        self.scan(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries with keys in a range, in order: `map.range(from..to)` with `from: &[u8]`. A range
    /// that ends before it begins has none.
    pub fn range<'k>(&self, keys: impl RangeBounds<&'k [u8]>) -> Entries<'a> {
        self.scan(keys.start_bound().cloned(), keys.end_bound().cloned())
    }

    fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Entries<'a> {
        self.tree.map_or_else(Entries::none, |tree| Entries::new(tree, start, end))
    }
}

impl<'a> IntoIterator for Map<'a> {
    type Item = (&'a [u8], Cow<'a, [u8]>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

impl<'a> MapMut<'a> {
    pub(super) fn named(pages: PagesMut<'a>, name: &'a str) -> Self {
        let place = directory::map_head(pages.read(), name).map_or(Place::Missing(name), Place::Head);
        Self { pages, place }
    }

    pub(super) fn at(pages: PagesMut<'a>, head: u32) -> Self {
        Self { pages, place: Place::Head(head) }
    }

    /// The same map, to be read.
    pub fn as_map(&self) -> Map<'_> {
        match self.place {
            Place::Head(head) => Map::at(self.pages.read(), head),
            Place::Missing(_) => Map { tree: None },
        }
    }

    /// The value of a key. A short one is not copied.
    pub fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.as_map().get(key)
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.as_map().contains(key)
    }

    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.as_map().len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.as_map().is_empty()
    }

    /// Inserts an entry, or replaces the value of its key.
    ///
    /// # Errors
    /// A key over [`KEY_BYTES_MAX`], a value over [`MAP_VALUE_BYTES_MAX`], a name over
    /// [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX), or fewer pages left than this could take. Nothing
    /// was changed then.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let head = match self.place {
            Place::Head(head) => head,
            Place::Missing(name) => self.create(name, key, value)?,
        };
        self.tree(head).insert(key, value)
    }

    /// Removes an entry; its value if there was one.
    pub fn remove(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let Place::Head(head) = self.place else { return None };
        self.tree(head).remove(key)
    }

    /// Removes every entry.
    pub fn clear(&mut self) {
        if let Place::Head(head) = self.place {
            self.tree(head).clear();
        }
    }

    fn tree(&mut self, head: u32) -> TreeMut<'_> {
        TreeMut::new(self.pages.reborrow(), head)
    }

    /// Enters the map in the directory, if a first entry will then find its pages too.
    fn create(&mut self, name: &str, key: &[u8], value: &[u8]) -> Result<u32, StateError> {
        let entry = directory::key(Kind::Map, name)?;
        let first = change::pages_of_first(key, value)?;
        let directory = self.tree(directory::HEAD).pages_needed(&entry, &[0; 4])?;
        self.pages.read().check_available(directory + 1 + first)?;
        let head = self.pages.take();
        self.tree(directory::HEAD).insert(&entry, &head.to_le_bytes())?;
        self.place = Place::Head(head);
        Ok(head)
    }
}
