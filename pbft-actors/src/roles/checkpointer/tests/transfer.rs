//! When a state is fetched, and how that ends (PROTOCOL 6, 7.3 and 8).

use super::*;
use crate::message::{NodeData, TreeNode};
use crate::role::{Divergence, Install};

fn begins(seq: u64, from: &[u8]) -> Vec<Effect> {
    let mut effects = vec![
        Effect::Event(Event::Behind { target: Seq(seq) }),
        tell(BatcherInput::Transferring(true)),
        tell(ViewChangerInput::Transferring(true)),
    ];
    effects.extend((1..).zip(from).map(|(ticket, id)| probe(*id, seq, ticket)));
    effects
}

/// Replica 3 of four, which fetches checkpoint 8.
fn fetching() -> Checkpointer {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    effects(&mut replica, status(1, 8, 9));
    assert_eq!(effects(&mut replica, status(2, 8, 9)), begins(8, &[0, 1, 2]));
    replica
}

/// Replica 1's answer to a question for nodes of a checkpoint.
fn nodes(seq: u64, ticket: u64, places: &[(u8, u64)]) -> CheckpointerInput {
    let node = |(level, index): &(u8, u64)| TreeNode {
        level: *level,
        index: *index,
        children: state(seq).snapshot.node(*level, *index).unwrap(),
    };
    let nodes = Some(places.iter().map(node).collect());
    CheckpointerInput::NodeData(from(1, NodeData { seq: Seq(seq), ticket, nodes }))
}

fn page_5(seq: u64, ticket: u64) -> CheckpointerInput {
    let page = bytes::Bytes::copy_from_slice(state(seq).snapshot.page(5).unwrap());
    let data = crate::message::PageData { seq: Seq(seq), ticket, pages: Some(vec![(5, page)]) };
    CheckpointerInput::PageData(from(1, data))
}

/// One that lacks page 5 of checkpoint 8 only, which it has just asked replica 1 for: ticket 8.
fn lacking_a_page() -> Checkpointer {
    let mut replica = fetching();
    let asks = |level, ticket| {
        [send(1, Message::Fetch(Fetch::Nodes { seq: Seq(8), ticket, nodes: vec![(level, 0)] }))]
    };
    assert_eq!(effects(&mut replica, nodes(8, 2, &[(5, 0)])), asks(4, 4));
    assert_eq!(effects(&mut replica, nodes(8, 4, &[(4, 0)])), asks(3, 5));
    assert_eq!(effects(&mut replica, nodes(8, 5, &[(3, 0)])), asks(2, 6));
    assert_eq!(effects(&mut replica, nodes(8, 6, &[(2, 0)])), asks(1, 7));
    let page = [send(1, Message::Fetch(Fetch::Pages { seq: Seq(8), ticket: 8, pages: vec![5] }))];
    assert_eq!(effects(&mut replica, nodes(8, 7, &[(1, 0)])), page);
    replica
}

/// What the executor is told once checkpoint 8 is here.
fn install() -> ExecutorInput {
    // Five nodes with one child each, but for the lowest two, and a page.
    let bytes = PAGE_BYTES as u64 + 33 * 7;
    ExecutorInput::Install(Install { taken: state(8), pages: 1, bytes, repairs: None })
}

fn ended() -> Vec<Effect> {
    vec![tell(BatcherInput::Transferring(false)), tell(ViewChangerInput::Transferring(false))]
}

#[test]
fn a_replica_transfers_when_weak_many_no_longer_hold_what_comes_next() {
    fetching();
}

#[test]
fn it_does_not_while_what_comes_next_is_held() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    for id in [0, 1, 2] {
        assert_eq!(effects(&mut replica, status(id, 0, 1)), []);
    }
}

#[test]
fn it_does_not_because_one_liar_says_so_twice() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    effects(&mut replica, status(1, 8, 9));
    assert_eq!(effects(&mut replica, status(1, 8, 9)), []);
}

#[test]
fn it_does_not_without_a_certificate() {
    let mut replica = checkpointer(3, 4);
    for id in [0, 1, 2] {
        assert_eq!(effects(&mut replica, status(id, 8, 9)), []);
    }
}

#[test]
fn it_does_not_where_the_certificate_is_below_what_was_executed() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, CheckpointerInput::Executed(Seq(9)));
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    for id in [0, 1, 2] {
        assert_eq!(effects(&mut replica, status(id, 12, 13)), []);
    }
}

