//! Executing a batch before it is certain, and taking it back.

use proptest::prelude::*;

use super::*;

fn tentative<const N: usize>(view: u64, seq: u64, requests: [Request; N]) -> ExecutorInput {
    let time = Wall(START + seq * 1_000_000);
    let batch = Arc::new(Batch::new(Choice { time, ..choice() }, requests.to_vec()));
    ExecutorInput::Tentative { view: View(view), seq: Seq(seq), batch }
}

/// An answer that was given tentatively in this view.
fn tentatively(answer: Effect, view: u64) -> Effect {
    match answer {
        Effect::Send(to, Message::Reply(reply)) => {
            Effect::Send(to, Message::Reply(Reply { tentative: true, view: View(view), ..reply }))
        }
        other => unreachable!("an answer: {other:?}"),
    }
}

/// Everything that a replica's state is, as of its last checkpoint.
fn root(executor: &mut Executor) -> Digest {
    executor.take_checkpoint().snapshot.root()
}

#[test]
fn a_prepared_batch_is_answered_tentatively_and_told_once_it_is_certain() {
    let mut executor = opened();
    let request = asks(1, "+a");
    let early = effects(&mut executor, tentative(0, 2, [request.clone()]));
    assert_eq!(early, [tentatively(answer(&request, 2, done("1")), 0)]);
    assert_eq!(executor.executed(), Seq(1));
    // Asked for again, its place is not certain yet, and it waits as if it had none.
    assert_eq!(ask(&mut executor, &request), [&early[..], &admits(&request)].concat());
    let certain = execute(&mut executor, 2, [request.clone()]);
    assert_eq!(answers(&certain), []);
    assert_eq!(finished(&certain).requests, [request.id()]);
    assert_eq!(ask(&mut executor, &request), [answer(&request, 2, done("1"))]);
}

#[test]
fn another_batch_at_its_seq_takes_it_back_first() {
    let mut executor = opened();
    effects(&mut executor, tentative(0, 2, [asks(1, "+a")]));
    let other = asks(2, "+b");
    assert_eq!(answers(&execute(&mut executor, 2, [other.clone()])), [answer(&other, 2, done("1"))]);
    let mut never = opened();
    execute(&mut never, 2, [other]);
    assert_eq!(root(&mut executor), root(&mut never));
    assert_eq!(ask(&mut executor, &asks(1, "+a")), admits(&asks(1, "+a")));
}

#[test]
fn who_leaves_the_view_takes_it_back() {
    let leaves = [ExecutorInput::Halt, ExecutorInput::Entered(View(1)), tentative(1, 2, [asks(2, "+b")])];
    for leave in leaves {
        let mut executor = opened();
        effects(&mut executor, tentative(0, 2, [asks(1, "+a")]));
        effects(&mut executor, leave);
        assert_eq!(ask(&mut executor, &asks(1, "+a")), admits(&asks(1, "+a")));
    }
}

#[test]
fn what_an_earlier_view_prepared_is_not_executed_in_a_later_one() {
    let mut executor = opened();
    effects(&mut executor, ExecutorInput::Entered(View(1)));
    assert_eq!(effects(&mut executor, tentative(0, 2, [asks(1, "+a")])), []);
}

#[test]
fn only_the_next_batch_is_executed_tentatively_and_none_that_opens_a_session() {
    let mut executor = opened();
    assert_eq!(effects(&mut executor, tentative(0, 3, [asks(1, "+a")])), []);
    assert_eq!(effects(&mut executor, tentative(0, 1, [asks(1, "+a")])), []);
    assert_eq!(effects(&mut executor, tentative(0, 2, [sign(opening(1, 2))])), []);
    effects(&mut executor, tentative(0, 2, [asks(1, "+a")]));
    assert_eq!(effects(&mut executor, tentative(0, 3, [asks(2, "+b")])), []);
}

