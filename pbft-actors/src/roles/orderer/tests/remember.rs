//! What survives a stop, and what is told to others who lost theirs (PROTOCOL 11).

use super::*;
use crate::message::{PrePrepared, Prepared, Recall, VoteKind};
use crate::role::{CheckpointerInput, Frozen, Recalled, RememberedSlot};
use crate::types::LogId;

/// Accepted in these views, and held.
fn accepted(batch: &Arc<Batch>, views: &[u64]) -> RememberedSlot {
    RememberedSlot {
        pre_prepared: views.iter().map(|view| (View(*view), batch.digest())).collect(),
        bodies: [(batch.digest(), batch.clone())].into(),
        ..RememberedSlot::default()
    }
}

/// Decided, and held.
fn decided(batch: &Arc<Batch>) -> RememberedSlot {
    RememberedSlot { decided: Some(batch.digest()), ..accepted(batch, &[]) }
}

/// One of four that finds the state at `executed` and these slots, and may not vote yet.
fn restarted(own: u8, executed: u64, stable: u64, slots: &[(u64, RememberedSlot)]) -> Orderer {
    let mut orderer = silent(own, 4);
    let slots = slots.iter().map(|(seq, slot)| (Seq(*seq), slot.clone())).collect();
    orderer.remember(Seq(executed), Seq(stable), slots, std::iter::empty());
    orderer
}

fn start(orderer: &mut Orderer) -> Vec<Effect> {
    effects(orderer, OrdererInput::Start)
}

fn may_vote(orderer: &mut Orderer) -> Vec<Effect> {
    effects(orderer, OrdererInput::Voting(true))
}

fn propose(orderer: &mut Orderer, view: u64, batch: &Arc<Batch>) -> Vec<Effect> {
    effects(orderer, OrdererInput::Propose { view: View(view), batch: batch.clone() })
}

/// Where a primary proposes in these effects.
fn proposed(effects: &[Effect]) -> Vec<u64> {
    let proposed = effects.iter().filter_map(|effect| match effect {
        Effect::Send(To::Others, Message::PrePrepare(message)) => Some(message.seq.0),
        _ => None,
    });
    proposed.collect()
}

fn fetch(to: u8, seq: u64, batch: &Batch) -> Effect {
    let fetch = Fetch::Batch { seq: Seq(seq), digest: batch.digest() };
    Effect::Send(To::Replica(replica(to)), Message::Fetch(fetch))
}

/// What the next VIEW-CHANGE would say.
fn promises(orderer: &mut Orderer, view: u64) -> Frozen {
    let frozen = effects(orderer, OrdererInput::Freeze(View(view)));
    let frozen = frozen.into_iter().find_map(|effect| match effect {
        Effect::Tell(crate::role::Mail::ViewChanger(ViewChangerInput::Frozen(frozen))) => Some(frozen),
        _ => None,
    });
    frozen.expect("it says what it promised")
}

/// It is held to be executed again: the state on disk is older.
#[test]
fn what_is_stable_and_not_executed_again_yet_is_no_promise() {
    let (first, second) = (batch_of(3), batch_of(5));
    let prepared = [(View(0), first.digest())].into();
    let below = RememberedSlot { prepared, ..accepted(&first, &[0]) };
    let mut backup = restarted(1, 0, 4, &[(3, below), (5, accepted(&second, &[0]))]);
    let frozen = promises(&mut backup, 1);
    assert_eq!((frozen.stable, frozen.prepared), (Seq(4), Vec::new()));
    let kept = PrePrepared { seq: Seq(5), digest: second.digest(), view: View(0) };
    assert_eq!(frozen.pre_prepared, [kept]);
}

