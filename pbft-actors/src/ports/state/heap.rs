use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::page::Page;

/// How many pages a state, its snapshots and savepoints hold in memory of their own. Clones count
/// together.
#[derive(Clone, Default)]
pub(super) struct HeapCount(Arc<AtomicUsize>);

impl HeapCount {
    pub(super) fn pages(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A page in memory of its own, counted as long as it is there.
pub(super) struct HeapPage {
    bytes: Box<Page>,
    count: HeapCount,
}

impl HeapPage {
    pub(super) fn new(bytes: Box<Page>, count: &HeapCount) -> Self {
        count.0.fetch_add(1, Ordering::Relaxed);
        Self { bytes, count: count.clone() }
    }

    pub(super) fn of(bytes: &Page, count: &HeapCount) -> Self {
        Self::new(Box::new(*bytes), count)
    }
}

impl Deref for HeapPage {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.bytes
    }
}

impl DerefMut for HeapPage {
    fn deref_mut(&mut self) -> &mut Page {
        &mut self.bytes
    }
}

impl Drop for HeapPage {
    fn drop(&mut self) {
        self.count.0.fetch_sub(1, Ordering::Relaxed);
    }
}
