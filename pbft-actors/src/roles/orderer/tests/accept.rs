//! When a backup accepts a PRE-PREPARE (PROTOCOL 3, 5 and 9).

use super::*;
use crate::message::{Choice, Entry, PrePrepare};
use crate::types::{Millis, Wall};

fn disputed_proposal(seq: u64, batch: &Batch) -> OrdererInput {
    OrdererInput::PrePrepare(from(0, disputed(&pre_prepare(0, seq, batch))))
}

/// A batch whose time is this much ahead of the backups' clocks.
fn ahead(duration: Millis) -> Arc<Batch> {
    let choice = Choice { time: Wall(START + duration.micros()), ..choice() };
    Arc::new(Batch::new(choice, vec![signed(1, 1)]))
}

#[test]
fn a_backup_promises_then_votes_for_the_primarys_proposal() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), promise(0, 1, &batch));
}

#[test]
fn a_proposal_of_another_replica_is_refused() {
    let mut backup = orderer(1, 4);
    assert_eq!(effects(&mut backup, proposes(2, 0, 1, &batch_of(1))), []);
    assert_eq!(effects(&mut backup, proposes(1, 0, 1, &batch_of(1))), []);
}

#[test]
fn a_proposal_of_a_view_that_was_left_is_refused() {
    let mut backup = orderer(3, 4);
    effects(&mut backup, enters(1, 0, &[]));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch_of(1))), []);
    assert_eq!(effects(&mut backup, proposes(1, 0, 1, &batch_of(1))), []);
}

#[test]
fn a_proposal_of_a_later_view_is_not_accepted_in_this_one() {
    let mut backup = orderer(3, 4);
    assert_eq!(effects(&mut backup, proposes(1, 1, 1, &batch_of(1))), []);
}

#[test]
fn a_proposal_at_or_below_the_stable_checkpoint_is_refused() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, OrdererInput::Stable(Seq(4)));
    assert_eq!(effects(&mut backup, proposes(0, 0, 4, &batch_of(1))), []);
    assert_eq!(effects(&mut backup, proposes(0, 0, 5, &batch_of(1))), promise(0, 5, &batch_of(1)));
}

#[test]
fn a_proposal_above_the_high_water_mark_waits_until_the_window_moves() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    assert_eq!(effects(&mut backup, proposes(0, 0, 9, &batch)), []);
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), promise(0, 9, &batch));
}

#[test]
fn the_highest_seq_of_the_window_is_accepted() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    assert_eq!(effects(&mut backup, proposes(0, 0, 8, &batch)), promise(0, 8, &batch));
}

#[test]
fn a_second_batch_at_one_seq_is_reported_and_refused() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, proposes(0, 0, 1, &batch_of(1)));
    let reported = [reported(0, "two proposals for one seq")];
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch_of(2))), reported);
}

#[test]
fn a_second_batch_is_refused_while_the_first_still_waits_for_a_proof() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, disputed_proposal(1, &batch([maced(1, 1)])));
    let reported = [reported(0, "two proposals for one seq")];
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch_of(2))), reported);
}

#[test]
fn the_same_proposal_again_is_not_voted_on_twice() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), []);
}

#[test]
fn null_is_accepted_like_any_batch() {
    let (mut backup, null) = (orderer(1, 4), Arc::new(Batch::null()));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &null)), promise(0, 1, &null));
}

#[test]
fn a_request_without_a_good_proof_is_asked_for_once_and_then_again_with_each_status() {
    let (mut backup, request) = (orderer(1, 4), maced(1, 1));
    let requests = vec![(*request.digest(), Some(request.id().client))];
    let asks = |again| tell(BatcherInput::Need(Need { requests: requests.clone(), again }));
    assert_eq!(effects(&mut backup, disputed_proposal(1, &batch([request]))), [asks(false)]);
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, digest(9))), []);
    let due = OrdererInput::StatusDue { view_changes: ReplicaSet::EMPTY };
    assert_eq!(effects(&mut backup, due)[0], asks(true));
}

#[test]
fn a_request_found_with_a_good_proof_makes_the_proposal_acceptable() {
    let (mut backup, request) = (orderer(1, 4), maced(1, 1));
    let batch = batch([request.clone()]);
    effects(&mut backup, disputed_proposal(1, &batch));
    assert_eq!(effects(&mut backup, OrdererInput::Found(vec![signed(1, 7)])), []);
    let accepted = effects(&mut backup, OrdererInput::Found(vec![request]));
    assert_eq!(accepted, promise(0, 1, &batch));
}