#[test]
fn the_checkpoint_that_a_view_starts_from_is_fetched_at_once_from_who_lists_it() {
    let mut replica_3 = checkpointer(3, 4);
    let holders = [1, 2, 3].map(replica).into_iter().collect();
    let chosen = CheckpointerInput::Chosen { checkpoint: checkpoint(4), holders };
    assert_eq!(effects(&mut replica_3, chosen), begins(4, &[1, 2]));
}

#[test]
fn it_is_not_fetched_where_it_was_executed() {
    let mut replica_3 = checkpointer(3, 4);
    effects(&mut replica_3, CheckpointerInput::Executed(Seq(4)));
    let holders = [0, 1, 2].map(replica).into_iter().collect();
    let chosen = CheckpointerInput::Chosen { checkpoint: checkpoint(4), holders };
    assert_eq!(effects(&mut replica_3, chosen), []);
}

#[test]
fn it_is_not_fetched_where_nobody_else_lists_it() {
    let mut replica_3 = checkpointer(3, 4);
    let holders = [3].map(replica).into_iter().collect();
    let chosen = CheckpointerInput::Chosen { checkpoint: checkpoint(4), holders };
    assert_eq!(effects(&mut replica_3, chosen), []);
}

#[test]
fn what_a_view_starts_from_is_fetched_once_another_transfer_has_ended() {
    let mut replica_3 = lacking_a_page();
    let holders = [0, 1].map(replica).into_iter().collect();
    let chosen = CheckpointerInput::Chosen { checkpoint: checkpoint(12), holders };
    assert_eq!(effects(&mut replica_3, chosen), []);
    effects(&mut replica_3, page_5(8, 8));
    let told = effects(&mut replica_3, CheckpointerInput::Installed(state(8)));
    assert!(told.contains(&Effect::Event(Event::Behind { target: Seq(12) })), "{told:?}");
    assert!(told.contains(&probe(0, 12, 9)) && told.contains(&probe(1, 12, 10)), "{told:?}");
    assert!(!told.contains(&probe(2, 12, 11)), "{told:?}");
}

#[test]
fn only_what_differs_is_asked_for_and_then_installed() {
    let mut replica = lacking_a_page();
    assert_eq!(effects(&mut replica, page_5(8, 8)), [tell(install())]);
    assert_eq!(effects(&mut replica, page_5(8, 8)), []);
}

#[test]
fn a_state_that_is_here_already_is_installed_at_once() {
    let mut replica = checkpointer(3, 4);
    let same = Taken { seq: Seq(8), ..state(0) };
    effects(&mut replica, brings(same.checkpoint(), &[0, 1, 2]));
    effects(&mut replica, status(1, 8, 9));
    let told = effects(&mut replica, status(2, 8, 9));
    let install = Install { taken: same, pages: 0, bytes: 0, repairs: None };
    assert_eq!(told, [begins(8, &[]), vec![tell(ExecutorInput::Install(install))]].concat());
}

#[test]
fn what_was_not_asked_for_is_ignored() {
    let mut replica = fetching();
    assert_eq!(effects(&mut replica, nodes(8, 99, &[(4, 0)])), []);
    assert_eq!(effects(&mut replica, nodes(4, 2, &[(5, 0)])), []);
    assert_eq!(effects(&mut replica, page_5(8, 99)), []);
    assert_eq!(effects(&mut silent(3, 4), page_5(8, 1)), []);
}

/// The second node is wanted once the first is known, and its content was not checked before that.
#[test]
fn what_comes_too_early_in_one_answer_is_not_taken_unchecked() {
    let mut replica_3 = fetching();
    let lie = TreeNode { level: 4, index: 0, children: vec![(0, digest(1))] };
    let CheckpointerInput::NodeData(root) = nodes(8, 99, &[(5, 0)]) else { unreachable!() };
    let mut data = root.into_inner();
    data.nodes.as_mut().unwrap().push(lie);
    let taken_in = effects(&mut replica_3, CheckpointerInput::NodeData(from(1, data)));
    let asks_for_4 = Fetch::Nodes { seq: Seq(8), ticket: 4, nodes: vec![(4, 0)] };
    assert_eq!(taken_in, [send(1, Message::Fetch(asks_for_4))]);
}

