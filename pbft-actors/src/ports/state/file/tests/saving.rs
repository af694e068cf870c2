use super::*;
use crate::ports::state::StateBuilder;

#[test]
fn a_new_file_holds_nothing_and_keeps_what_is_saved() {
    for disk in [Probe::default(), Probe::mapped()] {
        let mut file = disk.open();
        assert!(file.latest().is_none() && file.transfer().is_none());
        let mut state = filled(300, 1);
        state.map_mut("m").insert(b"k", &[9; 5000]).unwrap();
        let snapshot = state.snapshot();
        let saved = file.save(seq(5), &snapshot).unwrap();
        assert_eq!(*saved.snapshot(), snapshot);
        check(&mut file);

        let mut file = disk.open();
        let (at, opened) = file.latest().unwrap();
        assert_eq!((at, opened.root()), (seq(5), snapshot.root()));
        assert_eq!(content(&opened), content(&snapshot));
        check(&mut file);
        let mut again = State::of_snapshot(LIMITS, &opened);
        assert_eq!(again.map("m").get(b"k").unwrap(), &[9; 5000][..]);
        again.map_mut("m").insert(b"k", b"2").unwrap();
        state.map_mut("m").insert(b"k", b"2").unwrap();
        assert_eq!(again.snapshot(), state.snapshot());
    }
}

#[test]
fn an_empty_state_can_be_saved_too() {
    let disk = Probe::default();
    let mut file = disk.open();
    file.save(seq(1), &filled(3, 1).snapshot()).unwrap();
    file.save(seq(2), &State::new(LIMITS).snapshot()).unwrap();
    check(&mut file);
    let mut file = disk.open();
    assert_eq!(file.latest(), Some((seq(2), State::new(LIMITS).snapshot())));
    assert_eq!(file.verify().pages, 0);
    check(&mut file);
}

#[test]
fn opening_reads_the_root_records_and_a_page_the_way_to_it() {
    let disk = Probe::default();
    disk.open().save(seq(1), &filled(5000, 1).snapshot()).unwrap();
    disk.take_reads();
    let file = disk.open();
    assert_eq!(disk.take_reads(), 2);
    let snapshot = file.latest().unwrap().1;
    assert_eq!(snapshot.page(700).unwrap()[7], 1);
    // A full node has three slots, those above the second level have one; and the page.
    assert_eq!(disk.take_reads(), 3 + 4 + 1);
    assert_eq!(snapshot.page(701).unwrap()[7], 1);
    assert_eq!(disk.take_reads(), 1);
    snapshot.root();
    assert_eq!(disk.take_reads(), 0);
}

#[test]
fn without_a_map_pages_come_into_memory_when_they_are_read_and_are_counted() {
    let disk = Probe::default();
    disk.open().save(seq(1), &filled(600, 1).snapshot()).unwrap();
    let file = disk.open();
    let mut state = State::of_snapshot(LIMITS, &file.latest().unwrap().1);
    assert_eq!((state.heap_pages(), file.heap_pages()), (0, 0));
    for page in [1, 2, 300, 2] {
        state.read(page * PAGE_BYTES as u64, &mut [0; 8]);
    }
    assert_eq!((state.heap_pages(), file.heap_pages()), (3, 3));
    // The page that is written becomes the state's own, beside the one that is stored.
    write(&mut state, 2, 7);
    assert_eq!(state.heap_pages(), 4);
    drop(state);
    assert_eq!(file.scrub(0, 600).damaged, []);
    assert_eq!(file.heap_pages(), 3);
}

#[test]
fn a_save_writes_what_changed_since_the_last() {
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(2000, 1);
    save_and_adopt(&mut file, 1, &mut state);
    disk.take_written();
    write(&mut state, 700, 2);
    let saved = file.save(seq(2), &state.snapshot()).unwrap();
    // The page, its node of 256 children, four nodes of few, a map, a root record.
    assert_eq!(disk.take_written(), 1 + 3 + 4 + 1 + 1);
    state.adopt(&saved);
    file.save(seq(3), &state.snapshot()).unwrap();
    assert_eq!(disk.take_written(), 1);
    // The same after a restart.
    drop(file);
    let mut file = disk.open();
    let mut state = State::of_snapshot(LIMITS, &file.latest().unwrap().1);
    write(&mut state, 700, 3);
    file.save(seq(4), &state.snapshot()).unwrap();
    assert_eq!(disk.take_written(), 1 + 3 + 4 + 1 + 1);
    check(&mut file);
}

