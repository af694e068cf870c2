//! Which votes count, and when a batch is prepared and committed (PROTOCOL 1 and 5).

use super::*;

/// A backup of a group of `n` that accepted this batch at seq 1 in view 0; its own PREPARE is durable.
fn accepted(n: usize, batch: &Arc<Batch>) -> Orderer {
    let mut backup = orderer(1, n);
    effects(&mut backup, proposes(0, 0, 1, batch));
    effects(&mut backup, OrdererInput::OwnPrepare(vote(0, 1, batch.digest())));
    backup
}

#[test]
fn a_batch_is_prepared_with_prepares_of_all_but_one_of_a_quorum() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), commit(0, 1, batch.digest()));
}

#[test]
fn a_batch_is_prepared_once() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, batch.digest())), []);
}

#[test]
fn five_and_six_replicas_need_three_prepares() {
    for n in [5, 6] {
        let batch = batch_of(1);
        let mut backup = accepted(n, &batch);
        assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), [], "n={n}");
        let prepared = effects(&mut backup, prepares(3, 0, 1, batch.digest()));
        assert_eq!(prepared, commit(0, 1, batch.digest()), "n={n}");
    }
}

#[test]
fn the_own_prepare_counts_only_once_it_is_durable() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    let own = OrdererInput::OwnPrepare(vote(0, 1, batch.digest()));
    assert_eq!(effects(&mut backup, own), commit(0, 1, batch.digest()));
}

#[test]
fn a_prepare_of_the_primary_does_not_count() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    assert_eq!(effects(&mut backup, prepares(0, 0, 1, batch.digest())), []);
}

#[test]
fn a_prepare_for_another_batch_does_not_count() {
    let mut backup = accepted(4, &batch_of(1));
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, digest(9))), []);
}

#[test]
fn a_prepare_of_another_view_does_not_count() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    assert_eq!(effects(&mut backup, prepares(2, 1, 1, batch.digest())), []);
    let mut later = orderer(3, 4);
    effects(&mut later, enters(1, 0, &[]));
    effects(&mut later, proposes(1, 1, 1, &batch));
    effects(&mut later, OrdererInput::OwnPrepare(vote(1, 1, batch.digest())));
    assert_eq!(effects(&mut later, prepares(2, 0, 1, batch.digest())), []);
}

#[test]
fn one_sender_counts_once() {
    let batch = batch_of(1);
    let mut backup = accepted(5, &batch);
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
}

#[test]
fn a_second_different_prepare_is_reported_and_does_not_count() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    effects(&mut backup, prepares(2, 0, 1, digest(9)));
    let reported = [reported(2, "two PREPAREs for one seq")];
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), reported);
}

#[test]
fn prepares_that_overtake_the_proposal_count_when_it_comes() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, prepares(3, 0, 1, batch.digest()));
    let expected = [promise(0, 1, &batch), commit(0, 1, batch.digest())].concat();
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), expected);
}

#[test]
fn the_primary_prepares_with_prepares_of_the_backups_and_none_of_its_own() {
    let (mut primary, batch) = (orderer(0, 4), batch_of(1));
    effects(&mut primary, OrdererInput::Propose { view: View(0), batch: batch.clone() });
    effects(&mut primary, OrdererInput::OwnPrePrepare(vote(0, 1, batch.digest())));
    effects(&mut primary, OrdererInput::OwnPrepare(vote(0, 1, batch.digest())));
    assert_eq!(effects(&mut primary, prepares(1, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut primary, prepares(2, 0, 1, batch.digest())), commit(0, 1, batch.digest()));
}

#[test]
fn the_primary_does_not_prepare_before_its_proposal_is_durable() {
    let (mut primary, batch) = (orderer(0, 4), batch_of(1));
    effects(&mut primary, OrdererInput::Propose { view: View(0), batch: batch.clone() });
    for id in [1, 2, 3] {
        assert_eq!(effects(&mut primary, prepares(id, 0, 1, batch.digest())), []);
    }
    let durable = OrdererInput::OwnPrePrepare(vote(0, 1, batch.digest()));
    assert_eq!(effects(&mut primary, durable), commit(0, 1, batch.digest()));
}

#[test]
fn commits_of_a_quorum_decide_and_the_own_one_counts_once_it_is_durable() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    assert_eq!(effects(&mut backup, commits(0, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, commits(2, 0, 1, batch.digest())), []);
    let own = OrdererInput::OwnCommit(vote(0, 1, batch.digest()));
    assert_eq!(effects(&mut backup, own), [progress(0), execute(&[(1, &batch)])]);
}

#[test]
fn five_and_six_replicas_need_four_commits() {
    for n in [5, 6] {
        let batch = batch_of(1);
        let mut backup = accepted(n, &batch);
        for id in [0, 2, 3] {
            assert_eq!(effects(&mut backup, commits(id, 0, 1, batch.digest())), [], "n={n}");
        }
        let decided = effects(&mut backup, commits(4, 0, 1, batch.digest()));
        assert_eq!(decided, [progress(0), execute(&[(1, &batch)])], "n={n}");
    }
}

#[test]
fn commits_for_different_batches_or_views_are_not_counted_together() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    effects(&mut backup, commits(0, 0, 1, batch.digest()));
    effects(&mut backup, commits(2, 0, 1, batch.digest()));
    assert_eq!(effects(&mut backup, commits(3, 0, 1, digest(9))), []);
    assert_eq!(effects(&mut backup, commits(1, 1, 1, batch.digest())), []);
}

#[test]
fn a_second_different_commit_is_reported_and_does_not_count() {
    let batch = batch_of(1);
    let mut backup = accepted(4, &batch);
    effects(&mut backup, commits(0, 0, 1, batch.digest()));
    effects(&mut backup, commits(2, 0, 1, batch.digest()));
    effects(&mut backup, commits(3, 0, 1, digest(9)));
    let reported = [reported(3, "two COMMITs for one seq")];
    assert_eq!(effects(&mut backup, commits(3, 0, 1, batch.digest())), reported);
}

#[test]
fn votes_up_to_an_interval_above_the_window_count_when_it_moves() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 12, &batch));
    effects(&mut backup, prepares(2, 0, 12, batch.digest()));
    assert_eq!(effects(&mut backup, prepares(3, 0, 12, batch.digest())), []);
    let expected = [promise(0, 12, &batch), commit(0, 12, batch.digest())].concat();
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), expected);
}

#[test]
fn votes_further_above_the_window_are_dropped() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, prepares(2, 0, 13, batch.digest()));
    effects(&mut backup, prepares(3, 0, 13, batch.digest()));
    effects(&mut backup, OrdererInput::Stable(Seq(8)));
    assert_eq!(effects(&mut backup, proposes(0, 0, 13, &batch)), promise(0, 13, &batch));
}

#[test]
fn votes_at_or_below_the_stable_checkpoint_are_dropped() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, OrdererInput::Stable(Seq(4)));
    for id in [0, 2, 3] {
        assert_eq!(effects(&mut backup, commits(id, 0, 4, digest(9))), []);
    }
    assert!(backup.slots.is_empty());
}