#[test]
fn while_a_state_is_served_a_newer_checkpoint_does_not_start_the_transfer_over() {
    let mut replica = lacking_a_page();
    effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
    assert_eq!(effects(&mut replica, status(1, 12, 13)).len(), 0);
    assert_eq!(effects(&mut replica, page_5(8, 8)), [tell(install())]);
}

#[test]
fn what_was_installed_by_a_certificate_is_stable_and_not_claimed() {
    let mut replica = lacking_a_page();
    effects(&mut replica, page_5(8, 8));
    let installed = effects(&mut replica, CheckpointerInput::Installed(state(8)));
    assert_eq!(installed, [ended(), reaches(checkpoint(8), &[0, 1, 2])].concat());
}

#[test]
fn what_was_installed_by_a_new_view_is_not_stable_yet_and_claimed_once_it_is_durable() {
    let mut replica_3 = checkpointer(3, 4);
    let holders = [0, 1].map(replica).into_iter().collect();
    effects(&mut replica_3, CheckpointerInput::Chosen { checkpoint: checkpoint(8), holders });
    replica_3.transfer.as_mut().unwrap().hand_over();
    let installed = effects(&mut replica_3, CheckpointerInput::Installed(state(8)));
    let saves = Effect::Save(Save::Checkpoint { seq: Seq(8), snapshot: state(8).snapshot });
    let withheld = vec![tell(OrdererInput::OwnCheckpoint(checkpoint(8))), saves];
    assert_eq!(installed, [ended(), withheld].concat());
    assert_eq!(effects(&mut replica_3, super::save::saved(8)), claims(3, checkpoint(8))[1..]);
}

/// A replica whose own state at 8 is wrong while 4 is stable: what differs is fetched and named.
#[test]
fn a_state_that_diverged_is_repaired_from_itself() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    effects(&mut replica, CheckpointerInput::Taken(wrong_state(8)));
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    for (ticket, level) in [(2, 5), (4, 4), (5, 3), (6, 2)] {
        effects(&mut replica, nodes(8, ticket, &[(level, 0)]));
    }
    // Page 300 lies below the second of the lowest nodes, and that is all that differs.
    let asks = send(1, Message::Fetch(Fetch::Pages { seq: Seq(8), ticket: 8, pages: vec![300] }));
    assert_eq!(effects(&mut replica, nodes(8, 7, &[(1, 1)])), [asks]);
    let page = bytes::Bytes::copy_from_slice(state(8).snapshot.page(300).unwrap());
    let data = crate::message::PageData { seq: Seq(8), ticket: 8, pages: Some(vec![(300, page)]) };
    let told = effects(&mut replica, CheckpointerInput::PageData(from(1, data)));
    let repairs = Some(Divergence { since: Seq(5), page: 300 });
    let bytes = PAGE_BYTES as u64 + 33 * 6;
    let install = Install { taken: state(8), pages: 1, bytes, repairs };
    assert_eq!(told, [tell(ExecutorInput::Install(install))]);
}

#[test]
fn what_was_repaired_does_not_contradict_the_vote_before() {
    let mut replica = checkpointer(3, 4);
    assert_eq!(effects(&mut replica, CheckpointerInput::Taken(wrong_state(4))), claims(3, wrong(4)));
    effects(&mut replica, own(3, wrong(4)));
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    replica.transfer.as_mut().unwrap().hand_over();
    let repaired = effects(&mut replica, CheckpointerInput::Installed(state(4)));
    assert_eq!(repaired, [ended(), reaches(checkpoint(4), &[0, 1, 2])].concat());
}

#[test]
fn a_replica_that_got_there_by_itself_never_goes_back_to_what_it_was_fetching() {
    let mut replica = lacking_a_page();
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    effects(&mut replica, CheckpointerInput::Taken(state(12)));
    effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
    assert_eq!(replica.stable, Seq(12));
    assert_eq!(effects(&mut replica, page_5(8, 8)), []);
}

#[test]
fn a_transfer_ends_when_the_executor_says_that_it_got_there_by_itself() {
    let mut replica = lacking_a_page();
    effects(&mut replica, page_5(8, 8));
    assert_eq!(effects(&mut replica, CheckpointerInput::InstallNeedless(checkpoint(4))), []);
    assert_eq!(effects(&mut replica, CheckpointerInput::InstallNeedless(checkpoint(8))), ended());
}
