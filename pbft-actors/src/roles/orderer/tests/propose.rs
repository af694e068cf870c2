//! The primary's side (PROTOCOL 5 and 7.2).

use super::*;

fn grant(view: u64, next: u64, credits: usize) -> Effect {
    tell(BatcherInput::Grant(Grant { view: View(view), next: Seq(next), credits }))
}

fn propose(view: u64, batch: &Arc<Batch>) -> OrdererInput {
    OrdererInput::Propose { view: View(view), batch: batch.clone() }
}

fn proposed(view: u64, seq: u64, batch: &Arc<Batch>) -> Vec<Effect> {
    vec![
        Effect::Persist(Record::PrePrepared { view: View(view), seq: Seq(seq), batch: batch.clone() }),
        Effect::Send(To::Others, Message::PrePrepare(pre_prepare(view, seq, batch))),
        tell(OrdererInput::OwnPrePrepare(vote(view, seq, batch.digest()))),
    ]
}

fn enters_contested(view: u64, contested: &[u64]) -> OrdererInput {
    OrdererInput::Enter(Enter {
        view: View(view),
        checkpoint: Seq(0),
        chosen: Vec::new(),
        contested: contested.iter().copied().map(Seq).collect(),
        signed_only: Vec::new(),
    })
}

#[test]
fn the_primary_grants_as_many_batches_as_may_be_in_flight() {
    let mut primary = silent(0, 4);
    assert_eq!(effects(&mut primary, OrdererInput::Voting(true)), [grant(0, 1, 8)]);
}

#[test]
fn a_backup_grants_nothing() {
    assert_eq!(effects(&mut silent(1, 4), OrdererInput::Voting(true)), []);
}

#[test]
fn a_proposal_is_durable_then_sent_and_takes_a_credit() {
    let (mut primary, batch) = (orderer(0, 4), batch_of(1));
    let expected = [proposed(0, 1, &batch), vec![grant(0, 2, 7)]].concat();
    assert_eq!(effects(&mut primary, propose(0, &batch)), expected);
}

#[test]
fn an_executed_batch_gives_its_credit_back() {
    let (mut primary, batch) = (silent(0, 4), batch_of(1));
    primary.config.tuning.pipeline = 2;
    assert_eq!(effects(&mut primary, OrdererInput::Voting(true)), [grant(0, 1, 2)]);
    let expected = [proposed(0, 1, &batch), vec![grant(0, 2, 1)]].concat();
    assert_eq!(effects(&mut primary, propose(0, &batch)), expected);
    for id in [1, 2] {
        effects(&mut primary, commits(id, 0, 1, batch.digest()));
    }
    let decided = effects(&mut primary, commits(3, 0, 1, batch.digest()));
    assert_eq!(decided, [progress(0), execute(&[(1, &batch)]), grant(0, 2, 2)]);
}

#[test]
fn no_more_is_granted_than_the_window_holds() {
    let mut primary = orderer(0, 4);
    effects(&mut primary, propose(0, &batch_of(1)));
    let batch = batch_of(1);
    for id in [1, 2] {
        effects(&mut primary, commits(id, 0, 1, batch.digest()));
    }
    // Nothing is in flight, and seven seqs are left: as many as were granted before.
    let decided = effects(&mut primary, commits(3, 0, 1, batch.digest()));
    assert_eq!(decided, [progress(0), execute(&[(1, &batch)])]);
}

#[test]
fn a_backup_and_one_that_may_not_vote_propose_nothing() {
    assert_eq!(effects(&mut orderer(1, 4), propose(0, &batch_of(1))), []);
    assert_eq!(effects(&mut silent(0, 4), propose(0, &batch_of(1))), []);
}

#[test]
fn a_proposal_for_a_view_that_was_left_is_forgotten() {
    let mut primary = orderer(0, 4);
    effects(&mut primary, OrdererInput::Freeze(View(4)));
    assert_eq!(effects(&mut primary, propose(0, &batch_of(1))), []);
    effects(&mut primary, enters(4, 0, &[]));
    assert_eq!(effects(&mut primary, propose(0, &batch_of(1))), []);
}

#[test]
fn what_does_not_fit_the_window_waits_until_it_moves() {
    let mut primary = orderer(0, 4);
    for number in 1..=8 {
        effects(&mut primary, propose(0, &batch_of(number)));
    }
    assert_eq!(effects(&mut primary, propose(0, &batch_of(9))), []);
    let moved = effects(&mut primary, OrdererInput::Stable(Seq(4)));
    assert_eq!(moved[..3], proposed(0, 9, &batch_of(9)));
}

#[test]
fn a_new_primary_goes_on_above_what_was_chosen() {
    let (mut primary, chosen, fresh) = (orderer(1, 4), batch_of(1), batch_of(2));
    effects(&mut primary, proposes(0, 0, 1, &chosen));
    effects(&mut primary, enters(1, 0, &[(1, chosen.digest())]));
    assert_eq!(effects(&mut primary, propose(1, &fresh))[..3], proposed(1, 2, &fresh));
}

#[test]
fn a_seq_that_some_qs_names_gets_null() {
    let (mut primary, batch, null) = (orderer(1, 4), batch_of(1), Arc::new(Batch::null()));
    effects(&mut primary, enters_contested(1, &[1, 3]));
    let first = effects(&mut primary, propose(1, &batch));
    assert_eq!(first[..6], [proposed(1, 1, &null), proposed(1, 2, &batch)].concat());
    let second = effects(&mut primary, propose(1, &batch));
    assert_eq!(second[..6], [proposed(1, 3, &null), proposed(1, 4, &batch)].concat());
}
