use super::*;
use crate::ports::storage::MemoryDisk;

const OWNER: Owner = Owner { cluster: [7; 16], replica: 2 };
const ID: LogId = LogId { number: 5, salt: 9 };
const SEGMENT: usize = 64 << 10;

/// An entry that is written twice if its number is even.
fn entry(number: u64, bytes: usize) -> Entry {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(8 + bytes, number as u8);
    let mut copy = [0; COPY_BYTES];
    copy[..8].copy_from_slice(&number.to_le_bytes());
    Entry { copy: number.is_multiple_of(2).then_some(copy), body, until: number }
}

fn number(found: &Found) -> u64 {
    let bytes = found.body.as_deref().or(found.copy.as_ref().map(|copy| &copy[..])).expect("one of them");
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

fn start(disk: &MemoryDisk) -> Log {
    let mut own = disk.clone();
    let opened = Log::read(&mut own, OWNER).expect("it can be read");
    let id = opened.as_ref().map_or(ID, |opened| opened.id);
    Log::start(Box::new(own), OWNER, id, 11, SEGMENT, opened, Vec::new()).expect("it can be written")
}

fn read(disk: &MemoryDisk) -> Opened {
    Log::read(&mut disk.clone(), OWNER).expect("it can be read").expect("there is one")
}

fn numbers(opened: &Opened) -> Vec<u64> {
    opened.found.iter().map(number).collect()
}

fn write(log: &mut Log, entries: impl Iterator<Item = Entry>) -> Result<(), LogError> {
    for entry in entries {
        log.append(entry);
    }
    log.commit(Vec::new)
}

#[test]
fn what_was_committed_is_there_after_the_worst_power_cut_in_order() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    for number in 1..50 {
        write(&mut log, std::iter::once(entry(number, number as usize * 300))).expect("a disk with room");
    }
    assert!(log.segments() > 2, "the test fills segments");
    log.append(entry(99, 10));
    disk.cut_power(|| false);
    let opened = read(&disk);
    assert_eq!(numbers(&opened), (1..50).collect::<Vec<_>>());
    assert_eq!(opened.damage, Damage::default());
    assert_eq!(opened.id, ID);
}

/// At every write and sync of a run the power fails, and each unsynced sector is kept or lost at
/// random: what a commit returned for is there, and nothing that was not written is.
#[test]
fn a_power_cut_between_any_two_operations_loses_nothing_that_was_certain() {
    let mut random = 1_u64;
    let mut coin = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 63 == 1
    };
    let run = |disk: &MemoryDisk| -> u64 {
        let mut certain = 0;
        let opened = Log::read(&mut disk.clone(), OWNER).expect("nothing is there yet");
        assert!(opened.is_none());
        let Ok(mut log) = Log::start(Box::new(disk.clone()), OWNER, ID, 11, SEGMENT, None, Vec::new()) else {
            return 0;
        };
        for group in 0..12_u64 {
            let entries = (1..=5).map(|within| entry(group * 5 + within, 2_500));
            if write(&mut log, entries).is_err() {
                return certain;
            }
            certain = group * 5 + 5;
        }
        certain
    };
    let whole = MemoryDisk::new();
    run(&whole);
    for operations in 0..whole.operations() {
        for _ in 0..8 {
            let disk = MemoryDisk::new();
            disk.fail_after(operations);
            let certain = run(&disk);
            disk.cut_power(&mut coin);
            let opened = Log::read(&mut disk.clone(), OWNER).expect("it can be read");
            let found = opened.as_ref().map_or(Vec::new(), numbers);
            let expected: Vec<u64> = (1..=found.len() as u64).collect();
            // An unfinished write may leave some of its entries, in order.
            let kept: Vec<u64> = found.iter().copied().filter(|number| *number <= certain).collect();
            assert_eq!(kept, (1..=certain).collect::<Vec<_>>(), "after {operations} operations");
            assert!(found.is_sorted() && found.len() <= 60, "{found:?} of {expected:?}");
            assert!(!opened.is_some_and(|opened| opened.damage.hidden), "after {operations} operations");
        }
    }
}

