//! Executing batches (PROTOCOL 5, 9 and 11).

use super::*;
use crate::codec;
use crate::message::{Hints, RejoinOperation};
use crate::types::LogId;

fn refused(code: u32, detail: &str) -> Outcome {
    Outcome::Refused(Refusal::new(code, detail))
}

/// The REJOIN of replica 2 under its log of this number.
fn rejoin(number: u64, target: u64) -> Request {
    let log = LogId { number, salt: 0 };
    let operation = Operation {
        client: ClientId::of_replica(replica(2)),
        session: SessionId(number),
        operation: codec::encode(&RejoinOperation { log, target: Seq(target) }).into(),
        ..opening(1, 1)
    };
    let signer = signer(2);
    let hints = Hints::default();
    Request::signed(operation, &signer.identity, &signer.binding, hints)
}

/// What is told of a REJOIN that executed.
fn lets_in(number: u64, seq: u64, target: u64) -> [Effect; 2] {
    let log = LogId { number, salt: 0 };
    let rejoined = Rejoined { replica: replica(2), log, seq: Seq(seq), target: Seq(target) };
    [tell(CheckpointerInput::Rejoined(rejoined)), tell(BatcherInput::Fill(Seq(target.max(seq))))]
}

#[test]
fn a_batch_is_answered_then_reported() {
    let (mut executor, request) = (opened(), asks(1, "+"));
    let finished = Finished { seq: Seq(2), requests: vec![request.id()], ..Finished::default() };
    let expected = [
        answer(&request, 2, done("1")),
        tell(BatcherInput::Executed(finished)),
        tell(CheckpointerInput::Executed(Seq(2))),
        Effect::Event(Event::Executed { seq: Seq(2), operations: 1 }),
    ];
    assert_eq!(execute(&mut executor, 2, [request]), expected);
}

#[test]
fn null_changes_nothing_and_is_answered_to_nobody() {
    let mut executor = opened();
    let expected = [
        tell(BatcherInput::Executed(Finished { seq: Seq(2), ..Finished::default() })),
        tell(CheckpointerInput::Executed(Seq(2))),
        Effect::Event(Event::Executed { seq: Seq(2), operations: 0 }),
    ];
    assert_eq!(execute_null(&mut executor, 2), expected);
}

#[test]
fn a_batch_that_was_executed_is_skipped() {
    let mut executor = opened();
    execute(&mut executor, 2, [asks(1, "+")]);
    assert_eq!(answers(&execute(&mut executor, 2, [asks(2, "+")])), []);
    assert_eq!(answers(&execute(&mut executor, 3, [asks(2, "+")])), [answer(&asks(2, "+"), 3, done("2"))]);
}

#[test]
#[should_panic(expected = "batches execute in order of seq")]
fn a_gap_in_the_order_stops_the_replica() {
    execute(&mut opened(), 3, []);
}

#[test]
fn a_panic_is_rolled_back_and_answered_with_its_code() {
    let (mut executor, bad) = (opened(), asks(1, "!"));
    let refused = refused(Refusal::PANICKED, "the operation panicked");
    assert_eq!(answers(&execute(&mut executor, 2, [bad.clone()])), [answer(&bad, 2, refused)]);
    let good = asks(2, "+");
    assert_eq!(answers(&execute(&mut executor, 3, [good.clone()])), [answer(&good, 3, done("1"))]);
}

#[test]
fn a_refusal_is_rolled_back_and_answered_with_the_services_code() {
    let (mut executor, bad, good) = (opened(), asks(1, "?"), asks(2, "+"));
    let executed = execute(&mut executor, 2, [bad.clone(), good.clone()]);
    let expected = [answer(&bad, 2, refused(1_000, "told to")), answer(&good, 2, done("1"))];
    assert_eq!(answers(&executed), expected);
}

#[test]
fn a_result_too_large_for_a_reply_is_rolled_back_and_refused() {
    let (mut executor, bad, good) = (opened(), asks(1, "#1048577"), asks(2, "+"));
    let executed = execute(&mut executor, 2, [bad.clone(), good.clone()]);
    let refused = refused(Refusal::RESULT_TOO_LARGE, "1048577 bytes; at most 1048576");
    assert_eq!(answers(&executed), [answer(&bad, 2, refused), answer(&good, 2, done("1"))]);
}

