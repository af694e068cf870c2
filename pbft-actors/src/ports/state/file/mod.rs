//! The page file: a saved state that is there after any stop, and that the live state need not hold in
//! memory (PROTOCOL 8 and 11).
//!
//! ```text
//! slot 0, 1   root records; the one of the later save counts
//! then        groups of slots: two maps of the group, then pages and records of nodes in any order
//! ```
//!
//! A save writes what changed into free slots, makes it certain, and only then writes the root record
//! that does not count; what the other one reaches is never overwritten. So a power cut at any time
//! leaves the state of the last complete save, or the one that was being made.
//!
//! Opening reads the two root records. Nodes and pages are read when they are used, and compared with
//! the digest in their parent when that happens first; pages come from a map of the file if the disk
//! has one. Later rot under a mapped page is what [`PageFile::scrub`] is for.

mod check;
mod error;
mod header;
#[cfg(any(test, feature = "fuzz"))]
mod image;
mod reader;
mod record;
mod save;
mod space;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use check::{Scrubbed, Verified};
pub use error::PageFileError;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use image::reseal;

use super::table::PageTable;
use super::tree::{self, Node, PageStore, Stored, TREE_LEVELS};
use super::{PAGE_BYTES, Page, Snapshot};
use crate::crypto::Digest;
use crate::ports::storage::Disk;
use crate::types::Seq;
use header::{Entry, Header, Unusable};
use reader::Reader;
use save::{Save, disk_error};
use space::Space;

/// A file with at most one saved state and one transfer in progress.
pub(crate) struct PageFile {
    reader: Arc<Reader>,
    store: Arc<dyn PageStore>,
    space: Space,
    counter: u64,
    main: Option<Tree>,
    transfer: Option<Tree>,
    failed: bool,
}

/// What the file holds of one state.
#[derive(Clone)]
struct Tree {
    entry: Entry,
    root: Arc<Node>,
}

/// What a transfer in progress is to become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) seq: Seq,
    pub(crate) digest: Digest,
}

/// A state that was saved: as it was in memory, and as it is stored. [`State::adopt`] and
/// [`Snapshot::adopt`] make others that share the former share the latter instead.
///
/// [`State::adopt`]: super::State::adopt
pub(crate) struct Saved {
    before: Snapshot,
    after: Snapshot,
}

impl Saved {
    /// The state as it was in memory when it was saved.
    pub(super) fn before(&self) -> &Snapshot {
        &self.before
    }

    /// The saved state, whose pages lie in the file. Keep this in place of what was saved.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.after
    }
}

impl PageFile {
    /// Opens a page file, or makes an empty one of this name. Nothing that came from an earlier opening
    /// in the same process may still be in use: this one does not know of it, and writes over it.
    ///
    /// # Errors
    /// The disk's, a file that is something else or of another version, and one neither of whose root
    /// records is whole.
    pub(crate) fn open(mut disk: Box<dyn Disk>, name: &str) -> Result<Self, PageFileError> {
        let header = match read_headers(&mut *disk, name)? {
            Some(header) => header,
            None => create(&mut *disk, name)?,
        };
        let map = disk.map(name).map_err(|cause| PageFileError::Disk { file: name.to_owned(), cause })?;
        let reader = Arc::new(Reader::new(name, disk, map, header.extent));
        let store: Arc<dyn PageStore> = reader.clone();
        let space = Space::new(header.counter, header.extent, header.buffers);
        let main = header.main.map(|entry| Tree { entry, root: Arc::new(stored_root(&entry, &store)) });
        let known = main.as_ref().map(|tree| &tree.root);
        // A transfer that cannot be read is one that begins again.
        let transfer = header.transfer.and_then(|entry| {
            let root = save::share(stored_root(&entry, &store), known).ok()?;
            Some(Tree { entry, root })
        });
        Ok(Self { reader, store, space, counter: header.counter, main, transfer, failed: false })
    }

    /// Whether there is a file of this name, and neither of its root records is whole.
    pub(crate) fn is_damaged(disk: &mut dyn Disk, name: &str) -> bool {
        matches!(read_headers(disk, name), Err(PageFileError::Damaged { .. }))
    }

