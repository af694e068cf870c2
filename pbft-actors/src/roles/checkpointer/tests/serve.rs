//! Handing out checkpoints (PROTOCOL 8).

use super::*;
use crate::message::{NodeData, PageData, TreeNode};

fn nodes(seq: u64, ticket: u64, places: &[(u8, u64)]) -> CheckpointerInput {
    CheckpointerInput::Fetch(from(1, Fetch::Nodes { seq: Seq(seq), ticket, nodes: places.to_vec() }))
}

fn pages(id: u8, seq: u64, ticket: u64, indexes: &[u64]) -> CheckpointerInput {
    CheckpointerInput::Fetch(from(id, Fetch::Pages { seq: Seq(seq), ticket, pages: indexes.to_vec() }))
}

fn page(seq: u64, index: u64) -> (u64, bytes::Bytes) {
    (index, bytes::Bytes::copy_from_slice(state(seq).snapshot.page(index).unwrap()))
}

fn gives(id: u8, seq: u64, ticket: u64, indexes: &[u64]) -> Effect {
    let pages = Some(indexes.iter().map(|index| page(seq, *index)).collect());
    send(id, Message::PageData(PageData { seq: Seq(seq), ticket, pages }))
}

fn gone(id: u8, seq: u64, ticket: u64) -> Effect {
    send(id, Message::PageData(PageData { seq: Seq(seq), ticket, pages: None }))
}

fn shows(id: u8, seq: u64) -> Effect {
    send(id, Message::Certificate(Arc::new(certificate(checkpoint(seq), &[0, 1, 2]))))
}

/// Replica 3, at which these are stable one after the other.
fn reached(seqs: &[u64]) -> Checkpointer {
    let mut replica = checkpointer(3, 4);
    seqs.iter().for_each(|seq| reach(&mut replica, *seq));
    replica
}

fn reach(replica: &mut Checkpointer, seq: u64) {
    effects(replica, CheckpointerInput::Taken(state(seq)));
    effects(replica, brings(checkpoint(seq), &[0, 1, 2]));
}

#[test]
fn nodes_and_pages_of_a_checkpoint_are_handed_out() {
    let mut replica = reached(&[4]);
    let snapshot = state(4).snapshot;
    let node = |level, index| TreeNode { level, index, children: snapshot.node(level, index).unwrap() };
    let nodes_4 = Some(vec![node(5, 0), node(1, 1)]);
    let given = send(1, Message::NodeData(NodeData { seq: Seq(4), ticket: 7, nodes: nodes_4 }));
    assert_eq!(effects(&mut replica, nodes(4, 7, &[(5, 0), (1, 1)])), [given]);
    assert_eq!(effects(&mut replica, pages(1, 4, 8, &[5, 300])), [gives(1, 4, 8, &[5, 300])]);
}

#[test]
fn one_that_is_not_stable_yet_is_handed_out_too() {
    let mut replica = reached(&[4]);
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert_eq!(effects(&mut replica, pages(1, 8, 1, &[5])), [gives(1, 8, 1, &[5])]);
}

#[test]
fn what_no_checkpoint_has_is_left_out() {
    let mut replica = reached(&[4]);
    let everywhere = [(0, 0), (1, 7), (4, 9), (5, 1), (9, 0), (255, u64::MAX)];
    let nothing = send(1, Message::NodeData(NodeData { seq: Seq(4), ticket: 7, nodes: Some(Vec::new()) }));
    assert_eq!(effects(&mut replica, nodes(4, 7, &everywhere)), [nothing]);
    assert_eq!(effects(&mut replica, pages(1, 4, 8, &[9, u64::MAX])), [gives(1, 4, 8, &[])]);
}

#[test]
fn who_asks_for_what_was_dropped_is_shown_the_stable_checkpoint() {
    let mut replica = reached(&[4, 8]);
    assert_eq!(effects(&mut replica, pages(1, 4, 1, &[5])), [gone(1, 4, 1), shows(1, 8)]);
    assert_eq!(effects(&mut replica, pages(1, 99, 2, &[5])), [gone(1, 99, 2), shows(1, 8)]);
}

#[test]
fn what_a_peer_fetches_is_kept_for_it_alone() {
    let mut replica = reached(&[4]);
    effects(&mut replica, pages(1, 4, 1, &[5]));
    reach(&mut replica, 8);
    assert_eq!(effects(&mut replica, pages(1, 4, 2, &[0])), [gives(1, 4, 2, &[0])]);
    assert_eq!(effects(&mut replica, pages(2, 4, 3, &[0])), [gone(2, 4, 3), shows(2, 8)]);
}

#[test]
fn what_was_repaired_is_handed_out_in_place_of_what_was_kept() {
    let mut replica = reached(&[4]);
    effects(&mut replica, CheckpointerInput::Taken(wrong_state(8)));
    let wrong = effects(&mut replica, pages(1, 8, 1, &[300]));
    assert_ne!(wrong, [gives(1, 8, 1, &[300])]);
    effects(&mut replica, CheckpointerInput::Installed(state(8)));
    assert_eq!(effects(&mut replica, pages(1, 8, 1, &[300])), [gives(1, 8, 1, &[300])]);
}

