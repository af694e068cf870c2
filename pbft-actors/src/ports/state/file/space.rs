//! Which slots are in use. The file is cut into groups, and each begins with two maps of its slots, of
//! which the root record says by one bit which counts. A save writes the maps that changed into the
//! places that do not count; the next root record turns all of them over at once.

use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::header::BUFFER_BYTES;
use crate::ports::state::page::{PAGE_BYTES, Page};
use crate::ports::state::tree::Stored;

/// Both root records lie before this slot.
pub(super) const FIRST_SLOT: u64 = 2;

/// All that a root record has bits for: a file of 1 TiB.
pub(super) const GROUPS_MAX: usize = 8192;

const MAGIC: u32 = 0x5042_4d50;
const MAP_HEAD_BYTES: usize = 16;
const MAPS: u64 = 2;
const WORDS: usize = (PAGE_BYTES - MAP_HEAD_BYTES) / 8;
const SLOTS: u64 = WORDS as u64 * 64;
const GROUP_SLOTS: u64 = MAPS + SLOTS;

/// Slots of the largest file.
pub(super) const SLOTS_MAX: u64 = FIRST_SLOT + GROUPS_MAX as u64 * GROUP_SLOTS;

/// A slot that holds a page or a part of a record: its group, and its bit in the group's map. None for
/// the others.
pub(super) fn place(slot: u64) -> Option<(usize, usize)> {
    let offset = slot.checked_sub(FIRST_SLOT)?;
    let within = (offset % GROUP_SLOTS).checked_sub(MAPS)?;
    (slot < SLOTS_MAX).then_some(((offset / GROUP_SLOTS) as usize, within as usize))
}

/// The group whose map a slot holds.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn map_of(slot: u64) -> Option<usize> {
    let offset = slot.checked_sub(FIRST_SLOT)?;
    (offset % GROUP_SLOTS < MAPS).then_some((offset / GROUP_SLOTS) as usize)
}

fn slot_of(group: usize, bit: usize) -> u64 {
    first_of(group) + MAPS + bit as u64
}

fn first_of(group: usize) -> u64 {
    FIRST_SLOT + group as u64 * GROUP_SLOTS
}

type Bits = [u64; WORDS];

/// A group whose map was read.
struct Group {
    /// What a durable tree reaches.
    reached: Bits,
    /// That, what this save has taken, and what is still in use in memory.
    taken: Bits,
    free: usize,
    /// No free slot lies in a lower word.
    lowest_free: usize,
    changed: bool,
}

/// Slots that no durable tree reaches any more; free once nobody has them in memory.
pub(super) struct Retired {
    pub(super) holder: Arc<Stored>,
    pub(super) slots: Vec<u64>,
}

/// The slots of a page file.
pub(super) struct Space {
    groups: Vec<Option<Box<Group>>>,
    buffers: [u8; BUFFER_BYTES],
    /// The save that the maps are of.
    counter: u64,
    extent: u64,
    retired: Vec<Retired>,
    /// Groups below are full.
    cursor: usize,
}

impl Space {
    pub(super) fn new(counter: u64, extent: u64, buffers: [u8; BUFFER_BYTES]) -> Self {
        let groups = (extent - FIRST_SLOT).div_ceil(GROUP_SLOTS) as usize;
        let groups = (0..groups).map(|_| None).collect();
        Self { groups, buffers, counter, extent, retired: Vec::new(), cursor: 0 }
    }

    pub(super) fn extent(&self) -> u64 {
        self.extent
    }

    pub(super) fn buffers(&self) -> [u8; BUFFER_BYTES] {
        self.buffers
    }

    /// A free slot, taken from now on; None if there is no room for more. `read` reads a slot.
    pub(super) fn take<E>(&mut self, mut read: impl FnMut(u64) -> Result<Page, E>) -> Result<Option<u64>, E> {
        while self.cursor < GROUPS_MAX {
            let group = self.group(self.cursor, &mut read)?;
            if let Some(bit) = group.take() {
                let slot = slot_of(self.cursor, bit);
                self.extent = self.extent.max(slot + 1);
                return Ok(Some(slot));
            }
            self.cursor += 1;
        }
        Ok(None)
    }

    /// Makes free what was retired before and is no longer in use in memory.
    pub(super) fn sweep<E>(&mut self, mut read: impl FnMut(u64) -> Result<Page, E>) -> Result<(), E> {
        for mut retired in std::mem::take(&mut self.retired) {
            if Arc::get_mut(&mut retired.holder).is_none() {
                self.retired.push(retired);
                continue;
            }
            for (number, bit) in retired.slots.iter().filter_map(|slot| place(*slot)) {
                self.group(number, &mut read)?.release(bit);
                self.cursor = self.cursor.min(number);
            }
        }
        Ok(())
    }

