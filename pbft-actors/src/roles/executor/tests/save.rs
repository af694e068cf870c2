//! Writing checkpoints to disk (PROTOCOL 8 and 11).

use super::*;

/// One that took checkpoints at 4, 8 and 12.
fn at_12() -> Executor {
    let mut executor = executor();
    (1..=12).for_each(|seq| drop(execute_null(&mut executor, seq)));
    executor
}

fn stable(executor: &mut Executor, seq: u64) -> Vec<Effect> {
    effects(executor, ExecutorInput::Stable(Seq(seq)))
}

fn on_disk(executor: &mut Executor, seq: u64) -> Vec<Effect> {
    effects(executor, ExecutorInput::Saved(SavedState { seq: Seq(seq), saved: None }))
}

fn save(executor: &Executor, seq: u64) -> Effect {
    Effect::Save { seq: Seq(seq), snapshot: executor.snapshots[&Seq(seq)].clone() }
}

fn saved(seq: u64) -> Effect {
    tell(CheckpointerInput::Saved(Seq(seq)))
}

#[test]
fn a_checkpoint_is_written_once_it_is_stable_and_told_once_it_is_durable() {
    let mut executor = at_12();
    let expected = [save(&executor, 4)];
    assert_eq!(stable(&mut executor, 4), expected);
    assert_eq!(on_disk(&mut executor, 4), [saved(4)]);
}

#[test]
fn one_that_is_not_stable_is_not_written() {
    let mut executor = executor();
    let told: Vec<Effect> = (1..=4).flat_map(|seq| execute_null(&mut executor, seq)).collect();
    assert!(!told.iter().any(|effect| matches!(effect, Effect::Save { .. })), "{told:?}");
}

#[test]
fn one_is_written_at_a_time_and_then_the_latest_that_is_stable() {
    let mut executor = at_12();
    let last = save(&executor, 12);
    stable(&mut executor, 4);
    assert_eq!(stable(&mut executor, 8), []);
    assert_eq!(stable(&mut executor, 12), []);
    assert_eq!(on_disk(&mut executor, 4), [saved(4), last]);
    assert_eq!(on_disk(&mut executor, 12), [saved(12)]);
}

#[test]
fn a_stable_checkpoint_that_is_not_held_is_not_written() {
    assert_eq!(stable(&mut executor(), 4), []);
}

#[test]
fn an_executor_goes_on_from_a_state_that_was_saved() {
    let mut former = opened();
    execute(&mut former, 2, [asks(1, "+")]);
    (3..=4).for_each(|seq| drop(execute_null(&mut former, seq)));
    let snapshot = former.snapshots[&Seq(4)].clone();
    let root = snapshot.root();
    let mut restored = Executor::restored(executor().config, snapshot);
    assert_eq!(restored.start(), Checkpoint { seq: Seq(4), digest: root });
    assert_eq!(ask(&mut restored, &asks(1, "+")), [answer(&asks(1, "+"), 2, done("1"))], "its first answer");
    let after = execute(&mut restored, 5, [asks(2, "+")]);
    assert_eq!(answers(&after), [answer(&asks(2, "+"), 5, done("2"))]);
}
