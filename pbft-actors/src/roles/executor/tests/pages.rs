//! Checkpoints, and becoming another replica's (PROTOCOL 6 and 8).

use super::*;
use crate::ports::state::{Page, Snapshot};
use crate::role::Divergence;

/// All pages of a checkpoint.
fn pages(taken: &Taken) -> Vec<(u64, Page)> {
    taken.snapshot.pages_from(0).map(|(index, page)| (index, *page)).collect()
}

/// One with a checkpoint at 4, and that checkpoint.
fn eventful() -> (Executor, Taken) {
    let mut executor = opened();
    execute(&mut executor, 2, [asks(1, "+"), asks(2, "#9")]);
    execute(&mut executor, 3, [sign(opening(2, 3)), asks_above(3, 2, "?")]);
    let checkpoint = taken(&execute_null(&mut executor, 4)).unwrap();
    (executor, checkpoint)
}

fn installing(taken: &Taken) -> Install {
    Install { taken: taken.clone(), pages: 3, bytes: 4, repairs: None }
}

fn install(executor: &mut Executor, taken: &Taken) -> Vec<Effect> {
    let mut told = effects(executor, ExecutorInput::Install(installing(taken)));
    told.retain(|effect| !matches!(effect, Effect::Event(_)));
    told
}

#[test]
fn a_checkpoint_is_taken_at_every_kth_seq_and_null_is_no_exception() {
    let mut executor = opened();
    for seq in 2..=8 {
        let checkpoint = taken(&execute_null(&mut executor, seq));
        assert_eq!(checkpoint.map(|taken| taken.seq.0), (seq % 4 == 0).then_some(seq));
    }
}

#[test]
fn equal_histories_give_equal_digests() {
    assert_eq!(eventful().1, eventful().1);
}

#[test]
fn the_digest_covers_the_client_table() {
    // The service's state is the same: one operation was counted.
    let digest = |client: u32| {
        let mut executor = executor();
        let request = sign(Operation { operation: Bytes::from_static(b"+"), ..operation(client, 1) });
        execute(&mut executor, 1, [sign(opening(1, 1)), sign(opening(2, 1)), request]);
        (2..4).for_each(|seq| drop(execute_null(&mut executor, seq)));
        taken(&execute_null(&mut executor, 4)).unwrap().checkpoint()
    };
    assert_ne!(digest(1), digest(2));
}

#[test]
fn the_digest_does_not_cover_the_view() {
    let (_, expected) = eventful();
    let mut executor = opened();
    effects(&mut executor, ExecutorInput::Entered(View(3)));
    execute(&mut executor, 2, [asks(1, "+"), asks(2, "#9")]);
    execute(&mut executor, 3, [sign(opening(2, 3)), asks_above(3, 2, "?")]);
    assert_eq!(taken(&execute_null(&mut executor, 4)), Some(expected));
}

#[test]
fn an_installed_state_is_the_same_byte_for_byte() {
    let (_, checkpoint) = eventful();
    let mut newcomer = executor();
    let told = [
        tell(OrdererInput::Jumped(Seq(4))),
        tell(BatcherInput::Jumped(Seq(4))),
        tell(CheckpointerInput::Installed(checkpoint.clone())),
    ];
    assert_eq!(install(&mut newcomer, &checkpoint), told);
    assert_eq!(pages(&newcomer.start()), pages(&checkpoint));
    assert_eq!(newcomer.executed(), Seq(4));
}

#[test]
fn what_was_fetched_and_what_was_wrong_is_said() {
    let (_, checkpoint) = eventful();
    let repairs = Some(Divergence { since: Seq(1), page: 7 });
    let install = ExecutorInput::Install(Install { repairs, ..installing(&checkpoint) });
    let told = effects(&mut diverged(), install);
    let transferred = Effect::Event(Event::Transferred { seq: Seq(4), pages: 3, bytes: 4 });
    let repaired = Effect::Event(Event::Repaired { seq: Seq(4), since: Seq(1), page: 7 });
    assert_eq!(told[..2], [transferred, repaired]);
}

