//! Who is let in, and what is passed on (PROTOCOL 3, 4 and 5).

use super::*;
use crate::message::{Hints, Operation};

fn busy(request: &Request) -> Effect {
    let busy = Busy { request: request.id(), retry_after_ms: 251 };
    Effect::Send(To::Client(request.id().client), Message::Busy(busy))
}

fn must_sign(request: &Request) -> Effect {
    let need = NeedSignature { client: request.id().client, digest: *request.digest() };
    Effect::Send(To::Client(need.client), Message::NeedSignature(need))
}

/// What replica 2 asks about itself, under its log of this number.
fn rejoin(number: u64) -> Request {
    let operation = Operation {
        client: ClientId::of_replica(replica(2)),
        session: SessionId(number),
        timestamp: Timestamp::OPENING,
        ..opening(1, 1)
    };
    let signer = signer(2);
    let hints = Hints::default();
    Request::signed(operation, &signer.identity, &signer.binding, hints)
}

#[test]
fn a_backup_passes_a_clients_request_on_to_the_primary() {
    let request = signed(1, 1);
    assert_eq!(effects(&mut batcher(1), admitted(&[&request])), [forward(0, &request)]);
}

#[test]
fn a_backup_passes_a_retransmission_on_again() {
    let (mut backup, request) = (batcher(1), signed(1, 1));
    effects(&mut backup, admitted(&[&request]));
    assert_eq!(effects(&mut backup, admitted(&[&request])), [forward(0, &request)]);
}

#[test]
fn the_signed_form_is_what_is_passed_on() {
    let (mut backup, request) = (batcher(1), signed(1, 1));
    effects(&mut backup, admitted(&[&maced(1, 1)]));
    assert_eq!(effects(&mut backup, admitted(&[&request])), [forward(0, &request)]);
}

#[test]
fn what_another_replica_passed_on_goes_no_further() {
    assert_eq!(effects(&mut batcher(1), forwarded(2, &[&signed(1, 1)])), []);
    assert_eq!(effects(&mut batcher(0), admitted(&[&signed(1, 1)])), []);
}

#[test]
fn in_a_view_change_requests_are_kept_and_not_passed_on() {
    let (mut backup, request) = (batcher(1), signed(1, 1));
    effects(&mut backup, BatcherInput::Changing(View(2)));
    assert_eq!(effects(&mut backup, admitted(&[&request])), []);
    assert_eq!(effects(&mut backup, entered(2)), [forward(2, &request)]);
}

#[test]
fn past_the_limit_a_client_is_told_that_the_replica_is_busy() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 1);
    assert_eq!(effects(&mut primary, admitted(&[&signed(1, 1)])), []);
    assert_eq!(effects(&mut primary, admitted(&[&signed(2, 1)])), [busy(&signed(2, 1))]);
    effects(&mut primary, executed(1, &[&signed(1, 1)]));
    assert_eq!(effects(&mut primary, admitted(&[&signed(2, 1)])), []);
}

#[test]
fn a_request_that_waits_already_is_never_answered_busy() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 1);
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    assert_eq!(effects(&mut primary, admitted(&[&signed(1, 1)])), []);
}

#[test]
fn a_backup_within_its_quota_is_let_in_however_many_clients_wait() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 3);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(2, 1), &signed(3, 1)]));
    effects(&mut primary, forwarded(2, &[&signed(4, 1)]));
    effects(&mut primary, granted(0, 1, 1));
    assert_eq!(turn_end(&mut primary), [(0, vec![(4, 1), (1, 1), (2, 1), (3, 1)])]);
}

#[test]
fn one_client_gets_no_more_than_its_part_and_the_others_the_rest() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 4);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2), &signed(1, 3), &signed(2, 1)]));
    effects(&mut primary, granted(0, 1, 1));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1), (2, 1), (1, 2)])]);
}

#[test]
fn a_backup_beyond_its_quota_is_not_and_hears_nothing() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 3);
    assert_eq!(effects(&mut primary, forwarded(2, &[&signed(4, 1), &signed(4, 2)])), []);
    effects(&mut primary, forwarded(3, &[&signed(5, 1)]));
    effects(&mut primary, granted(0, 1, 1));
    assert_eq!(turn_end(&mut primary), [(0, vec![(4, 1), (5, 1)])]);
}

#[test]
fn a_quota_is_free_again_once_its_requests_are_executed() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 3);
    effects(&mut primary, forwarded(2, &[&signed(4, 1)]));
    effects(&mut primary, executed(1, &[&signed(4, 1)]));
    effects(&mut primary, forwarded(2, &[&signed(4, 2)]));
    effects(&mut primary, granted(0, 2, 1));
    assert_eq!(turn_end(&mut primary), [(0, vec![(4, 2)])]);
}

#[test]
fn as_many_are_let_in_as_recent_throughput_executes_in_a_quarter_of_the_timeout() {
    let mut primary = tuned(0, |tuning| tuning.admission_min = 1);
    let requests: Vec<Request> = (1..=800).map(|timestamp| signed(1, timestamp)).collect();
    // 800 in a tenth of a second: 2,000 in a quarter of one.
    step(&mut primary, at(100), executed(1, &requests.iter().collect::<Vec<_>>()));
    assert_eq!(primary.admission(), 2_000);
}

#[test]
fn a_client_that_must_sign_is_asked_to_and_not_let_in() {
    let mut primary = batcher(0);
    effects(&mut primary, BatcherInput::SignedOnly(vec![ClientId(1)]));
    assert_eq!(effects(&mut primary, admitted(&[&maced(1, 1)])), [must_sign(&maced(1, 1))]);
    assert_eq!(effects(&mut primary, admitted(&[&maced(2, 1), &signed(1, 1)])), []);
    effects(&mut primary, granted(0, 1, 1));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1), (2, 1)])]);
}

#[test]
fn where_configuration_demands_signatures_all_must_sign() {
    let mut primary = batcher(0);
    primary.config.signed_requests = true;
    assert_eq!(effects(&mut primary, admitted(&[&maced(1, 1)])), [must_sign(&maced(1, 1))]);
    assert_eq!(effects(&mut primary, admitted(&[&signed(1, 1)])), []);
}

#[test]
fn a_replica_may_not_ask_to_rejoin_all_the_time() {
    let mut backup = batcher(1);
    let (first, second) = (rejoin(7), rejoin(8));
    let asks = |request: &Request| forwarded(2, &[request]);
    assert_eq!(step(&mut backup, at(0), asks(&first)).timers, armed(1_000));
    step(&mut backup, at(10), executed(1, &[&first]));
    assert_eq!(step(&mut backup, at(999), asks(&second)).timers, []);
    assert_eq!(step(&mut backup, at(1_000), asks(&second)).timers, armed(2_000));
}
