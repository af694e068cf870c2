//! Requests that a proposal names and that cannot be verified here (PROTOCOL 3).

use super::*;

fn need(request: &Request, again: bool) -> BatcherInput {
    BatcherInput::Need(Need { requests: vec![(*request.digest(), Some(request.id().client))], again })
}

fn found(request: &Request) -> Effect {
    tell(OrdererInput::Found(vec![request.clone()]))
}

fn question(request: &Request) -> NeedSignature {
    NeedSignature { client: request.id().client, digest: *request.digest() }
}

#[test]
fn a_request_that_was_verified_here_is_found_at_once() {
    let (mut backup, request) = (batcher(1), maced(1, 1));
    effects(&mut backup, admitted(&[&request]));
    assert_eq!(effects(&mut backup, need(&request, false)), [found(&request)]);
}

#[test]
fn a_request_that_comes_later_is_found_then() {
    let (mut backup, request) = (batcher(1), maced(1, 1));
    assert_eq!(effects(&mut backup, need(&request, false)), []);
    assert_eq!(effects(&mut backup, admitted(&[&request])), [forward(0, &request), found(&request)]);
}

#[test]
fn the_signed_form_of_a_request_is_found_though_it_waits_already() {
    let (mut backup, request) = (batcher(1), signed(1, 1));
    effects(&mut backup, admitted(&[&maced(1, 1)]));
    effects(&mut backup, BatcherInput::SignedOnly(vec![ClientId(1)]));
    effects(&mut backup, need(&request, false));
    assert_eq!(effects(&mut backup, forwarded(2, &[&request])), [found(&request)]);
}

#[test]
fn it_is_found_once() {
    let (mut backup, request) = (batcher(1), signed(1, 1));
    effects(&mut backup, need(&request, false));
    effects(&mut backup, forwarded(2, &[&request]));
    assert_eq!(effects(&mut backup, forwarded(3, &[&request])), []);
}

#[test]
fn asked_again_the_others_and_the_client_are_asked_for_the_signed_form() {
    let (mut backup, request) = (batcher(1), maced(1, 1));
    let message = Message::NeedSignature(question(&request));
    let expected =
        [Effect::Send(To::Others, message.clone()), Effect::Send(To::Client(ClientId(1)), message)];
    assert_eq!(effects(&mut backup, need(&request, false)), []);
    assert_eq!(effects(&mut backup, need(&request, true)), expected);
}

#[test]
fn a_mac_of_a_client_that_must_sign_does_not_settle_a_dispute() {
    let (mut backup, request) = (batcher(1), maced(1, 1));
    effects(&mut backup, BatcherInput::SignedOnly(vec![ClientId(1)]));
    effects(&mut backup, need(&request, false));
    let asked = Effect::Send(To::Client(ClientId(1)), Message::NeedSignature(question(&request)));
    assert_eq!(effects(&mut backup, admitted(&[&request])), [asked]);
    assert_eq!(effects(&mut backup, forwarded(2, &[&signed(1, 1)])), [found(&signed(1, 1))]);
}

#[test]
fn a_mac_that_was_let_in_before_the_client_had_to_sign_is_no_proof() {
    let (mut backup, request) = (batcher(1), maced(1, 1));
    effects(&mut backup, admitted(&[&request]));
    effects(&mut backup, BatcherInput::SignedOnly(vec![ClientId(1)]));
    assert_eq!(effects(&mut backup, need(&request, false)), []);
}

#[test]
fn who_holds_the_signed_form_sends_it_to_the_replica_that_needs_it() {
    let (mut backup, request) = (batcher(1), signed(1, 1));
    effects(&mut backup, admitted(&[&request]));
    let asked = BatcherInput::NeedSignature(from(3, question(&request)));
    assert_eq!(effects(&mut backup, asked), [forward(3, &request)]);
}

#[test]
fn who_does_not_passes_the_dispute_to_the_client() {
    let (mut backup, request) = (batcher(1), maced(1, 1));
    effects(&mut backup, admitted(&[&request]));
    let asked = BatcherInput::NeedSignature(from(3, question(&request)));
    let passed = Effect::Send(To::Client(ClientId(1)), Message::NeedSignature(question(&request)));
    assert_eq!(effects(&mut backup, asked), [passed]);
}

/// One asks about a request held in its signed form, and about one that is not held.
fn disputes(by: u8) -> [BatcherInput; 2] {
    [signed(1, 1), signed(2, 1)].map(|request| BatcherInput::NeedSignature(from(by, question(&request))))
}

#[test]
fn disputes_of_a_peer_are_answered_up_to_a_limit_in_each_interval() {
    let mut backup = batcher(1);
    effects(&mut backup, admitted(&[&signed(1, 1)]));
    let passed = Effect::Send(To::Client(ClientId(2)), Message::NeedSignature(question(&signed(2, 1))));
    let mut answers =
        |milliseconds, by| disputes(by).map(|dispute| step(&mut backup, at(milliseconds), dispute).effects);
    let answered = |by| [vec![forward(by, &signed(1, 1))], vec![passed.clone()]];
    let limit = DISPUTES_PER_INTERVAL_MAX / 2;
    // The interval of 50 ms starts with the first dispute, and those above the limit do not prolong it.
    for interval in [10, 60] {
        for _ in 0..limit {
            assert_eq!(answers(interval, 3), answered(3), "{interval}");
        }
        assert_eq!(answers(interval, 3), [vec![], vec![]], "{interval}");
        assert_eq!(answers(interval + 49, 3), [vec![], vec![]], "{interval}");
    }
}

#[test]
fn the_disputes_of_one_peer_do_not_count_for_another() {
    let mut backup = batcher(1);
    for _ in 0..=DISPUTES_PER_INTERVAL_MAX {
        for dispute in disputes(3) {
            effects(&mut backup, dispute);
        }
    }
    for (dispute, answers) in disputes(3).into_iter().chain(disputes(2)).zip([0, 0, 1, 1]) {
        assert_eq!(effects(&mut backup, dispute).len(), answers);
    }
}
