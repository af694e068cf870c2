//! Each request once, for each session (PROTOCOL 4).

use super::*;

#[test]
fn an_opening_opens_the_session() {
    let request = sign(opening(1, 1));
    let executed = execute(&mut executor(), 1, [request.clone()]);
    assert_eq!(answers(&executed), [answer(&request, 1, Outcome::Opened)]);
}

#[test]
fn the_same_opening_again_gets_the_same_answer() {
    let (mut executor, request) = (opened(), sign(opening(1, 1)));
    let same = [answer(&request, 1, Outcome::Opened)];
    assert_eq!(answers(&execute(&mut executor, 2, [request.clone()])), same);
    assert_eq!(ask(&mut executor, &request), same);
}

#[test]
fn another_opening_at_or_below_the_highest_session_is_told_that_one() {
    let mut executor = executor();
    execute(&mut executor, 1, [sign(opening(1, 5))]);
    let replayed = sign(opening(1, 4));
    let stolen = sign(Operation { operation: Bytes::from_static(b"sixteen other by"), ..opening(1, 5) });
    for request in [replayed, stolen] {
        assert_eq!(ask(&mut executor, &request), [answer(&request, 0, expired(5))]);
        let executed = execute(&mut executor, 2 + u64::from(request.id().session.0 == 5), [request.clone()]);
        assert_eq!(answers(&executed).len(), 1);
        let Effect::Send(_, Message::Reply(reply)) = &answers(&executed)[0] else { unreachable!() };
        assert_eq!(reply.result, ReplyResult::Full(expired(5)));
    }
}

#[test]
fn a_request_without_a_session_is_not_executed() {
    let (mut executor, request) = (executor(), asks(1, "+"));
    let executed = execute(&mut executor, 1, [request.clone()]);
    assert_eq!(answers(&executed), [answer(&request, 1, expired(0))]);
    assert_eq!(executed.last(), Some(&Effect::Event(Event::Executed { seq: Seq(1), operations: 0 })));
}

#[test]
fn before_ordering_an_opening_is_let_in_and_a_request_of_a_session_that_may_open_is_not() {
    let mut executor = executor();
    assert_eq!(ask(&mut executor, &sign(opening(1, 1))), admits(&sign(opening(1, 1))));
    assert_eq!(ask(&mut executor, &asks(1, "+")), []);
}

#[test]
fn a_request_of_an_open_session_is_let_in() {
    assert_eq!(ask(&mut opened(), &asks(1, "+")), admits(&asks(1, "+")));
}

#[test]
fn a_request_is_executed_once_and_answered_alike_ever_after() {
    let (mut executor, request) = (opened(), asks(1, "+"));
    let first = [answer(&request, 2, done("1"))];
    assert_eq!(answers(&execute(&mut executor, 2, [request.clone()])), first);
    assert_eq!(ask(&mut executor, &request), first);
    assert_eq!(answers(&execute(&mut executor, 3, [request])), first);
    let next = asks(2, "+");
    assert_eq!(answers(&execute(&mut executor, 4, [next.clone()])), [answer(&next, 4, done("2"))]);
}

#[test]
fn a_request_twice_in_one_batch_is_executed_once() {
    let (mut executor, request) = (opened(), asks(1, "+"));
    let twice = execute(&mut executor, 2, [request.clone(), request.clone()]);
    assert_eq!(answers(&twice), vec![answer(&request, 2, done("1")); 2]);
}

#[test]
fn timestamps_may_be_executed_in_any_order() {
    let (mut executor, first, second) = (opened(), asks(1, "+"), asks(2, "+"));
    assert_eq!(answers(&execute(&mut executor, 2, [second.clone()])), [answer(&second, 2, done("1"))]);
    assert_eq!(answers(&execute(&mut executor, 3, [first.clone()])), [answer(&first, 3, done("2"))]);
}

#[test]
fn of_two_operations_under_one_timestamp_the_first_in_order_is_the_request() {
    let (mut executor, first, second) = (opened(), asks(1, "+"), asks(1, "#3"));
    execute(&mut executor, 2, [first.clone()]);
    let same = [answer(&first, 2, done("1"))];
    assert_eq!(answers(&execute(&mut executor, 3, [second.clone()])), same);
    assert_eq!(ask(&mut executor, &second), same);
}