#[test]
fn the_tail_cut_at_any_byte_keeps_every_earlier_commit() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    let mut ends = Vec::new();
    for number in 1..6 {
        write(&mut log, std::iter::once(entry(number, 600))).expect("a disk with room");
        ends.push(log.current.offset);
    }
    let file = file_name(log.current.number);
    let begin = ends[1];
    for length in begin..*ends.last().expect("five commits") {
        let cut = disk.copy();
        cut.truncate(&file, length);
        let opened = read(&cut);
        // A body that begins in what is left may be whole before its block is.
        let bodies: Vec<u64> = opened.found.iter().filter(|found| found.body.is_some()).map(number).collect();
        let whole = ends.iter().filter(|end| **end <= length).count() as u64;
        assert!(bodies.len() as u64 >= whole && bodies.is_sorted(), "{length}: {bodies:?}");
        // Even numbers are written twice: their copies are before the cut.
        assert!(opened.found.iter().map(number).filter(|number| number % 2 == 0).eq([2, 4]), "{length}");
    }
}

#[test]
fn one_flipped_bit_anywhere_loses_no_entry_that_is_written_twice() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    for number in 1..9 {
        write(&mut log, std::iter::once(entry(number * 2, 200))).expect("a disk with room");
    }
    let file = file_name(log.current.number);
    for offset in (0..log.current.offset).step_by(13) {
        let damaged = disk.copy();
        assert!(damaged.flip(&file, offset, 0x10));
        let opened = read(&damaged);
        assert_eq!(numbers(&opened), (1..9).map(|number| number * 2).collect::<Vec<_>>(), "byte {offset}");
        assert!(!opened.damage.hidden, "byte {offset}");
    }
}

#[test]
fn an_entry_lost_in_both_places_is_told_where_it_was_certain_and_dropped_where_it_was_not() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    let mut offsets = Vec::new();
    for number in 1..4 {
        offsets.push(log.current.offset);
        write(&mut log, std::iter::once(entry(number * 2, 200))).expect("a disk with room");
    }
    let file = file_name(log.current.number);
    for (index, lost) in offsets.iter().enumerate() {
        let damaged = disk.copy();
        damaged.flip(&file, lost + 60, 1);
        damaged.flip(&file, format::copy_at(index as u32) + 3, 1);
        let opened = read(&damaged);
        let last = index == 2;
        assert_eq!(opened.damage.hidden, !last, "entry {index}");
        assert_eq!(opened.damage.torn, last, "entry {index}");
        assert_eq!(opened.found.len(), 2);
    }
}

#[test]
fn a_missing_or_headless_segment_in_the_middle_is_told() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    for number in 1..60 {
        write(&mut log, std::iter::once(entry(number, 4_000))).expect("a disk with room");
    }
    let files = disk.clone().list().expect("files");
    assert!(files.len() >= 4);
    let missing = disk.copy();
    missing.clone().remove(&files[1]).expect("it is there");
    assert!(read(&missing).damage.hidden);
    let oldest = disk.copy();
    oldest.clone().remove(&files[0]).expect("it is there");
    assert!(read(&oldest).damage.hidden);
    let headless = disk.copy();
    headless.flip(&files[1], 9, 1);
    headless.flip(&files[1], format::BLOCK + 9, 1);
    assert!(read(&headless).damage.hidden);
    assert!(!read(&disk).damage.hidden);
}

#[test]
fn released_segments_go_and_what_a_new_one_begins_with_stays() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    let base = || vec![Entry { until: 0, ..entry(1_000, 10) }];
    for number in 1..400 {
        log.append(entry(number, 2_000));
        log.commit(base).expect("a disk with room");
        log.release(number.saturating_sub(20));
        assert!(log.segments() <= 5, "{} segments", log.segments());
    }
    assert!(disk.clone().list().expect("files").len() <= 6);
    let opened = read(&disk);
    assert!(!opened.damage.hidden);
    let found = numbers(&opened);
    assert_eq!(found.iter().filter(|number| **number > 379 && **number < 1_000).count(), 20);
    assert!(found.contains(&1_000));
}

