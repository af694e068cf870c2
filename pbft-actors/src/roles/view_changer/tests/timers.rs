//! How long a view may take to start, and to make progress (PROTOCOL 7.6).

use super::*;

/// Replica 3 of four on its way to view 1; Q VIEW-CHANGEs come 100 ms after the start.
fn waiting() -> (ViewChanger, Vec<TimerChange<ViewTimer>>) {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Suspect(View(0)));
    effects(&mut backup, frozen(1));
    effects(&mut backup, ViewChangerInput::OwnViewChange(signed_by(3, empty(1))));
    assert_eq!(step(&mut backup, at(50), asks(1, empty(1))).timers, []);
    let timers = step(&mut backup, at(100), asks(2, empty(1))).timers;
    (backup, timers)
}

/// Replica 3 in a view that names one batch, entered after 100 ms.
fn entered() -> ViewChanger {
    let mut backup = changer(3, 4);
    assert_eq!(step(&mut backup, at(100), brings(&busy_start(1))).timers, armed(1_100));
    backup
}

#[test]
fn it_starts_with_a_quorum_of_view_changes() {
    assert_eq!(waiting().1, armed(1_100));
}

#[test]
fn it_starts_once() {
    let (mut backup, _) = waiting();
    assert_eq!(step(&mut backup, at(500), asks(0, empty(1))).timers, []);
}

#[test]
fn view_changes_for_higher_views_count_towards_the_quorum() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Suspect(View(0)));
    effects(&mut backup, frozen(1));
    effects(&mut backup, ViewChangerInput::OwnViewChange(signed_by(3, empty(1))));
    effects(&mut backup, asks(1, empty(1)));
    assert_eq!(step(&mut backup, at(0), asks(2, empty(7))).timers, armed(1_000));
}

#[test]
fn when_it_expires_the_next_view_is_asked_for_and_waits_twice_as_long() {
    let (mut backup, _) = waiting();
    assert_eq!(fire(&mut backup, at(1_100), ViewTimer::NewView).effects, leaves(2));
    effects(&mut backup, frozen(2));
    effects(&mut backup, ViewChangerInput::OwnViewChange(signed_by(3, empty(2))));
    effects(&mut backup, asks(1, empty(2)));
    assert_eq!(step(&mut backup, at(3_000), asks(2, empty(2))).timers, armed(5_000));
}

#[test]
fn it_never_waits_longer_than_the_configured_maximum() {
    let (mut backup, _) = waiting();
    for _ in 0..20 {
        fire(&mut backup, at(0), ViewTimer::NewView);
    }
    let view = backup.view.0 + 1;
    assert_eq!(timeout_told(&effects(&mut backup, brings(&quiet_start(view)))), Some(60_000));
}

#[test]
fn a_replica_that_may_not_vote_stays_where_it_is() {
    let mut backup = silent(3, 4);
    effects(&mut backup, asks(0, empty(1)));
    effects(&mut backup, asks(1, empty(1)));
    assert_eq!(step(&mut backup, at(0), asks(2, empty(1))).timers, armed(1_000));
    assert_eq!(fire(&mut backup, at(1_000), ViewTimer::NewView).effects, []);
}

#[test]
fn what_expired_before_a_replica_may_vote_is_waited_for_again_once_it_may() {
    let mut backup = silent(3, 4);
    effects(&mut backup, asks(0, empty(1)));
    effects(&mut backup, asks(1, empty(1)));
    step(&mut backup, at(0), asks(2, empty(1)));
    let voting = |backup: &mut ViewChanger, time| {
        let timers = step(backup, at(time), ViewChangerInput::Voting(true)).timers;
        timers
            .into_iter()
            .filter(|change| matches!(change, TimerChange::Arm(ViewTimer::NewView, _)))
            .collect()
    };
    let still: Vec<_> = voting(&mut backup.clone(), 500);
    assert_eq!(still, []);
    fire(&mut backup, at(1_000), ViewTimer::NewView);
    let again: Vec<_> = voting(&mut backup, 5_000);
    assert_eq!(again, armed(6_000));
}

#[test]
fn a_batch_of_a_new_view_is_waited_for_again_once_a_replica_may_vote() {
    let mut backup = silent(3, 4);
    assert_eq!(step(&mut backup, at(100), brings(&busy_start(1))).timers, armed(1_100));
    fire(&mut backup, at(1_100), ViewTimer::NewView);
    let timers = step(&mut backup, at(2_000), ViewChangerInput::Voting(true)).timers;
    assert_eq!(timers[1..], armed(3_000));
}

/// Leaves the view on suspicion and enters the next; the timeout told then.
fn moves_on(backup: &mut ViewChanger) -> Option<u64> {
    let view = backup.view.0;
    assert_eq!(effects(backup, ViewChangerInput::Suspect(View(view)))[..3], leaves(view + 1));
    timeout_told(&effects(backup, brings(&quiet_start(view + 1))))
}

#[test]
fn the_initial_view_left_without_progress_does_not_double_the_timeout() {
    assert_eq!(moves_on(&mut changer(3, 4)), Some(1_000));
}

