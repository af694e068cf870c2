//! Where a replica keeps what it must not forget: a directory, or nothing.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::clock;
use super::disk::FileDisk;
use crate::message::Opener;
use crate::ports::state::{PageFile, PageFileError};
use crate::ports::storage::{Damage, Disk, LogError, Memory};
use crate::replica::Journal;
use crate::role::Remembered;
use crate::types::LogId;

/// Bytes of a segment of the journal.
const SEGMENT_BYTES: usize = 16 << 20;

/// The name of the page file in a replica's directory.
pub(super) const STATE_FILE: &str = "state";
/// What a page file that cannot be read is called from then on.
const DAMAGED_FILE: &str = "state.damaged";

/// A directory in which a replica keeps its journal and its state. After a stop of any kind it goes on
/// where it was.
pub struct Durable {
    pub(super) path: PathBuf,
    journal: Box<dyn Disk>,
    pub(super) state: Box<dyn Disk>,
}

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("cannot use {path}: {cause}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What it said.
        #[source]
        cause: std::io::Error,
    },
    /// The journal.
    #[error("{path}: {cause}")]
    Journal {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: LogError,
    },
    /// The state.
    #[error("{path}: {cause}")]
    State {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: PageFileError,
    },
}

impl Durable {
    /// Opens a directory, which is made if it is not there, and locks it for this process.
    ///
    /// # Errors
    /// One that cannot be made, read or written, or that another process uses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = path.as_ref().to_owned();
        match FileDisk::open(&path) {
            Ok(disk) => Ok(Self { path, journal: Box::new(disk.clone()), state: Box::new(disk) }),
            Err(cause) => Err(StorageError::Directory { path, cause }),
        }
    }
}

/// What a replica can be given to keep its memory in: [`Memory`], [`Durable`], or one of the two by an
/// option whose none is `Memory`.
pub trait Storage: Send + 'static + sealed::Sealed {}

impl Storage for Memory {}
impl Storage for Durable {}
impl Storage for Option<Durable> {}

pub(super) mod sealed {
    /// What only this crate can offer.
    pub trait Sealed {
        /// The directory; none where nothing is kept.
        fn into_durable(self) -> Option<super::Durable>;
    }
}

impl sealed::Sealed for Memory {
    fn into_durable(self) -> Option<Durable> {
        None
    }
}

impl sealed::Sealed for Durable {
    fn into_durable(self) -> Option<Durable> {
        Some(self)
    }
}

impl sealed::Sealed for Option<Durable> {
    fn into_durable(self) -> Option<Durable> {
        self
    }
}

/// What was in a directory, ready to go on.
pub(super) struct Contents {
    pub(super) journal: Journal,
    pub(super) pages: PageFile,
    pub(super) log: LogId,
    pub(super) remembered: Remembered,
}

impl Durable {
    /// Reads what the directory holds.
    pub(super) fn read(self, opener: &Opener, fresh: LogId) -> Result<Contents, StorageError> {
        let Self { path, journal, mut state } = self;
        let (journal, restored) = Journal::open(journal, opener, fresh, clock::log_id().salt, SEGMENT_BYTES)
            .map_err(|cause| StorageError::Journal { path: path.clone(), cause })?;
        report(&path, &restored.damage, restored.found);
        if PageFile::is_damaged(&mut *state, STATE_FILE) {
            tracing::error!(
                directory = %path.display(), file = STATE_FILE, moved_to = DAMAGED_FILE,
                "neither root record of the state is whole: it is lost here and is fetched from the others"
            );
            let moved = state.rename(STATE_FILE, DAMAGED_FILE).and_then(|()| state.sync_names());
            moved.map_err(|cause| StorageError::Directory { path: path.clone(), cause })?;
        }
        let pages = PageFile::open(state, STATE_FILE).map_err(|cause| StorageError::State { path, cause })?;
        Ok(Contents { journal, pages, log: restored.log, remembered: restored.remembered })
    }

    /// A directory in memory, which fails when it is told to.
    #[cfg(test)]
    pub(super) fn on(disk: &crate::ports::storage::MemoryDisk) -> Self {
        let path = PathBuf::from("memory");
        Self { path, journal: Box::new(disk.clone()), state: Box::new(disk.clone()) }
    }
}

fn report(path: &Path, damage: &Damage, found: bool) {
    let directory = path.display();
    if !found {
        tracing::info!(%directory, "a new journal");
    } else if damage.hidden {
        tracing::error!(
            %directory,
            "the journal lost a promise that was certain: this replica asks the group to be let in again"
        );
    } else if damage.bodies + damage.groups > 0 {
        let (copies, groups) = (damage.bodies, damage.groups);
        tracing::warn!(
            %directory, copies, groups,
            "the journal is damaged; every promise was found in its second copy, check the disk"
        );
    } else if damage.torn {
        tracing::info!(%directory, "the last write of the journal was not finished, as after a power cut");
    }
}