#[test]
fn executing_a_request_raises_the_floor_and_what_is_below_is_skipped() {
    let mut executor = opened();
    let executed = execute(&mut executor, 2, [asks_above(3, 3, "+")]);
    assert_eq!(finished(&executed).floors, [(ClientId(1), SessionId(1), Timestamp(3))]);
    assert_eq!(answers(&execute(&mut executor, 3, [asks(2, "+")])), []);
    assert_eq!(ask(&mut executor, &asks(2, "+")), []);
}

#[test]
fn asking_raises_no_floor() {
    let mut executor = opened();
    ask(&mut executor, &asks_above(3, 3, "+"));
    assert_eq!(ask(&mut executor, &asks(2, "+")), admits(&asks(2, "+")));
}

#[test]
fn what_a_client_has_answered_is_forgotten() {
    let (mut executor, request) = (opened(), asks(1, "+"));
    execute(&mut executor, 2, [request.clone()]);
    execute(&mut executor, 3, [asks_above(2, 2, "+")]);
    assert_eq!(ask(&mut executor, &request), []);
}

#[test]
fn a_request_outside_its_own_window_is_refused_and_skipped_if_ordered() {
    let mut executor = opened();
    for request in [asks_above(5, 1, "+"), asks_above(1, 2, "+")] {
        assert_eq!(ask(&mut executor, &request), [], "{request:?}");
    }
    assert_eq!(answers(&execute(&mut executor, 2, [asks_above(5, 1, "+")])), []);
    let skipped = execute(&mut executor, 3, [asks_above(1, 2, "+")]);
    assert_eq!(answers(&skipped), []);
    assert_eq!(finished(&skipped).floors, [], "a request that is skipped raises no floor");
    assert_eq!(ask(&mut executor, &asks_above(4, 1, "+")), admits(&asks_above(4, 1, "+")));
}

#[test]
fn the_window_is_the_requests_own_wherever_the_floor_is() {
    let mut executor = opened();
    execute(&mut executor, 2, [asks_above(3, 3, "+")]);
    let old = asks_above(4, 1, "+");
    assert_eq!(answers(&execute(&mut executor, 3, [old.clone()])), [answer(&old, 3, done("2"))]);
}

#[test]
fn of_too_many_sessions_of_a_client_the_least_recently_used_is_closed() {
    let mut executor = opened();
    execute(&mut executor, 2, [sign(opening(1, 2))]);
    execute(&mut executor, 3, [asks(1, "+")]);
    let third = execute(&mut executor, 4, [sign(opening(1, 3))]);
    assert_eq!(finished(&third).closed, [(ClientId(1), SessionId(2))]);
}

#[test]
fn of_sessions_used_in_one_batch_the_lowest_number_is_closed() {
    let mut executor = executor();
    execute(&mut executor, 1, [sign(opening(1, 2)), sign(opening(1, 3))]);
    let third = execute(&mut executor, 2, [sign(opening(1, 4))]);
    assert_eq!(finished(&third).closed, [(ClientId(1), SessionId(2))]);
}

#[test]
fn of_too_many_sessions_in_all_the_least_recently_used_is_closed() {
    let mut executor = opened();
    execute(&mut executor, 2, [sign(opening(2, 7))]);
    execute(&mut executor, 3, [sign(opening(3, 1))]);
    execute(&mut executor, 4, [asks(1, "+")]);
    let fourth = execute(&mut executor, 5, [sign(opening(4, 1))]);
    assert_eq!(finished(&fourth).closed, [(ClientId(2), SessionId(7))]);
}

#[test]
fn the_session_just_opened_is_never_the_one_closed() {
    let mut executor = executor();
    let openings = [(1, 7), (2, 8), (3, 9), (4, 1)].map(|(client, session)| sign(opening(client, session)));
    // All were last used at seq 1, and the last one has the lowest number.
    let executed = execute(&mut executor, 1, openings.clone());
    assert_eq!(answers(&executed), openings.map(|request| answer(&request, 1, Outcome::Opened)));
    assert_eq!(finished(&executed).closed, [(ClientId(1), SessionId(7))]);
    let request = signed(4, 1);
    assert_eq!(answers(&execute(&mut executor, 2, [request.clone()])), [answer(&request, 2, done("1"))]);
}

