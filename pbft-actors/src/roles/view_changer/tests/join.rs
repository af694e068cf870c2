//! Joining the others' view change (PROTOCOL 7.1).

use super::*;

#[test]
fn one_liar_drags_nobody_along() {
    let mut backup = changer(3, 4);
    assert_eq!(effects(&mut backup, asks(1, empty(9))), []);
    assert_eq!(effects(&mut backup, asks(1, empty(10))), []);
}

#[test]
fn weak_many_others_are_joined_at_the_weakest_of_the_highest() {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(1, empty(5)));
    assert_eq!(effects(&mut backup, asks(2, empty(3))), leaves(3));
}

#[test]
fn the_latest_of_each_sender_counts() {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(1, empty(5)));
    effects(&mut backup, asks(2, empty(3)));
    assert_eq!(effects(&mut backup, asks(1, empty(4))), []);
    assert_eq!(effects(&mut backup, asks(2, empty(6))), leaves(5));
}

#[test]
fn seven_replicas_join_three() {
    let mut backup = changer(3, 7);
    assert_eq!(effects(&mut backup, asks(1, empty(5))), []);
    assert_eq!(effects(&mut backup, asks(2, empty(4))), []);
    assert_eq!(effects(&mut backup, asks(4, empty(3))), leaves(3));
}

#[test]
fn votes_for_the_current_view_or_lower_are_no_reason() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&quiet_start(2)));
    effects(&mut backup, asks(1, empty(2)));
    assert_eq!(effects(&mut backup, asks(2, empty(2))), []);
    assert_eq!(effects(&mut backup, asks(2, empty(1))), []);
}

#[test]
fn the_own_view_change_is_no_other() {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(3, empty(5)));
    assert_eq!(effects(&mut backup, asks(1, empty(5))), []);
}

#[test]
fn two_different_view_changes_for_one_view_are_reported_and_the_first_counts() {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(1, empty(1)));
    let what = "two different VIEW-CHANGEs for one view";
    let reported = [Effect::Event(Event::Misbehaved { replica: replica(1), what })];
    assert_eq!(effects(&mut backup, asks(1, prepared(1, digest(1)))), reported);
    assert_eq!(effects(&mut backup, asks(1, empty(1))), []);
}

#[test]
fn a_view_change_under_a_void_log_does_not_count() {
    let mut backup = changer(3, 4);
    let log = LogId { number: 101, salt: 0 };
    effects(&mut backup, asks(1, empty(5)));
    effects(&mut backup, ViewChangerInput::Log { replica: replica(1), log });
    assert_eq!(effects(&mut backup, asks(2, empty(5))), []);
    assert_eq!(effects(&mut backup, asks(1, empty(5))), []);
    let newer = signer_with(1, log).sign(Kind::ViewChange, empty(5));
    assert_eq!(effects(&mut backup, ViewChangerInput::ViewChange(from(1, newer))), leaves(5));
}

#[test]
fn entering_a_view_forgets_nobody_who_is_ahead_of_it() {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(1, empty(9)));
    effects(&mut backup, brings(&quiet_start(5)));
    assert_eq!(effects(&mut backup, asks(2, empty(9))), leaves(9));
}