    /// The state that was saved last.
    pub(crate) fn latest(&self) -> Option<(Seq, Snapshot)> {
        self.main.as_ref().map(|tree| (tree.entry.seq, self.snapshot_of(tree)))
    }

    /// The transfer in progress, and how far it is.
    pub(crate) fn transfer(&self) -> Option<(Target, Snapshot)> {
        let target = |entry: &Entry| Target { seq: entry.seq, digest: entry.target };
        self.transfer.as_ref().map(|tree| (target(&tree.entry), self.snapshot_of(tree)))
    }

    /// Saves a state; once this returns it is what [`PageFile::latest`] gives after any stop. A
    /// transfer to this seq or an earlier one is forgotten.
    ///
    /// # Errors
    /// The disk's, and a file that can take no more. The former state is still there; nothing can be
    /// saved any more until the file is opened again.
    pub(crate) fn save(&mut self, seq: Seq, snapshot: &Snapshot) -> Result<Saved, PageFileError> {
        self.write(snapshot, |file, digest, root| {
            let at = root.stored().expect("a saved root is stored").slot();
            let main = Tree { entry: Entry { seq, target: digest, digest, at }, root };
            (Some(main), file.transfer.clone().filter(|transfer| transfer.entry.seq > seq))
        })
    }

    /// Saves how far a transfer is, beside the saved state.
    ///
    /// # Errors
    /// As [`PageFile::save`].
    pub(crate) fn save_transfer(
        &mut self,
        target: Target,
        snapshot: &Snapshot,
    ) -> Result<Saved, PageFileError> {
        self.write(snapshot, |file, digest, root| {
            let at = root.stored().expect("a saved root is stored").slot();
            let entry = Entry { seq: target.seq, target: target.digest, digest, at };
            (file.main.clone(), Some(Tree { entry, root }))
        })
    }

    /// Pages that were read into memory because the disk has no map, as long as somebody uses them.
    #[cfg(test)]
    pub(crate) fn heap_pages(&self) -> usize {
        self.reader.heap().pages()
    }

    fn snapshot_of(&self, tree: &Tree) -> Snapshot {
        Snapshot::new(PageTable::of_root(tree.root.clone(), self.reader.heap().clone()))
    }

    fn main_root(&self) -> Option<&Node> {
        self.main.as_ref().map(|tree| &*tree.root)
    }

    fn main_entry(&self) -> Option<Entry> {
        self.main.as_ref().map(|tree| tree.entry)
    }

    /// Writes a tree; `roots` says what the file then holds.
    fn write(
        &mut self,
        snapshot: &Snapshot,
        roots: impl FnOnce(&Self, Digest, Arc<Node>) -> (Option<Tree>, Option<Tree>),
    ) -> Result<Saved, PageFileError> {
        if self.failed {
            return Err(PageFileError::Refused { file: self.reader.name().to_owned() });
        }
        // Whatever comes back early leaves it set.
        self.failed = true;
        let reader = self.reader.clone();
        let read = |slot| save::read(&reader, slot);
        self.space.sweep(read)?;
        let digest = snapshot.root();

        let former = [&self.main, &self.transfer].map(|tree| tree.as_ref().map(|tree| tree.root.clone()));
        let [former_main, former_transfer] = former.each_ref().map(Option::as_ref);
        let store = self.store.clone();
        let mut save = Save::new(&reader, &store, &mut self.space);
        let root = save.node(snapshot.table().root(), &[former_main, former_transfer, None])?;
        save.flush()?;
        let written = save.finish();

        let after = PageTable::of_root(root.clone(), snapshot.table().heap().clone());
        let (main, transfer) = roots(self, digest, root);
        let [new_main, new_transfer] = [&main, &transfer].map(|tree| tree.as_ref().map(|tree| &tree.root));
        let mut retired = Vec::new();
        if let Some(old) = former_main {
            save::retire(old, &[new_main, new_transfer, None], &mut retired);
        }
        if let Some(old) = former_transfer {
            // What both old trees share is retired once.
            save::retire(old, &[new_main, new_transfer, former_main], &mut retired);
        }
        let maps = self.space.commit(&written.new, retired, read)?;
        self.counter += 1;
        let header = Header {
            counter: self.counter,
            extent: self.space.extent(),
            main: main.as_ref().map(|tree| tree.entry),
            transfer: transfer.as_ref().map(|tree| tree.entry),
            buffers: self.space.buffers(),
        };
        self.write_out(&maps, &header)?;

        written.remember();
        self.reader.set_extent(header.extent);
        (self.main, self.transfer, self.failed) = (main, transfer, false);
        Ok(Saved { before: snapshot.clone(), after: Snapshot::new(after) })
    }

