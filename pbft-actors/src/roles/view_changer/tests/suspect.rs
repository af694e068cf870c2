//! Leaving a view, and the own VIEW-CHANGE (PROTOCOL 7.1 and 7.2).

use super::*;

fn suspect(view: u64) -> ViewChangerInput {
    ViewChangerInput::Suspect(View(view))
}

/// What a replica does with its own VIEW-CHANGE: durable first, counted last.
fn says(signed: &Signed<ViewChange>) -> [Effect; 3] {
    [
        Effect::Persist(Record::ViewChange(signed.clone())),
        Effect::Send(To::Others, Message::ViewChange(signed.clone())),
        tell(ViewChangerInput::OwnViewChange(signed.clone())),
    ]
}

#[test]
fn a_suspected_primarys_view_is_left() {
    assert_eq!(effects(&mut changer(3, 4), suspect(0)), leaves(1));
}

#[test]
fn a_suspicion_of_another_view_is_stale() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&quiet_start(1)));
    assert_eq!(effects(&mut backup, suspect(0)), []);
    assert_eq!(effects(&mut backup, suspect(2)), []);
}

#[test]
fn a_view_is_left_once() {
    let mut backup = changer(3, 4);
    effects(&mut backup, suspect(0));
    assert_eq!(effects(&mut backup, suspect(0)), []);
    assert_eq!(effects(&mut backup, suspect(1)), []);
}

#[test]
fn a_replica_that_may_not_vote_or_transfers_suspects_nobody() {
    assert_eq!(effects(&mut silent(3, 4), suspect(0)), []);
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Transferring(true));
    assert_eq!(effects(&mut backup, suspect(0)), []);
    effects(&mut backup, ViewChangerInput::Transferring(false));
    assert_eq!(effects(&mut backup, suspect(0)), leaves(1));
}

#[test]
fn the_view_change_is_durable_before_it_is_sent() {
    let mut backup = changer(3, 4);
    effects(&mut backup, suspect(0));
    assert_eq!(effects(&mut backup, frozen(1)), says(&signed_by(3, empty(1))));
}

#[test]
fn it_says_all_that_the_orderer_promised() {
    let mut backup = changer(3, 4);
    effects(&mut backup, suspect(0));
    let message = prepared(1, digest(1));
    let promised = Frozen {
        prepared: message.prepared.clone(),
        pre_prepared: message.pre_prepared.clone(),
        ..frozen_empty(1)
    };
    let said = effects(&mut backup, ViewChangerInput::Frozen(promised));
    assert_eq!(said, says(&signed_by(3, message)));
}

#[test]
fn it_is_signed_once_per_view() {
    let mut backup = changer(3, 4);
    effects(&mut backup, suspect(0));
    effects(&mut backup, frozen(1));
    assert_eq!(effects(&mut backup, frozen(1)), []);
}

#[test]
fn promises_as_of_another_view_are_not_signed() {
    let mut backup = changer(3, 4);
    effects(&mut backup, suspect(0));
    assert_eq!(effects(&mut backup, frozen(2)), []);
    assert_eq!(effects(&mut changer(3, 4), frozen(0)), []);
}

#[test]
fn a_replica_without_memory_signs_none_until_it_may_vote() {
    let mut backup = silent(3, 4);
    effects(&mut backup, asks(1, empty(1)));
    assert_eq!(effects(&mut backup, asks(2, empty(1))), leaves(1));
    assert_eq!(effects(&mut backup, frozen(1)), []);
    let votes = effects(&mut backup, ViewChangerInput::Voting(true));
    assert_eq!(votes, [tell(OrdererInput::Freeze(View(1)))]);
    assert_eq!(effects(&mut backup, frozen(1)), says(&signed_by(3, empty(1))));
}

#[test]
fn it_names_every_client_whose_mac_ever_blocked_a_seq() {
    let mut backup = changer(3, 4);
    effects(&mut backup, suspect(0));
    let disputed = Frozen { disputed: vec![ClientId(7)], ..frozen_empty(1) };
    let first = ViewChange { signed_only: vec![ClientId(7)], ..empty(1) };
    assert_eq!(effects(&mut backup, ViewChangerInput::Frozen(disputed)), says(&signed_by(3, first)));
    effects(&mut backup, asks(1, empty(2)));
    effects(&mut backup, asks(2, empty(2)));
    let disputed = Frozen { disputed: vec![ClientId(5)], ..frozen_empty(2) };
    let second = ViewChange { signed_only: vec![ClientId(5), ClientId(7)], ..empty(2) };
    assert_eq!(effects(&mut backup, ViewChangerInput::Frozen(disputed)), says(&signed_by(3, second)));
}

#[test]
fn it_is_signed_under_the_current_log() {
    let log = LogId { number: 500, salt: 1 };
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::OwnLog(log));
    effects(&mut backup, suspect(0));
    let signed = signer_with(3, log).sign(Kind::ViewChange, empty(1));
    assert_eq!(effects(&mut backup, frozen(1)), says(&signed));
}
