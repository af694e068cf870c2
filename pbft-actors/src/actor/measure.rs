//! For the benchmarks alone (feature `measure`): what a checkpoint of a state costs, step by step, and
//! what a batch costs without sockets. No application needs this, and it may change with any version.

mod slot;

use std::io;
use std::path::Path;

use super::disk::FileDisk;
use crate::crypto::Digest;
use crate::ports::state::{PAGE_BYTES, PageFile, PageFileError, Snapshot, State, StateLimits};
use crate::types::Seq;

pub use slot::ThreePhases;

/// A state whose checkpoints go into a page file.
pub struct Checkpointed {
    state: State,
    file: PageFile,
    snapshot: Snapshot,
    seq: Seq,
}

/// A snapshot that another one has replaced.
pub struct Former {
    _snapshot: Snapshot,
}

impl Checkpointed {
    /// An empty state, and an empty page file in a directory.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(directory: &Path, limits: StateLimits) -> io::Result<Self> {
        let disk = FileDisk::open(directory)?;
        let file = PageFile::open(Box::new(disk), "pages").map_err(io::Error::other)?;
        let mut state = State::new(limits);
        let snapshot = state.snapshot();
        Ok(Self { state, file, snapshot, seq: Seq::ZERO })
    }

    /// Fills a page of the raw bytes.
    pub fn write(&mut self, page: u32, byte: u8) {
        let offset = u64::from(page) * PAGE_BYTES as u64;
        self.state.write(offset, &[byte; PAGE_BYTES]).expect("the caller stays inside the limits");
    }

    /// Takes a snapshot in place of the last one, which is given back: to drop it costs, too.
    pub fn snapshot(&mut self) -> Former {
        Former { _snapshot: std::mem::replace(&mut self.snapshot, self.state.snapshot()) }
    }

    /// The digest of the last snapshot.
    pub fn digest(&self) -> Digest {
        self.snapshot.root()
    }

    /// Saves the last snapshot and lets go of its memory.
    ///
    /// # Errors
    /// The page file's.
    pub fn save(&mut self) -> Result<(), PageFileError> {
        self.seq = Seq(self.seq.0 + 1);
        let saved = self.file.save(self.seq, &self.snapshot)?;
        self.state.adopt(&saved);
        self.snapshot = saved.snapshot().clone();
        Ok(())
    }

    /// Pages that are in memory of their own.
    pub fn heap_pages(&self) -> usize {
        self.state.heap_pages()
    }
}