#[test]
fn a_request_named_by_digest_is_asked_for_and_found() {
    let (mut backup, request) = (orderer(1, 4), signed(1, 1));
    let batch = batch([request.clone()]);
    let entries = vec![Entry::Digest(*request.digest())];
    let message = PrePrepare::new(View(0), Seq(1), Some(choice()), entries);
    let need = Need { requests: vec![(*request.digest(), None)], again: false };
    let asked = effects(&mut backup, OrdererInput::PrePrepare(from(0, message)));
    assert_eq!(asked, [tell(BatcherInput::Need(need))]);
    assert_eq!(effects(&mut backup, OrdererInput::Found(vec![request])), promise(0, 1, &batch));
}

#[test]
fn weak_many_backups_vouch_for_a_request_that_cannot_be_verified_here() {
    let (mut backup, batch) = (orderer(1, 4), batch([maced(1, 1)]));
    effects(&mut backup, disputed_proposal(1, &batch));
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    // Two PREPAREs are also Q-1: the batch prepares in the same step.
    let expected = [promise(0, 1, &batch), commit(0, 1, batch.digest())].concat();
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, batch.digest())), expected);
}

#[test]
fn neither_the_primary_nor_another_batchs_voters_vouch() {
    let (mut backup, batch) = (orderer(1, 4), batch([maced(1, 1)]));
    effects(&mut backup, disputed_proposal(1, &batch));
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, prepares(0, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, digest(9))), []);
}

#[test]
fn a_mac_of_a_client_that_must_sign_is_no_proof() {
    let mut backup = orderer(3, 4);
    let (unsigned, batch) = (maced(2, 1), batch([maced(2, 1)]));
    let mut enter = enters(1, 0, &[]);
    if let OrdererInput::Enter(enter) = &mut enter {
        enter.signed_only = vec![unsigned.id().client];
    }
    effects(&mut backup, enter);
    let need = Need { requests: vec![(*unsigned.digest(), Some(unsigned.id().client))], again: false };
    assert_eq!(effects(&mut backup, proposes(1, 1, 1, &batch)), [tell(BatcherInput::Need(need))]);
}

#[test]
fn where_every_client_must_sign_a_mac_is_no_proof_and_a_signature_is() {
    let (unsigned, batch) = (maced(2, 1), batch([maced(2, 1)]));
    assert_eq!(effects(&mut orderer(1, 4), proposes(0, 0, 1, &batch)), promise(0, 1, &batch));
    let mut backup = orderer(1, 4);
    backup.config.signed_requests = true;
    let need = Need { requests: vec![(*unsigned.digest(), Some(unsigned.id().client))], again: false };
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), [tell(BatcherInput::Need(need))]);
    let proven = Arc::new(Batch::new(choice(), vec![signed(2, 1)]));
    assert_eq!(proven.digest(), batch.digest());
    assert_eq!(effects(&mut backup, OrdererInput::Found(vec![signed(2, 1)])), promise(0, 1, &proven));
    assert_eq!(effects(&mut backup, proposes(0, 0, 2, &batch_of(2))), promise(0, 2, &batch_of(2)));
}

#[test]
fn where_every_client_must_sign_weak_many_backups_still_vouch_for_a_mac() {
    let (mut backup, batch) = (orderer(1, 4), batch([maced(2, 1)]));
    backup.config.signed_requests = true;
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    let expected = [promise(0, 1, &batch), commit(0, 1, batch.digest())].concat();
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, batch.digest())), expected);
}

#[test]
fn a_time_within_the_tolerance_is_accepted_and_one_beyond_is_not() {
    let (edge, beyond) = (ahead(Millis(5_000)), ahead(Millis(5_001)));
    let mut backup = orderer(1, 4);
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &edge)), promise(0, 1, &edge));
    assert_eq!(effects(&mut backup, proposes(0, 0, 2, &beyond)), []);
}

#[test]
fn a_stale_time_is_refused() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    assert_eq!(step(&mut backup, at(5_001), proposes(0, 0, 1, &batch)).effects, []);
}

#[test]
fn an_early_time_is_held_until_the_clock_moves() {
    let (mut backup, batch) = (orderer(1, 4), ahead(Millis(5_500)));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), []);
    let due = OrdererInput::StatusDue { view_changes: ReplicaSet::EMPTY };
    assert_eq!(step(&mut backup, at(500), due).effects[..4], promise(0, 1, &batch));
}