#[test]
fn what_the_state_refuses_is_rolled_back() {
    let (mut executor, bad, good) = (opened(), asks(1, "w257"), asks(2, "+"));
    let executed = execute(&mut executor, 2, [bad, good.clone()]);
    assert_eq!(answers(&executed)[1], answer(&good, 2, done("1")));
}

#[test]
fn a_read_only_request_that_was_ordered_reads_and_changes_nothing() {
    let mut executor = opened();
    let read = sign(Operation { read_only: true, ..operation(1, 2) });
    let executed = execute(&mut executor, 2, [asks(1, "+"), read.clone(), asks(3, "+")]);
    let expected = [
        answer(&asks(1, "+"), 2, done("1")),
        answer(&read, 2, done("1")),
        answer(&asks(3, "+"), 2, done("2")),
    ];
    assert_eq!(answers(&executed), expected);
}

/// The time that an operation of this batch saw, after the start.
fn seen(executor: &mut Executor, seq: u64, proposed: u64) -> u64 {
    executor.config.table_limits.result_bytes_per_client = 1_000;
    let answered = answers(&execute_at(executor, seq, Wall(proposed), [asks_above(seq, seq, "t")]));
    let Effect::Send(_, Message::Reply(Reply { result: ReplyResult::Full(Outcome::Done(time)), .. })) =
        &answered[0]
    else {
        unreachable!("{answered:?}")
    };
    std::str::from_utf8(time).unwrap().parse::<u64>().unwrap()
}

#[test]
fn time_is_the_proposed_one_and_rises_from_batch_to_batch() {
    let mut executor = executor();
    execute_at(&mut executor, 1, Wall(1), [sign(opening(1, 1))]);
    assert_eq!(seen(&mut executor, 2, 500), 500);
    assert_eq!(seen(&mut executor, 3, 500), 501);
    assert_eq!(seen(&mut executor, 4, 7), 502);
    assert_eq!(seen(&mut executor, 5, 900), 900);
}

#[test]
fn null_leaves_the_time() {
    let mut executor = executor();
    execute_at(&mut executor, 1, Wall(500), [sign(opening(1, 1))]);
    execute_null(&mut executor, 2);
    assert_eq!(seen(&mut executor, 3, 7), 501);
}

#[test]
fn a_rejoin_lets_the_replica_in_and_is_answered_to_nobody() {
    let mut executor = executor();
    let executed = execute(&mut executor, 1, [rejoin(7, 20)]);
    assert_eq!(executed[..2], lets_in(7, 1, 20));
    assert_eq!(answers(&executed), []);
}

#[test]
fn a_rejoin_whose_log_was_ever_current_is_skipped() {
    let mut executor = executor();
    execute(&mut executor, 1, [rejoin(7, 20)]);
    for (seq, number) in [(2, 7), (3, 6)] {
        let executed = execute(&mut executor, seq, [rejoin(number, 20)]);
        assert!(matches!(executed[0], Effect::Tell(crate::role::Mail::Batcher(_))), "{executed:?}");
    }
    assert_eq!(execute(&mut executor, 4, [rejoin(8, 3)])[..2], lets_in(8, 4, 3));
}

#[test]
fn a_rejoin_far_above_what_an_honest_replica_names_is_skipped() {
    let mut executor = executor();
    let far = execute(&mut executor, 1, [rejoin(7, 26)]);
    assert!(matches!(far[0], Effect::Tell(crate::role::Mail::Batcher(BatcherInput::Executed(_)))), "{far:?}");
    assert_eq!(execute(&mut executor, 2, [rejoin(7, 26)])[..2], lets_in(7, 2, 26));
}

#[test]
fn a_rejoin_that_would_change_nothing_is_not_let_in() {
    let mut executor = executor();
    assert_eq!(ask(&mut executor, &rejoin(7, 20)), admits(&rejoin(7, 20)));
    execute(&mut executor, 1, [rejoin(7, 20)]);
    assert_eq!(ask(&mut executor, &rejoin(7, 20)), []);
    assert_eq!(ask(&mut executor, &rejoin(8, 20)), admits(&rejoin(8, 20)));
}
