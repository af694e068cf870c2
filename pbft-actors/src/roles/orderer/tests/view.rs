//! Leaving a view and entering the next (PROTOCOL 7.1, 7.2 and 7.5).

use super::*;
use crate::message::{PrePrepared, Prepared};
use crate::role::Frozen;

fn frozen(view: u64) -> Frozen {
    Frozen {
        view: View(view),
        stable: Seq(0),
        checkpoints: Vec::new(),
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
        disputed: Vec::new(),
    }
}

fn p(seq: u64, batch: &Batch, view: u64) -> Prepared {
    Prepared { seq: Seq(seq), digest: batch.digest(), view: View(view) }
}

fn q(seq: u64, batch: &Batch, view: u64) -> PrePrepared {
    PrePrepared { seq: Seq(seq), digest: batch.digest(), view: View(view) }
}

fn freeze(orderer: &mut Orderer, view: u64) -> Vec<Effect> {
    effects(orderer, OrdererInput::Freeze(View(view)))
}

/// The fence comes before P and Qs are told, so that no vote can follow them.
fn fenced(view: u64, frozen: Frozen) -> [Effect; 2] {
    [Effect::Fence(View(view - 1)), tell(ViewChangerInput::Frozen(frozen))]
}

fn settled(view: u64) -> Effect {
    tell(ViewChangerInput::Settled(View(view)))
}

fn fetch(to: u8, seq: u64, batch: &Batch) -> Effect {
    let fetch = Fetch::Batch { seq: Seq(seq), digest: batch.digest() };
    Effect::Send(To::Replica(replica(to)), Message::Fetch(fetch))
}

#[test]
fn a_replica_without_promises_says_so() {
    assert_eq!(freeze(&mut orderer(1, 4), 1), fenced(1, frozen(1)));
}

#[test]
fn what_was_accepted_is_in_qs_and_what_prepared_is_in_p() {
    let (mut backup, first, second) = (orderer(1, 4), batch_of(1), batch_of(2));
    commit_at_backup(&mut backup, 1, &first);
    effects(&mut backup, proposes(0, 0, 2, &second));
    let promised = Frozen {
        prepared: vec![p(1, &first, 0)],
        pre_prepared: vec![q(1, &first, 0), q(2, &second, 0)],
        ..frozen(1)
    };
    assert_eq!(freeze(&mut backup, 1), fenced(1, promised));
}

#[test]
fn promises_whose_records_are_not_durable_yet_are_in_p_and_qs() {
    // OwnPrepare and OwnCommit never came back.
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, prepares(3, 0, 1, batch.digest()));
    let promised =
        Frozen { prepared: vec![p(1, &batch, 0)], pre_prepared: vec![q(1, &batch, 0)], ..frozen(1) };
    assert_eq!(freeze(&mut backup, 1), fenced(1, promised));
}

#[test]
fn a_primarys_own_proposals_are_in_its_p_and_qs() {
    let (mut primary, batch) = (orderer(0, 4), batch_of(1));
    effects(&mut primary, OrdererInput::Propose { view: View(0), batch: batch.clone() });
    effects(&mut primary, OrdererInput::OwnPrePrepare(vote(0, 1, batch.digest())));
    effects(&mut primary, prepares(1, 0, 1, batch.digest()));
    effects(&mut primary, prepares(2, 0, 1, batch.digest()));
    let promised =
        Frozen { prepared: vec![p(1, &batch, 0)], pre_prepared: vec![q(1, &batch, 0)], ..frozen(1) };
    assert_eq!(freeze(&mut primary, 1), fenced(1, promised));
}

#[test]
fn null_is_in_p_and_qs_like_any_batch() {
    let (mut backup, null) = (orderer(1, 4), Arc::new(Batch::null()));
    commit_at_backup(&mut backup, 1, &null);
    let promised = Frozen { prepared: vec![p(1, &null, 0)], pre_prepared: vec![q(1, &null, 0)], ..frozen(1) };
    assert_eq!(freeze(&mut backup, 1), fenced(1, promised));
}

