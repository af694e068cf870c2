//! Parts of a tree that lie in a page file and come into memory when they are used.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::ports::state::heap::HeapPage;
use crate::ports::state::page::Page;

/// Where stored parts are read from. What comes back is not yet compared with any digest.
pub(in crate::ports::state) trait PageStore: Send + Sync {
    /// A page in memory that the operating system loads and drops as it likes; none where the store
    /// has no such memory.
    fn mapped(&self, slot: u64) -> Option<&Page>;

    /// A page as it is on the disk now.
    fn read_page(&self, slot: u64) -> io::Result<HeapPage>;

    /// What a node's record says of its children.
    fn read_node(&self, level: u8, index: u64, slot: u64) -> io::Result<NodeRecord>;
}

/// A node as it is stored.
pub(in crate::ports::state) struct NodeRecord {
    /// Ascending by slot of the node.
    pub(in crate::ports::state) children: Vec<StoredChild>,
    /// The slots of the store, after the first, that the record takes.
    pub(in crate::ports::state) chain: Vec<u64>,
}

pub(in crate::ports::state) struct StoredChild {
    pub(in crate::ports::state) slot: u8,
    pub(in crate::ports::state) digest: Digest,
    /// Where it begins in the store.
    pub(in crate::ports::state) at: u64,
}

/// The place of one part in a store. While anybody holds it, nothing else is written there; a place
/// below a node that was not loaded yet is held by the node's.
pub(in crate::ports::state) struct Stored {
    slot: u64,
    store: Arc<dyn PageStore>,
}

impl Stored {
    pub(in crate::ports::state) fn new(slot: u64, store: &Arc<dyn PageStore>) -> Arc<Self> {
        Arc::new(Self { slot, store: store.clone() })
    }

    pub(in crate::ports::state) fn slot(&self) -> u64 {
        self.slot
    }

    pub(in crate::ports::state) fn store(&self) -> &Arc<dyn PageStore> {
        &self.store
    }

    pub(in crate::ports::state) fn is_in(&self, store: &Arc<dyn PageStore>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }
}

/// A page (level 0) or node that cannot be read from its page file as it was written there.
///
/// Access to a state cannot fail, so touching such a part panics with this as the payload: whoever
/// catches it ([`DamagedPart::catch`]) knows that the fault is this replica's disk, not the operation, and
/// never answers it like one that panicked. Nothing wrong is ever returned. What is below a damaged node is lost, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DamagedPart {
    pub(crate) level: u8,
    pub(crate) index: u64,
}

impl DamagedPart {
    /// Does what reads or changes a state. If that meets a damaged part it was given up half-way: the
    /// caller takes the state back to a savepoint, or drops it. Any other panic goes on.
    pub(crate) fn catch<T>(access: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(access)).map_err(|payload| match payload.downcast::<Self>() {
            Ok(damaged) => *damaged,
            Err(other) => resume_unwind(other),
        })
    }

    /// Gives up an access that has no way to return an error. Nothing is printed: whoever catches it tells.
    pub(in crate::ports::state) fn give_up(self) -> ! {
        resume_unwind(Box::new(self))
    }
}
