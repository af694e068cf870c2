//! Checkpoints, and becoming another replica's (PROTOCOL 6 and 8).

use super::*;
use crate::message::{Fetch, PAGES_PER_DATA_MAX, PageData};
use crate::ports::state::PAGE_BYTES;
use crate::types::ReplicaId;

type Pages = Vec<(u64, Bytes)>;

fn fetch(executor: &mut Executor, seq: u64, page: u64) -> PageData {
    let asked = ExecutorInput::Fetch(from(2, Fetch::Pages { seq: Seq(seq), from: page }));
    match effects(executor, asked).pop() {
        Some(Effect::Send(To::Replica(ReplicaId(2)), Message::PageData(data))) => data,
        other => unreachable!("a fetch is answered: {other:?}"),
    }
}

/// All pages of a checkpoint.
fn pages(executor: &mut Executor, seq: u64) -> Pages {
    let (mut pages, mut next) = (Vec::new(), Some(0));
    while let Some(index) = next {
        let data = fetch(executor, seq, index);
        assert!(!data.pages.is_empty() && data.pages.len() <= PAGES_PER_DATA_MAX);
        pages.extend(data.pages);
        next = data.next;
    }
    pages
}

/// One with a checkpoint at 4, and that checkpoint.
fn eventful() -> (Executor, Checkpoint) {
    let mut executor = opened();
    execute(&mut executor, 2, [asks(1, "+"), asks(2, "#9")]);
    execute(&mut executor, 3, [sign(opening(2, 3)), asks_above(3, 2, "?")]);
    let checkpoint = taken(&execute_null(&mut executor, 4)).unwrap();
    (executor, checkpoint)
}

