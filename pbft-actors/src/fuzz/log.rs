//! The journal's log: directories that no program wrote, and those that one wrote and a disk changed.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::codec;
use crate::ports::storage::{COPY_BYTES, Damage, Disk, Entry, Log, MemoryDisk, Owner, SegmentImage};
use crate::types::LogId;

pub(super) const TARGET: Target =
    Target { name: "log", run, seeds, memory_base: 8 << 20, memory_per_byte: 8 << 10 };

const OWNER: Owner = Owner { cluster: [7; 16], replica: 2 };
const ID: LogId = LogId { number: 5, salt: 9 };

/// Small, so that a short input fills several.
const SEGMENT_BYTES: usize = 80 << 10;

/// What one input may do.
const STEPS_MAX: usize = 48;
const SEGMENTS_MAX: usize = 4;

#[derive(Serialize, Deserialize)]
enum Input {
    /// A directory that no program wrote.
    Image(Vec<SegmentImage>),
    /// One that a program wrote.
    Written(Vec<Step>),
}

#[derive(Serialize, Deserialize)]
enum Step {
    /// Of so many bytes, and whether it is written twice.
    Append(u16, bool),
    Commit,
    /// What is at or below this entry is needed no more.
    Release(u8),
    /// The power fails; each unsynced sector is kept or lost as the bits of this say, again and again.
    CutPower(u64),
    /// A bit flips in this file of the directory.
    Flip(u8, u32),
}

fn run(input: &[u8]) {
    match codec::decode(input, usize::MAX) {
        Ok(Input::Image(mut segments)) => {
            segments.truncate(SEGMENTS_MAX);
            read_image(&segments);
        }
        Ok(Input::Written(steps)) => write_and_read(&steps),
        Err(_) => {}
    }
}

/// Whatever is found the first time is found the second time.
fn read_image(segments: &[SegmentImage]) {
    let mut disk = MemoryDisk::new();
    for segment in segments {
        segment.write(&mut disk).expect("a disk with room");
    }
    let Ok(first) = Log::read(&mut disk, OWNER) else { return };
    let found = |opened: Option<crate::ports::storage::OpenedLog>| {
        opened.map(|opened| (opened.id, opened.found, opened.damage.hidden))
    };
    let second = Log::read(&mut disk, OWNER).expect("what was read once is read again");
    assert_eq!(found(first), found(second));
}