#[test]
fn a_session_opened_before_in_the_same_batch_may_be_closed() {
    let mut executor = executor();
    let openings = [(1, 7), (2, 8), (3, 1), (4, 2)].map(|(client, session)| sign(opening(client, session)));
    assert_eq!(finished(&execute(&mut executor, 1, openings)).closed, [(ClientId(3), SessionId(1))]);
}

#[test]
fn a_closed_session_never_executes_again() {
    let mut executor = opened();
    let request = asks(1, "+");
    execute(&mut executor, 2, [request.clone()]);
    execute(&mut executor, 3, [sign(opening(1, 2))]);
    execute(&mut executor, 4, [sign(opening(1, 3))]);
    for again in [request, asks(2, "+")] {
        assert_eq!(ask(&mut executor, &again), [answer(&again, 0, expired(3))]);
    }
    let again = asks(2, "+");
    assert_eq!(answers(&execute(&mut executor, 5, [again.clone()])), [answer(&again, 5, expired(3))]);
    let reopening = sign(opening(1, 1));
    assert_eq!(ask(&mut executor, &reopening), [answer(&reopening, 0, expired(3))]);
}

#[test]
fn over_the_limit_the_result_of_the_lowest_timestamp_is_dropped() {
    let (mut executor, first, second) = (opened(), asks(1, "#6"), asks(2, "#5"));
    execute(&mut executor, 2, [second.clone()]);
    assert_eq!(answers(&execute(&mut executor, 3, [first.clone()])), [answer(&first, 3, done("xxxxxx"))]);
    assert_eq!(ask(&mut executor, &first), [answer(&first, 3, Outcome::ResultDropped)]);
    assert_eq!(ask(&mut executor, &second), [answer(&second, 2, done("xxxxx"))]);
}

#[test]
fn a_result_whose_bytes_just_fit_is_kept() {
    let (mut executor, first, second) = (opened(), asks(1, "#5"), asks(2, "#5"));
    execute(&mut executor, 2, [first.clone(), second]);
    assert_eq!(ask(&mut executor, &first), [answer(&first, 2, done("xxxxx"))]);
}

#[test]
fn a_request_whose_result_was_dropped_is_not_executed_again() {
    let (mut executor, request) = (opened(), asks(1, "#11"));
    execute(&mut executor, 2, [request.clone()]);
    let dropped = [answer(&request, 2, Outcome::ResultDropped)];
    assert_eq!(answers(&execute(&mut executor, 3, [request])), dropped);
}

#[test]
fn what_is_answered_or_closed_makes_room_for_results() {
    let mut executor = opened();
    execute(&mut executor, 2, [asks(1, "#9")]);
    let above = asks_above(2, 2, "#9");
    execute(&mut executor, 3, [above.clone()]);
    assert_eq!(ask(&mut executor, &above), [answer(&above, 3, done("xxxxxxxxx"))]);
    execute(&mut executor, 4, [sign(opening(1, 2))]);
    execute(&mut executor, 5, [sign(opening(1, 3))]);
    let third =
        sign(Operation { session: SessionId(3), operation: Bytes::from_static(b"#9"), ..operation(1, 1) });
    execute(&mut executor, 6, [third.clone()]);
    assert_eq!(ask(&mut executor, &third), [answer(&third, 6, done("xxxxxxxxx"))]);
}

#[test]
fn replies_name_the_view_that_was_entered_last() {
    let (mut executor, request) = (opened(), sign(opening(1, 1)));
    effects(&mut executor, ExecutorInput::Entered(View(7)));
    let replies = ask(&mut executor, &request);
    let Effect::Send(_, Message::Reply(reply)) = &replies[0] else { unreachable!("{replies:?}") };
    assert_eq!(reply.view, View(7));
}
