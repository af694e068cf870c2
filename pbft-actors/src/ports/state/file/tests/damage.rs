//! Flipped bits are found, and never answered as data.

use std::panic::catch_unwind;

use super::*;
use crate::ports::state::{DamagedPart, StateBuilder};

fn failure(disk: &Probe) -> PageFileError {
    PageFile::open(Box::new(disk.clone()), NAME).err().expect("it cannot be opened")
}

fn flip(disk: &Probe, slot: u64, offset: usize) {
    assert!(disk.disk.flip(NAME, slot as usize * PAGE_BYTES + offset, 0x10));
}

/// All of it, or the part that could not be read.
fn read_all(snapshot: &Snapshot) -> Result<Vec<(u64, Page)>, DamagedPart> {
    DamagedPart::catch(|| content(snapshot))
}

fn slot_of(file: &PageFile, level: u8, index: u64) -> u64 {
    let tree = file.main.as_ref().expect("something is saved");
    let stored = match PageTable::of_root(tree.root.clone(), Default::default()).part(level, index) {
        Some(Part::Page(frame)) => frame.stored().cloned(),
        Some(Part::Node(node)) => node.stored().cloned(),
        None => None,
    };
    stored.expect("it is there").slot()
}

#[test]
fn one_flipped_bit_anywhere_is_found_or_changes_nothing() {
    let origin = Probe::default();
    let mut file = origin.open();
    let mut state = filled(40, 1);
    let states = [1, 2, 3].map(|round| {
        write(&mut state, 3 * u64::from(round), round);
        state.write(u64::from(round) << 40, b"far").unwrap();
        let snapshot = state.snapshot();
        file.save(seq(round.into()), &snapshot).unwrap();
        snapshot
    });
    let reached = reached(&file);
    let current = content(&states[2]);
    let slots = origin.disk.content(NAME).len() / PAGE_BYTES;
    for at in (0..slots * PAGE_BYTES).step_by(131) {
        let disk = Probe { disk: origin.disk.copy(), has_map: at % 2 == 0, ..Probe::default() };
        assert!(disk.disk.flip(NAME, at, 1 << (at % 8)));
        let mut file = disk.open();
        let slot = (at / PAGE_BYTES) as u64;
        let (opened, snapshot) = file.latest().unwrap();
        if opened != seq(3) {
            // The root record itself: the one before counts, and what is still there of it is found.
            assert_eq!((opened, slot), (seq(2), 0));
            continue;
        }
        let found = file.verify();
        assert_eq!(found.root, states[2].root());
        let harmed = reached.contains(&slot);
        assert_eq!(!found.damaged.is_empty(), harmed, "{at}: {found:?}");
        match read_all(&snapshot) {
            Ok(read) => assert!(!harmed && read == current, "{at}"),
            Err(damaged) => assert_eq!(found.damaged, [damaged]),
        }
        if !harmed {
            let mut state = State::of_snapshot(LIMITS, &snapshot);
            write(&mut state, 1, 77);
            file.save(seq(4), &state.snapshot()).unwrap();
            assert_eq!(file.verify().damaged, []);
        }
    }
}

#[test]
fn the_older_root_record_counts_if_the_newer_is_damaged() {
    let disk = Probe::default();
    let mut file = disk.open();
    let (one, two) = (filled(20, 1).snapshot(), filled(20, 2).snapshot());
    file.save(seq(1), &one).unwrap();
    file.save(seq(2), &two).unwrap();
    let newer = file.counter % 2;
    flip(&disk, newer, 100);
    let mut file = disk.open();
    assert_eq!(file.latest(), Some((seq(1), one.clone())));
    assert_eq!(content(&file.latest().unwrap().1), content(&one));
    check(&mut file);
    file.save(seq(3), &two).unwrap();
    check(&mut file);
    assert_eq!(disk.open().latest(), Some((seq(3), two)));
}

#[test]
fn a_file_without_a_root_record_that_counts_is_refused_by_name() {
    let origin = Probe::default();
    let mut file = origin.open();
    file.save(seq(1), &filled(9, 1).snapshot()).unwrap();
    file.save(seq(2), &filled(9, 2).snapshot()).unwrap();
    let changed = |slot_offset: usize| {
        let disk = Probe { disk: origin.disk.copy(), ..Probe::default() };
        (0..2).for_each(|slot| flip(&disk, slot, slot_offset));
        let error = failure(&disk);
        assert!(error.to_string().contains(NAME), "{error}");
        error
    };
    assert!(matches!(changed(200), PageFileError::Damaged { .. }));
    assert!(matches!(changed(3), PageFileError::Foreign { .. }));
    assert!(matches!(changed(8), PageFileError::Version { found: 17, known: 1, .. }));
    let mut short = origin.disk.copy();
    short.truncate(NAME, 6 * PAGE_BYTES);
    assert!(matches!(
        failure(&Probe { disk: short.clone(), ..Probe::default() }),
        PageFileError::Damaged { .. }
    ));
    short.truncate(NAME, 100);
    assert!(matches!(
        failure(&Probe { disk: short.clone(), ..Probe::default() }),
        PageFileError::Damaged { .. }
    ));
    short.write_at(NAME, 0, &[b'x'; 9000]).unwrap();
    assert!(matches!(failure(&Probe { disk: short, ..Probe::default() }), PageFileError::Foreign { .. }));
}