#[test]
fn what_was_accepted_and_prepared_is_in_qs_and_p_with_its_latest_view() {
    let batch = batch_of(1);
    let digest = batch.digest();
    let prepared = [(View(0), digest), (View(1), digest)].into();
    let mut backup = restarted(1, 0, 0, &[(3, RememberedSlot { prepared, ..accepted(&batch, &[0, 1, 2]) })]);
    let frozen = promises(&mut backup, 4);
    assert_eq!(frozen.pre_prepared, [PrePrepared { seq: Seq(3), digest, view: View(2) }]);
    assert_eq!(frozen.prepared, [Prepared { seq: Seq(3), digest, view: View(1) }]);
}

#[test]
fn what_the_state_on_disk_holds_already_is_not_taken_up() {
    let batch = batch_of(1);
    let backup = restarted(1, 4, 4, &[(4, accepted(&batch, &[0])), (5, accepted(&batch, &[0]))]);
    assert_eq!(backup.slots.keys().copied().collect::<Vec<_>>(), [Seq(5)]);
}

#[test]
fn the_window_begins_at_the_stable_checkpoint_although_the_state_on_disk_is_older() {
    let mut backup = restarted(1, 4, 8, &[]);
    start(&mut backup);
    may_vote(&mut backup);
    let batch = batch_of(1);
    assert_eq!(effects(&mut backup, proposes(0, 0, 8, &batch)), []);
    assert_eq!(effects(&mut backup, proposes(0, 0, 16, &batch)), promise(0, 16, &batch));
    assert_eq!(effects(&mut backup, proposes(0, 0, 17, &batch_of(2))), []);
}

#[test]
fn decided_batches_are_executed_again_in_order_from_the_state_on_disk() {
    let (first, second) = (batch_of(1), batch_of(2));
    let mut backup = restarted(1, 4, 4, &[(6, decided(&second)), (5, decided(&first))]);
    assert_eq!(start(&mut backup), [execute(&[(5, &first), (6, &second)])]);
    assert_eq!(start(&mut backup), []);
}

#[test]
fn what_follows_a_gap_or_was_only_accepted_is_not_executed() {
    let batch = batch_of(1);
    assert_eq!(start(&mut restarted(1, 4, 4, &[(6, decided(&batch))])), []);
    assert_eq!(start(&mut restarted(1, 4, 4, &[(5, accepted(&batch, &[]))])), []);
}

#[test]
fn what_was_executed_again_is_dropped_as_far_as_it_is_stable() {
    let batches = [1, 2, 3, 4, 5].map(|seq| (seq, decided(&batch_of(seq))));
    let mut backup = restarted(1, 0, 4, &batches);
    start(&mut backup);
    assert_eq!(backup.slots.keys().copied().collect::<Vec<_>>(), [Seq(5)]);
    let mut with_gap = restarted(1, 0, 4, &[batches[0].clone(), batches[2].clone(), batches[3].clone()]);
    start(&mut with_gap);
    assert_eq!(with_gap.slots.len(), 2, "what cannot be executed yet is needed");
}

#[test]
fn slots_below_the_stable_checkpoint_are_not_in_a_view_change_after_a_transfer() {
    let batch = batch_of(1);
    let prepared = [(View(0), batch.digest())].into();
    let slot = RememberedSlot { prepared, ..accepted(&batch, &[0]) };
    let mut backup = restarted(1, 0, 4, &[(2, slot.clone()), (4, slot.clone()), (5, slot)]);
    start(&mut backup);
    effects(&mut backup, OrdererInput::Jumped(Seq(4)));
    let frozen = promises(&mut backup, 1);
    assert_eq!(frozen.pre_prepared.iter().map(|q| q.seq).collect::<Vec<_>>(), [Seq(5)]);
    assert_eq!(frozen.prepared.iter().map(|p| p.seq).collect::<Vec<_>>(), [Seq(5)]);
}

#[test]
fn a_backup_votes_again_for_what_it_accepted_in_its_view_once_it_may() {
    let batch = batch_of(1);
    let mut backup = restarted(1, 0, 0, &[(1, accepted(&batch, &[0]))]);
    assert_eq!(start(&mut backup), []);
    assert_eq!(may_vote(&mut backup), promise(0, 1, &batch));
}