fn install(executor: &mut Executor, checkpoint: Checkpoint, pages: &Pages) -> Vec<Effect> {
    let mut told = effects(executor, ExecutorInput::Install { checkpoint, pages: pages.clone() });
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
        taken(&execute_null(&mut executor, 4)).unwrap().digest
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
fn a_state_installed_from_its_pages_is_the_same_byte_for_byte() {
    let (mut donor, checkpoint) = eventful();
    let all = pages(&mut donor, 4);
    let mut newcomer = executor();
    let told = [
        tell(OrdererInput::Jumped(Seq(4))),
        tell(BatcherInput::Jumped(Seq(4))),
        tell(CheckpointerInput::Installed(checkpoint)),
    ];
    assert_eq!(install(&mut newcomer, checkpoint, &all), told);
    assert_eq!(pages(&mut newcomer, 4), all);
}

#[test]
fn what_was_executed_before_a_transfer_is_not_executed_again_after_it() {
    let (mut donor, checkpoint) = eventful();
    let mut newcomer = executor();
    install(&mut newcomer, checkpoint, &pages(&mut donor, 4));
    for request in [sign(opening(1, 1)), asks(1, "+"), asks(2, "#9"), asks_above(3, 2, "?"), asks(4, "+")] {
        assert_eq!(ask(&mut newcomer, &request), ask(&mut donor, &request), "{request:?}");
    }
}

#[test]
fn after_a_transfer_both_replicas_go_on_alike() {
    let (mut donor, checkpoint) = eventful();
    let mut newcomer = executor();
    install(&mut newcomer, checkpoint, &pages(&mut donor, 4));
    for seq in 5..=8 {
        // Results over the limit, an eviction by the total, and the agreed time.
        let requests = [asks(4, "#9"), sign(opening(3, seq)), asks_above(5, 3, "t")];
        let expected = execute_at(&mut donor, seq, Wall(7), requests.clone());
        assert_eq!(execute_at(&mut newcomer, seq, Wall(7), requests), expected, "seq {seq}");
    }
    assert_eq!(pages(&mut newcomer, 8), pages(&mut donor, 8));
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
    let hints = Hints { full_reply: true, replier: replica(2) };
    let request = Request::signed(operation, &signer(2).identity, &signer(2).binding, hints);
    let mut donor = opened();
    execute(&mut donor, 2, [request.clone()]);
    execute_null(&mut donor, 3);
    let checkpoint = taken(&execute_null(&mut donor, 4)).unwrap();
    let mut newcomer = executor();
    let rejoined = Rejoined { replica: replica(2), log, seq: Seq(2), target: Seq(20) };
    let told = install(&mut newcomer, checkpoint, &pages(&mut donor, 4));
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
    let told = install(&mut executor, checkpoint, &pages(&mut donor, 4));
    assert_eq!(told[0], tell(OrdererInput::Jumped(Seq(4))));
    let request = asks(4, "+");
    let expected = execute(&mut donor, 5, [request.clone()]);
    assert_eq!(execute(&mut executor, 5, [request]), expected);
}

#[test]
fn what_was_on_its_way_before_the_replica_went_back_is_void() {
    let (mut donor, checkpoint) = eventful();
    let mut executor = diverged();
    install(&mut executor, checkpoint, &pages(&mut donor, 4));
    let void = execute_null(&mut executor, 7);
    assert_eq!(void.last(), Some(&Effect::Event(Event::Executed { seq: Seq(4), operations: 0 })));
    execute_null(&mut executor, 5);
    let next = execute_null(&mut executor, 6);
    assert_eq!(next.last(), Some(&Effect::Event(Event::Executed { seq: Seq(6), operations: 0 })));
}

#[test]
fn a_state_that_was_reached_by_executing_is_not_installed() {
    let (mut donor, checkpoint) = eventful();
    let (mut same, _) = eventful();
    let all = pages(&mut donor, 4);
    let needless = [tell(CheckpointerInput::InstallNeedless(checkpoint))];
    assert_eq!(install(&mut same, checkpoint, &all), needless);
    (5..=8).for_each(|seq| drop(execute_null(&mut same, seq)));
    effects(&mut same, ExecutorInput::Stable(Seq(8)));
    assert_eq!(install(&mut same, checkpoint, &all), needless);
}

#[test]
fn pages_that_are_not_the_checkpoint_are_refused_and_change_nothing() {
    let (mut donor, checkpoint) = eventful();
    let all = pages(&mut donor, 4);
    let changed = |change: fn(&mut Pages)| {
        let mut pages = all.clone();
        change(&mut pages);
        pages
    };
    let flipped = |pages: &mut Pages| {
        let mut page = pages[0].1.to_vec();
        page[PAGE_BYTES - 1] ^= 1;
        pages[0].1 = page.into();
    };
    let bad = [
        changed(flipped),
        changed(|pages| drop(pages.pop())),
        changed(|pages| pages.reverse()),
        changed(|pages| pages[0].1 = pages[0].1.slice(1..)),
        changed(|pages| pages.push((u64::MAX, pages[0].1.clone()))),
        changed(|pages| pages[0].1 = vec![0; PAGE_BYTES].into()),
        changed(|pages| pages.insert(0, pages[0].clone())),
        Vec::new(),
    ];
    let mut newcomer = opened();
    for (number, pages) in bad.iter().enumerate() {
        let refused = [tell(CheckpointerInput::InstallFailed(checkpoint))];
        assert_eq!(install(&mut newcomer, checkpoint, pages), refused, "{number}");
    }
    let untouched = [answer(&asks(1, "+"), 2, done("1"))];
    assert_eq!(answers(&execute(&mut newcomer, 2, [asks(1, "+")])), untouched);
}

#[test]
fn a_stable_checkpoint_stays_and_older_ones_go() {
    let (mut executor, _) = eventful();
    for seq in 5..=8 {
        execute_null(&mut executor, seq);
    }
    effects(&mut executor, ExecutorInput::Stable(Seq(8)));
    assert!(!fetch(&mut executor, 8, 0).pages.is_empty());
    let gone = PageData { seq: Seq(4), from: 0, pages: Vec::new(), next: Some(0) };
    assert_eq!(fetch(&mut executor, 4, 0), gone);
}

#[test]
fn a_checkpoint_is_handed_out_as_it_was_when_taken() {
    let (mut executor, checkpoint) = eventful();
    let all = pages(&mut executor, 4);
    for seq in 5..=7 {
        execute(&mut executor, seq, [asks_above(seq, 4, "+")]);
    }
    assert_eq!(pages(&mut executor, 4), all);
    let told = install(&mut super::executor(), checkpoint, &all);
    assert_eq!(told[0], tell(OrdererInput::Jumped(Seq(4))));
}

#[test]
fn many_pages_are_handed_out_in_several_parts() {
    let mut donor = opened();
    execute(&mut donor, 2, [asks(1, "w200")]);
    execute_null(&mut donor, 3);
    let checkpoint = taken(&execute_null(&mut donor, 4)).unwrap();
    let first = fetch(&mut donor, 4, 0);
    assert_eq!((first.pages.len(), first.next), (PAGES_PER_DATA_MAX, Some(64)));
    let all = pages(&mut donor, 4);
    assert!(all.len() > 200);
    let told = install(&mut executor(), checkpoint, &all);
    assert_eq!(told[0], tell(OrdererInput::Jumped(Seq(4))));
}
