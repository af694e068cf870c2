use std::io;

use thiserror::Error;

/// Why a page file cannot be opened or written. Nothing that was saved before is lost by it.
#[derive(Debug, Error)]
pub enum PageFileError {
    /// The disk refused.
    #[error(
        "the disk failed on page file {file}: {cause}; nothing that was saved is lost, check the disk and its free space, then start again"
    )]
    Disk {
        /// The file's name.
        file: String,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// Neither root record is whole.
    #[error(
        "page file {file} is damaged: neither of its two root records is whole; move it away and let the replica fetch its state from the others"
    )]
    Damaged {
        /// The file's name.
        file: String,
    },
    /// It is something else.
    #[error("{file} is no page file: give the replica a directory of its own")]
    Foreign {
        /// The file's name.
        file: String,
    },
    /// The file was written by another version.
    #[error(
        "page file {file} has format {found} and this program writes format {known}: start the version that wrote it"
    )]
    Version {
        /// The file's name.
        file: String,
        /// The format found.
        found: u32,
        /// The format of this program.
        known: u32,
    },
    /// A part of the state to be saved cannot be read where it was stored before.
    #[error(
        "page or node {index} of level {level} is damaged and cannot be saved again: repair it by transfer"
    )]
    Unreadable {
        /// The file's name.
        file: String,
        /// Level in the tree; 0 for a page.
        level: u8,
        /// Number at that level.
        index: u64,
    },
    /// The format has no room for more.
    #[error("page file {file} is full at {slots} pages, which is all that its format has room for")]
    Full {
        /// The file's name.
        file: String,
        /// Slots that are all taken.
        slots: u64,
    },
    /// An earlier save failed.
    #[error("page file {file} takes nothing since an earlier save failed: start again")]
    Refused {
        /// The file's name.
        file: String,
    },
}