#[test]
fn memory_is_let_go_after_a_save() {
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(600, 1);
    assert_eq!(state.heap_pages(), 600);
    let first = state.snapshot();
    let savepoint = state.savepoint();
    write(&mut state, 3, 9);
    state.rollback(savepoint);
    write(&mut state, 500, 2);
    let mut second = state.snapshot();
    assert_eq!(state.heap_pages(), 601);

    let saved = file.save(seq(1), &first).unwrap();
    drop(first);
    state.adopt(&saved);
    second.adopt(&saved);
    let kept = saved.snapshot().clone();
    drop(saved);
    // What was written since the saved state is still in memory.
    assert_eq!(state.heap_pages(), 1);
    let saved = file.save(seq(2), &second).unwrap();
    drop(second);
    state.adopt(&saved);
    drop(saved);
    assert_eq!(state.heap_pages(), 0);

    assert_eq!(state.snapshot().root(), file.latest().unwrap().1.root());
    assert_eq!(content(&kept).iter().filter(|(_, page)| page[7] == 1).count(), 600);
    write(&mut state, 4, 4);
    assert_eq!(state.heap_pages(), 1);
    write(&mut state, 4, 5);
    assert_eq!(state.heap_pages(), 1);
}

#[test]
fn a_state_that_went_on_adopts_what_it_still_shares() {
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(600, 1);
    let snapshot = state.snapshot();
    for page in [0, 300, 599] {
        write(&mut state, page, 2);
    }
    state.write(5 * PAGE_BYTES as u64, &[0; PAGE_BYTES]).unwrap();
    let expected = content(&state.snapshot());
    let saved = file.save(seq(1), &snapshot).unwrap();
    drop(snapshot);
    state.adopt(&saved);
    drop(saved);
    assert_eq!(state.heap_pages(), 3);
    assert_eq!(content(&state.snapshot()), expected);
    // Adopting again, or what it has nothing of, changes nothing.
    let other = file.save(seq(2), &filled(10, 7).snapshot()).unwrap();
    state.adopt(&other);
    assert_eq!(content(&state.snapshot()), expected);
}

#[test]
fn slots_are_used_again_once_nobody_has_them() {
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(500, 0);
    let mut held = Vec::new();
    let mut extents = Vec::new();
    for round in 1..=30 {
        for page in 0..500 {
            write(&mut state, page, round);
        }
        let saved = file.save(seq(round.into()), &state.snapshot()).unwrap();
        state.adopt(&saved);
        if round == 3 {
            held.push((saved.snapshot().clone(), content(saved.snapshot())));
        }
        extents.push(file.space.extent());
        check(&mut file);
    }
    // Three generations: the durable one, the one being written, and the one that is held.
    assert!(extents[29] <= 3 * extents[0] + 10, "{extents:?}");
    assert_eq!(extents[29], extents[6], "{extents:?}");
    for (snapshot, before) in &held {
        assert_eq!(content(snapshot), *before);
    }
    drop(held);
    // And after a restart.
    let mut file = disk.open();
    let mut state = State::of_snapshot(LIMITS, &file.latest().unwrap().1);
    for page in 0..500 {
        write(&mut state, page, 99);
    }
    file.save(seq(31), &state.snapshot()).unwrap();
    assert_eq!(file.space.extent(), extents[29]);
    check(&mut file);
}

