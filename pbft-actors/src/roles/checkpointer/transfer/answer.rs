//! What a peer answered, and whether it is what was asked for.

use super::difference::{Difference, Place, Wanted};
use crate::crypto::Digest;
use crate::message::{NodeData, PageData, TreeNode};
use crate::ports::state::{PAGE_LEVEL, Page, Snapshot};

/// A node or page from a peer, with its true digest.
pub(super) struct Part<'a> {
    place: Place,
    /// None for what is no node or page at all.
    digest: Option<Digest>,
    content: Content<'a>,
}

enum Content<'a> {
    Children(&'a [(u8, Digest)]),
    Page(&'a [u8]),
}

/// The parts of an answer; none if the peer does not have the checkpoint.
pub(super) type Parts<'a> = Option<Vec<Part<'a>>>;

pub(super) fn nodes(data: &NodeData) -> Parts<'_> {
    data.nodes.as_ref().map(|nodes| nodes.iter().map(Part::of_node).collect())
}

pub(super) fn pages(data: &PageData) -> Parts<'_> {
    data.pages.as_ref().map(|pages| pages.iter().map(|(index, bytes)| Part::of_page(*index, bytes)).collect())
}

impl<'a> Part<'a> {
    fn of_node(node: &'a TreeNode) -> Self {
        let TreeNode { level, index, children } = node;
        // Of level 0 are pages only.
        let digest = (*level != PAGE_LEVEL).then(|| Snapshot::node_digest(*level, *index, children));
        Self { place: (*level, *index), digest, content: Content::Children(children) }
    }

    fn of_page(index: u64, bytes: &'a [u8]) -> Self {
        let page: Option<&Page> = bytes.try_into().ok();
        let digest = page.and_then(|page| Snapshot::page_digest(index, page));
        Self { place: (PAGE_LEVEL, index), digest, content: Content::Page(bytes) }
    }

    pub(super) fn is_page(&self) -> bool {
        matches!(self.content, Content::Page(_))
    }

    pub(super) fn bytes(&self) -> usize {
        match self.content {
            Content::Children(children) => children.len() * (1 + Digest::BYTES),
            Content::Page(bytes) => bytes.len(),
        }
    }

    fn is(&self, wanted: &Wanted) -> bool {
        self.place == wanted.0 && self.digest == Some(wanted.1)
    }

    /// Puts it where exactly this is wanted; false if it is not.
    pub(super) fn put(&self, difference: &mut Difference) -> bool {
        let Some(digest) = difference.wants(self.place).filter(|digest| self.is(&(self.place, *digest)))
        else {
            return false;
        };
        match self.content {
            Content::Children(children) => difference.put_node(self.place, children),
            Content::Page(bytes) => {
                let page = bytes.try_into().expect("only a whole page has a digest");
                difference.put_page(self.place.1, page, digest);
            }
        }
        true
    }
}

/// Whether these are the parts that were asked for, all of them, with their digests.
pub(super) fn is_all_of(parts: &[Part<'_>], wanted: &[Wanted]) -> bool {
    parts.len() == wanted.len() && parts.iter().zip(wanted).all(|(part, wanted)| part.is(wanted))
}

/// Whether none of these contradicts what is wanted. The answer to a question that was given up is
/// as good as any other.
pub(super) fn is_none_wrong(parts: &[Part<'_>], difference: &Difference) -> bool {
    parts.iter().all(|part| difference.wants(part.place).is_none_or(|digest| part.is(&(part.place, digest))))
}
