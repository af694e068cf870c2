//! When a state is fetched, and from whom (PROTOCOL 6, 7.3 and 8).

use bytes::Bytes;

use super::*;
use crate::ports::state::PAGE_BYTES;

fn page(index: u64) -> (u64, Bytes) {
    (index, Bytes::from(vec![7; PAGE_BYTES]))
}

/// As many pages as an answer holds, from an index on.
fn full(from: u64) -> Vec<(u64, Bytes)> {
    (from..from + crate::message::PAGES_PER_DATA_MAX as u64).map(page).collect()
}

fn data(id: u8, seq: u64, asked: u64, pages: &[(u64, Bytes)], next: Option<u64>) -> CheckpointerInput {
    let data = PageData { seq: Seq(seq), from: asked, pages: pages.to_vec(), next };
    CheckpointerInput::PageData(from(id, data))
}

/// The answer of one who dropped the checkpoint.
fn gone(id: u8, seq: u64) -> CheckpointerInput {
    data(id, seq, 0, &[], Some(0))
}

fn install(seq: u64, pages: &[(u64, Bytes)]) -> Effect {
    tell(ExecutorInput::Install { checkpoint: checkpoint(seq), pages: pages.to_vec() })
}

fn begins(to: u8, seq: u64) -> [Effect; 4] {
    [
        fetch(to, seq, 0),
        Effect::Event(Event::Behind { target: Seq(seq) }),
        tell(BatcherInput::Transferring(true)),
        tell(ViewChangerInput::Transferring(true)),
    ]
}

/// Replica 3 of four, which fetches checkpoint 8 from 0, then 1, then 2.
fn fetching() -> Checkpointer {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    effects(&mut replica, status(1, 8, 9));
    assert_eq!(effects(&mut replica, status(2, 8, 9)), begins(0, 8));
    replica
}

/// Who is asked for pages in these effects.
fn asked(effects: &[Effect]) -> Vec<(u8, u64)> {
    let fetch = |effect: &Effect| match effect {
        Effect::Send(To::Replica(to), Message::Fetch(Fetch::Pages { seq, .. })) => Some((to.0, seq.0)),
        _ => None,
    };
    effects.iter().filter_map(fetch).collect()
}

