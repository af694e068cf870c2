//! Writing what is not stored yet, and finding what is no longer reached.

use std::io;
use std::sync::Arc;

use super::error::PageFileError;
use super::reader::Reader;
use super::record;
use super::space::{Retired, SLOTS_MAX, Space};
use crate::crypto::Digest;
use crate::ports::state::page::{PAGE_BYTES, Page};
use crate::ports::state::tree::{
    Below, DamagedPart, Frame, Node, PAGE_LEVEL, PageStore, Part, Stored, StoredChild,
};

/// Slots that follow each other are written together up to this many bytes.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// One save while it goes on. Until it is complete nothing of it is seen by anybody.
pub(super) struct Save<'a> {
    reader: &'a Reader,
    store: &'a Arc<dyn PageStore>,
    space: &'a mut Space,
    new: Vec<u64>,
    tags: Vec<Tag>,
    start: u64,
    buffer: Vec<u8>,
}

/// What a save wrote.
pub(super) struct Written {
    /// Slots taken.
    pub(super) new: Vec<u64>,
    tags: Vec<Tag>,
}

enum Tag {
    Page(Arc<Frame>, Arc<Stored>),
    Node(Arc<Node>, Arc<Stored>),
}

/// The nodes at one place of the trees that a root record names, or two of them.
pub(super) type Durable<'a> = [Option<&'a Arc<Node>>; 3];

impl<'a> Save<'a> {
    pub(super) fn new(reader: &'a Reader, store: &'a Arc<dyn PageStore>, space: &'a mut Space) -> Self {
        Self { reader, store, space, new: Vec::new(), tags: Vec::new(), start: 0, buffer: Vec::new() }
    }

    /// Writes a tree, except what `durable` has of it at the same place; gives the tree as it is stored.
    ///
    /// Only what a durable tree has in the same slot counts as stored: another slot may be one that an
    /// older save gave up, or equal content that is damaged on the disk and about to be repaired.
    pub(super) fn node(
        &mut self,
        node: &Arc<Node>,
        durable: &Durable<'_>,
    ) -> Result<Arc<Node>, PageFileError> {
        if let Some(stored) = node.stored().filter(|stored| stored.is_in(self.store))
            && let Some(same) =
                durable.iter().flatten().find(|durable| is_at(durable.stored(), stored.slot()))
        {
            return Ok(Arc::clone(same));
        }
        let (level, index) = (node.level(), node.index());
        let mut below = Below::empty(level);
        let mut children = Vec::new();
        for (slot, part) in node.try_below().map_err(|part| self.unreadable(part))?.children_from(0) {
            let Some(digest) = part.digest() else { continue };
            let stored = match part {
                Part::Page(frame) => {
                    let frame = self.page(frame, digest, &pages_at(durable, slot))?;
                    let stored = frame.stored().cloned();
                    below.insert_page(slot, frame);
                    stored
                }
                Part::Node(node) => {
                    let node = self.node(node, &nodes_at(durable, slot))?;
                    let stored = node.stored().cloned();
                    below.insert_node(slot, node);
                    stored
                }
            };
            let at = stored.expect("what was just saved is stored").slot();
            children.push(StoredChild { slot, digest, at });
        }
        let slots =
            (0..record::slots_for(children.len())).map(|_| self.take()).collect::<Result<Vec<_>, _>>()?;
        for (slot, page) in record::encode(level, index, &children, &slots) {
            self.write(slot, &page)?;
        }
        let first = slots.first().expect("a record has at least one slot");
        let stored = Stored::new(*first, self.store);
        self.tags.push(Tag::Node(node.clone(), stored.clone()));
        Ok(Arc::new(Node::of_written(level, index, node.digest(), below, stored)))
    }

    fn page(
        &mut self,
        frame: &Arc<Frame>,
        digest: Digest,
        durable: &[Option<&Arc<Frame>>],
    ) -> Result<Arc<Frame>, PageFileError> {
        if let Some(stored) = frame.stored().filter(|stored| stored.is_in(self.store))
            && let Some(same) =
                durable.iter().flatten().find(|durable| is_at(durable.stored(), stored.slot()))
        {
            return Ok(Arc::clone(same));
        }
        let slot = self.take()?;
        self.write(slot, frame.try_bytes().map_err(|part| self.unreadable(part))?)?;
        let stored = Stored::new(slot, self.store);
        self.tags.push(Tag::Page(frame.clone(), stored.clone()));
        Ok(Arc::new(Frame::of_written(frame.index(), digest, stored)))
    }