#[test]
fn weak_many_backups_vouch_for_a_time_that_this_clock_refuses() {
    let (mut backup, batch) = (orderer(1, 4), ahead(Millis(60_000)));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    let expected = [promise(0, 1, &batch), commit(0, 1, batch.digest())].concat();
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, batch.digest())), expected);
}

#[test]
fn an_addition_that_the_service_refuses_is_refused() {
    let mut backup = orderer(1, 4);
    let choice = Choice { extra: b"unasked".to_vec().into(), ..choice() };
    let batch = Batch::new(choice, vec![signed(1, 1)]);
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), []);
}

#[test]
fn what_new_view_chose_is_checked_against_neither_clock_nor_proof() {
    let mut backup = orderer(3, 4);
    let stale = Choice { time: Wall(1), ..choice() };
    let batch = Arc::new(Batch::new(stale, vec![maced(1, 1)]));
    effects(&mut backup, enters(1, 0, &[(1, batch.digest())]));
    assert_eq!(effects(&mut backup, brings(0, 1, &batch)), promise(1, 1, &batch));
}

#[test]
fn at_a_seq_that_new_view_chose_the_primary_proposes_nothing_else() {
    let mut backup = orderer(3, 4);
    effects(&mut backup, enters(1, 0, &[(1, batch_of(1).digest())]));
    let reported = [reported(1, "two proposals for one seq")];
    assert_eq!(effects(&mut backup, proposes(1, 1, 1, &batch_of(2))), reported);
}

#[test]
fn no_vote_is_cast_while_the_body_is_missing() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    let entered = effects(&mut backup, enters(1, 0, &[(1, batch.digest())]));
    assert!(!entered.iter().any(|effect| matches!(effect, Effect::Persist(_))), "{entered:?}");
    assert_eq!(effects(&mut backup, prepares(2, 1, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, prepares(0, 1, 1, batch.digest())), []);
}

#[test]
fn four_fresh_batches_at_a_seq_are_accepted_and_then_only_null() {
    let mut backup = orderer(4, 5);
    for view in 0..4 {
        let batch = batch_of(view + 1);
        assert_eq!(effects(&mut backup, proposes(view as u8, view, 1, &batch)), promise(view, 1, &batch));
        let next = if view == 3 { 5 } else { view + 1 };
        effects(&mut backup, enters(next, 0, &[]));
    }
    assert_eq!(effects(&mut backup, proposes(0, 5, 1, &batch_of(5))), []);
    let null = Arc::new(Batch::null());
    effects(&mut backup, enters(6, 0, &[]));
    assert_eq!(effects(&mut backup, proposes(1, 6, 1, &null)), promise(6, 1, &null));
}

#[test]
fn null_is_none_of_the_four_fresh_batches() {
    let (mut backup, null) = (orderer(4, 5), Arc::new(Batch::null()));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &null)), promise(0, 1, &null));
    for view in [1, 2, 3, 5] {
        let batch = batch_of(view);
        effects(&mut backup, enters(view, 0, &[]));
        let accepted = effects(&mut backup, proposes((view % 5) as u8, view, 1, &batch));
        assert_eq!(accepted, promise(view, 1, &batch));
    }
    effects(&mut backup, enters(6, 0, &[]));
    assert_eq!(effects(&mut backup, proposes(1, 6, 1, &batch_of(6))), []);
}

#[test]
fn a_fifth_batch_is_accepted_where_new_view_chose_it() {
    let mut backup = orderer(4, 5);
    for view in 0..4 {
        effects(&mut backup, proposes(view as u8, view, 1, &batch_of(view + 1)));
        effects(&mut backup, enters(view + 1, 0, &[]));
    }
    let fifth = batch_of(5);
    effects(&mut backup, enters(5, 0, &[(1, fifth.digest())]));
    assert_eq!(effects(&mut backup, brings(0, 1, &fifth)), promise(5, 1, &fifth));
}

#[test]
fn a_replica_that_may_not_vote_sends_nothing() {
    let (mut backup, batch) = (silent(1, 4), batch_of(1));
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), []);
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, batch.digest())), []);
}

#[test]
fn a_proposal_that_came_before_this_replica_could_vote_is_voted_on_once_it_may() {
    let (mut backup, batch) = (silent(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    assert_eq!(effects(&mut backup, OrdererInput::Voting(true)), promise(0, 1, &batch));
}