    /// Ends a save that took `new` slots and no longer reaches those of `retired`: the maps to be
    /// written, and where to.
    pub(super) fn commit<E>(
        &mut self,
        new: &[u64],
        mut retired: Vec<Retired>,
        mut read: impl FnMut(u64) -> Result<Page, E>,
    ) -> Result<Vec<(u64, Page)>, E> {
        self.counter += 1;
        // A record may name what no save has taken, its checksum right or not: there is no map of it.
        retired.iter_mut().for_each(|retired| retired.slots.retain(|slot| *slot < self.extent));
        for (number, bit) in new.iter().filter_map(|slot| place(*slot)) {
            self.group(number, &mut read)?.reach(bit);
        }
        for slot in retired.iter().flat_map(|retired| &retired.slots) {
            if let Some((number, bit)) = place(*slot) {
                self.group(number, &mut read)?.leave(bit);
            }
        }
        self.retired.extend(retired);
        let mut maps = Vec::new();
        for (number, group) in self.groups.iter_mut().enumerate() {
            let Some(group) = group.as_mut().filter(|group| group.changed) else { continue };
            group.changed = false;
            self.buffers[number / 8] ^= 1 << (number % 8);
            let buffer = u64::from(self.buffers[number / 8] >> (number % 8) & 1);
            maps.push((first_of(number) + buffer, encode(&group.reached, number, self.counter)));
        }
        Ok(maps)
    }

    /// Every slot that a durable tree reaches.
    #[cfg(test)]
    pub(super) fn durable<E>(
        &mut self,
        mut read: impl FnMut(u64) -> Result<Page, E>,
    ) -> Result<std::collections::BTreeSet<u64>, E> {
        let mut slots = std::collections::BTreeSet::new();
        for number in 0..self.groups.len() {
            let reached = self.group(number, &mut read)?.reached;
            let bits = (0..WORDS * 64).filter(|bit| reached[bit / 64] >> (bit % 64) & 1 == 1);
            slots.extend(bits.map(|bit| slot_of(number, bit)));
        }
        Ok(slots)
    }

    /// A group, read first if it was not yet. What its map says is all taken if that is damaged: some
    /// room is lost then, and nothing else.
    fn group<E>(
        &mut self,
        number: usize,
        read: &mut impl FnMut(u64) -> Result<Page, E>,
    ) -> Result<&mut Group, E> {
        if self.groups.len() <= number {
            self.groups.resize_with(number, || None);
            self.groups.push(Some(Box::new(Group::new([0; WORDS]))));
        }
        let group = self.groups.get_mut(number).expect("made if it was not there");
        if group.is_none() {
            let buffer = u64::from(self.buffers[number / 8] >> (number % 8) & 1);
            let map = read(first_of(number) + buffer)?;
            let reached = decode(&map, number, self.counter).unwrap_or([u64::MAX; WORDS]);
            *group = Some(Box::new(Group::new(reached)));
        }
        Ok(group.as_mut().expect("read if it was not"))
    }
}

impl Group {
    fn new(reached: Bits) -> Self {
        let free = reached.iter().map(|word| word.count_zeros() as usize).sum();
        Self { reached, taken: reached, free, lowest_free: 0, changed: false }
    }

    fn take(&mut self) -> Option<usize> {
        if self.free == 0 {
            return None;
        }
        let (at, word) = (self.lowest_free..)
            .zip(&mut self.taken[self.lowest_free..])
            .find(|(_, word)| **word != u64::MAX)?;
        let bit = word.trailing_ones() as usize;
        *word |= 1 << bit;
        (self.free, self.lowest_free) = (self.free - 1, at);
        Some(at * 64 + bit)
    }

    fn release(&mut self, bit: usize) {
        let (at, mask) = (bit / 64, 1 << (bit % 64));
        if self.taken[at] & mask != 0 {
            self.taken[at] &= !mask;
            (self.free, self.lowest_free) = (self.free + 1, self.lowest_free.min(at));
        }
    }

    fn reach(&mut self, bit: usize) {
        self.reached[bit / 64] |= 1 << (bit % 64);
        self.changed = true;
    }

    fn leave(&mut self, bit: usize) {
        self.reached[bit / 64] &= !(1 << (bit % 64));
        self.changed = true;
    }
}

fn encode(bits: &Bits, number: usize, counter: u64) -> Page {
    let mut page = [0; PAGE_BYTES];
    let mut rest = &mut page[8..];
    rest.put_u64_le(counter);
    bits.iter().for_each(|word| rest.put_u64_le(*word));
    seal(&mut page, number);
    page
}

/// Puts magic and checksum in front of a group's map.
pub(super) fn seal(page: &mut Page, number: usize) {
    let crc = crc(page, number);
    page[..4].copy_from_slice(&MAGIC.to_le_bytes());
    page[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// A group's map, if it is whole and not of a later save than the root record.
fn decode(page: &Page, number: usize, counter: u64) -> Option<Bits> {
    let mut rest = &page[..];
    let (magic, found) = (rest.get_u32_le(), rest.get_u32_le());
    if magic != MAGIC || found != crc(page, number) || rest.get_u64_le() > counter {
        return None;
    }
    Some(std::array::from_fn(|_| rest.get_u64_le()))
}

fn crc(page: &Page, number: usize) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&(number as u64).to_le_bytes()), &page[8..])
}
