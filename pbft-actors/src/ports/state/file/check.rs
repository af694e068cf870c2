//! Comparing what lies on the disk with what was stored there.

use super::PageFile;
use crate::crypto::Digest;
use crate::ports::state::tree::{DamagedPart, Node, PAGE_LEVEL, Part, child_index};
use crate::types::Seq;

/// What one step of a scrub found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scrubbed {
    /// Pages (level 0) and nodes that are not what was stored, ascending. A transfer brings them back
    /// if they, and nothing else, are first removed from the state: their digests are still those of
    /// the undamaged parts, so comparing digests finds no difference.
    pub(crate) damaged: Vec<DamagedPart>,
    /// Pages read.
    pub(crate) pages: u64,
    /// The page to go on from; None at the end.
    pub(crate) next: Option<u64>,
}

/// What a page file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verified {
    /// The seq that was saved last; None if nothing was.
    pub(crate) seq: Option<Seq>,
    /// The digest of its state.
    pub(crate) root: Digest,
    /// Pages that can be reached.
    pub(crate) pages: u64,
    /// Pages and nodes that are not what was stored.
    pub(crate) damaged: Vec<DamagedPart>,
}

impl PageFile {
    /// Reads up to `count` stored pages of the saved state again, from page `from` on, with the nodes
    /// above them, and names those that are not what was stored.
    pub(crate) fn scrub(&self, from: u64, count: u64) -> Scrubbed {
        let mut scrubbed = Scrubbed { damaged: Vec::new(), pages: 0, next: None };
        if let Some(root) = self.main_root() {
            visit(root, from, count, &mut scrubbed);
        }
        scrubbed
    }

    /// Reads everything that was saved and says what it is.
    pub(crate) fn verify(&self) -> Verified {
        let Scrubbed { damaged, pages, .. } = self.scrub(0, u64::MAX);
        let (seq, root) = match self.main_entry() {
            Some(entry) => (Some(entry.seq), entry.digest),
            None => (None, Digest::default()),
        };
        Verified { seq, root, pages, damaged }
    }
}

fn visit(node: &Node, from: u64, count: u64, scrubbed: &mut Scrubbed) {
    if let Err(damaged) = node.scrub() {
        scrubbed.damaged.push(damaged);
    }
    // Also what lies below a damaged node may be in memory still.
    let Ok(below) = node.try_below() else { return };
    for (slot, part) in below.children_from(0) {
        let index = child_index(node.index(), slot);
        if ends_before(node.level() - 1, index, from) {
            continue;
        }
        match part {
            Part::Node(child) => visit(child, from, count, scrubbed),
            Part::Page(_) if scrubbed.pages == count => scrubbed.next = Some(index),
            Part::Page(frame) => {
                scrubbed.pages += 1;
                scrubbed.damaged.extend(frame.scrub().err());
            }
        }
        if scrubbed.next.is_some() {
            return;
        }
    }
}

/// Whether every page of a part lies before `page`.
fn ends_before(level: u8, index: u64, page: u64) -> bool {
    let last = (PAGE_LEVEL..level).fold(index, |index, _| child_index(index, u8::MAX));
    last < page
}
