//! Who lacks what of a view change gets it (PROTOCOL 7.2 and 7.4).

use super::*;
use crate::message::SeqBitmap;

fn status(view: u64, changing: bool, view_changes: &[u8]) -> Status {
    Status {
        view: View(view),
        changing,
        stable: Seq(0),
        executed: Seq(0),
        first_held: Seq(1),
        prepared: SeqBitmap::default(),
        decided: SeqBitmap::default(),
        view_changes: view_changes.iter().copied().map(ReplicaId).collect(),
    }
}

fn says(id: u8, status: Status) -> ViewChangerInput {
    ViewChangerInput::Status(from(id, status))
}

fn view_change(to: u8, of: u8) -> Effect {
    let message = Message::ViewChange(signed_by(of, empty(1)));
    Effect::Send(To::Replica(replica(to)), message)
}

/// Replica 3 of four on its way to view 1, with the VIEW-CHANGEs of 1, 2 and its own.
fn changing() -> ViewChanger {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(1, empty(1)));
    effects(&mut backup, asks(2, empty(1)));
    effects(&mut backup, frozen(1));
    effects(&mut backup, ViewChangerInput::OwnViewChange(signed_by(3, empty(1))));
    backup
}

#[test]
fn who_moves_to_the_same_view_gets_the_view_changes_that_it_lacks() {
    let lacks = says(0, status(1, true, &[0, 2]));
    assert_eq!(effects(&mut changing(), lacks), [view_change(0, 1), view_change(0, 3)]);
}

#[test]
fn who_is_behind_gets_all_but_its_own() {
    let behind = says(2, status(0, false, &[1, 3]));
    assert_eq!(effects(&mut changing(), behind), [view_change(2, 1), view_change(2, 3)]);
}

#[test]
fn a_view_change_that_is_not_durable_is_not_repeated() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Suspect(View(0)));
    effects(&mut backup, frozen(1));
    assert_eq!(effects(&mut backup, says(0, status(0, false, &[]))), []);
}

#[test]
fn who_lacks_new_view_gets_it() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&quiet_start(1)));
    let new_view = |to| Effect::Send(To::Replica(replica(to)), Message::NewView(quiet_start(1).new_view));
    assert_eq!(effects(&mut backup, says(0, status(1, true, &[]))), [new_view(0)]);
    assert_eq!(effects(&mut backup, says(1, status(0, false, &[]))), [new_view(1)]);
}

#[test]
fn who_is_in_this_view_or_ahead_gets_nothing() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&quiet_start(1)));
    assert_eq!(effects(&mut backup, says(0, status(1, false, &[]))), []);
    assert_eq!(effects(&mut backup, says(1, status(2, true, &[]))), []);
}

#[test]
fn a_peer_is_answered_once_per_interval() {
    let mut backup = changing();
    let behind = || says(2, status(0, false, &[]));
    assert_eq!(step(&mut backup, at(0), behind()).effects.len(), 2);
    assert_eq!(step(&mut backup, at(49), behind()).effects, []);
    assert_eq!(step(&mut backup, at(50), behind()).effects.len(), 2);
}

#[test]
fn a_status_is_due_again_and_again_and_says_whose_view_changes_are_held() {
    let out = fire(&mut changing(), at(0), ViewTimer::Status);
    let view_changes = [1, 2, 3].map(replica).into_iter().collect();
    assert_eq!(out.effects, [tell(OrdererInput::StatusDue { view_changes })]);
    assert_eq!(out.timers, [TimerChange::Arm(ViewTimer::Status, deadline(50))]);
}
