//! Reading a log after a stop of any kind: what is whole counts, what an unfinished write left is
//! dropped, and what was certain once and is lost now is told.

use std::collections::{BTreeMap, VecDeque};

use super::format::{self, Copy, Header};
use super::*;

/// An entry that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) copy: Option<[u8; COPY_BYTES]>,
    /// None if only the copy is whole.
    pub(crate) body: Option<Vec<u8>>,
}

/// What is not as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Damage {
    /// An entry that was certain is lost in both places, or a whole segment is: nobody can know what
    /// it said.
    pub(crate) hidden: bool,
    /// Entries of which only the copy is left.
    pub(crate) bodies: usize,
    /// Groups that are damaged although they were certain; what was written once in them is lost.
    pub(crate) groups: usize,
    /// The last write was not finished, as after any power cut.
    pub(crate) torn: bool,
}

struct Scanned {
    header: Header,
    found: Vec<Found>,
    /// Copies that were certain.
    copies: u32,
    /// The highest oldest needed segment that a group names whose write was finished.
    oldest: u64,
    /// The same of any group.
    stated: u64,
    damage: Damage,
    /// Whether what it begins with is whole, or something follows it.
    begun: bool,
}

pub(super) fn read(disk: &mut dyn Disk, owner: Owner) -> Result<Option<Opened>, LogError> {
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(|file| number_of(file)).collect();
    numbers.sort_unstable();
    let mut segments: Vec<Scanned> = Vec::new();
    let mut unreadable = Vec::new();
    // How many copies of a segment were certain before the next one was made.
    let mut certain = None;
    for number in numbers.iter().rev() {
        let bytes = read_whole(disk, &file_name(*number))?;
        match Header::decode(&bytes) {
            // It was to be written over, and still has its former header.
            Some(header) if header.number != *number => remove(disk, *number)?,
            Some(header) => {
                check(&header, owner)?;
                segments.push(scan(&bytes, header, certain));
                certain = Some(header.before);
            }
            None if has_groups(&bytes) => unreadable.push(*number),
            // Its making was not finished.
            None => remove(disk, *number)?,
        }
    }
    segments.reverse();
    // A log under a new id counts once what it begins with is whole; until then the former one does.
    while let [.., former, last] = &segments[..]
        && former.header.log != last.header.log
        && !last.begun
    {
        remove(disk, last.header.number)?;
        segments.pop();
    }
    let Some(last) = segments.last() else { return Ok(None) };
    let (id, last) = (last.header.log, (last.header.number, last.copies));
    segments.retain(|segment| segment.header.log == id);
    let oldest = oldest_needed(&segments);
    segments.retain(|segment| segment.header.number >= oldest);
    let first = segments.first().map_or(0, |segment| segment.header.number);
    let mut damage = Damage {
        hidden: oldest != 0 && first != oldest
            || segments.windows(2).any(is_gap)
            || unreadable.iter().any(|number| *number >= oldest),
        ..Damage::default()
    };
    let (mut found, mut closed) = (Vec::new(), VecDeque::new());
    for segment in segments {
        damage.hidden |= segment.damage.hidden;
        damage.bodies += segment.damage.bodies;
        damage.groups += segment.damage.groups;
        damage.torn |= segment.damage.torn;
        found.extend(segment.found);
        closed.push_back(Closed { number: segment.header.number, until: u64::MAX });
        // What was read may be no more than memory of the operating system so far.
        disk.sync(&file_name(segment.header.number))?;
    }
    Ok(Some(Opened { id, found, damage, closed, last }))
}

/// The first segment that counts. A group whose write may be unfinished makes none needless as long as all
/// are there that were needed before it: they go only after its sync.
fn oldest_needed(segments: &[Scanned]) -> u64 {
    let certain = segments.iter().map(|segment| segment.oldest).max().unwrap_or(0);
    let before = segments.partition_point(|segment| segment.header.number < certain);
    let needed = &segments[before..];
    let complete = needed.first().is_some_and(|first| first.header.number == certain);
    if complete && !needed.windows(2).any(is_gap) {
        return certain;
    }
    segments.iter().map(|segment| segment.stated).max().unwrap_or(0)
}

fn is_gap(pair: &[Scanned]) -> bool {
    pair[0].header.number.checked_add(1) != Some(pair[1].header.number)
}