    /// Writes out what waits.
    pub(super) fn flush(&mut self) -> Result<(), PageFileError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let offset = self.start * PAGE_BYTES as u64;
        let written = self.reader.disk().write_at(self.reader.name(), offset, &self.buffer);
        self.buffer.clear();
        written.map_err(|cause| disk_error(self.reader, cause))
    }

    pub(super) fn finish(self) -> Written {
        Written { new: self.new, tags: self.tags }
    }

    fn write(&mut self, slot: u64, page: &Page) -> Result<(), PageFileError> {
        let waiting = (self.buffer.len() / PAGE_BYTES) as u64;
        if slot != self.start + waiting || self.buffer.len() >= WRITE_BYTES_MAX {
            self.flush()?;
            self.start = slot;
        }
        self.buffer.extend_from_slice(page);
        Ok(())
    }

    fn take(&mut self) -> Result<u64, PageFileError> {
        let (reader, file) = (self.reader, || self.reader.name().to_owned());
        let slot = self.space.take(|slot| read(reader, slot))?;
        let slot = slot.ok_or_else(|| PageFileError::Full { file: file(), slots: SLOTS_MAX })?;
        self.new.push(slot);
        Ok(slot)
    }

    fn unreadable(&self, part: DamagedPart) -> PageFileError {
        let file = self.reader.name().to_owned();
        PageFileError::Unreadable { file, level: part.level, index: part.index }
    }
}

impl Written {
    /// Lets everything that was written remember where it is: the save is complete.
    pub(super) fn remember(self) {
        for tag in self.tags {
            match tag {
                Tag::Page(frame, stored) => frame.set_stored(&stored),
                Tag::Node(node, stored) => node.set_stored(&stored),
            }
        }
    }
}

/// Adds to `retired` what `old` has and none of `kept` has at the same place. Of what lies below a node
/// that is damaged nobody knows the slots: they stay taken.
pub(super) fn retire(old: &Arc<Node>, kept: &Durable<'_>, retired: &mut Vec<Retired>) {
    let Some(stored) = old.stored() else { return };
    if kept.iter().flatten().any(|kept| is_at(kept.stored(), stored.slot())) {
        return;
    }
    let mut slots = vec![stored.slot()];
    slots.extend(old.chain().unwrap_or_default());
    retired.push(Retired { holder: stored.clone(), slots });
    let Ok(below) = old.try_below() else { return };
    for (slot, part) in below.children_from(0) {
        match part {
            Part::Node(node) => retire(node, &nodes_at(kept, slot), retired),
            Part::Page(frame) => {
                let Some(stored) = frame.stored() else { continue };
                if !pages_at(kept, slot).iter().flatten().any(|kept| is_at(kept.stored(), stored.slot())) {
                    retired.push(Retired { holder: stored.clone(), slots: vec![stored.slot()] });
                }
            }
        }
    }
}

/// A stored tree with the parts of `known` that are the same slots, so that a slot is never held twice.
pub(super) fn share(tree: Node, known: Option<&Arc<Node>>) -> Result<Arc<Node>, DamagedPart> {
    let stored = tree.stored().expect("both trees are stored").clone();
    if let Some(known) = known.filter(|known| is_at(known.stored(), stored.slot())) {
        return Ok(known.clone());
    }
    let (level, index) = (tree.level(), tree.index());
    let known: Durable<'_> = [known, None, None];
    let mut below = Below::empty(level);
    for (slot, part) in tree.try_below()?.children_from(0) {
        match part {
            Part::Page(frame) => {
                let at = frame.stored().expect("a stored tree's pages are stored").slot();
                let same =
                    pages_at(&known, slot).into_iter().flatten().find(|known| is_at(known.stored(), at));
                below.insert_page(slot, Arc::clone(same.unwrap_or(frame)));
            }
            Part::Node(node) => {
                let [known, ..] = nodes_at(&known, slot);
                below.insert_node(slot, share(Node::clone(node), known)?);
            }
        }
    }
    debug_assert!(level > PAGE_LEVEL, "pages are not nodes");
    Ok(Arc::new(Node::of_written(level, index, tree.digest(), below, stored)))
}

fn is_at(stored: Option<&Arc<Stored>>, slot: u64) -> bool {
    stored.is_some_and(|stored| stored.slot() == slot)
}

/// The child nodes in a slot; none where a node cannot be read.
fn nodes_at<'a>(nodes: &Durable<'a>, slot: u8) -> Durable<'a> {
    nodes.map(|node| match node?.try_below().ok()?.child(slot)? {
        Part::Node(child) => Some(child),
        Part::Page(_) => None,
    })
}

fn pages_at<'a>(nodes: &Durable<'a>, slot: u8) -> [Option<&'a Arc<Frame>>; 3] {
    nodes.map(|node| match node?.try_below().ok()?.child(slot)? {
        Part::Page(child) => Some(child),
        Part::Node(_) => None,
    })
}

/// A slot that is no page and no record; one past the end of the file is zero.
pub(super) fn read(reader: &Reader, slot: u64) -> Result<Page, PageFileError> {
    match reader.read_slot(slot) {
        Ok(page) => Ok(*page),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; PAGE_BYTES]),
        Err(cause) => Err(disk_error(reader, cause)),
    }
}

pub(super) fn disk_error(reader: &Reader, cause: io::Error) -> PageFileError {
    PageFileError::Disk { file: reader.name().to_owned(), cause }
}