/// Whoever is asked next, at the latest when the retry timer has fired a few times.
fn asked_next(replica: &mut Checkpointer, first: Vec<Effect>) -> (u8, u64) {
    let mut effects = first;
    for _ in 0..5 {
        if let Some(asked) = asked(&effects).first() {
            return *asked;
        }
        effects = fire(replica, at(0), CheckpointTimer::Retry).effects;
    }
    unreachable!("nobody was asked")
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
    assert_eq!(effects(&mut replica_3, chosen), begins(2, 4));
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
fn pages_are_asked_for_until_the_last_and_then_installed() {
    let mut replica = fetching();
    let first = full(1);
    assert_eq!(effects(&mut replica, data(0, 8, 0, &first, Some(70))), [fetch(0, 8, 70)]);
    let all = [first, vec![page(71)]].concat();
    assert_eq!(effects(&mut replica, data(0, 8, 70, &[page(71)], None)), [install(8, &all)]);
    assert_eq!(effects(&mut replica, data(0, 8, 70, &[page(71)], None)), []);
}

/// A page at a time just before it would be called silent: such a transfer would take days.
#[test]
fn a_peer_that_sends_less_than_it_could_is_left() {
    let mut replica = fetching();
    assert_eq!(effects(&mut replica, data(0, 8, 0, &[page(1)], Some(2))), []);
    assert_eq!(asked(&fire(&mut replica, at(0), CheckpointTimer::Retry).effects), [(1, 8)]);
}

#[test]
fn pages_that_were_not_asked_for_are_ignored() {
    let mut replica = fetching();
    assert_eq!(effects(&mut replica, data(1, 8, 0, &[page(1)], None)), []);
    assert_eq!(effects(&mut replica, data(0, 4, 0, &[page(1)], None)), []);
    assert_eq!(effects(&mut replica, data(0, 8, 1, &[page(1)], None)), []);
    assert_eq!(effects(&mut silent(3, 4), data(0, 8, 0, &[page(1)], None)), []);
}

#[test]
fn a_peer_that_sends_what_cannot_be_pages_is_left() {
    let short = (1, Bytes::from_static(b"short"));
    let bad: [&[(u64, Bytes)]; 3] = [&[short], &[page(2), page(2)], &[page(2), page(1)]];
    for pages in bad {
        let mut replica = fetching();
        let left = effects(&mut replica, data(0, 8, 0, pages, None));
        assert_eq!(asked_next(&mut replica, left), (1, 8));
    }
}

#[test]
fn a_peer_that_sends_pages_without_end_is_left() {
    let mut replica = fetching();
    let pages: Vec<(u64, Bytes)> = (0..101).map(page).collect();
    let left = effects(&mut replica, data(0, 8, 0, &pages, None));
    assert_eq!(asked_next(&mut replica, left), (1, 8));
}

#[test]
fn a_peer_that_dropped_the_checkpoint_is_left() {
    let mut replica = fetching();
    let left = effects(&mut replica, gone(0, 8));
    assert_eq!(asked_next(&mut replica, left), (1, 8));
}

#[test]
fn a_peer_whose_pages_are_not_the_checkpoint_is_reported_and_left() {
    let mut replica_3 = fetching();
    effects(&mut replica_3, data(0, 8, 0, &[page(1)], None));
    let left = effects(&mut replica_3, CheckpointerInput::InstallFailed(checkpoint(8)));
    let what = "pages that do not belong to the checkpoint";
    assert_eq!(left[0], Effect::Event(Event::Misbehaved { replica: replica(0), what }));
    assert_eq!(asked_next(&mut replica_3, left), (1, 8));
}

#[test]
fn pages_of_a_peer_that_was_left_are_not_mixed_with_the_next_ones() {
    let mut replica = fetching();
    effects(&mut replica, data(0, 8, 0, &[page(1)], Some(2)));
    let left = effects(&mut replica, data(0, 8, 2, &[], Some(0)));
    assert_eq!(asked_next(&mut replica, left), (1, 8));
    assert_eq!(effects(&mut replica, data(1, 8, 0, &[page(5)], None)), [install(8, &[page(5)])]);
}

#[test]
fn a_silent_peer_is_asked_again_and_then_left() {
    let mut replica = fetching();
    let retry = |replica: &mut Checkpointer| fire(replica, at(0), CheckpointTimer::Retry);
    for _ in 0..3 {
        assert_eq!(asked(&retry(&mut replica).effects), [(0, 8)]);
    }
    assert_eq!(asked(&retry(&mut replica).effects), [(1, 8)]);
}

#[test]
fn while_pages_come_a_newer_checkpoint_does_not_start_the_transfer_over() {
    let mut replica = fetching();
    effects(&mut replica, data(0, 8, 0, &full(1), Some(70)));
    effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
    assert_eq!(asked(&effects(&mut replica, status(1, 12, 13))), []);
    let all = [full(1), vec![page(70)]].concat();
    assert_eq!(effects(&mut replica, data(0, 8, 70, &[page(70)], None)), [install(8, &all)]);
}

#[test]
fn a_transfer_follows_a_group_that_has_dropped_the_checkpoint() {
    let mut replica = fetching();
    effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
    let mut requests = vec![(0, 8)];
    for _ in 0..20 {
        let Some((to, seq)) = requests.pop() else {
            requests = asked(&fire(&mut replica, at(0), CheckpointTimer::Retry).effects);
            continue;
        };
        if seq == 12 {
            return;
        }
        requests = asked(&effects(&mut replica, gone(to, seq)));
    }
    unreachable!("it still asks for checkpoint 8")
}

fn ended() -> Vec<Effect> {
    vec![tell(BatcherInput::Transferring(false)), tell(ViewChangerInput::Transferring(false))]
}

#[test]
fn what_was_installed_by_a_certificate_is_stable_and_not_claimed() {
    let mut replica = fetching();
    effects(&mut replica, data(0, 8, 0, &[page(1)], None));
    let installed = effects(&mut replica, CheckpointerInput::Installed(checkpoint(8)));
    assert_eq!(installed, [ended(), reaches(checkpoint(8), &[0, 1, 2])].concat());
}

#[test]
fn what_was_installed_by_a_new_view_is_not_stable_yet_and_claimed() {
    let mut replica_3 = checkpointer(3, 4);
    let holders = [0, 1].map(replica).into_iter().collect();
    effects(&mut replica_3, CheckpointerInput::Chosen { checkpoint: checkpoint(8), holders });
    let installed = effects(&mut replica_3, CheckpointerInput::Installed(checkpoint(8)));
    assert_eq!(installed, [ended(), claims(3, checkpoint(8))].concat());
}

#[test]
fn what_was_repaired_does_not_contradict_the_vote_before() {
    let mut replica = checkpointer(3, 4);
    assert_eq!(effects(&mut replica, CheckpointerInput::Taken(wrong(4))), claims(3, wrong(4)));
    effects(&mut replica, own(3, wrong(4)));
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    let repaired = effects(&mut replica, CheckpointerInput::Installed(checkpoint(4)));
    assert_eq!(repaired, [ended(), reaches(checkpoint(4), &[0, 1, 2])].concat());
}

#[test]
fn a_replica_that_got_there_by_itself_never_goes_back_to_what_it_was_fetching() {
    let mut replica = fetching();
    effects(&mut replica, CheckpointerInput::Taken(checkpoint(8)));
    effects(&mut replica, CheckpointerInput::Taken(checkpoint(12)));
    effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
    assert_eq!(replica.stable, Seq(12));
    assert_eq!(effects(&mut replica, data(0, 8, 0, &[page(1)], None)), []);
}

#[test]
fn a_transfer_ends_when_the_executor_says_that_it_got_there_by_itself() {
    let mut replica = fetching();
    effects(&mut replica, data(0, 8, 0, &[page(1)], None));
    assert_eq!(effects(&mut replica, CheckpointerInput::InstallNeedless(checkpoint(4))), []);
    assert_eq!(effects(&mut replica, CheckpointerInput::InstallNeedless(checkpoint(8))), ended());
}
