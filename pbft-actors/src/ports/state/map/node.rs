//! The nodes of the B-tree, one page each.
//!
//! | bytes | node |
//! |---|---|
//! | 0 | kind: 1 leaf, 2 branch |
//! | 2..4 | number of cells, u16 |
//! | 4..6 | where the cells begin, u16 |
//! | 8..12 | branch: the child left of all cells, u32 |
//! | 12.. | the place of each cell, u16, in order of keys |
//! | ..4096 | the cells, without gaps; what is between them and their places is zero |
//!
//! A cell is: bytes of the key (u16), a number (u32: in a leaf the length of the value, in a branch
//! the child that has the keys from this one on), the key; in a leaf also the part of the value that
//! is kept there and, if that is not all, the first overflow page (u32).

use super::overflow::layout;
use crate::ports::state::page::{PAGE_BYTES, Page, bytes_at, put_at, u16_at, u32_at};

const KIND: usize = 0;
const COUNT: usize = 2;
const CELLS: usize = 4;
const LEFTMOST: usize = 8;
const SLOTS: usize = 12;

const LEAF: u8 = 1;
const BRANCH: u8 = 2;

/// Bytes of the place of one cell.
pub(super) const SLOT_BYTES: usize = 2;
/// Bytes of a cell before its key.
pub(super) const CELL_HEAD_BYTES: usize = 6;
/// Bytes of a page number.
pub(super) const LINK_BYTES: usize = 4;
/// Bytes of a node for cells and their places.
pub(super) const ROOM_BYTES: usize = PAGE_BYTES - SLOTS;
/// Most bytes of a cell and its place. A third of a node: then any node with a cell too many can be
/// cut into two that fit.
pub(super) const CELL_BYTES_MAX: usize = ROOM_BYTES / 3;

/// A node to be read.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a Page);

/// A node to be changed.
pub(super) struct NodeMut<'a>(&'a mut Page);

/// A value as a leaf holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    /// Length of the whole value.
    pub(super) value_bytes: usize,
    /// Its beginning.
    pub(super) local: &'a [u8],
    /// The first page of the rest, if that is not all.
    pub(super) overflow: Option<u32>,
}

impl<'a> Node<'a> {
    /// A page that must be a node.
    pub(super) fn of(page: &'a Page) -> Self {
        let node = Self(page);
        let (kind, count, cells) = (page[KIND], node.count(), node.cells_start());
        assert!(
            (kind == LEAF || kind == BRANCH) && SLOTS + SLOT_BYTES * count <= cells && cells <= PAGE_BYTES,
            "a page is no node of a tree: kind {kind}, {count} cells from {cells}",
        );
        node
    }

    pub(super) fn is_leaf(self) -> bool {
        self.0[KIND] == LEAF
    }

    /// The number of cells.
    pub(super) fn count(self) -> usize {
        u16_at(self.0, COUNT).into()
    }

    /// Whether it holds nothing: a leaf without entries, a branch without children.
    pub(super) fn is_empty(self) -> bool {
        self.count() == 0 && (self.is_leaf() || self.child(0) == 0)
    }

    /// Bytes left for cells and their places.
    pub(super) fn free_bytes(self) -> usize {
        self.cells_start() - SLOTS - SLOT_BYTES * self.count()
    }

    /// Bytes that cells and their places take.
    pub(super) fn used_bytes(self) -> usize {
        ROOM_BYTES - self.free_bytes()
    }

    pub(super) fn key(self, cell: usize) -> &'a [u8] {
        key_of(self.bytes_from(cell))
    }

    /// The child in place `slot` of a branch: 0 is left of all cells, 1 that of the first cell.
    pub(super) fn child(self, slot: usize) -> u32 {
        match slot.checked_sub(1) {
            None => u32_at(self.0, LEFTMOST),
            Some(cell) => number_of(self.bytes_from(cell)),
        }
    }

    /// The value of an entry of a leaf.
    pub(super) fn entry(self, cell: usize) -> Entry<'a> {
        let bytes = self.bytes_from(cell);
        let (key_bytes, value_bytes) = (key_of(bytes).len(), number_of(bytes) as usize);
        let layout = layout(key_bytes, value_bytes);
        let local_at = CELL_HEAD_BYTES + key_bytes;
        Entry {
            value_bytes,
            local: bytes_at(bytes, local_at, layout.local_bytes),
            overflow: (layout.pages > 0).then(|| u32_at(bytes, local_at + layout.local_bytes)),
        }
    }

    /// The bytes of a cell.
    pub(super) fn cell(self, cell: usize) -> &'a [u8] {
        let bytes = self.bytes_from(cell);
        let key_bytes = key_of(bytes).len();
        if self.is_leaf() {
            return bytes_at(bytes, 0, layout(key_bytes, number_of(bytes) as usize).cell_bytes(key_bytes));
        }
        bytes_at(bytes, 0, CELL_HEAD_BYTES + key_bytes)
    }

    /// The cell with this key, or where it would be.
    pub(super) fn find(self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = (low + high) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The place of the child under which a key belongs.
    pub(super) fn child_slot(self, key: &[u8]) -> usize {
        self.find(key).map_or_else(|slot| slot, |cell| cell + 1)
    }

    fn cells_start(self) -> usize {
        u16_at(self.0, CELLS).into()
    }

    fn place(self, cell: usize) -> usize {
        let count = self.count();
        assert!(cell < count, "cell {cell} of a node that has {count}");
        u16_at(self.0, SLOTS + SLOT_BYTES * cell).into()
    }

    /// The page from a cell on.
    fn bytes_from(self, cell: usize) -> &'a [u8] {
        let place = self.place(cell);
        bytes_at(self.0, place, PAGE_BYTES.saturating_sub(place))
    }
}

