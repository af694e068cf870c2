//! The bytes of a segment.
//!
//! ```text
//! block 0      header                      every block has 4096 bytes
//! block 1      header again
//! blocks 2..   copies, 64 bytes each: what is written twice, without its body
//! then         groups, each from a new block on: header, then entries with their bodies
//! ```
//!
//! A group is what one sync made certain. Every checksum covers the segment's random seed and the place
//! inside it, so that what an earlier use of the file left behind is never taken for an entry.

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};

use super::{COPY_BYTES, Entry, Owner};
use crate::codec;
use crate::types::LogId;

/// A group never shares a block with another one: a write that is torn must not damage what an
/// earlier sync made certain.
pub(super) const BLOCK: usize = 4096;

/// Changes with every change to this page.
pub(super) const VERSION: u32 = 1;

const GROUP_MAGIC: u32 = 0x5042_4752;
const GROUP_HEADER_BYTES: usize = 32;
const ENTRY_HEADER_BYTES: usize = 12;
const COPY_SLOT_BYTES: usize = 64;
/// In place of a copy's index: the entry is written once.
const ONCE: u32 = u32::MAX;

/// What a segment says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) owner: Owner,
    pub(super) log: LogId,
    pub(super) number: u64,
    /// What every checksum starts from. Nobody else knows it: bytes that a client chose must not look
    /// like an entry, wherever a torn write leaves them.
    pub(super) seed: u64,
    /// Copies that there is room for.
    pub(super) copies: u32,
    /// Copies that the segment before has: all of them were certain when this one was made.
    pub(super) before: u32,
}

impl Header {
    /// Two equal blocks.
    pub(super) fn encode(&self) -> Vec<u8> {
        let body = codec::encode(self);
        let mut block = Vec::with_capacity(2 * BLOCK);
        for _ in 0..2 {
            let start = block.len();
            block.put_u32_le(body.len() as u32);
            block.put_u32_le(crc32c::crc32c(&body));
            block.put_slice(&body);
            block.resize(start + BLOCK, 0);
        }
        block
    }

    /// The header of a segment's bytes, from whichever block is whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.chunks_exact(BLOCK).take(2).find_map(|mut block| {
            let (length, crc) = (block.get_u32_le() as usize, block.get_u32_le());
            let body = block.get(..length)?;
            if crc32c::crc32c(body) != crc {
                return None;
            }
            codec::decode(body, BLOCK).ok()
        })
    }
}

/// Where the copies begin.
pub(super) const COPIES_AT: usize = 2 * BLOCK;

/// Where a copy is.
pub(super) fn copy_at(index: u32) -> usize {
    COPIES_AT + index as usize * COPY_SLOT_BYTES
}

/// Copies that so many bytes have room for.
pub(super) fn copies_in(segment: &[u8]) -> u32 {
    u32::try_from(segment.len().saturating_sub(COPIES_AT) / COPY_SLOT_BYTES).unwrap_or(u32::MAX)
}

/// Where the groups begin.
pub(super) fn groups_at(copies: u32) -> usize {
    copy_at(copies).next_multiple_of(BLOCK)
}

/// One copy as it was found.
#[derive(Clone, Copy)]
pub(super) struct Copy {
    pub(super) bytes: [u8; COPY_BYTES],
    /// The first copy of its group: all before it were certain when this one was written.
    pub(super) first: u32,
}

fn copy_crc(seed: u64, index: u32, slot: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(crc32c::crc32c(&seed.to_le_bytes()), &index.to_le_bytes());
    crc32c::crc32c_append(place, slot)
}

pub(super) fn encode_copy(out: &mut Vec<u8>, seed: u64, index: u32, copy: &Copy) {
    let start = out.len();
    out.put_slice(&copy.bytes);
    out.put_u32_le(copy.first);
    out.put_u32_le(0);
    let crc = copy_crc(seed, index, &out[start..]);
    out.put_u32_le(crc);
}

/// A copy of a segment's bytes, if it is whole.
pub(super) fn decode_copy(segment: &[u8], seed: u64, index: u32) -> Option<Copy> {
    let slot = segment.get(copy_at(index)..)?.get(..COPY_SLOT_BYTES)?;
    let (covered, mut crc) = slot.split_at_checked(COPY_SLOT_BYTES - 4)?;
    if copy_crc(seed, index, covered) != crc.get_u32_le() {
        return None;
    }
    let (bytes, mut rest) = covered.split_first_chunk()?;
    Some(Copy { bytes: *bytes, first: rest.get_u32_le() })
}

