//! A disk in memory that forgets like a real one: what was not synced may be there after a power cut,
//! sector by sector, or not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sectors::{SECTOR, Sectors};
use super::{Disk, PageMap};

/// Files that outlive whoever writes them; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    /// As programs see them.
    live: BTreeMap<String, Sectors>,
    /// Their content as a power cut leaves it at worst.
    certain: BTreeMap<String, Sectors>,
    /// The names that a power cut leaves at worst.
    names: BTreeSet<String>,
    /// Ranges of sectors written and not synced, by file.
    unsynced: BTreeMap<String, Vec<Range<usize>>>,
    /// Writes and syncs that still succeed, if their number is limited.
    operations_left: Option<u64>,
    operations: u64,
    /// Bytes that all files may have together.
    capacity: Option<usize>,
}

impl MemoryDisk {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power fails: of every unsynced sector `survives` says whether it is kept, and of every name
    /// that is new or gone since the last sync of names.
    pub(crate) fn cut_power(&self, mut survives: impl FnMut() -> bool) {
        let files = &mut *self.files();
        files.operations_left = None;
        files.capacity = None;
        for (name, sectors) in std::mem::take(&mut files.unsynced) {
            let Some(live) = files.live.get(&name) else { continue };
            let certain = files.certain.entry(name).or_default();
            for sector in sectors.into_iter().flatten() {
                if survives() {
                    certain.take(live, sector..sector + 1);
                }
            }
        }
        let names: BTreeSet<String> = files.live.keys().chain(&files.names).cloned().collect();
        for name in names {
            let kept = files.names.contains(&name) && files.live.contains_key(&name) || survives();
            if !kept {
                files.certain.remove(&name);
            }
        }
        files.live = files.certain.clone();
        files.names = files.live.keys().cloned().collect();
    }

    /// Every write and sync after the next `count` fails.
    pub(crate) fn fail_after(&self, count: u64) {
        self.files().operations_left = Some(count);
    }

    /// Other programs leave room for so many bytes more, until the power fails.
    pub(crate) fn leave_room(&self, bytes: usize) {
        let files = &mut *self.files();
        let used: usize = files.live.values().map(Sectors::length).sum();
        files.capacity = Some(used + bytes);
    }

    /// The disk works again.
    pub(crate) fn repair(&self) {
        let files = &mut *self.files();
        (files.operations_left, files.capacity) = (None, None);
    }

    /// Writes and syncs so far.
    #[cfg(test)]
    pub(crate) fn operations(&self) -> u64 {
        self.files().operations
    }

    /// A write that would make all files together longer fails.
    #[cfg(test)]
    pub(crate) fn limit(&self, bytes: Option<usize>) {
        self.files().capacity = bytes;
    }

    /// Changes bytes behind everyone's back, as a failing disk does; false if there is no such byte.
    pub(crate) fn flip(&self, file: &str, offset: usize, mask: u8) -> bool {
        let files = &mut *self.files();
        let mut flipped = false;
        for content in [files.live.get_mut(file), files.certain.get_mut(file)].into_iter().flatten() {
            flipped |= content.flip(offset, mask);
        }
        flipped
    }

    /// How many bytes a file has.
    pub(crate) fn bytes(&self, file: &str) -> usize {
        self.files().live.get(file).map_or(0, Sectors::length)
    }

    /// Bytes of a file.
    #[cfg(test)]
    pub(crate) fn content(&self, file: &str) -> Vec<u8> {
        let live = self.files().live.get(file).cloned().unwrap_or_default();
        let mut bytes = vec![0; live.length()];
        live.read(0, &mut bytes);
        bytes
    }

    /// Everything on the disk as it is now, as a disk of its own.
    pub(crate) fn copy(&self) -> Self {
        let live = self.files().live.clone();
        let names = live.keys().cloned().collect();
        Self(Arc::new(Mutex::new(Files { certain: live.clone(), live, names, ..Files::default() })))
    }

    /// Shortens a file.
    #[cfg(test)]
    pub(crate) fn truncate(&self, file: &str, length: usize) {
        let files = &mut *self.files();
        for content in [files.live.get_mut(file), files.certain.get_mut(file)].into_iter().flatten() {
            content.truncate(length);
        }
    }
}

impl Files {
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the disk gave up")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for MemoryDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.files().live.keys().cloned().collect())
    }

    fn length(&mut self, file: &str) -> io::Result<Option<u64>> {
        Ok(self.files().live.get(file).map(|content| content.length() as u64))
    }

    fn read_at(&mut self, file: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let files = self.files();
        let content = files.live.get(file).ok_or(io::ErrorKind::NotFound)?;
        Ok(content.read(offset as usize, buffer))
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let files = &mut *self.files();
        files.operate()?;
        let end = offset as usize + bytes.len();
        let held = files.live.get(file).map_or(0, Sectors::length);
        if let Some(capacity) = files.capacity {
            let total: usize = files.live.values().map(Sectors::length).sum();
            if total + end.saturating_sub(held) > capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        if !files.live.contains_key(file) {
            files.live.insert(file.to_owned(), Sectors::default());
        }
        let Some(content) = files.live.get_mut(file) else { return Err(io::ErrorKind::NotFound.into()) };
        content.write(offset as usize, bytes);
        let first = (held.min(offset as usize)) / SECTOR;
        let written = first..end.div_ceil(SECTOR);
        match files.unsynced.get_mut(file) {
            Some(ranges) => ranges.push(written),
            None => {
                files.unsynced.insert(file.to_owned(), vec![written]);
            }
        }
        Ok(())
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        let files = &mut *self.files();
        files.operate()?;
        let sectors = files.unsynced.remove(file).unwrap_or_default();
        let Some(live) = files.live.get(file) else { return Err(io::ErrorKind::NotFound.into()) };
        let certain = files.certain.entry(file.to_owned()).or_default();
        sectors.into_iter().for_each(|range| certain.take(live, range));
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let files = &mut *self.files();
        files.operate()?;
        files.names = files.live.keys().cloned().collect();
        let Files { certain, names, .. } = files;
        certain.retain(|name, _| names.contains(name));
        for name in &*names {
            certain.entry(name.clone()).or_default();
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let files = &mut *self.files();
        files.operate()?;
        let content = files.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.live.insert(to.to_owned(), content);
        let sectors = files.unsynced.remove(from).unwrap_or_default();
        files.unsynced.insert(to.to_owned(), sectors);
        let certain = files.certain.remove(from).unwrap_or_default();
        files.certain.insert(to.to_owned(), certain);
        if files.names.remove(from) {
            files.names.insert(to.to_owned());
        }
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        let files = &mut *self.files();
        files.operate()?;
        files.unsynced.remove(file);
        files.live.remove(file).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn map(&mut self, _file: &str) -> io::Result<Option<Arc<dyn PageMap>>> {
        Ok(None)
    }
}
