//! What the executor is told beside the committed prefix: what it may execute tentatively, and what reads
//! must see.

use super::*;

fn tentative(view: u64, seq: u64, batch: &Arc<Batch>) -> Effect {
    tell(ExecutorInput::Tentative { view: View(view), seq: Seq(seq), batch: batch.clone() })
}

fn resume(seq: u64) -> Effect {
    tell(ExecutorInput::Resume(Seq(seq)))
}

fn prepared(seq: u64) -> Effect {
    tell(ExecutorInput::Prepared(Seq(seq)))
}

/// A batch prepares at replica 1 of four in view 0; what the executor is told once that is durable.
fn prepare_at_backup(orderer: &mut Orderer, seq: u64, batch: &Arc<Batch>) -> Vec<Effect> {
    let digest = batch.digest();
    effects(orderer, proposes(0, 0, seq, batch));
    effects(orderer, OrdererInput::OwnPrepare(vote(0, seq, digest)));
    assert_eq!(for_replies(orderer, prepares(2, 0, seq, digest)), [prepared(seq)]);
    for_replies(orderer, OrdererInput::OwnCommit(vote(0, seq, digest)))
}

#[test]
fn a_batch_is_executed_tentatively_once_its_promise_is_durable_and_all_before_it_is_certain() {
    let mut backup = orderer(1, 4);
    let (first, second) = (batch_of(1), batch_of(2));
    assert_eq!(prepare_at_backup(&mut backup, 1, &first), [tentative(0, 1, &first)]);
    assert_eq!(prepare_at_backup(&mut backup, 2, &second), []);
    assert_eq!(for_replies(&mut backup, commits(0, 0, 1, first.digest())), []);
    assert_eq!(for_replies(&mut backup, commits(2, 0, 1, first.digest())), [tentative(0, 2, &second)]);
}

#[test]
fn what_is_certain_before_it_does_not_make_up_for_a_promise_that_is_not_durable() {
    let mut backup = orderer(1, 4);
    let (first, second) = (batch_of(1), batch_of(2));
    prepare_at_backup(&mut backup, 1, &first);
    effects(&mut backup, proposes(0, 0, 2, &second));
    effects(&mut backup, OrdererInput::OwnPrepare(vote(0, 2, second.digest())));
    assert_eq!(for_replies(&mut backup, prepares(2, 0, 2, second.digest())), [prepared(2)]);
    effects(&mut backup, commits(0, 0, 1, first.digest()));
    assert_eq!(for_replies(&mut backup, commits(2, 0, 1, first.digest())), []);
    let own = OrdererInput::OwnCommit(vote(0, 2, second.digest()));
    assert_eq!(for_replies(&mut backup, own), [tentative(0, 2, &second)]);
}

#[test]
fn nothing_is_executed_tentatively_where_that_is_switched_off() {
    let mut backup = orderer(1, 4);
    backup.config.tuning.tentative_execution = false;
    assert_eq!(prepare_at_backup(&mut backup, 1, &batch_of(1)), []);
}

#[test]
fn who_leaves_a_view_takes_back_what_is_tentative_and_reads_resume_behind_what_was_chosen() {
    let mut backup = orderer(1, 4);
    let first = batch_of(1);
    prepare_at_backup(&mut backup, 1, &first);
    assert_eq!(for_replies(&mut backup, OrdererInput::Freeze(View(2))), [tell(ExecutorInput::Halt)]);
    assert_eq!(for_replies(&mut backup, enters(2, 0, &[(1, first.digest())])), [resume(1)]);
    // Prepared again, in the new view, it may be executed again.
    let digest = first.digest();
    effects(&mut backup, OrdererInput::OwnPrepare(vote(2, 1, digest)));
    assert_eq!(for_replies(&mut backup, prepares(3, 2, 1, digest)), [prepared(1)]);
    let own = OrdererInput::OwnCommit(vote(2, 1, digest));
    assert_eq!(for_replies(&mut backup, own), [tentative(2, 1, &first)]);
}

#[test]
fn who_may_not_vote_answers_no_read_and_who_may_again_waits_for_all_that_was_prepared() {
    let mut replica = silent(1, 4);
    assert_eq!(for_replies(&mut replica, OrdererInput::Voting(true)), [resume(0)]);
    prepare_at_backup(&mut replica, 1, &batch_of(1));
    prepare_at_backup(&mut replica, 2, &batch_of(2));
    assert_eq!(for_replies(&mut replica, OrdererInput::Voting(false)), [tell(ExecutorInput::Halt)]);
    assert_eq!(for_replies(&mut replica, OrdererInput::Voting(true))[0], resume(2));
}

#[test]
fn who_enters_a_view_without_a_vote_answers_no_read() {
    let mut replica = silent(1, 4);
    assert_eq!(for_replies(&mut replica, enters(1, 0, &[])), [tell(ExecutorInput::Halt)]);
    assert_eq!(for_replies(&mut replica, enters(2, 4, &[])), [tell(ExecutorInput::Halt)]);
    assert_eq!(for_replies(&mut replica, OrdererInput::Voting(true)), [resume(4)]);
}
