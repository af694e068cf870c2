//! A root record: what one save left, in one of the two first slots.

use bytes::{Buf, BufMut};

use super::space::{FIRST_SLOT, GROUPS_MAX};
use crate::crypto::Digest;
use crate::ports::state::page::{PAGE_BYTES, Page};
use crate::types::Seq;

/// Changes with every change to this page, to `record.rs` or to `space.rs`.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"PBFTPAGE";
const CRC_AT: usize = PAGE_BYTES - 4;
pub(super) const BUFFER_BYTES: usize = GROUPS_MAX / 8;

/// A tree that the file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) seq: Seq,
    /// The digest that it is, or is to become.
    pub(super) target: Digest,
    /// The digest that it is.
    pub(super) digest: Digest,
    /// Slot of the root's record.
    pub(super) at: u64,
}

/// One root record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Counts the saves.
    pub(super) counter: u64,
    /// Slots from here on were never used.
    pub(super) extent: u64,
    pub(super) main: Option<Entry>,
    pub(super) transfer: Option<Entry>,
    /// One bit per group: which of its two maps of slots counts.
    pub(super) buffers: [u8; BUFFER_BYTES],
}

/// Why a record does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unusable {
    Damaged,
    Foreign,
    Version(u32),
}

impl Header {
    /// What a new file begins with.
    pub(super) fn empty(counter: u64) -> Self {
        Self { counter, extent: FIRST_SLOT, main: None, transfer: None, buffers: [0; BUFFER_BYTES] }
    }

    /// The slot that this record is written to: never that of the one before.
    pub(super) fn slot(&self) -> u64 {
        self.counter % 2
    }

    pub(super) fn encode(&self) -> Page {
        let mut page = [0; PAGE_BYTES];
        let mut rest = &mut page[..];
        rest.put_slice(&MAGIC);
        rest.put_u32_le(VERSION);
        rest.put_u64_le(self.counter);
        rest.put_u64_le(self.extent);
        for entry in [&self.main, &self.transfer] {
            let present = entry.is_some();
            let entry = entry.unwrap_or(Entry {
                seq: Seq::ZERO,
                target: Digest::default(),
                digest: Digest::default(),
                at: 0,
            });
            rest.put_u8(present.into());
            rest.put_u64_le(entry.seq.0);
            rest.put_slice(&entry.target.0);
            rest.put_slice(&entry.digest.0);
            rest.put_u64_le(entry.at);
        }
        rest.put_slice(&self.buffers);
        Self::seal(&mut page);
        page
    }

    /// Puts the checksum behind.
    pub(super) fn seal(page: &mut Page) {
        let crc = crc32c::crc32c(&page[..CRC_AT]);
        page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn decode(page: &Page) -> Result<Self, Unusable> {
        let (mut rest, mut crc) = page.split_at(CRC_AT);
        let whole = crc32c::crc32c(rest) == crc.get_u32_le();
        let mut magic = [0; MAGIC.len()];
        rest.copy_to_slice(&mut magic);
        if magic != MAGIC {
            return Err(Unusable::Foreign);
        }
        let version = rest.get_u32_le();
        if version != VERSION {
            return Err(Unusable::Version(version));
        }
        if !whole {
            return Err(Unusable::Damaged);
        }
        let (counter, extent) = (rest.get_u64_le(), rest.get_u64_le());
        let [main, transfer] = [(); 2].map(|()| {
            let present = rest.get_u8() != 0;
            let seq = Seq(rest.get_u64_le());
            let [target, digest] = [(); 2].map(|()| {
                let mut digest = Digest::default();
                rest.copy_to_slice(&mut digest.0);
                digest
            });
            let at = rest.get_u64_le();
            present.then_some(Entry { seq, target, digest, at })
        });
        let mut buffers = [0; BUFFER_BYTES];
        rest.copy_to_slice(&mut buffers);
        Ok(Self { counter, extent, main, transfer, buffers })
    }
}