#[test]
fn qs_keep_every_batch_of_a_seq_with_its_latest_view() {
    let mut backup = orderer(3, 5);
    let (first, second) = (batch_of(1), batch_of(2));
    effects(&mut backup, proposes(0, 0, 1, &first));
    effects(&mut backup, enters(1, 0, &[]));
    effects(&mut backup, proposes(1, 1, 1, &second));
    effects(&mut backup, enters(2, 0, &[(1, first.digest())]));
    let mut pre_prepared = vec![q(1, &first, 2), q(1, &second, 1)];
    pre_prepared.sort();
    assert_eq!(freeze(&mut backup, 3), fenced(3, Frozen { pre_prepared, ..frozen(3) }));
}

#[test]
fn what_is_not_voted_on_again_keeps_its_old_view_in_p() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(1, 0, 1, batch.digest()));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, enters(1, 0, &[(1, batch.digest())]));
    // Accepted again in view 1, prepared in view 0 only.
    let promised =
        Frozen { prepared: vec![p(1, &batch, 0)], pre_prepared: vec![q(1, &batch, 1)], ..frozen(2) };
    assert_eq!(freeze(&mut backup, 2), fenced(2, promised));
}

#[test]
fn p_survives_a_view_in_which_nothing_happened() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(1, 0, 1, batch.digest()));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    freeze(&mut backup, 1);
    let promised =
        Frozen { prepared: vec![p(1, &batch, 0)], pre_prepared: vec![q(1, &batch, 0)], ..frozen(2) };
    assert_eq!(freeze(&mut backup, 2), fenced(2, promised));
}

#[test]
fn a_stable_checkpoint_erases_what_is_at_or_below_it_and_nothing_above() {
    let mut backup = orderer(1, 4);
    for seq in 1..=5 {
        commit_at_backup(&mut backup, seq, &batch_of(seq));
    }
    for seq in [0, 4] {
        effects(&mut backup, OrdererInput::OwnCheckpoint(Checkpoint { seq: Seq(seq), digest: digest(8) }));
    }
    effects(&mut backup, OrdererInput::Stable(Seq(4)));
    let left = Frozen {
        stable: Seq(4),
        checkpoints: vec![Checkpoint { seq: Seq(4), digest: digest(8) }],
        prepared: vec![p(5, &batch_of(5), 0)],
        pre_prepared: vec![q(5, &batch_of(5), 0)],
        ..frozen(1)
    };
    assert_eq!(freeze(&mut backup, 1), fenced(1, left));
}

fn takes(orderer: &mut Orderer, seq: u64, number: u8) {
    let checkpoint = Checkpoint { seq: Seq(seq), digest: digest(number) };
    effects(orderer, OrdererInput::OwnCheckpoint(checkpoint));
}

#[test]
fn a_jump_keeps_the_checkpoints_below_it_and_replaces_those_above() {
    // Forward with a transfer, and down or in place with a repair.
    for (target, below) in [(4, vec![0]), (6, vec![0, 4]), (8, vec![0, 4]), (12, vec![0, 4, 8])] {
        let mut backup = orderer(1, 4);
        for seq in [0, 4, 8] {
            takes(&mut backup, seq, 8);
        }
        effects(&mut backup, OrdererInput::Jumped(Seq(target)));
        takes(&mut backup, target, 9);
        let mut listed: Vec<(u64, u8)> = below.iter().map(|seq| (*seq, 8)).collect();
        // Beyond the window it is not listed.
        listed.extend((target <= 8).then_some((target, 9)));
        let checkpoints =
            listed.iter().map(|(seq, number)| Checkpoint { seq: Seq(*seq), digest: digest(*number) });
        let left = Frozen { checkpoints: checkpoints.collect(), ..frozen(1) };
        assert_eq!(freeze(&mut backup, 1), fenced(1, left), "{target}");
    }
}

