//! A directory of the operating system as the disk of a replica.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{MmapOptions, MmapRaw};

use crate::ports::state::{PAGE_BYTES, Page};
use crate::ports::storage::{Disk, PageMap};

/// Held as long as somebody uses the directory.
const LOCK: &str = "LOCK";

/// Nobody but the replica reads its state.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Address space that a map reserves: all that a page file may ever have. It takes no memory.
const MAP_BYTES: usize = 1 << 40;

/// The files of one directory, which no other process may open as such at the same time. Clones are the
/// same directory; one that writes or syncs does not keep the others waiting.
#[derive(Clone)]
pub(crate) struct FileDisk(Arc<Directory>);

struct Directory {
    path: PathBuf,
    files: Mutex<BTreeMap<String, Arc<OpenFile>>>,
    _lock: fs::File,
}

struct OpenFile {
    file: fs::File,
    /// Whether it is new or has become longer since the last sync.
    grown: AtomicBool,
}

impl FileDisk {
    /// Opens a directory, which is made if it is not there.
    ///
    /// # Errors
    /// What the operating system says, and a directory that another process uses.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            let made = path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
            let made: Vec<PathBuf> = made.map(Path::to_owned).collect();
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
            // Each new name is certain once the directory that holds it is.
            for directory in made {
                let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
                fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
            }
        }
        let lock = options().create(true).truncate(false).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!(
                    "{} is in use by another process: give each replica its own directory",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self(Arc::new(Directory { path: path.to_owned(), files: Mutex::default(), _lock: lock })))
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<OpenFile>>> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path.join(file)
    }

    /// A file that is there.
    fn opened(&self, file: &str) -> io::Result<Arc<OpenFile>> {
        let mut files = self.files();
        if let Some(open) = files.get(file) {
            return Ok(open.clone());
        }
        let open = OpenFile { file: options().open(self.path(file))?, grown: AtomicBool::new(true) };
        Ok(files.entry(file.to_owned()).or_insert(Arc::new(open)).clone())
    }

    /// A file that is made if it is not there.
    fn made(&self, file: &str) -> io::Result<Arc<OpenFile>> {
        match self.opened(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(options().create(true).truncate(false).open(self.path(file))?);
                self.opened(file)
            }
            opened => opened,
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

impl Disk for FileDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0.path)? {
            let entry = entry?;
            match entry.file_name().into_string() {
                Ok(name) if name != LOCK && entry.file_type()?.is_file() => names.push(name),
                _ => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn length(&mut self, file: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(file)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_at(&mut self, file: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let open = self.opened(file)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match open.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let open = self.made(file)?;
        let known = open.grown.load(Ordering::Relaxed);
        if !known && offset + bytes.len() as u64 > open.file.metadata()?.len() {
            open.grown.store(true, Ordering::Relaxed);
        }
        open.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        let open = self.opened(file)?;
        if open.grown.swap(false, Ordering::Relaxed) { open.file.sync_all() } else { open.file.sync_data() }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        fs::File::open(&self.0.path)?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        fs::rename(self.path(from), self.path(to))?;
        files.remove(to);
        if let Some(open) = files.remove(from) {
            files.insert(to.to_owned(), open);
        }
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        let mut files = self.files();
        files.remove(file);
        fs::remove_file(self.path(file))
    }

    fn map(&mut self, file: &str) -> io::Result<Option<Arc<dyn PageMap>>> {
        let open = self.opened(file)?;
        match MmapOptions::new().len(MAP_BYTES).map_raw_read_only(&open.file) {
            Ok(map) => Ok(Some(Arc::new(FileMap { map, _file: open }))),
            Err(error) => {
                tracing::warn!(
                    %error,
                    file,
                    "no address space to map the file: pages are kept in memory instead, raise the limit of the process (ulimit -v)"
                );
                Ok(None)
            }
        }
    }
}

/// A file in memory. The map reaches far past its end, so that it need not move when the file grows.
///
/// The operating system ends the process with a signal if a page cannot be read, or if somebody else
/// shortens the file.
struct FileMap {
    map: MmapRaw,
    _file: Arc<OpenFile>,
}

impl PageMap for FileMap {
    fn page(&self, slot: u64) -> &Page {
        let offset = usize::try_from(slot).ok().and_then(|slot| slot.checked_mul(PAGE_BYTES));
        let offset =
            offset.filter(|offset| offset.checked_add(PAGE_BYTES).is_some_and(|end| end <= self.map.len()));
        let offset = offset.expect("the slots of a page file lie inside the map");
        #[expect(unsafe_code, reason = "the one view of a mapped file as pages")]
        // SAFETY: the offset is inside the map, which lives as long as `self`, and a page is bytes
        // without alignment. The page file asks only for slots that it has written and synced, and
        // writes to none of them while somebody may hold a reference to it (`file::space::Retired`).
        unsafe {
            &*self.map.as_ptr().add(offset).cast::<Page>()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ports::state::{PageFile, State, StateLimits};
    use crate::types::Seq;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_written_read_renamed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = FileDisk::open(&directory.path().join("a/b")).unwrap();
        assert_eq!((disk.list().unwrap(), disk.length("x").unwrap()), (vec![], None));
        assert_eq!(disk.read_at("x", 0, &mut [0; 4]).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(disk.length("x").unwrap(), None);
        disk.write_at("x", 3, b"abc").unwrap();
        disk.sync("x").unwrap();
        disk.write_at("x", 4, b"B").unwrap();
        disk.sync("x").unwrap();
        disk.write_at("y", 0, b"other").unwrap();
        disk.sync_names().unwrap();
        let mut buffer = [9; 8];
        assert_eq!(disk.read_at("x", 1, &mut buffer).unwrap(), 5);
        assert_eq!(&buffer, b"\0\0aBc\x09\x09\x09");
        assert_eq!(
            (disk.list().unwrap(), disk.length("x").unwrap()),
            (vec!["x".into(), "y".into()], Some(6))
        );
        disk.rename("x", "y").unwrap();
        assert_eq!(disk.read_at("y", 3, &mut buffer).unwrap(), 3);
        disk.write_at("x", 0, b"new").unwrap();
        assert_eq!(disk.length("y").unwrap(), Some(6));
        disk.remove("y").unwrap();
        assert_eq!(disk.list().unwrap(), ["x"]);
        assert_eq!(disk.read_at("y", 0, &mut buffer).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nobody_else_may_read_or_use_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let mut disk = FileDisk::open(&path).unwrap();
        disk.write_at("x", 0, b"secret").unwrap();
        assert_eq!((mode(&path), mode(&path.join("x")), mode(&path.join(LOCK))), (0o700, 0o600, 0o600));
        let refused = FileDisk::open(&path).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        assert!(refused.to_string().contains("data"), "{refused}");
        let clone = disk.clone();
        drop(disk);
        assert!(FileDisk::open(&path).is_err());
        drop(clone);
        FileDisk::open(&path).unwrap();
    }

    #[test]
    fn a_map_shows_what_the_file_grew_to_later() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = FileDisk::open(directory.path()).unwrap();
        disk.write_at("x", 0, &[1; PAGE_BYTES]).unwrap();
        let map = disk.map("x").unwrap().unwrap();
        assert_eq!(map.page(0), &[1; PAGE_BYTES]);
        disk.write_at("x", 700 * PAGE_BYTES as u64, &[7; PAGE_BYTES]).unwrap();
        disk.sync("x").unwrap();
        assert_eq!((map.page(700), map.page(3)), (&[7; PAGE_BYTES], &[0; PAGE_BYTES]));
    }

    #[test]
    fn a_state_is_saved_let_go_of_and_there_again() {
        let directory = tempfile::tempdir().unwrap();
        let limits = StateLimits::default();
        let open = || PageFile::open(Box::new(FileDisk::open(directory.path()).unwrap()), "pages").unwrap();
        let mut file = open();
        let mut state = State::new(limits);
        for round in 1..5_u64 {
            for key in 0..2_000_u64 {
                state.map_mut("m").insert(&(key * round).to_be_bytes(), &[round as u8; 90]).unwrap();
            }
            let saved = file.save(Seq(round), &state.snapshot()).unwrap();
            state.adopt(&saved);
            drop(saved);
            assert_eq!(state.heap_pages(), 0);
        }
        let before = state.snapshot();
        let entries: Vec<_> =
            state.map("m").iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let root = before.root();
        drop((state, before, file));

        let mut file = open();
        let (seq, snapshot) = file.latest().unwrap();
        assert_eq!((seq, snapshot.root()), (Seq(4), root));
        let mut state = State::of_snapshot(limits, &snapshot);
        assert!(state.map("m").iter().eq(entries.iter().map(|(key, value)| (&key[..], value.into()))));
        assert_eq!((state.heap_pages(), file.heap_pages()), (0, 0));
        assert_eq!(file.verify().damaged, []);
        state.map_mut("m").clear();
        file.save(Seq(5), &state.snapshot()).unwrap();
        assert_eq!(file.verify().damaged, []);
    }
}
