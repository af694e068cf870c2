//! What lies in the directory of a replica that does not run: for a command line, and for those who
//! compare replicas.

use super::storage::{Durable, STATE_FILE, StorageError};
use crate::crypto::Digest;
use crate::ports::state::{PageFile, Snapshot};
use crate::types::Seq;

/// What a directory's state file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateSummary {
    /// The checkpoint that was saved last; none if none was.
    pub seq: Option<Seq>,
    /// The digest of the state, which the CHECKPOINT messages of that seq carry.
    pub root: Digest,
    /// Pages of 4 KiB that are not all zero.
    pub pages: u64,
    /// What is not as it was saved: level in the tree, 0 for a page, and number at that level.
    pub damaged: Vec<(u8, u64)>,
}

/// The state that a replica saved last, to be looked at.
pub struct SavedState {
    file: PageFile,
}

impl Durable {
    /// The state in this directory. The directory stays locked as long as somebody looks.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn saved_state(self) -> Result<SavedState, StorageError> {
        let path = self.path;
        PageFile::open(Box::new(self.disk), STATE_FILE)
            .map(|file| SavedState { file })
            .map_err(|cause| StorageError::State { path, cause })
    }
}

impl SavedState {
    /// Reads everything and compares it with its digests.
    pub fn verify(&self) -> StateSummary {
        let verified = self.file.verify();
        let damaged = verified.damaged.iter().map(|part| (part.level, part.index)).collect();
        StateSummary { seq: verified.seq, root: verified.root, pages: verified.pages, damaged }
    }

    /// Every page's index and digest, ascending. A state that [`SavedState::verify`] finds damaged
    /// panics here.
    pub fn page_digests(&self) -> Vec<(u64, Digest)> {
        let Some((_, snapshot)) = self.file.latest() else { return Vec::new() };
        let digest = |(index, page)| Some((index, Snapshot::page_digest(index, page)?));
        snapshot.pages_from(0).filter_map(digest).collect()
    }

    /// The lowest page that is not the same in both. A state that [`SavedState::verify`] finds damaged
    /// panics here.
    pub fn first_difference(&self, other: &Self) -> Option<u64> {
        match (self.file.latest(), other.file.latest()) {
            (Some((_, own)), Some((_, other))) => own.first_difference(&other),
            (Some((_, one)), None) | (None, Some((_, one))) => {
                one.pages_from(0).next().map(|(index, _)| index)
            }
            (None, None) => None,
        }
    }
}