#[test]
fn a_client_whose_mac_blocks_a_seq_is_named() {
    let (mut backup, batch) = (orderer(1, 4), batch([maced(7, 1)]));
    effects(&mut backup, OrdererInput::PrePrepare(from(0, disputed(&pre_prepare(0, 1, &batch)))));
    assert_eq!(freeze(&mut backup, 1), fenced(1, Frozen { disputed: vec![ClientId(7)], ..frozen(1) }));
}

#[test]
fn a_client_whose_mac_blocked_nothing_in_the_end_is_not_named() {
    let (mut backup, request) = (orderer(1, 4), maced(7, 1));
    let batch = batch([request.clone()]);
    effects(&mut backup, OrdererInput::PrePrepare(from(0, disputed(&pre_prepare(0, 1, &batch)))));
    effects(&mut backup, OrdererInput::Found(vec![request]));
    let promised = Frozen { pre_prepared: vec![q(1, &batch, 0)], ..frozen(1) };
    assert_eq!(freeze(&mut backup, 1), fenced(1, promised));
}

#[test]
fn a_frozen_replica_votes_on_nothing() {
    let (mut backup, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    freeze(&mut backup, 1);
    assert_eq!(effects(&mut backup, OrdererInput::OwnPrepare(vote(0, 1, batch.digest()))), []);
    assert_eq!(effects(&mut backup, prepares(2, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, prepares(3, 0, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, proposes(0, 0, 2, &batch_of(2))), []);
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), []);
}

#[test]
fn entering_a_view_votes_again_on_what_was_chosen_and_executes_nothing_again() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    for id in [0, 1, 2] {
        effects(&mut backup, commits(id, 0, 1, batch.digest()));
    }
    let entered = effects(&mut backup, enters(1, 0, &[(1, batch.digest())]));
    let expected = [vec![Effect::Fence(View(0))], promise(1, 1, &batch), vec![settled(1)]].concat();
    assert_eq!(entered, expected);
    effects(&mut backup, commits(0, 1, 1, batch.digest()));
    effects(&mut backup, commits(1, 1, 1, batch.digest()));
    assert_eq!(effects(&mut backup, commits(2, 1, 1, batch.digest())), [progress(1)]);
}

#[test]
fn the_new_primary_accepts_what_was_chosen_without_a_prepare() {
    let (mut primary, batch) = (orderer(1, 4), batch_of(1));
    effects(&mut primary, proposes(0, 0, 1, &batch));
    let entered = effects(&mut primary, enters(1, 0, &[(1, batch.digest())]));
    let expected = [
        Effect::Fence(View(0)),
        tell(BatcherInput::Accepted(Seq(1))),
        Effect::Persist(Record::PrePrepared { view: View(1), seq: Seq(1), batch: batch.clone() }),
        tell(OrdererInput::OwnPrePrepare(vote(1, 1, batch.digest()))),
        tell(BatcherInput::Grant(Grant { view: View(1), next: Seq(2), credits: 7 })),
    ];
    assert_eq!(entered, expected);
}

#[test]
fn votes_of_the_old_view_do_not_count_in_the_new_one() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    effects(&mut backup, proposes(0, 0, 1, &batch));
    effects(&mut backup, prepares(2, 0, 1, batch.digest()));
    effects(&mut backup, commits(0, 0, 1, batch.digest()));
    effects(&mut backup, commits(2, 0, 1, batch.digest()));
    effects(&mut backup, enters(1, 0, &[(1, batch.digest())]));
    assert_eq!(effects(&mut backup, prepares(0, 1, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, commits(1, 1, 1, batch.digest())), []);
}

#[test]
fn what_was_chosen_and_is_missing_is_fetched_then_voted_on() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    let entered = effects(&mut backup, enters(1, 0, &[(1, batch.digest())]));
    assert_eq!(entered, [Effect::Fence(View(0)), fetch(0, 1, &batch)]);
    assert_eq!(effects(&mut backup, brings(0, 1, &batch)), promise(1, 1, &batch));
}