#[test]
fn another_batch_at_a_seq_that_it_promised_in_its_view_is_refused() {
    let batch = batch_of(1);
    let mut backup = restarted(1, 0, 0, &[(1, accepted(&batch, &[0]))]);
    start(&mut backup);
    may_vote(&mut backup);
    let refused = [reported(0, "two proposals for one seq")];
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch_of(2))), refused);
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch)), []);
}

#[test]
fn it_holds_to_its_promise_although_the_proposal_comes_before_it_may_vote() {
    let batch = batch_of(1);
    let mut backup = restarted(1, 0, 0, &[(1, accepted(&batch, &[0]))]);
    start(&mut backup);
    effects(&mut backup, proposes(0, 0, 1, &batch_of(2)));
    assert_eq!(may_vote(&mut backup), promise(0, 1, &batch));
}

#[test]
fn a_batch_accepted_in_an_earlier_view_does_not_bind_in_this_one() {
    let mut backup = restarted(3, 0, 0, &[(1, accepted(&batch_of(1), &[0]))]);
    effects(&mut backup, enters(1, 0, &[]));
    may_vote(&mut backup);
    let other = batch_of(2);
    assert_eq!(effects(&mut backup, proposes(1, 1, 1, &other)), promise(1, 1, &other));
}

#[test]
fn a_batch_accepted_in_the_view_that_is_entered_again_binds() {
    let batch = batch_of(1);
    let mut backup = restarted(3, 0, 0, &[(1, accepted(&batch, &[1]))]);
    effects(&mut backup, enters(1, 0, &[]));
    assert_eq!(may_vote(&mut backup), promise(1, 1, &batch));
}

#[test]
fn a_primary_proposes_above_what_it_had_proposed_in_its_view() {
    let slots = [1, 2].map(|seq| (seq, accepted(&batch_of(seq), &[0])));
    let mut primary = restarted(0, 0, 0, &slots);
    start(&mut primary);
    may_vote(&mut primary);
    assert_eq!(proposed(&propose(&mut primary, 0, &batch_of(9))), [3]);
}

#[test]
fn a_primary_skips_what_it_had_proposed_beyond_a_gap() {
    let mut primary = restarted(0, 0, 0, &[(2, accepted(&batch_of(2), &[0]))]);
    start(&mut primary);
    may_vote(&mut primary);
    assert_eq!(proposed(&propose(&mut primary, 0, &batch_of(8))), [1]);
    assert_eq!(proposed(&propose(&mut primary, 0, &batch_of(9))), [3]);
}

/// Its window may have moved before the stop further than the kept one reaches.
#[test]
fn a_restarted_primary_proposes_nothing_else_where_it_promised_above_its_kept_window() {
    let slots = [9, 10].map(|seq| (seq, accepted(&batch_of(seq), &[0])));
    let mut primary = restarted(0, 0, 0, &slots);
    start(&mut primary);
    may_vote(&mut primary);
    effects(&mut primary, OrdererInput::Jumped(Seq(8)));
    effects(&mut primary, OrdererInput::Stable(Seq(8)));
    assert_eq!(proposed(&propose(&mut primary, 0, &batch_of(99))), [11]);
}

#[test]
fn a_body_that_the_disk_lost_is_fetched_by_its_digest_and_voted_for_then() {
    let batch = batch_of(1);
    let lost = RememberedSlot { bodies: BTreeMap::new(), ..accepted(&batch, &[0]) };
    let mut backup = restarted(1, 0, 0, &[(1, lost)]);
    assert_eq!(start(&mut backup), [fetch(0, 1, &batch)]);
    assert_eq!(may_vote(&mut backup), []);
    assert_eq!(effects(&mut backup, proposes(0, 0, 1, &batch_of(2))).len(), 1, "reported");
    assert_eq!(effects(&mut backup, brings(2, 1, &batch)), promise(0, 1, &batch));
}

