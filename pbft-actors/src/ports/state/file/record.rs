//! The record of a node: its children's slots, digests and places, in a chain of slots if one is too
//! small for all.
//!
//! ```text
//! magic 4 | crc 4 | level 1 | part 1 | children 2 | 0 4 | index 8 | next slot or 0 8 | children
//! a child: slot in the node 1 | digest 32 | place 8
//! ```

use std::io;

use bytes::{Buf, BufMut};

use crate::crypto::Digest;
use crate::ports::state::page::{PAGE_BYTES, Page};
use crate::ports::state::tree::{FAN_OUT, StoredChild};

const MAGIC: u32 = 0x5042_4e44;
const HEAD_BYTES: usize = 32;
const CHILD_BYTES: usize = 1 + Digest::BYTES + 8;
const CHILDREN_MAX: usize = (PAGE_BYTES - HEAD_BYTES) / CHILD_BYTES;

/// Slots that the longest chain takes.
pub(super) const CHAIN_MAX: usize = FAN_OUT.div_ceil(CHILDREN_MAX);

/// Slots for a record of so many children.
pub(super) fn slots_for(children: usize) -> usize {
    children.div_ceil(CHILDREN_MAX).max(1)
}

/// The content of every slot of a record that is to lie in `slots`.
pub(super) fn encode<'a>(
    level: u8,
    index: u64,
    children: &'a [StoredChild],
    slots: &'a [u64],
) -> impl Iterator<Item = (u64, Page)> + 'a {
    let chunk = |part: usize| children.chunks(CHILDREN_MAX).nth(part).unwrap_or_default();
    slots.iter().enumerate().map(move |(part, slot)| {
        let mut page = [0; PAGE_BYTES];
        let mut rest = &mut page[8..];
        rest.put_u8(level);
        rest.put_u8(part as u8);
        rest.put_u16_le(chunk(part).len() as u16);
        rest.put_u32_le(0);
        rest.put_u64_le(index);
        rest.put_u64_le(slots.get(part + 1).copied().unwrap_or(0));
        for child in chunk(part) {
            rest.put_u8(child.slot);
            rest.put_slice(&child.digest.0);
            rest.put_u64_le(child.at);
        }
        seal(&mut page);
        (*slot, page)
    })
}

/// Puts magic and checksum in front.
pub(super) fn seal(page: &mut Page) {
    let crc = crc32c::crc32c(&page[8..]);
    page[..4].copy_from_slice(&MAGIC.to_le_bytes());
    page[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Whether a slot begins like one.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn looks_like_one(page: &Page) -> bool {
    page.starts_with(&MAGIC.to_le_bytes())
}

/// One slot of a record as it was found.
pub(super) struct Link {
    pub(super) children: Vec<StoredChild>,
    pub(super) next: Option<u64>,
}

/// One slot of a record, if it is whole and this part of this node.
pub(super) fn decode(page: &Page, level: u8, index: u64, part: usize) -> io::Result<Link> {
    let (mut head, covered) = page.split_at(8);
    let (magic, crc) = (head.get_u32_le(), head.get_u32_le());
    if magic != MAGIC || crc32c::crc32c(covered) != crc {
        return Err(damaged());
    }
    let mut rest = covered;
    let same = rest.get_u8() == level && usize::from(rest.get_u8()) == part;
    let count = usize::from(rest.get_u16_le());
    rest.advance(4);
    if !same || rest.get_u64_le() != index || count > CHILDREN_MAX {
        return Err(damaged());
    }
    let next = Some(rest.get_u64_le()).filter(|&next| next != 0);
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        let slot = rest.get_u8();
        let mut digest = Digest::default();
        rest.copy_to_slice(&mut digest.0);
        children.push(StoredChild { slot, digest, at: rest.get_u64_le() });
    }
    Ok(Link { children, next })
}

/// What is read instead of data where there is none that can be trusted.
pub(super) fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