/// An entry that says its number; its copy does, too.
fn entry(number: u64, bytes: u16, twice: bool) -> Entry {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(8 + usize::from(bytes), number as u8);
    let mut copy = [0; COPY_BYTES];
    copy[..8].copy_from_slice(&number.to_le_bytes());
    Entry { copy: twice.then_some(copy), body, until: number }
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// What a program wrote and knows of it.
struct Written {
    disk: MemoryDisk,
    log: Log,
    entries: Vec<Entry>,
    /// Entries that a commit returned for.
    certain: usize,
    /// Of these, what a later commit, too, returned for: a loss of it cannot be taken for a torn write.
    confirmed: usize,
    released: u64,
    flips: usize,
}

fn write_and_read(steps: &[Step]) {
    let disk = MemoryDisk::new();
    let log = open(&disk, None);
    let mut written =
        Written { disk, log, entries: Vec::new(), certain: 0, confirmed: 0, released: 0, flips: 0 };
    for step in steps.iter().take(STEPS_MAX) {
        match *step {
            Step::Append(bytes, twice) => {
                let entry = entry(written.entries.len() as u64 + 1, bytes % 4_096, twice);
                written.entries.push(entry.clone());
                written.log.append(entry);
            }
            Step::Commit if written.certain < written.entries.len() => {
                written.log.commit(Vec::new).expect("a disk with room");
                written.confirmed = written.certain;
                written.certain = written.entries.len();
            }
            Step::Commit => {}
            Step::Release(number) => {
                written.released = written.released.max(number.into());
                written.log.release(written.released);
            }
            Step::CutPower(bits) => {
                let mut at = 0;
                written.disk.cut_power(|| {
                    at += 1;
                    bits >> (at % 64) & 1 == 1
                });
                if !written.reopen() {
                    return;
                }
            }
            Step::Flip(file, bit) => {
                let files = written.disk.list().expect("a disk that works");
                let Some(name) = files.get(usize::from(file) % files.len().max(1)) else { continue };
                let length = written.disk.bytes(name).max(1);
                written.disk.flip(name, bit as usize / 8 % length, 1 << (bit % 8));
                written.flips += 1;
            }
        }
    }
    written.disk.cut_power(|| false);
    written.reopen();
}

fn open(disk: &MemoryDisk, opened: Option<crate::ports::storage::OpenedLog>) -> Log {
    let id = opened.as_ref().map_or(ID, |opened| opened.id);
    Log::start(Box::new(disk.clone()), OWNER, id, 11, SEGMENT_BYTES, opened, Vec::new())
        .expect("a disk with room")
}

impl Written {
    /// Reads what is there and goes on with it; false if it is no log of ours any more.
    fn reopen(&mut self) -> bool {
        let Ok(opened) = Log::read(&mut self.disk, OWNER) else {
            assert!(self.flips > 0, "a log is read");
            return false;
        };
        let Some(opened) = opened else {
            assert!(self.flips > 1 || self.certain == 0, "a log is gone");
            return false;
        };
        self.check(&opened);
        // Whatever the unfinished write left is part of the log now.
        self.entries.truncate(self.certain);
        if self.flips > 0 || opened.found.len() > self.entries.len() {
            return false;
        }
        let until = self.entries.len() as u64;
        let mut opened = opened;
        opened.set_needed_until(until);
        self.log = open(&self.disk, Some(opened));
        self.confirmed = self.certain;
        true
    }

    fn check(&self, opened: &crate::ports::storage::OpenedLog) {
        let mut last = 0;
        for found in &opened.found {
            let bytes = found.body.as_deref().or(found.copy.as_ref().map(|copy| &copy[..]));
            let number = number_of(bytes.expect("one of them"));
            let written = self.entries.get((number as usize).wrapping_sub(1)).expect("nobody else wrote");
            assert!(found.body.as_ref().is_none_or(|body| *body == written.body), "{number} is changed");
            assert!(found.copy.is_none_or(|copy| written.copy == Some(copy)), "{number} is changed");
            assert!(number > last, "{number} comes after {last}");
            last = number;
        }
        let numbers: Vec<u64> = opened.found.iter().map(number).collect();
        let needed = |number: &u64| *number > self.released && !numbers.contains(number);
        let lost = |until: usize| (1..=until as u64).filter(needed).collect::<Vec<u64>>();
        match self.flips {
            0 => {
                assert_eq!(lost(self.certain), [0_u64; 0], "certain, and no bit flipped");
                assert_eq!((opened.damage.hidden, opened.damage.bodies), (false, 0));
            }
            // One place of two is whole.
            1 => {
                let twice = |number: &u64| self.entries[*number as usize - 1].copy.is_some();
                let lost: Vec<u64> = lost(self.certain).into_iter().filter(twice).collect();
                assert!(opened.damage.hidden || lost.is_empty(), "{lost:?} after one bit");
            }
            // A loss is told, or what tells of it is gone too.
            _ => {}
        }
        let Damage { hidden, .. } = opened.damage;
        assert!(!hidden || self.flips > 0, "hidden, and no bit flipped");
    }
}

fn number(found: &crate::ports::storage::Found) -> u64 {
    let bytes = found.body.as_deref().or(found.copy.as_ref().map(|copy| &copy[..]));
    number_of(bytes.unwrap_or_default())
}

fn seeds() -> Vec<Vec<u8>> {
    use Step::{Append, Commit, CutPower, Flip, Release};
    let written = [
        vec![Append(100, true), Append(9, false), Commit, Append(8, true), CutPower(0)],
        (0..24).flat_map(|at| [Append(4_000, at % 2 == 0), Commit, Release(at)]).collect(),
        vec![Append(100, true), Commit, Append(100, true), Commit, Flip(0, 9_000), CutPower(!0)],
        vec![Append(4_000, true), Append(4_000, true), CutPower(0x5555), Append(7, true), Commit],
    ];
    let mut seeds: Vec<Vec<u8>> = written.map(|steps| codec::encode(&Input::Written(steps))).into();
    seeds.push(codec::encode(&Input::Image(SegmentImage::examples(OWNER, ID))));
    seeds
}