#[test]
fn the_lost_body_of_what_was_decided_is_asked_for_when_a_status_is_due() {
    let batch = batch_of(1);
    let lost = RememberedSlot { bodies: BTreeMap::new(), ..decided(&batch) };
    let mut backup = restarted(1, 0, 0, &[(1, lost)]);
    assert_eq!(start(&mut backup), []);
    let due = effects(&mut backup, OrdererInput::StatusDue { view_changes: ReplicaSet::EMPTY });
    assert!(due.contains(&fetch(0, 1, &batch)), "{due:?}");
    assert_eq!(effects(&mut backup, brings(0, 1, &batch)), [execute(&[(1, &batch)])]);
}

/// What is kept of a decision, and what comes before it.
fn kept(effects: Vec<Effect>) -> (Vec<Effect>, Option<Arc<Batch>>) {
    let (mut before, mut kept) = (Vec::new(), None);
    for effect in effects {
        match effect {
            Effect::Persist(Record::Decided { batch, .. }) => kept = Some(batch),
            other => {
                assert_eq!(kept, None, "nothing waits for it");
                before.push(other);
            }
        }
    }
    (before, kept.expect("a decision is kept"))
}

#[test]
fn a_decision_is_kept_after_all_that_must_not_wait_for_it() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, commits(0, 0, 1, batch.digest()));
    effects(&mut backup, commits(2, 0, 1, batch.digest()));
    let (before, body) = kept(testing::effects(&mut backup, commits(3, 0, 1, batch.digest())));
    assert_eq!(before, [progress(0), execute(&[(1, &batch)])]);
    assert_eq!(body, None, "the promise has its body");
}

#[test]
fn a_decision_is_kept_with_its_body_where_no_promise_has_it() {
    let (mut forgetful, batch) = (silent(1, 4), batch_of(1));
    effects(&mut forgetful, decides(2, 1, batch.digest()));
    effects(&mut forgetful, decides(3, 1, batch.digest()));
    assert_eq!(kept(testing::effects(&mut forgetful, brings(2, 1, &batch))).1, Some(batch));
}

#[test]
fn null_is_kept_without_a_body() {
    let mut forgetful = silent(1, 4);
    effects(&mut forgetful, decides(2, 1, Batch::null_digest()));
    let decided = decides(3, 1, Batch::null_digest());
    assert_eq!(kept(testing::effects(&mut forgetful, decided)).1, None);
}

fn link(id: u8, log: LogId) -> OrdererInput {
    OrdererInput::PeerLog { replica: replica(id), log }
}

fn first_log(id: u8, log: LogId) -> [Effect; 2] {
    let replica = replica(id);
    [Effect::Persist(Record::PeerLog { replica, log }), tell(CheckpointerInput::PeerLog { replica, log })]
}

const LATER: LogId = LogId { number: 900, salt: 1 };

#[test]
fn the_first_log_of_a_peer_is_kept_before_it_is_told_and_no_later_one() {
    let mut backup = orderer(1, 4);
    assert_eq!(effects(&mut backup, link(2, log_of(2))), first_log(2, log_of(2)));
    assert_eq!(effects(&mut backup, link(2, log_of(2))), []);
    assert_eq!(effects(&mut backup, link(2, LATER)), []);
    assert_eq!(effects(&mut backup, link(3, LATER)), first_log(3, LATER));
}

#[test]
fn the_own_log_is_no_peers() {
    assert_eq!(effects(&mut orderer(1, 4), link(1, LATER)), []);
}

#[test]
fn a_log_that_was_kept_before_the_stop_is_not_kept_again() {
    let mut backup = silent(1, 4);
    backup.remember(Seq(0), Seq(0), BTreeMap::new(), [replica(2)].into_iter());
    assert_eq!(effects(&mut backup, link(2, LATER)), []);
    assert_eq!(effects(&mut backup, link(3, log_of(3))), first_log(3, log_of(3)));
}

