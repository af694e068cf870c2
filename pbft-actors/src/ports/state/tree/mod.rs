//! The pages of a state as a tree that is at once page table and partition tree (PROTOCOL 8).
//!
//! Level 0 are the pages, levels 1 to [`TREE_LEVELS`] the nodes above them, and the only node of the
//! highest level, number 0, is the root. The children of node `i` are numbers `256 i` to `256 i + 255`
//! of the level below, so what a page index says in bytes is the way from the root to the page.

mod adopt;
mod children;
mod digest;
mod frame;
mod node;
mod stored;
mod walk;

pub(super) use adopt::adopt;
pub(crate) use digest::{node_digest, page_digest};
pub(super) use frame::Frame;
pub(super) use node::{Below, Node, Part};
pub(crate) use stored::DamagedPart;
pub(super) use stored::{NodeRecord, PageStore, Stored, StoredChild};
pub(super) use walk::Frames;

/// Levels of nodes; the root's level.
pub(crate) const TREE_LEVELS: u8 = 5;

/// Children that a node may have.
pub(crate) const FAN_OUT: usize = 1 << SLOT_BITS;

/// The level of the pages.
pub(crate) const PAGE_LEVEL: u8 = 0;

const SLOT_BITS: u8 = 8;

/// The number, one level below, of the child in this slot of a node.
pub(crate) fn child_index(index: u64, slot: u8) -> u64 {
    index << SLOT_BITS | u64::from(slot)
}

/// Whether the tree has room for a node or page of this level and number.
pub(super) fn has_place(level: u8, index: u64) -> bool {
    level <= TREE_LEVELS && index >> (SLOT_BITS * (TREE_LEVELS - level)) == 0
}

/// The slot, in a node of level `parent`, under which the part of this level and number lies.
fn slot_below(parent: u8, level: u8, index: u64) -> u8 {
    (index >> (SLOT_BITS * (parent - 1 - level))) as u8
}