#[test]
fn messages_that_overtake_new_view_count_once_the_view_is_entered() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    freeze(&mut backup, 1);
    assert_eq!(effects(&mut backup, prepares(0, 1, 1, batch.digest())), []);
    assert_eq!(effects(&mut backup, proposes(1, 1, 1, &batch)), []);
    assert_eq!(effects(&mut backup, prepares(2, 1, 1, batch.digest())), []);
    let entered = effects(&mut backup, enters(1, 0, &[]));
    let expected =
        [vec![Effect::Fence(View(0)), settled(1)], promise(1, 1, &batch), commit(1, 1, batch.digest())];
    assert_eq!(entered, expected.concat());
}

#[test]
fn messages_of_a_still_later_view_stay_kept() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(1));
    effects(&mut backup, proposes(2, 2, 1, &batch));
    effects(&mut backup, enters(1, 0, &[]));
    let entered = effects(&mut backup, enters(2, 0, &[]));
    assert_eq!(entered, [vec![Effect::Fence(View(1)), settled(2)], promise(2, 1, &batch)].concat());
}

#[test]
fn messages_kept_of_a_later_view_are_bounded_per_peer() {
    let mut backup = orderer(3, 4);
    for seq in 0..2 * OVERTAKEN_PER_PEER_MAX as u64 {
        effects(&mut backup, prepares(2, 5, seq, digest(9)));
    }
    effects(&mut backup, prepares(1, 5, 1, digest(9)));
    let kept: Vec<usize> = backup.overtaken.values().map(VecDeque::len).collect();
    assert_eq!(kept, [1, OVERTAKEN_PER_PEER_MAX]);
}

#[test]
fn a_view_with_nothing_chosen_is_settled_at_once() {
    let entered = effects(&mut orderer(3, 4), enters(1, 0, &[]));
    assert_eq!(entered, [Effect::Fence(View(0)), settled(1)]);
}

#[test]
fn a_view_is_settled_when_all_that_was_chosen_is_decided() {
    let (mut backup, first, second) = (orderer(3, 4), batch_of(1), batch_of(2));
    effects(&mut backup, proposes(0, 0, 1, &first));
    effects(&mut backup, proposes(0, 0, 2, &second));
    effects(&mut backup, enters(1, 0, &[(1, first.digest()), (2, second.digest())]));
    effects(&mut backup, decides(0, 1, first.digest()));
    assert_eq!(effects(&mut backup, decides(1, 1, first.digest())), [execute(&[(1, &first)])]);
    effects(&mut backup, decides(0, 2, second.digest()));
    let decided = effects(&mut backup, decides(1, 2, second.digest()));
    assert_eq!(decided, [settled(1), execute(&[(2, &second)])]);
}

#[test]
fn a_view_is_entered_once() {
    let mut backup = orderer(3, 4);
    effects(&mut backup, enters(1, 0, &[]));
    assert_eq!(effects(&mut backup, enters(1, 0, &[(1, digest(9))])), []);
    effects(&mut backup, enters(2, 0, &[]));
    assert_eq!(effects(&mut backup, enters(1, 0, &[])), []);
}

#[test]
fn the_new_primary_holds_all_bodies_before_new_view_leaves() {
    let (mut primary, held, missing) = (orderer(1, 4), batch_of(1), batch_of(2));
    effects(&mut primary, proposes(0, 0, 1, &held));
    freeze(&mut primary, 1);
    let gathered = || tell(ViewChangerInput::Gathered(View(1)));
    let gather = |chosen: Vec<(Seq, Digest)>| OrdererInput::Gather { view: View(1), chosen };
    let null = (Seq(3), Batch::null_digest());
    let all = vec![(Seq(1), held.digest()), (Seq(2), missing.digest()), null];
    assert_eq!(effects(&mut primary, gather(all)), [fetch(0, 2, &missing)]);
    assert_eq!(effects(&mut primary, brings(0, 2, &missing)), [gathered()]);
    let here = vec![(Seq(1), held.digest()), null];
    assert_eq!(effects(&mut primary, gather(here)), [gathered()]);
}