fn recall(id: u8, log: LogId) -> OrdererInput {
    OrdererInput::Recall(replica(id), Recall { log })
}

fn recalled(id: u8, log: LogId, votes: Vec<(VoteKind, Vote)>) -> Effect {
    let (peer, recall) = (replica(id), Recall { log });
    tell(ViewChangerInput::Recall(Recalled { peer, recall, votes, view_change: None }))
}

/// The votes of a peer that asks, whose log is known.
fn votes_of(orderer: &mut Orderer, id: u8) -> Vec<(VoteKind, Vote)> {
    effects(orderer, link(id, log_of(id)));
    let answer = effects(orderer, recall(id, log_of(id)));
    match &answer[..] {
        [Effect::Tell(crate::role::Mail::ViewChanger(ViewChangerInput::Recall(recalled)))] => {
            recalled.votes.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_asks_shows_its_log_and_that_is_kept_first() {
    let expected = [first_log(2, LATER).to_vec(), vec![recalled(2, LATER, Vec::new())]].concat();
    assert_eq!(effects(&mut orderer(1, 4), recall(2, LATER)), expected);
}

#[test]
fn who_asks_is_told_its_own_votes_of_the_view() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    commit_at_backup(&mut backup, 1, &batch);
    let held = vote(0, 1, batch.digest());
    let both = [(VoteKind::PrePrepared, held), (VoteKind::Prepared, held)];
    assert_eq!(votes_of(&mut backup, 2), both);
    assert_eq!(votes_of(&mut backup, 0), both, "a primary's proposal is its vote");
}

#[test]
fn votes_that_are_not_held_are_not_told() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    assert_eq!(votes_of(&mut backup, 2), [(VoteKind::PrePrepared, vote(0, 1, batch.digest()))]);
    assert_eq!(votes_of(&mut backup, 3), []);
}

#[test]
fn while_the_view_changes_the_votes_told_are_those_of_the_view_that_was_left() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, OrdererInput::Freeze(View(1)));
    assert_eq!(votes_of(&mut backup, 2), [(VoteKind::PrePrepared, vote(0, 1, batch.digest()))]);
}

#[test]
fn votes_of_views_before_the_one_entered_are_not_told() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, enters(1, 0, &[]));
    assert_eq!(votes_of(&mut backup, 2), []);
}

#[test]
fn what_new_view_chose_is_no_vote_of_the_primarys_and_what_it_proposes_afresh_is() {
    let (mut backup, chosen, fresh) = (orderer(3, 4), batch_of(1), batch_of(2));
    effects(&mut backup, proposes(0, 0, 1, &chosen));
    effects(&mut backup, enters(1, 0, &[(1, chosen.digest())]));
    effects(&mut backup, proposes(1, 1, 2, &fresh));
    assert_eq!(votes_of(&mut backup, 1), [(VoteKind::PrePrepared, vote(1, 2, fresh.digest()))]);
}

#[test]
fn who_asks_too_often_is_answered_once_in_half_a_status_interval() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, link(2, log_of(2)));
    let mut asked = |at_ms| step(&mut backup, at(at_ms), recall(2, log_of(2))).effects.len();
    assert_eq!([asked(0), asked(1), asked(24), asked(25), asked(26)], [1, 0, 0, 1, 0]);
}

#[test]
fn one_who_asks_too_often_does_not_silence_another() {
    let mut backup = orderer(1, 4);
    effects(&mut backup, link(2, log_of(2)));
    effects(&mut backup, link(3, log_of(3)));
    effects(&mut backup, recall(2, log_of(2)));
    assert_eq!(effects(&mut backup, recall(3, log_of(3))), [recalled(3, log_of(3), Vec::new())]);
}
