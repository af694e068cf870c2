//! What the batcher learns from a transfer.

use super::*;

#[test]
fn after_a_transfer_what_waits_is_looked_up_again() {
    let mut backup = batcher(1);
    let request = signed(1, 1);
    step(&mut backup, at(0), admitted(&[&request]));
    let out = step(&mut backup, at(10), BatcherInput::Jumped(Seq(8)));
    assert_eq!(out.effects, [Effect::Tell(ExecutorInput::Requests(vec![from_client(&request)]).into())]);
    assert_eq!(out.timers, [TimerChange::Disarm(BatcherTimer::Request)]);
}

#[test]
fn with_nothing_waiting_nobody_is_asked() {
    let out = step(&mut batcher(1), at(0), BatcherInput::Jumped(Seq(8)));
    assert_eq!((out.effects, out.timers), (vec![], vec![]));
}