/// Whether a file whose header is lost once held something.
fn has_groups(bytes: &[u8]) -> bool {
    let blocks = (0..bytes.len()).step_by(format::BLOCK);
    blocks.into_iter().any(|offset| format::looks_like_group(bytes, offset))
}

fn remove(disk: &mut dyn Disk, number: u64) -> Result<(), LogError> {
    disk.remove(&file_name(number))?;
    Ok(disk.sync_names()?)
}

impl Opened {
    /// Says until when the entries that were found are needed.
    pub(crate) fn set_needed_until(&mut self, until: u64) {
        for closed in &mut self.closed {
            closed.until = until;
        }
    }
}

fn read_whole(disk: &mut dyn Disk, file: &str) -> Result<Vec<u8>, LogError> {
    let length = disk.length(file)?.unwrap_or(0);
    let mut bytes = vec![0; length as usize];
    let read = disk.read_at(file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn check(header: &Header, owner: Owner) -> Result<(), LogError> {
    if header.version != format::VERSION {
        return Err(LogError::Version { found: header.version, known: format::VERSION });
    }
    if header.owner != owner {
        let cluster = header.owner.cluster.iter().map(|byte| format!("{byte:02x}")).collect();
        return Err(LogError::Foreign { replica: header.owner.replica, cluster });
    }
    Ok(())
}

/// Reads one segment. `certain` is how many of its copies were certain when the next one was made.
fn scan(bytes: &[u8], header: Header, certain: Option<u32>) -> Scanned {
    let seed = header.seed;
    let mut groups = Vec::new();
    let mut damage = Damage::default();
    let (mut oldest, mut stated) = (0, 0);
    let mut sync_mark = certain.unwrap_or(0);
    let mut offset = format::groups_at(header.copies);
    let mut begun = false;
    // Groups that are not whole, by their ordinal; the last one may only be unfinished.
    let mut broken = 0;
    let mut ordinal = 0;
    while offset < bytes.len() {
        let Some((group, entries, whole)) = format::decode_group(bytes, seed, offset) else {
            offset += format::BLOCK;
            continue;
        };
        damage.groups += broken + group.ordinal.saturating_sub(ordinal) as usize;
        broken = usize::from(!whole);
        ordinal = group.ordinal.saturating_add(1);
        begun |= whole || group.ordinal > 0;
        // Whatever came before a group was certain.
        oldest = if whole { stated.max(group.oldest) } else { stated };
        stated = stated.max(group.oldest);
        sync_mark = sync_mark.max(group.copies_before);
        groups.push(entries);
        offset += format::group_bytes(&group);
    }
    let mut copies: BTreeMap<u32, Copy> = BTreeMap::new();
    // No number in the file makes this longer than the file.
    let room = header.copies.min(format::copies_in(bytes));
    for index in 0..room {
        if let Some(copy) = format::decode_copy(bytes, seed, index) {
            sync_mark = sync_mark.max(copy.first);
            copies.insert(index, copy);
        }
    }
    let mut found = Vec::new();
    let mut next = 0;
    let mut lose = |from: u32, to: u32, found: &mut Vec<Found>| {
        for index in from..to.min(room) {
            match copies.get(&index) {
                Some(copy) => {
                    damage.bodies += 1;
                    found.push(Found { copy: Some(copy.bytes), body: None });
                }
                None if index < sync_mark => damage.hidden = true,
                None => {}
            }
        }
    };
    for entry in groups.into_iter().flatten() {
        let copy = match entry.copy {
            Some(index) => {
                lose(next, index, &mut found);
                next = index.saturating_add(1);
                copies.get(&index).map(|copy| copy.bytes)
            }
            None => None,
        };
        found.push(Found { copy, body: Some(entry.body) });
    }
    let copied = copies.keys().next_back().map_or(0, |last| last + 1);
    let end = copied.max(sync_mark).max(next);
    lose(next, end, &mut found);
    damage.hidden |= sync_mark > room;
    if broken > 0 {
        // It was certain if a later segment, or a copy of a later group, says so.
        if certain.is_some() {
            damage.groups += broken;
            oldest = stated;
        } else {
            damage.torn = true;
        }
    }
    // What an unfinished write left has gaps: only what was certain before is demanded the next time.
    Scanned { header, found, copies: sync_mark, oldest, stated, damage, begun }
}
