//! An append-only log of entries on a disk, in segments (PROTOCOL 11). It knows nothing of what the
//! entries say: only that some must never be lost, and are therefore written twice.

mod format;
#[cfg(any(test, feature = "fuzz"))]
mod image;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Disk;
use crate::crypto::Hasher;
use crate::types::LogId;
use format::{Copy, Header};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use image::SegmentImage;
pub(crate) use scan::{Damage, Found};

/// Length of what is written twice.
pub(crate) const COPY_BYTES: usize = 52;

/// Bytes of entries after which what waits is written as more than one group.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Segments that are kept to be written over.
const SPARE_MAX: usize = 2;

/// Zeros are written this many bytes at a time.
const ZERO_BYTES: usize = 1 << 20;

/// Whose log it is. A log of another owner is never opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) cluster: [u8; 16],
    pub(crate) replica: u8,
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Enough to keep the promise if the body is lost; such an entry is written in two places.
    pub(crate) copy: Option<[u8; COPY_BYTES]>,
    pub(crate) body: Vec<u8>,
    /// The entry is needed until [`Log::release`] is told of this number or a higher one; 0 for one
    /// that the next segment begins with again.
    pub(crate) until: u64,
}

/// Why a log cannot be opened or written.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk refused.
    #[error(
        "the disk failed: {0}; nothing was answered since, check the disk and its free space, then start again"
    )]
    Disk(#[from] io::Error),
    /// The files belong to another replica or cluster.
    #[error(
        "the journal belongs to replica {replica} of cluster {cluster}: give each replica its own directory"
    )]
    Foreign {
        /// The replica that it belongs to.
        replica: u8,
        /// Its cluster, in hexadecimal.
        cluster: String,
    },
    /// The files were written by another version.
    #[error(
        "the journal has format {found} and this program writes format {known}: start the version that wrote it"
    )]
    Version {
        /// The format found.
        found: u32,
        /// The format of this program.
        known: u32,
    },
}

/// A log that can be written.
pub(crate) struct Log {
    disk: Box<dyn Disk>,
    owner: Owner,
    id: LogId,
    /// Random; segments' seeds come from it.
    entropy: u64,
    segment_bytes: usize,
    current: Segment,
    /// Full ones that may still be needed, oldest first.
    closed: VecDeque<Closed>,
    /// Full ones that are needed no more, to be written over: their blocks are there already.
    spare: VecDeque<u64>,
    /// The oldest segment that is needed, as the last group said.
    stated: u64,
    /// Entries up to here are needed no more.
    released: u64,
    waiting: Vec<Entry>,
}

/// The segment that is written to.
struct Segment {
    number: u64,
    seed: u64,
    ordinal: u32,
    /// Copies written.
    copies: u32,
    /// Where the next group begins.
    offset: usize,
    /// The highest `until` in it.
    until: u64,
}

struct Closed {
    number: u64,
    until: u64,
}

/// A log that was there, and what it says.
pub(crate) struct Opened {
    pub(crate) id: LogId,
    /// Every entry that is still needed, in order.
    pub(crate) found: Vec<Found>,
    pub(crate) damage: Damage,
    closed: VecDeque<Closed>,
    last: (u64, u32),
}

impl Log {
    /// Reads the log on a disk; none if there is none.
    pub(crate) fn read(disk: &mut dyn Disk, owner: Owner) -> Result<Option<Opened>, LogError> {
        scan::read(disk, owner)
    }

    /// Goes on with a log, or with a new one of another id, in a new segment that begins with `base`.
    /// Under another id, or without a log, what was there is gone once this returns.
    pub(crate) fn start(
        disk: Box<dyn Disk>,
        owner: Owner,
        id: LogId,
        entropy: u64,
        segment_bytes: usize,
        opened: Option<Opened>,
        base: Vec<Entry>,
    ) -> Result<Self, LogError> {
        let (closed, last) = match opened {
            Some(opened) if opened.id == id => (opened.closed, opened.last),
            Some(opened) => (VecDeque::new(), opened.last),
            None => (VecDeque::new(), (0, 0)),
        };
        let current = Segment { number: last.0, seed: 0, ordinal: 0, copies: last.1, offset: 0, until: 0 };
        let (spare, waiting) = (VecDeque::new(), Vec::new());
        let mut log = Self {
            disk,
            owner,
            id,
            entropy,
            segment_bytes,
            current,
            closed,
            spare,
            stated: 0,
            released: 0,
            waiting,
        };
        log.open_segment(base)?;
        log.remove_old()?;
        Ok(log)
    }

    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    /// Forgets everything and goes on under another id with `base`.
    pub(crate) fn restart(&mut self, id: LogId, base: Vec<Entry>) -> Result<(), LogError> {
        self.id = id;
        self.waiting.clear();
        self.closed.clear();
        self.spare.clear();
        self.open_segment(base)?;
        self.remove_old()
    }

    /// Takes an entry; it is certain once the next [`Log::commit`] has returned.
    pub(crate) fn append(&mut self, entry: Entry) {
        self.waiting.push(entry);
    }

    /// Makes everything appended certain, by one sync where it fits into one group. `base` is what a
    /// new segment begins with.
    pub(crate) fn commit(&mut self, base: impl Fn() -> Vec<Entry>) -> Result<(), LogError> {
        while !self.waiting.is_empty() {
            let group = self.take_group();
            if !self.fits(&group) {
                let until = self.current.until;
                self.closed.push_back(Closed { number: self.current.number, until });
                self.release(self.released);
                self.open_segment(base())?;
                self.remove_old()?;
            }
            self.write_group(&group)?;
        }
        Ok(())
    }

