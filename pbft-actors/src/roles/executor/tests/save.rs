//! Going on from a state on disk (PROTOCOL 8 and 11).

use super::*;
use crate::ports::state::{PAGE_BYTES, PageFile};
use crate::ports::storage::MemoryDisk;
use crate::role::Install;

#[test]
fn an_executor_goes_on_from_a_state_that_was_saved() {
    let mut former = opened();
    execute(&mut former, 2, [asks(1, "+")]);
    execute_null(&mut former, 3);
    let held = taken(&execute_null(&mut former, 4)).expect("K = 4");
    let mut restored = Executor::restored(executor().config, &held.snapshot);
    assert_eq!(restored.start(), held);
    assert_eq!(ask(&mut restored, &asks(1, "+")), [answer(&asks(1, "+"), 2, done("1"))], "its first answer");
    let after = execute(&mut restored, 5, [asks(2, "+")]);
    assert_eq!(answers(&after), [answer(&asks(2, "+"), 5, done("2"))]);
}

/// One that goes on from a state on this disk, all pages of which but those it read when it started are
/// damaged since.
fn damaged() -> (Executor, Taken) {
    let mut former = opened();
    execute(&mut former, 2, [asks(1, "+")]);
    execute_null(&mut former, 3);
    let held = taken(&execute_null(&mut former, 4)).expect("K = 4");
    let disk = MemoryDisk::new();
    let mut file = PageFile::open(Box::new(disk.clone()), "state").expect("an empty disk");
    file.save(held.seq, &held.snapshot).expect("a disk with room");
    let stored = PageFile::open(Box::new(disk.clone()), "state").expect("what was saved");
    let (_, snapshot) = stored.latest().expect("what was saved");
    let restored = Executor::restored(executor().config, &snapshot);
    for offset in (2 * PAGE_BYTES..disk.content("state").len()).step_by(64) {
        disk.flip("state", offset, 1);
    }
    (restored, held)
}

/// The part that was told to be damaged.
fn damage(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Tell(crate::role::Mail::Checkpointer(CheckpointerInput::Damaged(parts))) => {
            parts.first().map(|part| part.index)
        }
        _ => None,
    })
}

#[test]
fn a_page_that_the_disk_lost_ends_the_step_and_is_told_and_never_answered_as_an_operation_that_panicked() {
    let (mut executor, held) = damaged();
    let told = execute(&mut executor, 5, [asks(2, "+")]);
    assert!(damage(&told).is_some(), "{told:?}");
    assert_eq!(answers(&told), []);
    assert_eq!(execute(&mut executor, 6, [asks(3, "+")]), [], "nothing more until it is repaired");
    let install = Install { taken: held, pages: 1, bytes: 1, repairs: None };
    effects(&mut executor, ExecutorInput::Install(install));
    let told = execute(&mut executor, 5, [asks(2, "+")]);
    assert_eq!(answers(&told), [answer(&asks(2, "+"), 5, done("2"))]);
}

#[test]
fn nothing_is_installed_below_what_is_stable() {
    let (mut executor, held) = damaged();
    effects(&mut executor, ExecutorInput::Stable(Seq(8)));
    let checkpoint = held.checkpoint();
    let repairs = Some(crate::role::Divergence { since: Seq(1), page: 0 });
    let install = Install { taken: held, pages: 1, bytes: 1, repairs };
    let needless = tell(CheckpointerInput::InstallNeedless(checkpoint));
    assert_eq!(effects(&mut executor, ExecutorInput::Install(install)), [needless]);
}

/// One that may have no page in memory before the disk has to catch up, at checkpoint 4.
fn crowded() -> Executor {
    let mut executor = opened();
    executor.config.heap_pages_max = 0;
    (2..=4).for_each(|seq| drop(execute_null(&mut executor, seq)));
    assert_eq!(executor.executed(), Seq(4));
    effects(&mut executor, ExecutorInput::Stable(Seq(4)));
    executor
}

fn saved(seq: u64) -> ExecutorInput {
    ExecutorInput::Saved(SavedState { seq: Seq(seq), saved: None })
}

#[test]
fn where_too_much_is_in_memory_alone_the_disk_is_waited_for_and_nothing_is_lost() {
    let mut executor = crowded();
    for seq in 5..=8 {
        let told = execute(&mut executor, seq, [asks(seq - 4, "+")]);
        assert_eq!(answers(&told), [], "seq {seq}");
    }
    let told = effects(&mut executor, saved(4));
    assert!(told.contains(&tell(BatcherInput::WaitingForDisk(false))), "{told:?}");
    assert_eq!(executor.executed(), Seq(8));
    let expected: Vec<Effect> =
        (5..=8).map(|seq| answer(&asks(seq - 4, "+"), seq, done(&(seq - 4).to_string()))).collect();
    assert_eq!(answers(&told), expected);
    assert_eq!(taken(&told).map(|taken| taken.seq), Some(Seq(8)));
}

/// Only of what is stable it is certain that it will be saved: after a power cut nothing else comes.
#[test]
fn a_checkpoint_that_is_not_stable_is_not_waited_for() {
    let mut executor = opened();
    executor.config.heap_pages_max = 0;
    (2..=6).for_each(|seq| drop(execute_null(&mut executor, seq)));
    assert_eq!(executor.executed(), Seq(6));
    effects(&mut executor, ExecutorInput::Stable(Seq(4)));
    let told = execute_null(&mut executor, 7);
    assert_eq!(executor.executed(), Seq(6));
    assert!(told.contains(&tell(BatcherInput::WaitingForDisk(true))), "{told:?}");
}

/// A save would let go of nothing.
#[test]
fn a_disk_that_has_all_checkpoints_is_not_waited_for() {
    let mut executor = crowded();
    effects(&mut executor, saved(4));
    execute_null(&mut executor, 5);
    assert_eq!(executor.executed(), Seq(5));
}

/// Where a state is installed, the orderer sends again what follows it.
#[test]
fn what_waits_for_the_disk_is_void_after_an_install() {
    let mut executor = crowded();
    (5..=9).for_each(|seq| drop(execute_null(&mut executor, seq)));
    let mut donor = opened();
    (2..=8).for_each(|seq| drop(execute_null(&mut donor, seq)));
    let taken = donor.start();
    assert_eq!(taken.seq, Seq(8));
    let install = Install { taken, pages: 1, bytes: 1, repairs: None };
    effects(&mut executor, ExecutorInput::Install(install));
    assert_eq!(executor.executed(), Seq(8));
    // It was on its way when the state was installed.
    execute_null(&mut executor, 10);
    assert_eq!(executor.executed(), Seq(8));
    effects(&mut executor, saved(8));
    (9..=10).for_each(|seq| drop(execute_null(&mut executor, seq)));
    assert_eq!(executor.executed(), Seq(10));
}
