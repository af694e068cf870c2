use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::{self, CHAIN_MAX, damaged};
use super::space;
use crate::ports::state::heap::{HeapCount, HeapPage};
use crate::ports::state::page::{PAGE_BYTES, Page};
use crate::ports::state::tree::{NodeRecord, PageStore};
use crate::ports::storage::{Disk, PageMap};

/// The file as those who only read it see it, also while a save goes on.
pub(super) struct Reader {
    name: String,
    disk: Mutex<Box<dyn Disk>>,
    map: Option<Arc<dyn PageMap>>,
    /// Slots below were written by a save that is complete.
    extent: AtomicU64,
    heap: HeapCount,
}

impl Reader {
    pub(super) fn new(name: &str, disk: Box<dyn Disk>, map: Option<Arc<dyn PageMap>>, extent: u64) -> Self {
        let (disk, extent) = (Mutex::new(disk), AtomicU64::new(extent));
        Self { name: name.to_owned(), disk, map, extent, heap: HeapCount::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Box<dyn Disk>> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heap(&self) -> &HeapCount {
        &self.heap
    }

    pub(super) fn set_extent(&self, extent: u64) {
        self.extent.store(extent, Ordering::Release);
    }

    /// Any slot, as it is on the disk now.
    pub(super) fn read_slot(&self, slot: u64) -> io::Result<Box<Page>> {
        let mut page = Box::new([0; PAGE_BYTES]);
        let read = self.disk().read_at(&self.name, slot * PAGE_BYTES as u64, &mut page[..])?;
        if read == PAGE_BYTES { Ok(page) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Whether a record may name this slot: what lies outside the file must not even be looked at
    /// through a map.
    fn is_written(&self, slot: u64) -> bool {
        slot < self.extent.load(Ordering::Acquire) && space::place(slot).is_some()
    }
}

impl PageStore for Reader {
    fn mapped(&self, slot: u64) -> Option<&Page> {
        self.map.as_ref().filter(|_| self.is_written(slot)).map(|map| map.page(slot))
    }

    fn read_page(&self, slot: u64) -> io::Result<HeapPage> {
        if !self.is_written(slot) {
            return Err(damaged());
        }
        Ok(HeapPage::new(self.read_slot(slot)?, &self.heap))
    }

    fn read_node(&self, level: u8, index: u64, slot: u64) -> io::Result<NodeRecord> {
        let (mut children, mut chain) = (Vec::new(), Vec::new());
        let mut next = Some(slot);
        while let Some(slot) = next {
            let part = chain.len();
            if part == CHAIN_MAX || !self.is_written(slot) {
                return Err(damaged());
            }
            let link = match self.mapped(slot) {
                Some(page) => record::decode(page, level, index, part)?,
                None => record::decode(&*self.read_slot(slot)?, level, index, part)?,
            };
            chain.push(slot);
            children.extend(link.children);
            next = link.next;
        }
        chain.remove(0);
        if !children.is_sorted_by(|one, two| one.slot < two.slot) {
            return Err(damaged());
        }
        Ok(NodeRecord { children, chain })
    }
}