    /// Entries needed until this number or a lower one are needed no more. Their segments go when the
    /// next one begins.
    pub(crate) fn release(&mut self, until: u64) {
        self.released = self.released.max(until);
        while let Some(closed) = self.closed.pop_front_if(|closed| closed.until <= until) {
            self.spare.push_back(closed.number);
        }
    }

    /// Segments on the disk that are needed.
    #[cfg(test)]
    pub(crate) fn segments(&self) -> usize {
        self.closed.len() + 1
    }

    /// As many of the entries that wait as one group may have.
    fn take_group(&mut self) -> Vec<Entry> {
        let (mut bytes, mut copies) = (0, 0);
        let copies_max = copies_of(self.segment_bytes) as usize / 2;
        let fits = |entry: &Entry| {
            let first = bytes == 0;
            bytes += entry.body.len() + 1;
            copies += usize::from(entry.copy.is_some());
            first || bytes <= GROUP_BYTES_MAX && copies <= copies_max
        };
        let count = self.waiting.iter().map_while({
            let mut fits = fits;
            move |entry| fits(entry).then_some(())
        });
        let count = count.count();
        let rest = self.waiting.split_off(count);
        std::mem::replace(&mut self.waiting, rest)
    }

    fn fits(&self, group: &[Entry]) -> bool {
        let copies = group.iter().filter(|entry| entry.copy.is_some()).count() as u32;
        let bytes: usize = group.iter().map(|entry| entry.body.len() + 64).sum();
        self.current.copies + copies <= copies_of(self.segment_bytes)
            && self.current.offset + bytes + format::BLOCK <= self.segment_bytes
    }

    fn oldest(&self) -> u64 {
        self.closed.front().map_or(self.current.number, |closed| closed.number)
    }

    /// Makes the next segment, certain with what it begins with before anything relies on it.
    fn open_segment(&mut self, base: Vec<Entry>) -> Result<(), LogError> {
        let copies = copies_of(self.segment_bytes);
        let mut seed = Hasher::new("pbft journal segment");
        seed.number(self.entropy).number(self.current.number + 1);
        let header = Header {
            version: format::VERSION,
            owner: self.owner,
            log: self.id,
            number: self.current.number + 1,
            seed: seed.finish().0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            copies,
            before: self.current.copies,
        };
        let file = file_name(header.number);
        // Blocks that the file system has already need no more than their content to become certain.
        match self.spare.pop_front_if(|number| *number < self.stated) {
            Some(spare) => {
                self.disk.rename(&file_name(spare), &file)?;
                self.disk.sync_names()?;
            }
            None => self.write_zeros(&file)?,
        }
        self.disk.write_at(&file, 0, &header.encode())?;
        self.disk.sync(&file)?;
        self.disk.sync_names()?;
        self.current = Segment {
            number: header.number,
            seed: header.seed,
            ordinal: 0,
            copies: 0,
            offset: format::groups_at(copies),
            until: 0,
        };
        self.write_group(&base)
    }

    fn write_zeros(&mut self, file: &str) -> Result<(), LogError> {
        let zeros = vec![0; ZERO_BYTES.min(self.segment_bytes)];
        let mut at = 0;
        while at < self.segment_bytes {
            let part = zeros.len().min(self.segment_bytes - at);
            self.disk.write_at(file, at as u64, &zeros[..part])?;
            at += part;
        }
        Ok(())
    }

    fn write_group(&mut self, entries: &[Entry]) -> Result<(), LogError> {
        let oldest = self.oldest();
        let current = &mut self.current;
        let file = file_name(current.number);
        let group = format::encode_group(current.seed, current.ordinal, current.copies, oldest, entries);
        let (first, mut copies) = (current.copies, Vec::new());
        for bytes in entries.iter().filter_map(|entry| entry.copy) {
            format::encode_copy(&mut copies, current.seed, current.copies, &Copy { bytes, first });
            current.copies += 1;
        }
        if !copies.is_empty() {
            self.disk.write_at(&file, format::copy_at(first) as u64, &copies)?;
        }
        self.disk.write_at(&file, current.offset as u64, &group)?;
        self.disk.sync(&file)?;
        self.stated = oldest;
        current.offset += group.len();
        current.ordinal += 1;
        let until = entries.iter().map(|entry| entry.until).max();
        current.until = current.until.max(until.unwrap_or(0));
        Ok(())
    }

    /// Removes the files of segments that the current one says are not needed.
    fn remove_old(&mut self) -> Result<(), LogError> {
        let oldest = self.oldest();
        let mut removed = false;
        self.spare.truncate(SPARE_MAX);
        for file in self.disk.list()? {
            let number = number_of(&file);
            if number.is_some_and(|number| number < oldest && !self.spare.contains(&number)) {
                self.disk.remove(&file)?;
                removed = true;
            }
        }
        if removed {
            self.disk.sync_names()?;
        }
        Ok(())
    }
}

/// Room for copies in a segment: a sixteenth of it.
fn copies_of(segment_bytes: usize) -> u32 {
    (segment_bytes / 1024).max(64) as u32
}

fn file_name(number: u64) -> String {
    format!("journal-{number:016x}")
}

fn number_of(file: &str) -> Option<u64> {
    let number = u64::from_str_radix(file.strip_prefix("journal-")?, 16).ok()?;
    // Whatever else begins so is none of ours.
    (file == file_name(number)).then_some(number)
}
