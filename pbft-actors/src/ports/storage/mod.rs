//! Where a replica keeps what it must not forget.

mod disk;
mod log;
#[cfg(any(test, feature = "sim"))]
mod memory_disk;
#[cfg(any(test, feature = "sim"))]
mod sectors;

pub(crate) use disk::{Disk, PageMap};
pub use log::LogError;
pub(crate) use log::{COPY_BYTES, Damage, Entry, Found, Log, Owner};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use log::{Opened as OpenedLog, SegmentImage};
#[cfg(any(test, feature = "sim"))]
pub(crate) use memory_disk::MemoryDisk;

/// Nothing is kept: a replica that stops has lost its memory, and joins again by REJOIN. A group all
/// of whose replicas stop has forgotten everything (PROTOCOL 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory;