#[test]
fn what_was_executed_before_a_transfer_is_not_executed_again_after_it() {
    let (mut donor, checkpoint) = eventful();
    let mut newcomer = executor();
    install(&mut newcomer, &checkpoint);
    for request in [sign(opening(1, 1)), asks(1, "+"), asks(2, "#9"), asks_above(3, 2, "?"), asks(4, "+")] {
        assert_eq!(ask(&mut newcomer, &request), ask(&mut donor, &request), "{request:?}");
    }
}

#[test]
fn after_a_transfer_both_replicas_go_on_alike() {
    let (mut donor, checkpoint) = eventful();
    let mut newcomer = executor();
    install(&mut newcomer, &checkpoint);
    let mut last = None;
    for seq in 5..=8 {
        // Results over the limit, an eviction by the total, and the agreed time.
        let requests = [asks(4, "#9"), sign(opening(3, seq)), asks_above(5, 3, "t")];
        let expected = execute_at(&mut donor, seq, Wall(7), requests.clone());
        let got = execute_at(&mut newcomer, seq, Wall(7), requests);
        assert_eq!(got, expected, "seq {seq}");
        last = taken(&got).zip(taken(&expected));
    }
    let (newcomers, donors) = last.unwrap();
    assert_eq!(pages(&newcomers), pages(&donors));
}

#[test]
fn who_rejoined_is_known_after_a_transfer() {
    use crate::codec;
    use crate::message::{Hints, RejoinOperation};
    let log = crate::types::LogId { number: 7, salt: 0 };
    let operation = Operation {
        client: ClientId::of_replica(replica(2)),
        session: SessionId(7),
        operation: codec::encode(&RejoinOperation { log, target: Seq(20) }).into(),
        ..opening(1, 1)
    };
    let hints = Hints::default();
    let request = Request::signed(operation, &signer(2).identity, &signer(2).binding, hints);
    let mut donor = opened();
    execute(&mut donor, 2, [request.clone()]);
    execute_null(&mut donor, 3);
    let checkpoint = taken(&execute_null(&mut donor, 4)).unwrap();
    let mut newcomer = executor();
    let rejoined = Rejoined { replica: replica(2), log, seq: Seq(2), target: Seq(20) };
    let told = install(&mut newcomer, &checkpoint);
    let expected = [tell(CheckpointerInput::Rejoined(rejoined)), tell(BatcherInput::Fill(Seq(20)))];
    assert_eq!(told[3..], expected);
    assert_eq!(ask(&mut newcomer, &request), []);
}

/// One whose state at checkpoint 4 is not the group's, and which executed 5 and 6 on top.
fn diverged() -> Executor {
    let mut executor = opened();
    (2..=6).for_each(|seq| drop(execute(&mut executor, seq, [asks(1, "+")])));
    executor
}

#[test]
fn a_diverged_replica_goes_back_to_the_groups_checkpoint_and_on_from_there() {
    let (mut donor, checkpoint) = eventful();
    let mut executor = diverged();
    let told = install(&mut executor, &checkpoint);
    assert_eq!(told[0], tell(OrdererInput::Jumped(Seq(4))));
    let request = asks(4, "+");
    let expected = execute(&mut donor, 5, [request.clone()]);
    assert_eq!(execute(&mut executor, 5, [request]), expected);
}

#[test]
fn what_was_on_its_way_before_the_replica_went_back_is_void() {
    let (_, checkpoint) = eventful();
    let mut executor = diverged();
    install(&mut executor, &checkpoint);
    let void = execute_null(&mut executor, 7);
    assert_eq!(void.last(), Some(&Effect::Event(Event::Executed { seq: Seq(4), operations: 0 })));
    execute_null(&mut executor, 5);
    let next = execute_null(&mut executor, 6);
    assert_eq!(next.last(), Some(&Effect::Event(Event::Executed { seq: Seq(6), operations: 0 })));
}

