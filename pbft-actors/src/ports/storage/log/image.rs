//! Segments as nobody wrote them, with every checksum right: what only a fuzzer makes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::{self, Copy, Header};
use super::{COPY_BYTES, Disk, Entry, LogError, Owner, file_name};
use crate::types::LogId;

/// Blocks of groups that one image may have.
const BLOCKS_MAX: u16 = 64;

/// One segment. Its numbers may contradict each other in any way.
#[derive(Serialize, Deserialize)]
pub(crate) struct SegmentImage {
    /// The number in the file's name.
    file: u64,
    header: Header,
    copies: Vec<(u16, Bytes, u32)>,
    groups: Vec<GroupImage>,
}

#[derive(Serialize, Deserialize)]
struct GroupImage {
    block: u16,
    ordinal: u32,
    copies_before: u32,
    oldest: u64,
    /// Whether each has a copy, and its body.
    entries: Vec<(bool, Bytes)>,
}

impl SegmentImage {
    /// Writes the file.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write(&self, disk: &mut dyn Disk) -> Result<(), LogError> {
        let (file, seed) = (file_name(self.file), self.header.seed);
        disk.write_at(&file, 0, &self.header.encode())?;
        for (index, bytes, first) in &self.copies {
            let mut copy = [0; COPY_BYTES];
            copy.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            let mut slot = Vec::new();
            format::encode_copy(&mut slot, seed, (*index).into(), &Copy { bytes: copy, first: *first });
            disk.write_at(&file, format::copy_at((*index).into()) as u64, &slot)?;
        }
        for GroupImage { block, ordinal, copies_before, oldest, entries } in &self.groups {
            let entry = |(twice, body): &(bool, Bytes)| Entry {
                copy: twice.then_some([0; COPY_BYTES]),
                body: body.to_vec(),
                until: 0,
            };
            let entries: Vec<Entry> = entries.iter().map(entry).collect();
            // Writing counts on from here.
            let copies_before = (*copies_before).min(u32::MAX - entries.len() as u32);
            let group = format::encode_group(seed, *ordinal, copies_before, *oldest, &entries);
            let at = format::COPIES_AT + usize::from(block % BLOCKS_MAX) * format::BLOCK;
            disk.write_at(&file, at as u64, &group)?;
        }
        Ok(())
    }
}

impl SegmentImage {
    /// Two segments that follow each other, as a program could have written them.
    pub(crate) fn examples(owner: Owner, log: LogId) -> Vec<Self> {
        let segment = |number: u64, before| {
            let header = Header { version: format::VERSION, owner, log, number, seed: 3, copies: 64, before };
            let body = Bytes::from_static(b"body");
            let group = |block, ordinal, copies_before| GroupImage {
                block,
                ordinal,
                copies_before,
                oldest: 1,
                entries: vec![(true, body.clone()), (false, body.clone())],
            };
            let copies = vec![(0, body.clone(), 0), (1, body.clone(), 1)];
            Self { file: number, header, copies, groups: vec![group(1, 0, 0), group(2, 1, 1)] }
        };
        vec![segment(1, 0), segment(2, 2)]
    }
}