#[test]
fn a_new_id_begins_anew_and_counts_only_once_it_is_certain() {
    let next = LogId { number: 6, salt: 1 };
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    write(&mut log, (1..4).map(|number| entry(number, 10))).expect("a disk with room");
    let before = disk.copy();
    log.restart(next, vec![entry(8, 10)]).expect("a disk with room");
    let opened = read(&disk);
    assert_eq!((opened.id, numbers(&opened)), (next, vec![8]));
    // At any point in between it is the one or the other.
    for operations in 0..8 {
        let cut = before.copy();
        let mut log = start(&cut);
        cut.fail_after(operations);
        let done = log.restart(next, vec![entry(8, 10)]).is_ok();
        cut.cut_power(|| false);
        let opened = read(&cut);
        assert!(!opened.damage.hidden, "after {operations}");
        match numbers(&opened)[..] {
            [1, 2, 3] => assert!(!done && opened.id == ID),
            [8] => assert_eq!(opened.id, next),
            ref other => panic!("{other:?} after {operations}"),
        }
    }
}

#[test]
fn another_owners_log_is_refused_by_name() {
    let disk = MemoryDisk::new();
    drop(start(&disk));
    let other = Owner { replica: 3, ..OWNER };
    let refused = Log::read(&mut disk.clone(), other).err().expect("not ours").to_string();
    assert!(refused.contains("replica 2"), "{refused}");
}

#[test]
fn a_log_of_another_format_is_refused_with_both_versions() {
    let disk = MemoryDisk::new();
    let file = file_name(start(&disk).current.number);
    let header = Header::decode(&disk.content(&file)).expect("a whole header");
    let later = Header { version: format::VERSION + 1, ..header }.encode();
    disk.clone().write_at(&file, 0, &later).expect("a disk with room");
    let refused = Log::read(&mut disk.clone(), OWNER).err();
    assert!(matches!(refused, Some(LogError::Version { found: 2, known: 1 })), "{refused:?}");
}

#[test]
fn a_full_disk_and_a_failed_sync_are_errors_and_lose_nothing() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    write(&mut log, (1..4).map(|number| entry(number, 10))).expect("a disk with room");
    disk.limit(Some(1));
    let full = write(&mut log, (4..90).map(|number| entry(number, 2_000)));
    assert!(matches!(full, Err(LogError::Disk(error)) if error.kind() == io::ErrorKind::StorageFull));
    disk.cut_power(|| false);
    assert_eq!(numbers(&read(&disk))[..3], [1, 2, 3]);
}

/// n=7 seed 40001247: what a new segment began with was torn, and said that the former ones are not needed.
#[test]
fn where_the_first_write_of_a_segment_is_torn_the_former_ones_count() {
    let mut random = 1_u64;
    let mut coin = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 63 == 1
    };
    let base = || (0..6).map(|within| Entry { until: 0, ..entry(1_000 + 2 * within, 400) });
    let run = |disk: &MemoryDisk| -> bool {
        let log = Log::start(Box::new(disk.clone()), OWNER, ID, 11, SEGMENT, None, base().collect());
        let Ok(mut log) = log else { return false };
        for number in (2..100).step_by(2) {
            log.append(entry(number, 3_000));
            if log.commit(|| base().collect()).is_err() {
                break;
            }
            // Nothing but the base is needed.
            log.release(number);
        }
        true
    };
    let whole = MemoryDisk::new();
    run(&whole);
    for operations in 0..whole.operations() {
        for _ in 0..16 {
            let disk = MemoryDisk::new();
            disk.fail_after(operations);
            if !run(&disk) {
                continue;
            }
            disk.cut_power(&mut coin);
            let opened = read(&disk);
            assert!(!opened.damage.hidden, "after {operations} operations");
            let found = numbers(&opened);
            let lost = (0..6).map(|within| 1_000 + 2 * within).find(|number| !found.contains(number));
            assert_eq!(lost, None, "after {operations} operations");
        }
    }
}