#[test]
fn what_is_gathered_is_asked_of_another_peer_with_each_status() {
    let (mut primary, missing) = (orderer(1, 4), batch_of(2));
    freeze(&mut primary, 1);
    let chosen = vec![(Seq(1), missing.digest())];
    assert_eq!(
        effects(&mut primary, OrdererInput::Gather { view: View(1), chosen }),
        [fetch(0, 1, &missing)]
    );
    let due = || OrdererInput::StatusDue { view_changes: ReplicaSet::EMPTY };
    assert_eq!(effects(&mut primary, due())[0], fetch(2, 1, &missing));
    assert_eq!(effects(&mut primary, due())[0], fetch(3, 1, &missing));
}

#[test]
fn what_was_chosen_above_the_window_is_voted_on_when_it_moves() {
    let (mut backup, batch) = (orderer(3, 4), batch_of(9));
    effects(&mut backup, enters(1, 4, &[(9, batch.digest())]));
    assert_eq!(effects(&mut backup, brings(0, 9, &batch)), []);
    assert_eq!(effects(&mut backup, OrdererInput::Stable(Seq(4))), promise(1, 9, &batch));
}

/// n=4 seed 40000611: its window was behind, a backup prepared on its word and another one forgot.
#[test]
fn a_primary_promises_what_its_new_view_chose_beyond_its_own_window() {
    let (mut primary, batch) = (orderer(1, 4), batch_of(1));
    freeze(&mut primary, 1);
    effects(&mut primary, OrdererInput::Gather { view: View(1), chosen: vec![(Seq(14), batch.digest())] });
    effects(&mut primary, brings(2, 14, &batch));
    let promised = Record::PrePrepared { view: View(1), seq: Seq(14), batch: batch.clone() };
    let entered = effects(&mut primary, enters(1, 8, &[(14, batch.digest())]));
    assert_eq!(entered.iter().filter(|effect| **effect == Effect::Persist(promised.clone())).count(), 1);
    // A VIEW-CHANGE names nothing beyond the window of its sender.
    assert_eq!(freeze(&mut primary, 2), fenced(2, frozen(2)));
    effects(&mut primary, OrdererInput::Stable(Seq(8)));
    let told = Frozen { stable: Seq(8), pre_prepared: vec![q(14, &batch, 1)], ..frozen(3) };
    assert_eq!(freeze(&mut primary, 3), fenced(3, told));
}

#[test]
fn a_backup_promises_nothing_beyond_its_window() {
    let (mut backup, batch) = (orderer(2, 4), batch_of(1));
    effects(&mut backup, enters(1, 8, &[(14, batch.digest())]));
    let entered = effects(&mut backup, brings(1, 14, &batch));
    assert_eq!(entered, []);
    freeze(&mut backup, 2);
    effects(&mut backup, OrdererInput::Stable(Seq(8)));
    assert_eq!(freeze(&mut backup, 3), fenced(3, Frozen { stable: Seq(8), ..frozen(3) }));
}

#[test]
fn promises_beyond_the_window_go_with_what_a_later_view_starts_from() {
    let (mut primary, batch) = (orderer(1, 4), Arc::new(Batch::null()));
    effects(&mut primary, enters(1, 8, &[(14, batch.digest())]));
    effects(&mut primary, enters(2, 16, &[]));
    effects(&mut primary, OrdererInput::Stable(Seq(8)));
    assert_eq!(freeze(&mut primary, 3), fenced(3, Frozen { stable: Seq(8), ..frozen(3) }));
}

#[test]
fn what_was_chosen_is_voted_on_however_far_the_window_jumps() {
    let (mut backup, batch) = (orderer(2, 4), batch_of(1));
    effects(&mut backup, enters(1, 8, &[(14, batch.digest())]));
    effects(&mut backup, brings(1, 14, &batch));
    let jumped = effects(&mut backup, OrdererInput::Stable(Seq(8)));
    assert_eq!(jumped, promise(1, 14, &batch));
}
