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
fn a_decided_batch_whose_body_comes_with_its_proposal_is_executed() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, decides(2, 1, batch.digest()));
    effects(&mut backup, decides(3, 1, batch.digest()));
    let expected = [promise(0, 1, &batch), vec![execute(&[(1, &batch)])]].concat();
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), expected);
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

/// Replica 1 of four that executed everything up to the high water mark, 8.
fn at_the_high_water_mark() -> Orderer {
    let mut backup = orderer(1, 4);
    effects(&mut backup, OrdererInput::Jumped(Seq(8)));
    backup
}

#[test]
fn at_the_high_water_mark_decided_counts_at_once() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(8));
    effects(&mut backup, OrdererInput::Jumped(Seq(7)));
    effects(&mut backup, proposes(0, 0, 8, &batch));
    effects(&mut backup, decides(2, 8, batch.digest()));
    assert_eq!(effects(&mut backup, decides(3, 8, batch.digest())), [execute(&[(8, &batch)])]);
}

#[test]
fn decided_up_to_an_interval_above_the_window_waits_and_counts_when_it_moves() {
    // Null needs no body: only the window keeps it from being executed.
    let (mut backup, null) = (at_the_high_water_mark(), Arc::new(Batch::null()));
    for seq in 9..=12 {
        for id in [0, 2, 3] {
            assert_eq!(effects(&mut backup, decides(id, seq, null.digest())), [], "{seq}");
        }
        assert_eq!(backup.slots[&Seq(seq)].decided, None, "{seq}");
    }
    let executed = [9, 10, 11, 12].map(|seq| execute(&[(seq, &null)]));
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), executed);
}

#[test]
fn decided_above_the_window_is_executed_when_the_proposal_that_waits_there_is_accepted() {
    let (mut backup, batch) = (at_the_high_water_mark(), batch_of(9));
    effects(&mut backup, proposes(0, 0, 9, &batch));
    effects(&mut backup, decides(2, 9, batch.digest()));
    assert_eq!(effects(&mut backup, decides(3, 9, batch.digest())), []);
    let expected = [promise(0, 9, &batch), vec![execute(&[(9, &batch)])]].concat();
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), expected);
}

#[test]
fn what_was_decided_above_the_window_is_fetched_only_when_it_moves() {
    let (mut backup, batch) = (at_the_high_water_mark(), batch_of(9));
    effects(&mut backup, decides(2, 9, batch.digest()));
    assert_eq!(effects(&mut backup, decides(3, 9, batch.digest())), []);
    assert_eq!(effects(&mut backup, brings(2, 9, &batch)), []);
    let fetch = Message::Fetch(Fetch::Batch { seq: Seq(9), digest: batch.digest() });
    let moved = effects(&mut backup, OrdererInput::Stable(Seq(4)));
    assert_eq!(moved, [Effect::Send(To::Replica(replica(2)), fetch)]);
    assert_eq!(effects(&mut backup, brings(2, 9, &batch)), [execute(&[(9, &batch)])]);
}

#[test]
fn too_few_decided_above_the_window_are_too_few_when_it_moves() {
    let (mut backup, null) = (at_the_high_water_mark(), Batch::null_digest());
    effects(&mut backup, decides(2, 9, null));
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), []);
}

#[test]
fn commits_at_the_high_water_mark_count_at_once() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(8));
    effects(&mut backup, OrdererInput::Jumped(Seq(7)));
    effects(&mut backup, proposes(0, 0, 8, &batch));
    effects(&mut backup, commits(0, 0, 8, batch.digest()));
    effects(&mut backup, commits(2, 0, 8, batch.digest()));
    let decided = effects(&mut backup, commits(3, 0, 8, batch.digest()));
    assert_eq!(decided, [progress(0), execute(&[(8, &batch)])]);
}

#[test]
fn commits_up_to_an_interval_above_the_window_wait_and_count_when_it_moves() {
    let (mut backup, null) = (at_the_high_water_mark(), Arc::new(Batch::null()));
    for seq in 9..=12 {
        for id in [0, 2, 3] {
            assert_eq!(effects(&mut backup, commits(id, 0, seq, null.digest())), [], "{seq}");
        }
        assert_eq!(backup.slots[&Seq(seq)].decided, None, "{seq}");
    }
    let executed = [9, 10, 11, 12].map(|seq| execute(&[(seq, &null)]));
    let expected = [vec![progress(0)], executed.to_vec()].concat();
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), expected);
}

#[test]
fn commits_above_the_window_count_when_the_proposal_that_waits_there_is_accepted() {
    let (mut backup, batch) = (at_the_high_water_mark(), batch_of(9));
    effects(&mut backup, proposes(0, 0, 9, &batch));
    effects(&mut backup, commits(0, 0, 9, batch.digest()));
    effects(&mut backup, commits(2, 0, 9, batch.digest()));
    assert_eq!(effects(&mut backup, commits(3, 0, 9, batch.digest())), []);
    let expected = [promise(0, 9, &batch), vec![progress(0), execute(&[(9, &batch)])]].concat();
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), expected);
}

#[test]
fn decided_above_the_window_outlives_a_view_and_commits_do_not() {
    let null = Arc::new(Batch::null());
    let mut decided = at_the_high_water_mark();
    let mut committed = at_the_high_water_mark();
    for id in [0, 2, 3] {
        effects(&mut decided, decides(id, 9, null.digest()));
        effects(&mut committed, commits(id, 0, 9, null.digest()));
    }
    for backup in [&mut decided, &mut committed] {
        effects(backup, enters(2, 0, &[]));
    }
    assert_eq!(effects(&mut decided, OrdererInput::Stable(Seq(4))), [execute(&[(9, &null)])]);
    assert_eq!(effects(&mut committed, OrdererInput::Stable(Seq(4))), []);
}

#[test]
fn decided_further_above_the_window_is_dropped() {
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

/// A COMMIT of the view that was left may still decide, but that is no progress of the next one.
#[test]
fn what_is_decided_while_the_view_changes_is_no_progress_in_the_next() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    for id in 0..3 {
        effects(&mut backup, commits(id, 0, 9, batch.digest()));
    }
    effects(&mut backup, OrdererInput::Freeze(View(1)));
    let moved = effects(&mut backup, OrdererInput::Stable(Seq(4)));
    assert!(!moved.contains(&progress(0)) && !moved.contains(&progress(1)), "{moved:?}");
}