#[test]
fn a_scrub_goes_in_steps_and_a_repair_writes_what_was_lost_again() {
    for disk in [Probe::default(), Probe::mapped()] {
        let mut file = disk.open();
        let mut state = filled(600, 1);
        state.map_mut("m").insert(b"k", b"v").unwrap();
        let whole = state.snapshot();
        file.save(seq(1), &whole).unwrap();
        assert_eq!(file.scrub(0, 10), Scrubbed { damaged: vec![], pages: 10, next: Some(10) });
        assert_eq!(file.scrub(550, 50).next, Some(1 << 32));
        assert_eq!(file.scrub(550, 1000).next, None);
        assert_eq!(file.scrub(599, 1).pages, 1);

        let page = |index| DamagedPart { level: 0, index };
        flip(&disk, slot_of(&file, 0, 17), 5);
        flip(&disk, slot_of(&file, 0, 300), 4095);
        flip(&disk, slot_of(&file, 1, 2), 700);
        assert_eq!(file.scrub(0, 17).damaged, []);
        assert_eq!(file.scrub(0, 18).damaged, [page(17)]);
        let all = [page(17), page(300), DamagedPart { level: 1, index: 2 }];
        // In memory the damaged node's children are still known.
        assert_eq!(file.verify().damaged, all);
        assert_eq!(file.verify().pages, whole.pages_from(0).count() as u64);
        drop(file);

        let mut file = disk.open();
        assert_eq!(file.verify().damaged, all);
        let snapshot = file.latest().unwrap().1;
        assert_eq!(read_all(&snapshot), Err(page(17)));
        let below_damaged = DamagedPart::catch(|| snapshot.page(520).copied());
        assert_eq!(below_damaged, Err(DamagedPart { level: 1, index: 2 }));

        let mut builder = StateBuilder::of_snapshot(LIMITS, &snapshot);
        for DamagedPart { level, index } in all {
            builder.remove_subtree(level, index);
        }
        assert_ne!(builder.digest_at(TREE_LEVELS, 0), Some(whole.root()));
        for index in [17, 300].into_iter().chain(512..600) {
            builder.put(index, whole.page(index).unwrap()).unwrap();
        }
        assert_eq!(builder.snapshot(), whole);
        file.save(seq(1), &builder.snapshot()).unwrap();
        assert_eq!(file.verify().damaged, []);
        assert_eq!(content(&disk.open().latest().unwrap().1), content(&whole));
    }
}

#[test]
fn a_damaged_map_of_slots_costs_room_and_nothing_else() {
    let disk = Probe::default();
    let mut file = disk.open();
    let mut state = filled(20, 1);
    file.save(seq(1), &state.snapshot()).unwrap();
    let extent = file.space.extent();
    drop(file);
    for map in [2, 3] {
        disk.disk.flip(NAME, map * PAGE_BYTES + 40, 1);
    }
    let mut file = disk.open();
    for round in 2..6 {
        write(&mut state, 3, round);
        file.save(seq(round.into()), &state.snapshot()).unwrap();
        assert_eq!(file.verify().damaged, []);
    }
    assert!(file.space.extent() > extent);
    assert_eq!(content(&disk.open().latest().unwrap().1), content(&state.snapshot()));
}

#[test]
fn an_operation_that_meets_damage_is_told_apart_and_taken_back() {
    let disk = Probe::mapped();
    let mut file = disk.open();
    file.save(seq(1), &filled(20, 1).snapshot()).unwrap();
    flip(&disk, slot_of(&file, 0, 7), 9);
    drop(file);
    let file = disk.open();
    let mut state = State::of_snapshot(LIMITS, &file.latest().unwrap().1);
    let savepoint = state.savepoint();
    let met = DamagedPart::catch(|| (0..20).for_each(|page| write(&mut state, page, 2)));
    assert_eq!(met, Err(DamagedPart { level: 0, index: 7 }));
    state.rollback(savepoint);
    assert_eq!(state.snapshot().root(), file.latest().unwrap().1.root());
    write(&mut state, 6, 2);
    // A page that is written as a whole need not be read.
    state.write(7 * PAGE_BYTES as u64, &[3; PAGE_BYTES]).unwrap();
    assert_eq!(content(&state.snapshot()).len(), 20);

    let other = catch_unwind(|| DamagedPart::catch(|| panic!("a service's own"))).unwrap_err();
    assert_eq!(other.downcast_ref(), Some(&"a service's own"));
}