#[test]
fn a_state_that_was_reached_by_executing_is_not_installed() {
    let (mut same, checkpoint) = eventful();
    let needless = [tell(CheckpointerInput::InstallNeedless(checkpoint.checkpoint()))];
    assert_eq!(install(&mut same, &checkpoint), needless);
    (5..=8).for_each(|seq| drop(execute_null(&mut same, seq)));
    effects(&mut same, ExecutorInput::Stable(Seq(8)));
    assert_eq!(install(&mut same, &checkpoint), needless);
}

/// A null batch whose checkpoint's digest takes its time.
fn null_at(seq: u64) -> ExecutorInput {
    ExecutorInput::Execute(vec![(Seq(seq), Arc::new(Batch::null()))])
}

#[test]
fn a_checkpoint_is_told_once_its_digest_is_there_and_execution_goes_on_meanwhile() {
    let mut executor = opened();
    (2..4).for_each(|seq| drop(execute_null(&mut executor, seq)));
    let told = undigested(&mut executor, null_at(4));
    assert_eq!(taken(&told), None);
    execute_null(&mut executor, 5);
    let told = undigested(&mut executor, asked_digest(&told));
    assert_eq!(told.len(), 1);
    assert_eq!(taken(&told).map(|taken| taken.seq), Some(Seq(4)));
}

#[test]
fn a_digest_of_a_state_that_was_replaced_meanwhile_says_nothing() {
    let (_, checkpoint) = eventful();
    let mut executor = diverged();
    execute_null(&mut executor, 7);
    let late = asked_digest(&undigested(&mut executor, null_at(8)));
    install(&mut executor, &checkpoint);
    assert_eq!(undigested(&mut executor, late), []);
    assert_eq!(executor.roots.keys().copied().collect::<Vec<_>>(), [Seq(4)]);
}

#[test]
fn where_the_own_digest_is_still_computed_the_checkpointer_compares() {
    let (_, checkpoint) = eventful();
    let mut executor = opened();
    (2..4).for_each(|seq| drop(execute(&mut executor, seq, [asks(1, "+")])));
    let late = asked_digest(&undigested(&mut executor, null_at(4)));
    let needless = [tell(CheckpointerInput::InstallNeedless(checkpoint.checkpoint()))];
    assert_eq!(install(&mut executor, &checkpoint), needless);
    let told = undigested(&mut executor, late);
    assert_ne!(taken(&told).map(|taken| taken.checkpoint()), Some(checkpoint.checkpoint()));
}

#[test]
fn of_checkpoints_below_the_stable_one_nothing_is_kept() {
    let (mut executor, _) = eventful();
    (5..=8).for_each(|seq| drop(execute_null(&mut executor, seq)));
    effects(&mut executor, ExecutorInput::Stable(Seq(8)));
    assert_eq!(executor.roots.keys().copied().collect::<Vec<_>>(), [Seq(8)]);
}

#[test]
fn a_checkpoint_stays_as_it_was_when_taken() {
    let (mut executor, checkpoint) = eventful();
    let all = pages(&checkpoint);
    for seq in 5..=7 {
        execute(&mut executor, seq, [asks_above(seq, 4, "+")]);
    }
    assert_eq!(pages(&checkpoint), all);
    let told = install(&mut super::executor(), &checkpoint);
    assert_eq!(told[0], tell(OrdererInput::Jumped(Seq(4))));
}

/// A state that was vouched for and is none is a bug, and stops the replica.
#[test]
#[should_panic(expected = "every checkpoint has its head")]
fn a_state_without_a_head_is_not_gone_on_from() {
    let snapshot: Snapshot = State::new(executor().config.state_limits).snapshot();
    install(&mut executor(), &Taken { seq: Seq(4), snapshot });
}