#[test]
fn the_initial_view_left_after_progress_does_not_double_it_either() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Progress(View(0)));
    assert_eq!(moves_on(&mut backup), Some(1_000));
}

#[test]
fn a_view_that_was_changed_to_and_left_without_progress_doubles_it() {
    let mut backup = changer(3, 4);
    assert_eq!(moves_on(&mut backup), Some(1_000));
    assert_eq!(moves_on(&mut backup), Some(2_000));
    assert_eq!(moves_on(&mut backup), Some(4_000));
}

#[test]
fn a_view_that_was_changed_to_and_left_after_progress_does_not_double_it() {
    let mut backup = changer(3, 4);
    moves_on(&mut backup);
    effects(&mut backup, ViewChangerInput::Progress(View(1)));
    assert_eq!(moves_on(&mut backup), Some(1_000));
    assert_eq!(moves_on(&mut backup), Some(2_000), "progress in a view counts for that view only");
}

#[test]
fn progress_in_the_view_that_was_left_does_not_count_in_the_next() {
    let mut backup = changer(3, 4);
    moves_on(&mut backup);
    effects(&mut backup, ViewChangerInput::Progress(View(0)));
    assert_eq!(moves_on(&mut backup), Some(2_000));
}

#[test]
fn a_new_view_that_names_batches_must_commit_one_of_them_in_time() {
    assert_eq!(fire(&mut entered(), at(1_100), ViewTimer::NewView).effects, leaves(2));
}

#[test]
fn a_new_view_that_names_none_is_waited_for_no_longer() {
    let (mut backup, _) = waiting();
    assert_eq!(step(&mut backup, at(200), brings(&quiet_start(1))).timers, DISARMED);
}

#[test]
fn progress_in_the_view_ends_the_wait() {
    let mut backup = entered();
    assert_eq!(effects(&mut backup, ViewChangerInput::Progress(View(0))), []);
    assert_eq!(step(&mut backup, at(200), ViewChangerInput::Progress(View(0))).timers, []);
    assert_eq!(step(&mut backup, at(200), ViewChangerInput::Progress(View(1))).timers, DISARMED);
}

#[test]
fn the_wait_ends_when_all_that_was_chosen_is_decided() {
    let mut backup = entered();
    assert_eq!(step(&mut backup, at(200), ViewChangerInput::Settled(View(0))).timers, []);
    assert_eq!(step(&mut backup, at(200), ViewChangerInput::Settled(View(1))).timers, DISARMED);
}

#[test]
fn the_wait_ends_when_a_stable_checkpoint_covers_what_was_chosen() {
    assert_eq!(step(&mut entered(), at(200), ViewChangerInput::Stable(Seq(4))).timers, DISARMED);
}

#[test]
fn what_is_below_the_own_stable_checkpoint_is_not_waited_for() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Stable(Seq(4)));
    assert_eq!(step(&mut backup, at(100), brings(&busy_start(1))).timers, []);
}

#[test]
fn the_wait_stands_still_during_a_transfer_and_starts_afresh() {
    let mut backup = entered();
    assert_eq!(step(&mut backup, at(200), ViewChangerInput::Transferring(true)).timers, DISARMED);
    let after = step(&mut backup, at(5_000), ViewChangerInput::Transferring(false));
    assert_eq!(after.timers, armed(6_000));
}

#[test]
fn a_transfer_delays_also_the_wait_for_new_view() {
    let (mut backup, _) = waiting();
    assert_eq!(step(&mut backup, at(200), ViewChangerInput::Transferring(true)).timers, DISARMED);
    let after = step(&mut backup, at(5_000), ViewChangerInput::Transferring(false));
    assert_eq!(after.timers, armed(6_000));
}

/// What the batcher is told when a STATUS is due.
fn told(backup: &mut ViewChanger, milliseconds: u64) -> Option<u64> {
    timeout_told(&fire(backup, at(milliseconds), ViewTimer::Status).effects)
}

#[test]
fn the_timeout_halves_after_a_quiet_time_with_progress_down_to_where_it_began() {
    let mut backup = changer(3, 4);
    let timeouts = [(); 3].map(|()| moves_on(&mut backup));
    assert_eq!(timeouts, [Some(1_000), Some(2_000), Some(4_000)]);
    step(&mut backup, at(0), ViewChangerInput::Progress(View(3)));
    assert_eq!(told(&mut backup, 31_999), None);
    assert_eq!(told(&mut backup, 32_000), Some(2_000));
    assert_eq!(told(&mut backup, 47_999), None);
    assert_eq!(told(&mut backup, 48_000), Some(1_000));
    assert_eq!(told(&mut backup, 900_000), None);
}

#[test]
fn without_progress_the_timeout_stays() {
    let mut backup = changer(3, 4);
    moves_on(&mut backup);
    assert_eq!(moves_on(&mut backup), Some(2_000));
    assert_eq!(told(&mut backup, 900_000), None);
}
