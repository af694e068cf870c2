//! Where a replica keeps what it must not forget.

#[expect(dead_code, reason = "the journal and the page file, which use it, come next")]
mod disk;

#[expect(unused_imports, reason = "the journal and the page file, which use it, come next")]
pub(crate) use disk::{Disk, PageMap};

/// Nothing is kept: a replica that stops has lost its memory, and joins again by REJOIN. A group all
/// of whose replicas stop has forgotten everything (PROTOCOL 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory;
