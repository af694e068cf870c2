//! The content of a file as sectors that copies of it share: a copy costs a pointer for each.

use std::ops::Range;
use std::sync::Arc;

/// Bytes that a power cut keeps or loses together.
pub(super) const SECTOR: usize = 512;

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Sectors {
    /// Zeros where nothing was written.
    held: Vec<Option<Arc<[u8; SECTOR]>>>,
    length: usize,
}

impl Sectors {
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Copies as many bytes as there are from `offset` on, and says how many.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let count = self.length.saturating_sub(offset).min(buffer.len());
        for (sector, within, part) in pieces(offset, count) {
            match &self.held[sector] {
                Some(held) => buffer[part].copy_from_slice(&held[within]),
                None => buffer[part].fill(0),
            }
        }
        count
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.grow(offset + bytes.len());
        for (sector, within, part) in pieces(offset, bytes.len()) {
            let bytes = &bytes[part];
            match (&mut self.held[sector], <&[u8; SECTOR]>::try_from(bytes)) {
                (held, Ok(whole)) => *held = Some(Arc::new(*whole)),
                (held, Err(_)) => {
                    Arc::make_mut(held.get_or_insert_with(|| Arc::new([0; SECTOR])))[within]
                        .copy_from_slice(bytes);
                }
            }
        }
    }

    /// Takes these sectors from another content of the same file.
    pub(super) fn take(&mut self, from: &Self, sectors: Range<usize>) {
        let sectors = sectors.start..sectors.end.min(from.held.len());
        if !sectors.is_empty() {
            self.grow((sectors.end * SECTOR).min(from.length));
            self.held[sectors.clone()].clone_from_slice(&from.held[sectors]);
        }
    }

    /// Changes one byte; false if there is no such byte.
    pub(super) fn flip(&mut self, offset: usize, mask: u8) -> bool {
        if offset >= self.length {
            return false;
        }
        let held = self.held[offset / SECTOR].get_or_insert_with(|| Arc::new([0; SECTOR]));
        Arc::make_mut(held)[offset % SECTOR] ^= mask;
        true
    }

    /// Shortens it.
    #[cfg(test)]
    pub(super) fn truncate(&mut self, length: usize) {
        if length < self.length {
            let tail = vec![0; length.next_multiple_of(SECTOR).min(self.length) - length];
            self.write(length, &tail);
            self.held.truncate(length.div_ceil(SECTOR));
            self.length = length;
        }
    }

    fn grow(&mut self, length: usize) {
        self.length = self.length.max(length);
        self.held.resize(self.length.div_ceil(SECTOR), None);
    }
}

/// The parts of a range by sector: which, where in it, and where in the range.
fn pieces(offset: usize, count: usize) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
    let end = offset + count;
    let sectors = if count == 0 { 0..0 } else { offset / SECTOR..end.div_ceil(SECTOR) };
    sectors.map(move |sector| {
        let (start, stop) = (offset.max(sector * SECTOR), end.min((sector + 1) * SECTOR));
        (sector, start - sector * SECTOR..stop - sector * SECTOR, start - offset..stop - offset)
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn all(sectors: &Sectors) -> Vec<u8> {
        let mut bytes = vec![1; sectors.length() + 7];
        let count = sectors.read(0, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    proptest! {
        #[test]
        fn it_holds_what_plain_bytes_would(
            writes in vec((0..3_000_usize, vec(any::<u8>(), 0..1_500), any::<bool>()), 1..12),
            cut in 0..3_000_usize,
        ) {
            let (mut sectors, mut plain) = (Sectors::default(), Vec::new());
            for (offset, bytes, shared) in writes {
                let before = shared.then(|| (sectors.clone(), plain.clone()));
                sectors.write(offset, &bytes);
                plain.resize(plain.len().max(offset + bytes.len()), 0);
                plain[offset..offset + bytes.len()].copy_from_slice(&bytes);
                prop_assert_eq!(all(&sectors), plain.clone());
                if let Some((copy, as_it_was)) = before {
                    prop_assert_eq!(all(&copy), as_it_was);
                }
            }
            sectors.truncate(cut);
            plain.truncate(cut);
            prop_assert_eq!(all(&sectors), plain.clone());
            sectors.write(plain.len() + 5, &[9]);
            plain.extend([0, 0, 0, 0, 0, 9]);
            prop_assert_eq!(all(&sectors), plain);
        }

        #[test]
        fn what_is_taken_of_another_ends_where_that_ends(length in 1..2_000_usize, sectors in 0..5_usize) {
            let (mut from, mut to) = (Sectors::default(), Sectors::default());
            from.write(0, &vec![7; length]);
            to.take(&from, 0..sectors);
            prop_assert_eq!(all(&to), vec![7; length.min(sectors * SECTOR)]);
        }
    }

    #[test]
    fn only_bytes_that_are_there_flip() {
        let mut sectors = Sectors::default();
        sectors.write(0, &[1, 2]);
        let copy = sectors.clone();
        assert!(sectors.flip(1, 4) && !sectors.flip(2, 4));
        assert_eq!((all(&sectors), all(&copy)), (vec![1, 6], vec![1, 2]));
    }
}
