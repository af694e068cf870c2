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
