use std::io;
use std::sync::Arc;

use crate::ports::state::Page;

/// One directory of files. What was written is certain only once [`Disk::sync`] of that file has
/// returned; a file's name, and that it is gone, once [`Disk::sync_names`] has. Until then a power cut
/// may keep any part of it: every sector, or none, or some.
///
/// After an error nothing is known of what was written or synced, so the caller stops and tries
/// nothing again.
pub(crate) trait Disk: Send {
    /// Names of all files, ascending.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Bytes that a file has; none if there is no such file.
    fn length(&mut self, file: &str) -> io::Result<Option<u64>>;

    /// Reads as many bytes as there are from `offset` on, at most `buffer.len()`.
    fn read_at(&mut self, file: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`; makes the file, and zeros up to `offset`, where there is none yet.
    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written to a file certain, its length too.
    fn sync(&mut self, file: &str) -> io::Result<()>;

    /// Makes new, renamed and removed names certain.
    fn sync_names(&mut self) -> io::Result<()>;

    /// Gives a file another name, in place of any file of that name.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, file: &str) -> io::Result<()>;

    /// The file as pages of memory that the operating system loads and drops as it likes; none where
    /// the disk cannot do that, and pages are read into memory instead.
    fn map(&mut self, file: &str) -> io::Result<Option<Arc<dyn PageMap>>>;
}

/// A file in memory, read-only, by slots of one page. It covers what the file grows to later.
pub(crate) trait PageMap: Send + Sync {
    /// The content of a slot, which was written and synced before.
    fn page(&self, slot: u64) -> &Page;
}