    /// Makes everything certain, and then the root record.
    fn write_out(&self, maps: &[(u64, Page)], header: &Header) -> Result<(), PageFileError> {
        let (mut disk, name) = (self.reader.disk(), self.reader.name());
        let mut write = || {
            for (slot, page) in maps {
                disk.write_at(name, slot * PAGE_BYTES as u64, page)?;
            }
            disk.sync(name)?;
            disk.write_at(name, header.slot() * PAGE_BYTES as u64, &header.encode())?;
            disk.sync(name)
        };
        write().map_err(|cause| disk_error(&self.reader, cause))
    }
}

fn stored_root(entry: &Entry, store: &Arc<dyn PageStore>) -> Node {
    let empty = tree::node_digest(TREE_LEVELS, 0, &[]);
    let digest = Some(entry.digest).filter(|digest| *digest != empty);
    Node::of_stored(TREE_LEVELS, 0, digest, Stored::new(entry.at, store))
}

/// The root record that counts; none if there is no such file.
fn read_headers(disk: &mut dyn Disk, name: &str) -> Result<Option<Header>, PageFileError> {
    let failed = |cause| PageFileError::Disk { file: name.to_owned(), cause };
    let Some(length) = disk.length(name).map_err(failed)? else { return Ok(None) };
    let mut unusable = Vec::new();
    let mut best: Option<Header> = None;
    for slot in 0..space::FIRST_SLOT {
        let mut page = [0; PAGE_BYTES];
        disk.read_at(name, slot * PAGE_BYTES as u64, &mut page).map_err(failed)?;
        match Header::decode(&page) {
            Ok(header) if header.extent.saturating_mul(PAGE_BYTES as u64) > length => {}
            Ok(header) if !(space::FIRST_SLOT..=space::SLOTS_MAX).contains(&header.extent) => {}
            Ok(header) if best.as_ref().is_some_and(|best| best.counter > header.counter) => {}
            Ok(header) => best = Some(header),
            Err(reason) => unusable.push(reason),
        }
    }
    let file = name.to_owned();
    match (best, &unusable[..]) {
        (Some(best), _) => Ok(Some(best)),
        (None, [Unusable::Foreign, Unusable::Foreign]) => Err(PageFileError::Foreign { file }),
        (None, &[Unusable::Version(found), Unusable::Version(_)]) => {
            Err(PageFileError::Version { file, found, known: header::VERSION })
        }
        (None, _) => Err(PageFileError::Damaged { file }),
    }
}

/// Makes an empty file. It has its name only once it is whole, so a file of this name without a root
/// record is damaged and never one that was just being made.
fn create(disk: &mut dyn Disk, name: &str) -> Result<Header, PageFileError> {
    let (draft, last) = (format!("{name}.new"), Header::empty(1));
    let mut make = || {
        if disk.length(&draft)?.is_some() {
            disk.remove(&draft)?;
        }
        for header in [&Header::empty(0), &last] {
            disk.write_at(&draft, header.slot() * PAGE_BYTES as u64, &header.encode())?;
        }
        disk.sync(&draft)?;
        disk.rename(&draft, name)?;
        disk.sync_names()
    };
    make().map_err(|cause| PageFileError::Disk { file: name.to_owned(), cause })?;
    Ok(last)
}
