//! Page files that somebody wrote over, with checksums that are right or wrong.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Target;
use crate::codec;
use crate::crypto::Digest;
use crate::ports::state::{
    DamagedPart, PAGE_BYTES, PageFile, Snapshot, State, StateLimits, Target as Aim, reseal,
};
use crate::ports::storage::{Disk, MemoryDisk};
use crate::types::Seq;

pub(super) const TARGET: Target =
    Target { name: "page_file", run, seeds, memory_base: 16 << 20, memory_per_byte: 64 };

const NAME: &str = "pages";
/// What the last save may add: the next group of slots, where the map of the only one is damaged.
const SAVED_MAX: usize = 34_000 * PAGE_BYTES;
const LIMITS: StateLimits = StateLimits { raw_pages: 1 << 20, named_pages: 1 << 20, reserved_pages: 1 << 20 };

#[derive(Serialize, Deserialize)]
struct Input {
    /// Bytes that go over what is there: slot, place in it, bytes.
    patches: Vec<(u8, u16, Bytes)>,
    /// Whether the checksums are put right afterwards.
    seal: bool,
    /// Where the file is cut off, in bytes; not at all beyond its end.
    length: u32,
}

fn filled(pages: u64, byte: u8) -> State {
    let mut state = State::new(LIMITS);
    for page in 0..pages {
        state.write(page * PAGE_BYTES as u64 + 7, &[byte; 9]).expect("inside the limits");
    }
    state
}

/// A file of two saves and a transfer.
fn original() -> Vec<u8> {
    let disk = MemoryDisk::new();
    let mut file = PageFile::open(Box::new(disk.clone()), NAME).expect("an empty disk");
    let mut state = filled(3, 1);
    file.save(Seq(4), &state.snapshot()).expect("a disk with room");
    state.write(0, b"changed").expect("inside the limits");
    let snapshot = state.snapshot();
    file.save(Seq(8), &snapshot).expect("a disk with room");
    let aim = Aim { seq: Seq(12), digest: Digest::of(b"another one") };
    file.save_transfer(aim, &snapshot).expect("a disk with room");
    let mut bytes = vec![0; disk.bytes(NAME)];
    disk.clone().read_at(NAME, 0, &mut bytes).expect("a disk that works");
    bytes
}

fn run(input: &[u8]) {
    let Ok(input) = codec::decode::<Input>(input, usize::MAX) else { return };
    let mut bytes = original();
    for (slot, offset, patch) in &input.patches {
        let at = usize::from(*slot) * PAGE_BYTES + usize::from(*offset) % PAGE_BYTES;
        let place = bytes.get_mut(at..).unwrap_or_default();
        place.iter_mut().zip(patch).for_each(|(to, from)| *to = *from);
    }
    if input.seal {
        reseal(&mut bytes);
    }
    let same_roots = bytes[..2 * PAGE_BYTES] == original()[..2 * PAGE_BYTES];
    bytes.truncate(input.length as usize);
    let disk = MemoryDisk::new();
    disk.clone().write_at(NAME, 0, &bytes).expect("a disk with room");
    let Ok(mut file) = PageFile::open(Box::new(disk.clone()), NAME) else { return };
    let verified = file.verify();
    if let Some((_, snapshot)) = file.latest() {
        assert_eq!(snapshot.root(), verified.root, "the root is what its record says");
        // What was found to be whole can be read.
        assert!(read(&snapshot) || !verified.damaged.is_empty());
    }
    if let Some((_, snapshot)) = file.transfer() {
        read(&snapshot);
    }
    save_anew(&disk, &mut file);
    // As long as the root records are what was written, nothing else says where to write.
    assert!(!same_roots || disk.bytes(NAME) <= bytes.len() + SAVED_MAX, "{} bytes", disk.bytes(NAME));
}

/// Whether all of it could be read.
fn read(snapshot: &Snapshot) -> bool {
    DamagedPart::catch(|| snapshot.pages_from(0).count()).is_ok()
}

/// Whatever was there, another state can be saved, and is there after a start.
fn save_anew(disk: &MemoryDisk, file: &mut PageFile) {
    let mut state = filled(5, 9);
    let snapshot = state.snapshot();
    // A file that says it is full takes no more.
    if file.save(Seq(16), &snapshot).is_err() {
        return;
    }
    let file = PageFile::open(Box::new(disk.clone()), NAME).expect("it was just saved");
    let (seq, found) = file.latest().expect("it was just saved");
    assert_eq!((seq, found.root()), (Seq(16), snapshot.root()));
    assert_eq!(file.verify().damaged, [], "it was just saved");
    assert!(found.pages_from(0).eq(snapshot.pages_from(0)));
}

fn seeds() -> Vec<Vec<u8>> {
    let input = |patches: &[(u8, u16, &'static [u8])], seal, length| {
        let patch =
            |(slot, offset, bytes): &(u8, u16, &'static [u8])| (*slot, *offset, Bytes::from_static(bytes));
        codec::encode(&Input { patches: patches.iter().map(patch).collect(), seal, length })
    };
    let mut seeds = vec![input(&[], false, u32::MAX), input(&[], false, 9_000)];
    for slot in 0..16 {
        seeds.push(input(&[(slot, 20, &[1])], true, u32::MAX));
        seeds.push(input(&[(slot, 40, &[0xff; 8])], slot % 2 == 0, u32::MAX));
    }
    seeds
}
