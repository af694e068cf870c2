//! Reads without a place in the order, and answers by digest.

use super::*;
use crate::crypto::Identity;
use crate::message::{Binding, Hints};

fn hinted(operation: Operation, hints: Hints) -> Request {
    let identity = Identity::simulated([128 + operation.client.0 as u8; 32]);
    Request::signed(operation, &identity, &Binding::default(), hints)
}

/// A read of client 1.
fn read(timestamp: u64, ordered: bool) -> Request {
    let operation =
        Operation { read_only: true, operation: Bytes::from_static(b"?"), ..operation(1, timestamp) };
    hinted(operation, Hints { replier: None, ordered })
}

fn answered(request: &Request, result: &str) -> Vec<Effect> {
    let Effect::Send(to, Message::Reply(reply)) = answer(request, 0, done(result)) else { unreachable!() };
    vec![Effect::Send(to, Message::Reply(Reply { tentative: true, ..reply }))]
}

/// One that votes, with session 1 of client 1 open.
fn serving() -> Executor {
    let mut executor = opened();
    effects(&mut executor, ExecutorInput::Resume(Seq(0)));
    executor
}

#[test]
fn a_read_is_answered_at_once_where_nothing_is_prepared_beyond_what_is_executed() {
    let mut executor = serving();
    let result = "0";
    assert_eq!(ask(&mut executor, &read(1, false)), answered(&read(1, false), result));
    effects(&mut executor, ExecutorInput::Prepared(Seq(1)));
    assert_eq!(ask(&mut executor, &read(2, false)), answered(&read(2, false), result));
}

/// COMMITs that wait for company are to be sent.
fn hurries() -> Vec<Effect> {
    vec![tell(OrdererInput::ReadWaits)]
}

#[test]
fn a_read_waits_until_what_was_prepared_when_it_came_is_certain() {
    let mut executor = serving();
    effects(&mut executor, ExecutorInput::Prepared(Seq(3)));
    let request = read(2, false);
    assert_eq!(ask(&mut executor, &request), hurries());
    assert_eq!(answers(&execute_null(&mut executor, 2)), []);
    // What prepares later is not waited for.
    effects(&mut executor, ExecutorInput::Prepared(Seq(4)));
    let time = Wall(START + 3_000_000);
    let batch = Arc::new(Batch::new(Choice { time, ..choice() }, vec![asks(1, "+a")]));
    let ahead = ExecutorInput::Tentative { view: View(0), seq: Seq(3), batch };
    assert_eq!(answers(&effects(&mut executor, ahead)).len(), 1, "the write's own");
    assert_eq!(ask(&mut executor, &read(3, false)), hurries());
    assert_eq!(answers(&execute(&mut executor, 3, [asks(1, "+a")])), answered(&request, "1"));
}

#[test]
fn nobody_reads_in_a_view_change_and_then_what_was_chosen_must_be_there() {
    let mut executor = serving();
    effects(&mut executor, ExecutorInput::Prepared(Seq(9)));
    let first = read(1, false);
    ask(&mut executor, &first);
    effects(&mut executor, ExecutorInput::Halt);
    assert_eq!(ask(&mut executor, &read(2, false)), []);
    assert_eq!(answers(&effects(&mut executor, ExecutorInput::Resume(Seq(2)))), []);
    // Seq 9 was not chosen, and may never come.
    let both = answers(&execute_null(&mut executor, 2));
    assert_eq!(both, [answered(&first, "0"), answered(&read(2, false), "0")].concat());
}

#[test]
fn who_never_voted_answers_no_read() {
    let mut executor = opened();
    assert_eq!(ask(&mut executor, &read(1, false)), []);
}

#[test]
fn a_read_that_is_to_be_ordered_is_admitted_like_any_request() {
    let mut executor = serving();
    assert_eq!(ask(&mut executor, &read(1, true)), admits(&read(1, true)));
}

#[test]
fn reads_beyond_what_may_wait_are_ordered() {
    let mut executor = serving();
    effects(&mut executor, ExecutorInput::Prepared(Seq(9)));
    let large = Operation { read_only: true, operation: Bytes::from(vec![b'?'; 1 << 20]), ..operation(1, 1) };
    let large = hinted(large, Hints::default());
    for _ in 0..16 {
        assert_eq!(ask(&mut executor, &large), hurries());
    }
    assert_eq!(ask(&mut executor, &large), admits(&large));
    assert_eq!(answers(&effects(&mut executor, ExecutorInput::Resume(Seq(1)))).len(), 16);
    assert_eq!(answers(&ask(&mut executor, &large)).len(), 1, "there is room again");
}

#[test]
fn a_long_result_is_sent_in_full_by_its_replier_alone_and_a_short_one_by_everyone() {
    let mut executor = opened();
    let long = Operation { operation: Bytes::from_static(b"#300"), ..operation(1, 1) };
    let of = |effects: &[Effect]| match answers(effects).first() {
        Some(Effect::Send(_, Message::Reply(reply))) => reply.result.clone(),
        other => unreachable!("an answer: {other:?}"),
    };
    let by = |replier: Option<u8>| Hints { replier: replier.map(replica), ordered: true };
    let full = of(&execute(&mut executor, 2, [hinted(long.clone(), by(None))]));
    assert!(matches!(full, ReplyResult::Full(Outcome::Done(_))), "{full:?}");
    let mut executor = opened();
    let request = hinted(long.clone(), by(Some(3)));
    let digest = of(&execute(&mut executor, 2, [request.clone()]));
    assert_eq!(digest, ReplyResult::Digest(full.digest(*request.digest())));
    let mut executor = opened();
    assert_eq!(of(&execute(&mut executor, 2, [hinted(long, by(Some(0)))])), full);
    let short = hinted(Operation { ..operation(1, 2) }, by(Some(3)));
    assert!(matches!(of(&execute(&mut executor, 3, [short])), ReplyResult::Full(_)));
}
