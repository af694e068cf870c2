//! From committed, or DECIDED by others, to the executor (PROTOCOL 5 and 6).

use super::*;

#[test]
fn batches_are_executed_in_order_of_seq() {
    let (mut backup, first, second) = (orderer(1, 4), batch_of(1), batch_of(2));
    effects(&mut backup, proposes(0, 0, 2, &second));
    for id in [0, 2] {
        effects(&mut backup, commits(id, 0, 2, second.digest()));
    }
    assert_eq!(effects(&mut backup, commits(3, 0, 2, second.digest())), [progress(0)]);
    effects(&mut backup, proposes(0, 0, 1, &first));
    for id in [0, 2] {
        effects(&mut backup, commits(id, 0, 1, first.digest()));
    }
    let both = execute(&[(1, &first), (2, &second)]);
    assert_eq!(effects(&mut backup, commits(3, 0, 1, first.digest())), [both]);
}

#[test]
fn progress_is_told_once_per_view() {
    let mut backup = orderer(1, 4);
    commit_at_backup(&mut backup, 1, &batch_of(1));
    let batch = batch_of(2);
    effects(&mut backup, proposes(0, 0, 2, &batch));
    for id in [0, 2] {
        effects(&mut backup, commits(id, 0, 2, batch.digest()));
    }
    assert_eq!(effects(&mut backup, commits(3, 0, 2, batch.digest())), [execute(&[(2, &batch)])]);
}

#[test]
fn weak_many_equal_decided_decide() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, decides(2, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, decides(3, 1, batch.digest())), [execute(&[(1, &batch)])]);
}

#[test]
fn different_decided_are_not_counted_together() {
    let (mut backup, batch) = (orderer(1, 7), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, decides(2, 1, batch.digest()));
    effects(&mut backup, decides(3, 1, batch.digest()));
    assert_eq!(effects(&mut backup, decides(4, 1, digest(9))), []);
    assert_eq!(effects(&mut backup, decides(5, 1, batch.digest())), [execute(&[(1, &batch)])]);
}

#[test]
fn one_sender_counts_once_and_a_second_different_decided_is_reported() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, decides(2, 1, batch.digest()));
    assert_eq!(effects(&mut backup, decides(2, 1, batch.digest())), []);
    let reported = [reported(2, "two DECIDEDs for one seq")];
    assert_eq!(effects(&mut backup, decides(2, 1, digest(9))), reported);
}

#[test]
fn a_decided_batch_that_is_missing_is_fetched_from_who_claimed_it() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, decides(2, 1, batch.digest()));
    let fetch = Message::Fetch(Fetch::Batch { seq: Seq(1), digest: batch.digest() });
    let asked = effects(&mut backup, decides(3, 1, batch.digest()));
    assert_eq!(asked, [Effect::Send(To::Replica(replica(2)), fetch)]);
    assert_eq!(effects(&mut backup, brings(2, 1, &batch)), [execute(&[(1, &batch)])]);
}

#[test]
fn another_batch_than_the_one_asked_for_is_ignored() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, decides(2, 1, batch.digest()));
    effects(&mut backup, decides(3, 1, batch.digest()));
    assert_eq!(effects(&mut backup, brings(2, 1, &batch_of(2))), []);
    assert_eq!(effects(&mut backup, brings(2, 2, &batch)), []);
}

#[test]
fn decided_counts_in_a_view_change_and_at_a_replica_that_may_not_vote() {
    let batch = batch_of(1);
    let mut frozen = orderer(1, 4);
    effects(&mut frozen, proposes(0, 0, 1, &batch));
    effects(&mut frozen, OrdererInput::Freeze(View(1)));
    let mut newcomer = silent(1, 4);
    effects(&mut newcomer, proposes(0, 0, 1, &batch));
    for mut backup in [frozen, newcomer] {
        effects(&mut backup, decides(2, 1, batch.digest()));
        assert_eq!(effects(&mut backup, decides(3, 1, batch.digest())), [execute(&[(1, &batch)])]);
    }
}

#[test]
fn decided_outside_the_window_is_dropped() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, decides(2, 13, digest(9)));
    assert_eq!(effects(&mut backup, decides(3, 13, digest(9))), []);
    assert!(backup.slots.is_empty());
}

#[test]
fn two_decisions_at_one_seq_stop_the_replica() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    commit_at_backup(&mut backup, 1, &batch);
    effects(&mut backup, decides(2, 1, digest(9)));
    let stopped = effects(&mut backup, decides(3, 1, digest(9)));
    assert!(matches!(&stopped[..], [Effect::Event(Event::Fatal { .. })]), "{stopped:?}");
}

#[test]
fn nothing_is_executed_twice() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    commit_at_backup(&mut backup, 1, &batch);
    effects(&mut backup, decides(2, 1, batch.digest()));
    assert_eq!(effects(&mut backup, decides(3, 1, batch.digest())), []);
}

#[test]
fn after_a_transfer_execution_goes_on_above_it() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(5));
    effects(&mut backup, proposes(0, 0, 5, &batch));
    for id in [0, 2, 3] {
        effects(&mut backup, commits(id, 0, 5, batch.digest()));
    }
    assert_eq!(effects(&mut backup, OrdererInput::Jumped(Seq(4))), [execute(&[(5, &batch)])]);
}

#[test]
fn a_peer_that_fetches_a_batch_gets_it_and_nothing_that_is_not_held() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    let fetch = |digest| OrdererInput::Fetch(from(3, Fetch::Batch { seq: Seq(1), digest }));
    let data = BatchData { seq: Seq(1), batch: batch.clone() };
    let sent = Effect::Send(To::Replica(replica(3)), Message::BatchData(data));
    assert_eq!(effects(&mut backup, fetch(batch.digest())), [sent]);
    assert_eq!(effects(&mut backup, fetch(digest(9))), []);
}