#[test]
fn what_a_peer_was_shown_is_kept_for_it_in_place_of_what_it_had() {
    let mut replica = reached(&[4]);
    effects(&mut replica, pages(1, 4, 1, &[5]));
    reach(&mut replica, 8);
    effects(&mut replica, pages(1, 0, 2, &[5]));
    reach(&mut replica, 12);
    assert_eq!(effects(&mut replica, pages(1, 8, 3, &[5])), [gives(1, 8, 3, &[5])]);
    assert_eq!(effects(&mut replica, pages(1, 4, 4, &[5])), [gone(1, 4, 4), shows(1, 12)]);
}

#[test]
fn what_is_not_fetched_any_more_is_dropped() {
    let mut replica = reached(&[4]);
    effects(&mut replica, pages(1, 4, 1, &[5]));
    reach(&mut replica, 8);
    fire(&mut replica, at(4_999), CheckpointTimer::Retry);
    assert_eq!(step(&mut replica, at(4_999), pages(1, 4, 2, &[0])).effects, [gives(1, 4, 2, &[0])]);
    fire(&mut replica, at(9_999), CheckpointTimer::Retry);
    let late = step(&mut replica, at(9_999), pages(1, 4, 3, &[0])).effects;
    assert_eq!(late, [gone(1, 4, 3), shows(1, 8)]);
}

#[test]
fn nobody_has_a_checkpoint_kept_for_ever() {
    let mut replica = reached(&[4]);
    effects(&mut replica, pages(1, 4, 1, &[5]));
    reach(&mut replica, 8);
    for seconds in (1..600).step_by(4) {
        fire(&mut replica, at(seconds * 1_000), CheckpointTimer::Retry);
        let given = step(&mut replica, at(seconds * 1_000), pages(1, 4, seconds, &[5])).effects;
        assert_eq!(given, [gives(1, 4, seconds, &[5])]);
    }
    fire(&mut replica, at(600_000), CheckpointTimer::Retry);
    let late = step(&mut replica, at(600_000), pages(1, 4, 1_000, &[5])).effects;
    assert_eq!(late, [gone(1, 4, 1_000), shows(1, 8)]);
}

/// Replica 3, whose checkpoint 4 has 64 pages, and a question for them all.
fn with_many_pages() -> (Checkpointer, impl Fn(u8, u64) -> CheckpointerInput) {
    let mut replica = checkpointer(3, 4);
    let taken = Taken { seq: Seq(4), snapshot: snapshot_of((0..64).map(|index| (index, 1))) };
    effects(&mut replica, CheckpointerInput::Taken(taken));
    let all: Vec<u64> = (0..64).collect();
    (replica, move |id, ticket| pages(id, 4, ticket, &all))
}

#[test]
fn a_peer_gets_a_mebibyte_in_an_interval_and_the_rest_later() {
    let (mut replica, asks) = with_many_pages();
    for ticket in 0..4 {
        assert_eq!(effects(&mut replica, asks(1, ticket)).len(), 1, "{ticket}");
    }
    let later = step(&mut replica, at(1), asks(1, 4));
    assert_eq!(
        (later.effects, later.timers),
        (vec![], vec![TimerChange::Arm(CheckpointTimer::Serve, deadline(7))])
    );
    // Others have shares of their own.
    assert_eq!(step(&mut replica, at(1), asks(2, 0)).effects.len(), 1);
    assert_eq!(fire(&mut replica, at(7), CheckpointTimer::Serve).effects.len(), 1);
    assert_eq!(fire(&mut replica, at(7), CheckpointTimer::Serve).effects, []);
}

#[test]
fn of_one_peer_only_so_many_questions_wait() {
    let (mut replica, asks) = with_many_pages();
    (0..100).for_each(|ticket| drop(effects(&mut replica, asks(1, ticket))));
    let mut answers = 0;
    for interval in 1..100 {
        answers += fire(&mut replica, at(6 * interval), CheckpointTimer::Serve).effects.len();
    }
    assert_eq!(answers, 16);
}

/// What a transfer takes, the service would lack.
#[test]
fn where_batches_are_executed_a_peer_gets_one_answer_of_pages_in_ten_milliseconds() {
    let (mut replica, asks) = with_many_pages();
    step(&mut replica, at(0), CheckpointerInput::Executed(Seq(5)));
    assert_eq!(effects(&mut replica, asks(1, 0)).len(), 1);
    let later = step(&mut replica, at(0), asks(1, 1));
    assert_eq!(
        (later.effects, later.timers),
        (vec![], vec![TimerChange::Arm(CheckpointTimer::Serve, deadline(10))])
    );
    assert_eq!(fire(&mut replica, at(10), CheckpointTimer::Serve).effects.len(), 1);
}