/// What a torn write left has gaps; a second start must not take them for lost promises.
#[test]
fn a_torn_write_is_torn_at_every_later_start_too() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    write(&mut log, std::iter::once(entry(2, 100))).expect("a disk with room");
    for number in 2..20 {
        log.append(entry(number * 2, 100));
    }
    // Copies and group are written, and the sync fails.
    disk.fail_after(2);
    assert!(log.commit(Vec::new).is_err());
    // The first sector of the copies is lost, the next ones are kept, the group is lost.
    let mut sector = 0;
    disk.cut_power(|| {
        sector += 1;
        (2..=4).contains(&sector)
    });
    for _ in 0..3 {
        assert!(!read(&disk).damage.hidden);
        drop(start(&disk));
    }
}

/// The power fails when a spare segment has its new header and not yet, for certain, its new name.
#[test]
fn a_spare_segment_under_its_former_name_is_no_lost_segment() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    for number in 1..400 {
        let before = disk.copy();
        let spare = log.spare.front().copied().filter(|spare| *spare < log.stated);
        let current = log.current.number;
        write(&mut log, std::iter::once(entry(number, 2_000))).expect("a disk with room");
        log.release(number.saturating_sub(20));
        if let Some(spare) = spare.filter(|_| log.current.number != current) {
            let header = disk.content(&file_name(log.current.number))[..2 * format::BLOCK].to_vec();
            before.clone().write_at(&file_name(spare), 0, &header).expect("a disk with room");
            assert!(!read(&before).damage.hidden);
            return;
        }
    }
    panic!("no spare segment was used");
}

/// What a client chose lies in the log as it came; no start may take it for an entry.
#[test]
fn bytes_that_look_like_a_group_of_another_seed_are_none() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk);
    let forged = format::encode_group(log.current.seed ^ 1, 0, 40, 9, &[entry(6, 10)]);
    let mut body = entry(1, 0);
    // The entry's content begins 52 bytes into its group: this puts the forged one at a block.
    body.body.resize(format::BLOCK - 44, 0);
    body.body.extend(&forged);
    write(&mut log, std::iter::once(body)).expect("a disk with room");
    let file = file_name(log.current.number);
    // The header of the true group is lost.
    disk.flip(&file, format::groups_at(copies_of(SEGMENT)) + format::BLOCK, 1);
    let opened = read(&disk);
    assert_eq!((numbers(&opened), opened.damage.hidden), (vec![], false));
}

#[test]
fn a_file_of_another_name_is_none_of_its_segments() {
    let disk = MemoryDisk::new();
    write(&mut start(&disk), (1..4).map(|number| entry(number, 10))).expect("a disk with room");
    for name in ["journal-1", "journal-+000000000000009", "journal-00000000000000zz", "notes"] {
        disk.clone().write_at(name, 0, b"not ours").expect("a disk with room");
    }
    let opened = read(&disk);
    assert_eq!((numbers(&opened), opened.damage), (vec![1, 2, 3], Damage::default()));
    assert!(disk.clone().list().expect("a disk that works").contains(&"journal-1".to_owned()));
}

/// The checksums are right: nothing but the numbers themselves says that they cannot be.
#[test]
fn numbers_that_no_file_has_room_for_are_damage_and_cost_no_time() {
    for (copies, before, ordinal) in [(u32::MAX, 0, 0), (64, u32::MAX - 1, 0), (64, 0, u32::MAX)] {
        let disk = MemoryDisk::new();
        let seed = 3;
        for number in [u64::MAX - 1, u64::MAX] {
            let header =
                Header { version: format::VERSION, owner: OWNER, log: ID, number, seed, copies, before };
            let group = format::encode_group(seed, ordinal, before, 0, &[entry(2, 10)]);
            let file = file_name(number);
            disk.clone().write_at(&file, 0, &header.encode()).expect("a disk with room");
            let at = format::groups_at(copies.min(64)) as u64;
            disk.clone().write_at(&file, at, &group).expect("a disk with room");
        }
        let opened = read(&disk);
        assert_eq!(opened.damage.hidden, before > 0, "{copies} {before} {ordinal}");
    }
}