impl<'a> NodeMut<'a> {
    /// A page that must be a node.
    pub(super) fn of(page: &'a mut Page) -> Self {
        Node::of(page);
        Self(page)
    }

    /// Makes a page a leaf of these cells.
    pub(super) fn leaf(page: &'a mut Page, cells: &[&[u8]]) -> Self {
        Self::new(page, LEAF, 0, cells)
    }

    /// Makes a page a branch of these cells, with a child left of them.
    pub(super) fn branch(page: &'a mut Page, leftmost: u32, cells: &[&[u8]]) -> Self {
        Self::new(page, BRANCH, leftmost, cells)
    }

    pub(super) fn read(&self) -> Node<'_> {
        Node(self.0)
    }

    /// Inserts a cell, for which there must be room.
    pub(super) fn insert(&mut self, at: usize, cell: &[u8]) {
        let (free, count) = (self.read().free_bytes(), self.read().count());
        assert!(cell.len() + SLOT_BYTES <= free, "a cell of {} bytes where {free} are free", cell.len());
        assert!(at <= count, "a cell inserted at {at} of {count}");
        let place = self.read().cells_start() - cell.len();
        put_at(self.0, place, cell);
        let (slot, end) = (SLOTS + SLOT_BYTES * at, SLOTS + SLOT_BYTES * count);
        self.0.copy_within(slot..end, slot + SLOT_BYTES);
        self.set_u16(slot, place);
        self.set_u16(CELLS, place);
        self.set_u16(COUNT, count + 1);
    }

    /// Removes a cell and closes the gap.
    pub(super) fn remove(&mut self, cell: usize) {
        let node = self.read();
        let (count, start, place, bytes) =
            (node.count(), node.cells_start(), node.place(cell), node.cell(cell).len());
        assert!(start <= place, "a cell at {place}, before the first at {start}");
        for other in 0..count {
            let other_place = self.read().place(other);
            if other_place < place {
                self.set_u16(SLOTS + SLOT_BYTES * other, other_place + bytes);
            }
        }
        self.0.copy_within(start..place, start + bytes);
        self.0[start..start + bytes].fill(0);
        let (slot, end) = (SLOTS + SLOT_BYTES * cell, SLOTS + SLOT_BYTES * count);
        self.0.copy_within(slot + SLOT_BYTES..end, slot);
        self.set_u16(end - SLOT_BYTES, 0);
        self.set_u16(CELLS, start + bytes);
        self.set_u16(COUNT, count - 1);
    }

    /// Puts another cell in a cell's place; it must have the same length.
    pub(super) fn overwrite(&mut self, at: usize, cell: &[u8]) {
        let bytes = self.read().cell(at).len();
        assert!(bytes == cell.len(), "a cell of {} bytes over one of {bytes}", cell.len());
        let place = self.read().place(at);
        put_at(self.0, place, cell);
    }

    /// Takes a child out of a branch, with the key that set it apart.
    pub(super) fn remove_child(&mut self, slot: usize) {
        if let Some(cell) = slot.checked_sub(1) {
            return self.remove(cell);
        }
        let second = if self.read().count() == 0 { 0 } else { self.read().child(1) };
        put_at(self.0, LEFTMOST, &second.to_le_bytes());
        if second != 0 {
            self.remove(0);
        }
    }

    fn new(page: &'a mut Page, kind: u8, leftmost: u32, cells: &[&[u8]]) -> Self {
        page.fill(0);
        page[KIND] = kind;
        let mut node = Self(page);
        node.set_u16(CELLS, PAGE_BYTES);
        put_at(node.0, LEFTMOST, &leftmost.to_le_bytes());
        for (at, cell) in cells.iter().enumerate() {
            node.insert(at, cell);
        }
        node
    }

    fn set_u16(&mut self, at: usize, value: usize) {
        let value = u16::try_from(value).expect("offsets and counts inside a page fit");
        put_at(self.0, at, &value.to_le_bytes());
    }
}

/// The key of a cell.
pub(super) fn key_of(cell: &[u8]) -> &[u8] {
    bytes_at(cell, CELL_HEAD_BYTES, u16_at(cell, 0).into())
}

/// The number of a cell: the length of the value, or the child.
pub(super) fn number_of(cell: &[u8]) -> u32 {
    u32_at(cell, 2)
}

/// A cell's beginning: all of a branch's cell.
pub(super) fn cell(key: &[u8], number: u32) -> Vec<u8> {
    let key_bytes = u16::try_from(key.len()).expect("a map refuses longer keys");
    let mut cell = Vec::with_capacity(CELL_BYTES_MAX);
    cell.extend_from_slice(&key_bytes.to_le_bytes());
    cell.extend_from_slice(&number.to_le_bytes());
    cell.extend_from_slice(key);
    cell
}
