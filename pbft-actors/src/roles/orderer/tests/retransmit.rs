//! STATUS and its answers (PROTOCOL 2).

use super::*;
use crate::message::SeqBitmap;

fn due() -> OrdererInput {
    OrdererInput::StatusDue { view_changes: ReplicaSet::EMPTY }
}

/// A replica that has nothing yet, in view 0.
fn empty() -> Status {
    Status {
        view: View(0),
        changing: false,
        stable: Seq(0),
        executed: Seq(0),
        first_held: Seq(1),
        prepared: SeqBitmap::default(),
        decided: SeqBitmap::default(),
        view_changes: ReplicaSet::EMPTY,
    }
}

fn says(from_id: u8, status: Status) -> OrdererInput {
    OrdererInput::Status(from(from_id, status))
}

fn send(to: u8, message: Message) -> Effect {
    Effect::Send(To::Replica(replica(to)), message)
}

#[test]
fn a_status_says_where_the_replica_stands() {
    let mut backup = orderer(1, 4);
    commit_at_backup(&mut backup, 1, &batch_of(1));
    let status = Status {
        executed: Seq(1),
        prepared: SeqBitmap::new(Seq(0), 8, [Seq(1)]),
        decided: SeqBitmap::new(Seq(0), 8, [Seq(1)]),
        ..empty()
    };
    assert_eq!(effects(&mut backup, due()), [Effect::Send(To::Others, Message::Status(status))]);
}

#[test]
fn a_quiet_group_says_so_only_now_and_then() {
    let mut backup = orderer(1, 4);
    assert_eq!(effects(&mut backup, due()).len(), 1);
    for _ in 1..10 {
        assert_eq!(effects(&mut backup, due()), []);
    }
    assert_eq!(effects(&mut backup, due()).len(), 1);
}

#[test]
fn who_lacks_a_vote_gets_it_again() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, OrdererInput::OwnPrepare(vote(0, 1, batch.digest())));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, OrdererInput::OwnCommit(vote(0, 1, batch.digest())));
    let own = vote(0, 1, batch.digest());
    let expected = [send(3, Message::Prepare(own)), send(3, Message::Commit(own))];
    assert_eq!(effects(&mut backup, says(3, empty())), expected);
    let prepared = Status { prepared: SeqBitmap::new(Seq(0), 8, [Seq(1)]), ..empty() };
    assert_eq!(effects(&mut backup, says(2, prepared)), [send(2, Message::Commit(own))]);
}

#[test]
fn a_vote_that_is_not_durable_is_not_repeated() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, says(3, empty())), []);
}

#[test]
fn the_primary_repeats_a_durable_proposal() {
    let (mut primary, batch) = (orderer(0, 4), batch_of(1));
    effects(&mut primary, OrdererInput::Propose { view: View(0), batch: batch.clone() });
    assert_eq!(effects(&mut primary, says(3, empty())), []);
    effects(&mut primary, OrdererInput::OwnPrePrepare(vote(0, 1, batch.digest())));
    let expected = [send(2, Message::PrePrepare(pre_prepare(0, 1, &batch)))];
    assert_eq!(effects(&mut primary, says(2, empty())), expected);
}

#[test]
fn who_lacks_a_decision_gets_it_in_whatever_view_it_is() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    commit_at_backup(&mut backup, 1, &batch);
    let lost = Status { view: View(7), changing: true, ..empty() };
    let decided = Message::Decided(vote(0, 1, batch.digest()));
    assert_eq!(effects(&mut backup, says(3, lost)), [send(3, decided)]);
    let knows = Status { decided: SeqBitmap::new(Seq(0), 8, [Seq(1)]), ..empty() };
    assert_eq!(effects(&mut backup, says(2, knows)), []);
    assert_eq!(effects(&mut backup, says(0, Status { executed: Seq(1), ..empty() })), []);
}

#[test]
fn a_peer_is_answered_once_per_half_interval() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    commit_at_backup(&mut backup, 1, &batch);
    assert!(!step(&mut backup, at(0), says(3, empty())).effects.is_empty());
    assert_eq!(step(&mut backup, at(24), says(3, empty())).effects, []);
    assert!(!step(&mut backup, at(25), says(3, empty())).effects.is_empty());
}

#[test]
fn a_replica_that_may_not_vote_answers_nothing() {
    let (mut newcomer, batch) = (silent(1, 4), batch_of(1));
    commit_at_backup(&mut newcomer, 1, &batch);
    assert_eq!(effects(&mut newcomer, says(3, empty())), []);
}