#[test]
fn a_checkpoint_is_taken_once_its_batch_is_certain() {
    let mut executor = opened();
    execute_null(&mut executor, 2);
    execute_null(&mut executor, 3);
    let request = asks(1, "+a");
    assert_eq!(taken(&effects(&mut executor, tentative(0, 4, [request.clone()]))), None);
    assert_eq!(taken(&execute(&mut executor, 4, [request])).unwrap().seq, Seq(4));
}

#[test]
fn a_state_that_is_fetched_replaces_what_is_tentative() {
    let mut ahead = opened();
    let mut source = opened();
    let requests = [asks(1, "+b")];
    let mut at_four = Vec::new();
    for seq in 2..=4 {
        at_four = execute(&mut source, seq, requests.clone());
    }
    effects(&mut ahead, tentative(0, 2, [asks(1, "+a")]));
    let install = Install { taken: taken(&at_four).unwrap(), pages: 1, bytes: 1, repairs: None };
    effects(&mut ahead, ExecutorInput::Install(install));
    assert_eq!(ahead.executed(), Seq(4));
    effects(&mut ahead, ExecutorInput::Halt);
    assert_eq!(root(&mut ahead), root(&mut source));
}

/// Requests of an open session: timestamp, answered-below, and what is asked.
fn requests() -> impl Strategy<Value = Vec<Request>> {
    let what = prop::sample::select(vec!["+a", "#9", "!", "?", "#4"]);
    let request = (1..6_u64, 1..4_u64, what)
        .prop_map(|(timestamp, answered, what)| asks_above(timestamp, answered.min(timestamp), what));
    prop::collection::vec(request, 1..8)
}

proptest! {
    /// Whatever was executed tentatively and taken back has left no trace, in the state, in the client
    /// table or in what is yet to be written of it.
    #[test]
    fn what_is_taken_back_never_was(before in requests(), ahead in requests(), after in requests()) {
        let batch = |seq: u64, requests: &Vec<Request>| {
            let time = Wall(START + seq * 1_000_000);
            (Seq(seq), Arc::new(Batch::new(Choice { time, ..choice() }, requests.clone())))
        };
        let (mut tried, mut never) = (opened(), opened());
        for executor in [&mut tried, &mut never] {
            effects(executor, ExecutorInput::Execute(vec![batch(2, &before)]));
        }
        let (seq, guess) = batch(3, &ahead);
        effects(&mut tried, ExecutorInput::Tentative { view: View(0), seq, batch: guess });
        prop_assert!(tried.is_ahead());
        effects(&mut tried, ExecutorInput::Halt);
        prop_assert_eq!(root(&mut tried), root(&mut never));
        let next = || ExecutorInput::Execute(vec![batch(3, &after)]);
        prop_assert_eq!(effects(&mut tried, next()), effects(&mut never, next()));
        prop_assert_eq!(root(&mut tried), root(&mut never));
    }

    /// What was executed tentatively and stayed is what would have been executed.
    #[test]
    fn what_stays_is_as_if_it_had_waited(before in requests(), ahead in requests(), after in requests()) {
        let batch = |seq: u64, requests: &Vec<Request>| {
            let time = Wall(START + seq * 1_000_000);
            (Seq(seq), Arc::new(Batch::new(Choice { time, ..choice() }, requests.clone())))
        };
        let (mut early, mut late) = (opened(), opened());
        for executor in [&mut early, &mut late] {
            effects(executor, ExecutorInput::Execute(vec![batch(2, &before)]));
        }
        let (seq, next) = batch(3, &ahead);
        effects(&mut early, ExecutorInput::Tentative { view: View(0), seq, batch: next });
        for executor in [&mut early, &mut late] {
            effects(executor, ExecutorInput::Execute(vec![batch(3, &ahead)]));
        }
        let then = || ExecutorInput::Execute(vec![batch(4, &after)]);
        prop_assert_eq!(effects(&mut early, then()), effects(&mut late, then()));
    }
}
