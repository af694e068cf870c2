mod cut;
mod damage;
mod model;
mod saving;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::ports::state::tree::{Frame, Part};
use crate::ports::state::{State, StateLimits};
use crate::ports::storage::{MemoryDisk, PageMap};

const NAME: &str = "pages";
const LIMITS: StateLimits =
    StateLimits { raw_pages: u32::MAX, named_pages: u32::MAX, reserved_pages: u32::MAX };

/// A disk in memory that counts, and has a map if asked for.
#[derive(Clone, Default)]
struct Probe {
    disk: MemoryDisk,
    has_map: bool,
    reads: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Probe {
    fn mapped() -> Self {
        Self { has_map: true, ..Self::default() }
    }

    fn open(&self) -> PageFile {
        PageFile::open(Box::new(self.clone()), NAME).expect("a file that can be opened")
    }

    /// Slots written since the last call.
    fn take_written(&self) -> u64 {
        self.written.swap(0, Ordering::Relaxed) / PAGE_BYTES as u64
    }

    /// Reads since the last call.
    fn take_reads(&self) -> u64 {
        self.reads.swap(0, Ordering::Relaxed)
    }
}

/// Shows what is in the file at the moment somebody looks.
struct Map(MemoryDisk);

impl PageMap for Map {
    fn page(&self, slot: u64) -> &Page {
        let mut page = Box::new([0; PAGE_BYTES]);
        let read = self.0.clone().read_at(NAME, slot * PAGE_BYTES as u64, &mut page[..]);
        assert_eq!(read.expect("memory"), PAGE_BYTES, "slot {slot} is past the end: a bus error");
        Box::leak(page)
    }
}

impl Disk for Probe {
    fn list(&mut self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn length(&mut self, file: &str) -> io::Result<Option<u64>> {
        self.disk.length(file)
    }

    fn read_at(&mut self, file: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.disk.read_at(file, offset, buffer)
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.disk.write_at(file, offset, bytes)
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.disk.sync(file)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.disk.sync_names()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn map(&mut self, _file: &str) -> io::Result<Option<Arc<dyn PageMap>>> {
        Ok(self.has_map.then(|| Arc::new(Map(self.disk.clone())) as Arc<dyn PageMap>))
    }
}

fn seq(n: u64) -> Seq {
    Seq(n)
}

/// Bits from a seed.
fn coin(seed: u64) -> impl FnMut() -> bool {
    let mut random = seed;
    move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 63 == 1
    }
}

/// A state with `count` pages of raw bytes.
fn filled(count: u64, byte: u8) -> State {
    let mut state = State::new(LIMITS);
    for page in 0..count {
        write(&mut state, page, byte);
    }
    state
}

fn write(state: &mut State, page: u64, byte: u8) {
    state.write(page * PAGE_BYTES as u64 + 7, &[byte; 9]).expect("inside the limits");
}

fn save_and_adopt(file: &mut PageFile, n: u64, state: &mut State) {
    let saved = file.save(seq(n), &state.snapshot()).expect("a disk with room");
    state.adopt(&saved);
}

fn content(snapshot: &Snapshot) -> Vec<(u64, Page)> {
    snapshot.pages_from(0).map(|(index, page)| (index, *page)).collect()
}

/// Slots that the trees of a file reach.
fn reached(file: &PageFile) -> BTreeSet<u64> {
    fn visit(node: &Node, slots: &mut BTreeSet<u64>) {
        slots.insert(node.stored().expect("stored").slot());
        slots.extend(node.chain().expect("whole"));
        for (_, part) in node.children_from(0) {
            match part {
                Part::Node(node) => visit(node, slots),
                Part::Page(frame) => _ = slots.insert(Frame::stored(frame).expect("stored").slot()),
            }
        }
    }
    let mut slots = BTreeSet::new();
    for tree in file.main.iter().chain(&file.transfer) {
        visit(&tree.root, &mut slots);
    }
    slots
}

/// Asserts that the file holds what it says, and that no other slot is kept from use.
fn check(file: &mut PageFile) {
    assert_eq!(file.verify().damaged, []);
    let reader = file.reader.clone();
    let durable = file.space.durable(|slot| save::read(&reader, slot)).expect("memory");
    assert_eq!(durable, reached(file));
}
