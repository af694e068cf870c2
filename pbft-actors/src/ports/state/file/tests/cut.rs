//! The power fails, and the disk gives up, between any two operations.

use super::*;

/// The states that are saved one after the other, by seq.
fn states() -> Vec<Snapshot> {
    let mut state = filled(30, 1);
    (1..=6_u8)
        .map(|round| {
            for page in 0..10 {
                write(&mut state, u64::from(round) * 3 + page * page, round);
            }
            state.snapshot()
        })
        .collect()
}

/// Saves all of them; how many are certain, and how many were begun.
fn run(disk: &Probe, states: &[Snapshot]) -> (usize, usize) {
    let Ok(mut file) = PageFile::open(Box::new(disk.clone()), NAME) else { return (0, 0) };
    let mut live = State::new(LIMITS);
    for (certain, snapshot) in states.iter().enumerate() {
        // As a state that goes on from what is stored.
        live.become_like(snapshot);
        match file.save(seq(certain as u64 + 1), &live.snapshot()) {
            Ok(saved) => live.adopt(&saved),
            Err(_) => {
                let refused = file.save(seq(99), snapshot).err();
                assert!(matches!(refused, Some(PageFileError::Refused { .. })));
                return (certain, certain + 1);
            }
        }
    }
    (states.len(), states.len())
}

impl State {
    fn become_like(&mut self, target: &Snapshot) {
        for (index, page) in target.pages_from(0) {
            if self.snapshot().page(index) != Some(page) {
                self.write(index * PAGE_BYTES as u64, page).unwrap();
            }
        }
    }
}

/// Opens what is left: it is the state of the last complete save or the one that was being made.
fn check_after(disk: &Probe, states: &[Snapshot], (certain, begun): (usize, usize), at: u64) {
    let mut file = disk.open();
    let number = file.latest().map_or(0, |(seq, _)| seq.0 as usize);
    assert!((certain..=begun).contains(&number), "{number} after {at} operations, {certain} certain");
    if let Some((_, snapshot)) = file.latest() {
        assert_eq!(snapshot, states[number - 1]);
        assert_eq!(content(&snapshot), content(&states[number - 1]));
    }
    check(&mut file);
    // And it goes on.
    file.save(seq(50), &states[5]).unwrap();
    check(&mut file);
    assert_eq!(disk.open().latest(), Some((seq(50), states[5].clone())));
}

#[test]
fn a_power_cut_between_any_two_operations_leaves_one_whole_state() {
    let states = states();
    let whole = Probe::default();
    assert_eq!(run(&whole, &states), (6, 6));
    for operations in 0..whole.disk.operations() {
        for seed in 0..12 {
            let disk = Probe { has_map: seed % 2 == 0, ..Probe::default() };
            disk.disk.fail_after(operations);
            let progress = run(&disk, &states);
            let mut coin = coin(operations * 100 + seed);
            disk.disk.cut_power(|| match seed {
                0 | 1 => false,
                2 | 3 => true,
                _ => coin(),
            });
            check_after(&disk, &states, progress, operations);
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let states = states();
    let disk = Probe::default();
    let mut file = disk.open();
    file.save(seq(1), &states[0]).unwrap();
    let used = disk.disk.content(NAME).len();
    for room in [0, 1, 5 * PAGE_BYTES] {
        disk.disk.limit(Some(used + room));
        let refused = file.save(seq(2), &filled(100, 3).snapshot()).err().unwrap();
        assert!(matches!(refused, PageFileError::Disk { .. }), "{refused}");
        let refused = file.save(seq(2), &states[0]).err().unwrap();
        assert!(matches!(refused, PageFileError::Refused { .. }), "{refused}");
        file = disk.open();
        assert_eq!(file.latest(), Some((seq(1), states[0].clone())));
    }
    disk.disk.limit(None);
    file.save(seq(2), &states[1]).unwrap();
    check(&mut file);
}

#[test]
fn a_power_cut_while_the_file_is_made_leaves_none_or_an_empty_one() {
    for operations in 0..5 {
        for seed in 0..20 {
            let disk = Probe::default();
            disk.disk.fail_after(operations);
            assert!(PageFile::open(Box::new(disk.clone()), NAME).is_err());
            disk.disk.cut_power(coin(seed));
            assert!(disk.open().latest().is_none());
        }
    }
}

#[test]
fn a_power_cut_during_a_transfer_leaves_the_state_and_one_step_of_the_transfer() {
    let states = states();
    let target = Target { seq: seq(40), digest: states[5].root() };
    // The own state is saved once, then the transfer goes from it to the last of the states.
    let run = |disk: &Probe| -> Option<usize> {
        let mut file = PageFile::open(Box::new(disk.clone()), NAME).ok()?;
        file.save(seq(1), &states[0]).ok()?;
        for (step, snapshot) in states[1..].iter().enumerate() {
            if file.save_transfer(target, snapshot).is_err() {
                return Some(step);
            }
        }
        file.save(target.seq, &states[5]).ok().map_or(Some(5), |_| Some(6))
    };
    let whole = Probe::default();
    assert_eq!(run(&whole), Some(6));
    let created = 6;
    for operations in created..whole.disk.operations() {
        for seed in 0..6 {
            let disk = Probe { has_map: seed % 2 == 0, ..Probe::default() };
            disk.disk.fail_after(operations);
            let steps = run(&disk);
            disk.disk.cut_power(coin(operations * 100 + seed));
            let mut file = disk.open();
            check(&mut file);
            let main = file.latest();
            let transfer = file.transfer();
            match (steps, main, transfer) {
                (None, None, None) => {}
                (steps, Some((Seq(1), main)), transfer) => {
                    assert_eq!(main, states[0]);
                    let steps = steps.unwrap_or(0);
                    let so_far = transfer.map(|(found, snapshot)| {
                        assert_eq!(found, target);
                        (1..6).find(|step| states[*step] == snapshot).expect("one of the steps")
                    });
                    assert!((steps..=steps + 1).contains(&so_far.unwrap_or(0)), "{so_far:?} of {steps}");
                }
                (Some(5), Some((Seq(40), main)), None) => assert_eq!(main, states[5]),
                found => panic!("after {operations} operations: {found:?}"),
            }
            file.save(seq(50), &states[2]).unwrap();
            check(&mut file);
        }
    }
}
