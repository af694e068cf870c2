use crate::crypto::{Digest, Hasher};
use crate::ports::state::page::{Page, ZERO_PAGE};

/// The digest of a page's index and content; None for a page that is all zero, which is the same as
/// no page.
pub(crate) fn page_digest(index: u64, page: &Page) -> Option<Digest> {
    if *page == ZERO_PAGE {
        return None;
    }
    let mut hasher = Hasher::new("pbft page");
    hasher.number(index).part(page);
    Some(hasher.finish())
}

/// The digest of a node with these children, ascending by slot: what whoever is told of the children
/// compares with the digest that the node's own parent has for it.
pub(crate) fn node_digest(level: u8, index: u64, children: &[(u8, Digest)]) -> Digest {
    let mut listed = Vec::with_capacity(children.len() * (1 + Digest::BYTES));
    for (slot, digest) in children {
        listed.push(*slot);
        listed.extend_from_slice(&digest.0);
    }
    let mut hasher = Hasher::new("pbft state node");
    hasher.number(level.into()).number(index).part(&listed);
    hasher.finish()
}
