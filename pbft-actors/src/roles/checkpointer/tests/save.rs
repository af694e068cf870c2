//! Checkpoints on their way to disk (PROTOCOL 11).

use super::*;
use crate::role::SavedState;

/// The state at this seq is durable.
pub(super) fn saved(seq: u64) -> CheckpointerInput {
    CheckpointerInput::Saved(SavedState { seq: Seq(seq), saved: None })
}

fn saves(seq: u64) -> Effect {
    Effect::Save(Save::Checkpoint { seq: Seq(seq), snapshot: state(seq).snapshot })
}

/// Makes a checkpoint stable; what the replica does.
fn reach(replica: &mut Checkpointer, seq: u64) -> Vec<Effect> {
    effects(replica, CheckpointerInput::Taken(state(seq)));
    effects(replica, brings(checkpoint(seq), &[0, 1, 2]))
}

#[test]
fn one_stable_checkpoint_is_saved_at_a_time_and_then_the_latest() {
    let mut replica = checkpointer(3, 4);
    assert!(reach(&mut replica, 4).contains(&saves(4)));
    for seq in [8, 12] {
        assert_eq!(reach(&mut replica, seq), advances_unsaved(checkpoint(seq), &[0, 1, 2]));
    }
    assert_eq!(effects(&mut replica, saved(4)), [Effect::Release(Seq(4)), saves(12)]);
    assert_eq!(effects(&mut replica, saved(12)), [Effect::Release(Seq(12))]);
}

#[test]
fn what_is_not_stable_is_not_saved() {
    let mut replica = checkpointer(3, 4);
    assert_eq!(effects(&mut replica, CheckpointerInput::Taken(state(4))), claims(3, checkpoint(4)));
}

#[test]
fn a_state_that_was_transferred_is_saved_once() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    let told = effects(&mut replica, CheckpointerInput::Installed(state(8)));
    assert_eq!(told.iter().filter(|effect| **effect == saves(8)).count(), 1);
    assert_eq!(effects(&mut replica, saved(8)), [Effect::Release(Seq(8))]);
}