/// Whether a group may have begun here; without the header nobody can say more.
pub(super) fn looks_like_group(segment: &[u8], offset: usize) -> bool {
    segment.get(offset..).is_some_and(|bytes| bytes.starts_with(&GROUP_MAGIC.to_le_bytes()))
}

/// What a group says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Group {
    /// Counts the groups of a segment.
    pub(super) ordinal: u32,
    /// Bytes of entries that follow.
    pub(super) length: u32,
    /// Copies of the groups before: all of them were certain when this one was written.
    pub(super) copies_before: u32,
    /// The oldest segment that is still needed.
    pub(super) oldest: u64,
}

/// A group's bytes, to the end of its last block.
pub(super) fn encode_group(
    seed: u64,
    ordinal: u32,
    copies_before: u32,
    oldest: u64,
    entries: &[Entry],
) -> Vec<u8> {
    let length: usize = entries.iter().map(|entry| ENTRY_HEADER_BYTES + entry.body.len()).sum();
    let mut out = Vec::with_capacity((GROUP_HEADER_BYTES + length).next_multiple_of(BLOCK));
    out.put_u32_le(GROUP_MAGIC);
    out.put_u32_le(ordinal);
    out.put_u32_le(length as u32);
    out.put_u32_le(copies_before);
    out.put_u64_le(oldest);
    out.put_u32_le(0);
    let crc = group_crc(seed, &out);
    out.put_u32_le(crc);
    let mut copy = copies_before;
    for (position, entry) in (0_u32..).zip(entries) {
        let index = if entry.copy.is_some() { copy } else { ONCE };
        copy += u32::from(entry.copy.is_some());
        out.put_u32_le(entry.body.len() as u32);
        out.put_u32_le(index);
        out.put_u32_le(entry_crc(crc, position, index, &entry.body));
        out.put_slice(&entry.body);
    }
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

fn group_crc(seed: u64, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&seed.to_le_bytes()), header)
}

/// Seeded by the group's: an entry counts only in its place.
fn entry_crc(group: u32, position: u32, copy: u32, body: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(group, &position.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(place, &copy.to_le_bytes()), body)
}

/// One entry as it was found.
pub(super) struct Read {
    /// Its copy's index, if it is written twice.
    pub(super) copy: Option<u32>,
    pub(super) body: Vec<u8>,
}

/// The group that begins at `offset`, with those of its entries that are whole; the flag says whether
/// all are.
pub(super) fn decode_group(segment: &[u8], seed: u64, offset: usize) -> Option<(Group, Vec<Read>, bool)> {
    let mut header = segment.get(offset..)?.get(..GROUP_HEADER_BYTES)?;
    let covered = header.get(..GROUP_HEADER_BYTES - 4)?;
    if header.get_u32_le() != GROUP_MAGIC {
        return None;
    }
    let (ordinal, length, copies_before) = (header.get_u32_le(), header.get_u32_le(), header.get_u32_le());
    let oldest = header.get_u64_le();
    let _reserved = header.get_u32_le();
    let crc = header.get_u32_le();
    if group_crc(seed, covered) != crc {
        return None;
    }
    let group = Group { ordinal, length, copies_before, oldest };
    let body = segment.get(offset + GROUP_HEADER_BYTES..).unwrap_or_default();
    let mut rest = body.get(..length as usize).unwrap_or(body);
    let (mut entries, mut whole) = (Vec::new(), rest.len() == length as usize);
    let mut position = 0;
    while rest.len() >= ENTRY_HEADER_BYTES {
        let (bytes, copy, crc) = (rest.get_u32_le() as usize, rest.get_u32_le(), rest.get_u32_le());
        let Some((body, after)) = rest.split_at_checked(bytes) else {
            return Some((group, entries, false));
        };
        if entry_crc(group_crc(seed, covered), position, copy, body) == crc {
            entries.push(Read { copy: (copy != ONCE).then_some(copy), body: body.to_vec() });
        } else {
            whole = false;
        }
        rest = after;
        position += 1;
    }
    whole = whole && rest.is_empty();
    Some((group, entries, whole))
}

/// Bytes that a group takes, up to its next block.
pub(super) fn group_bytes(group: &Group) -> usize {
    (GROUP_HEADER_BYTES + group.length as usize).next_multiple_of(BLOCK)
}