#[test]
fn a_page_taken_back_to_a_slot_that_was_given_up_is_written_again() {
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(3, 1);
    let first = state.snapshot();
    file.save(seq(1), &first).unwrap();
    write(&mut state, 1, 2);
    file.save(seq(2), &state.snapshot()).unwrap();
    // The frames of the first snapshot still name the slots that the second save gave up.
    file.save(seq(3), &first).unwrap();
    check(&mut file);
    write(&mut state, 1, 3);
    for n in 4..9 {
        file.save(seq(n), &state.snapshot()).unwrap();
        write(&mut state, 2, n as u8);
        file.save(seq(n), &first).unwrap();
        check(&mut file);
    }
    assert_eq!(content(&disk.open().latest().unwrap().1), content(&first));
}

#[test]
fn a_transfer_in_progress_is_kept_beside_the_state_and_shares_its_pages() {
    for disk in [Probe::default(), Probe::mapped()] {
        let mut file = disk.open();
        let mut state = filled(700, 1);
        save_and_adopt(&mut file, 1, &mut state);
        let target = Target { seq: seq(9), digest: Digest::of(b"target") };
        let mut builder = StateBuilder::of_snapshot(LIMITS, &file.latest().unwrap().1);
        builder.put(5, &[5; PAGE_BYTES]).unwrap();
        builder.remove_subtree(1, 1);
        disk.take_written();
        file.save_transfer(target, &builder.snapshot()).unwrap();
        assert_eq!(disk.take_written(), 1 + 3 + 4 + 2);
        check(&mut file);
        // The own state goes on, and is saved, while the transfer waits.
        write(&mut state, 6, 6);
        file.save(seq(2), &state.snapshot()).unwrap();
        check(&mut file);

        let mut file = disk.open();
        check(&mut file);
        assert_eq!(file.latest(), Some((seq(2), state.snapshot())));
        let (found, so_far) = file.transfer().unwrap();
        assert_eq!((found, &so_far), (target, &builder.snapshot()));
        let mut builder = StateBuilder::of_snapshot(LIMITS, &so_far);
        builder.put(300, &[3; PAGE_BYTES]).unwrap();
        file.save_transfer(target, &builder.snapshot()).unwrap();
        check(&mut file);
        // One to an earlier seq is done with, and its slots are free.
        let finished = builder.snapshot();
        file.save(seq(9), &finished).unwrap();
        assert!(file.transfer().is_none());
        check(&mut file);
        let mut file = disk.open();
        assert_eq!(file.latest(), Some((seq(9), finished)));
        check(&mut file);
    }
}

#[test]
fn a_file_of_many_groups_uses_all_of_them() {
    // More pages than one group of slots has: the maps of both are read, and slots given up in the first
    // are used again.
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(40_000, 1);
    save_and_adopt(&mut file, 1, &mut state);
    for page in 0..5_000 {
        write(&mut state, page, 2);
    }
    save_and_adopt(&mut file, 2, &mut state);
    let extent = file.space.extent();
    check(&mut file);
    drop(file);
    let mut file = disk.open();
    let mut state = State::of_snapshot(LIMITS, &file.latest().unwrap().1);
    for page in 0..4_000 {
        write(&mut state, page, 3);
    }
    file.save(seq(3), &state.snapshot()).unwrap();
    assert_eq!(file.space.extent(), extent);
    check(&mut file);
}

#[test]
fn a_save_goes_on_elsewhere_while_the_state_is_used() {
    fn moves<T: Send>() {}
    moves::<PageFile>();
    moves::<Saved>();
    let disk = Probe::mapped();
    let mut file = disk.open();
    let mut state = filled(600, 1);
    save_and_adopt(&mut file, 1, &mut state);
    for round in 2..12 {
        (0..600).step_by(7).for_each(|page| write(&mut state, page, round));
        let snapshot = state.snapshot();
        let (saved, content_after) = std::thread::scope(|scope| {
            let file = &mut file;
            let saving = scope.spawn(move || file.save(seq(round.into()), &snapshot).unwrap());
            (0..600).step_by(3).for_each(|page| write(&mut state, page, 100 + round));
            (saving.join().unwrap(), content(&state.snapshot()))
        });
        state.adopt(&saved);
        assert!(content(&state.snapshot()) == content_after);
        check(&mut file);
    }
}
