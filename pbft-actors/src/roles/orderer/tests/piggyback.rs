//! Which COMMITs wait, what they leave with, and how long they wait at most (PROTOCOL 10).

use super::*;
use crate::role::TimerChange;

/// Replica `own` of four whose COMMITs may wait and in whose view the batch at seq 1 is committed.
fn patient(own: u8) -> Orderer {
    let mut orderer = orderer(own, 4);
    commit_first(&mut orderer);
    orderer.config.tuning.piggyback_commits = true;
    orderer
}

fn commit_first(orderer: &mut Orderer) {
    if orderer.is_primary() {
        let digest = batch_of(1).digest();
        effects(orderer, OrdererInput::Propose { view: View(0), batch: batch_of(1) });
        effects(orderer, OrdererInput::OwnPrePrepare(vote(0, 1, digest)));
        for id in [2, 3] {
            effects(orderer, prepares(id, 0, 1, digest));
        }
        for id in [1, 2, 3] {
            effects(orderer, commits(id, 0, 1, digest));
        }
    } else {
        commit_at_backup(orderer, 1, &batch_of(1));
    }
}

/// The batch of this number prepares at a backup at this seq; its record is not durable yet.
fn prepare(backup: &mut Orderer, seq: u64) -> Vec<Effect> {
    let digest = batch_of(seq).digest();
    effects(backup, proposes(0, 0, seq, &batch_of(seq)));
    effects(backup, prepares(2, 0, seq, digest));
    effects(backup, prepares(3, 0, seq, digest))
}

fn own_commit(seq: u64) -> OrdererInput {
    OrdererInput::OwnCommit(vote(0, seq, batch_of(seq).digest()))
}

fn sends(seq: u64) -> Effect {
    Effect::Send(To::Others, Message::Commit(vote(0, seq, batch_of(seq).digest())))
}

/// A backup with a COMMIT for seq 2 that waits, since 100 ms after the start.
fn waiting() -> Orderer {
    let mut backup = patient(1);
    prepare(&mut backup, 2);
    let step = testing::step(&mut backup, at(100), own_commit(2));
    assert!(!step.effects.contains(&sends(2)));
    assert_eq!(step.timers, [TimerChange::Arm(OrdererTimer::Commit, deadline(102))]);
    backup
}

fn is_sent_at_once(mut backup: Orderer, seq: u64) -> bool {
    prepare(&mut backup, seq);
    let step = testing::step(&mut backup, at(100), own_commit(seq));
    step.effects.contains(&sends(seq)) && step.timers.is_empty()
}

#[test]
fn the_commit_of_the_last_batch_leaves_with_the_next_vote() {
    let mut backup = waiting();
    let step = testing::step(&mut backup, at(101), proposes(0, 0, 3, &batch_of(3)));
    let sent: Vec<&Effect> = step.effects.iter().filter(|it| matches!(it, Effect::Send(..))).collect();
    let prepare = Effect::Send(To::Others, Message::Prepare(vote(0, 3, batch_of(3).digest())));
    assert_eq!(sent, [&sends(2), &prepare]);
    assert_eq!(step.timers, [TimerChange::Disarm(OrdererTimer::Commit)]);
}

#[test]
fn a_primarys_leaves_with_its_next_proposal() {
    let mut primary = patient(0);
    effects(&mut primary, OrdererInput::Propose { view: View(0), batch: batch_of(2) });
    let digest = batch_of(2).digest();
    effects(&mut primary, OrdererInput::OwnPrePrepare(vote(0, 2, digest)));
    effects(&mut primary, prepares(2, 0, 2, digest));
    effects(&mut primary, prepares(3, 0, 2, digest));
    assert!(!effects(&mut primary, own_commit(2)).contains(&sends(2)));
    let proposal = effects(&mut primary, OrdererInput::Propose { view: View(0), batch: batch_of(3) });
    assert!(proposal.contains(&sends(2)), "{proposal:?}");
}

#[test]
fn it_is_not_sent_before_its_record_is_durable() {
    let mut backup = patient(1);
    let prepared = prepare(&mut backup, 2);
    assert_eq!(
        prepared,
        [commit(0, 2, batch_of(2).digest())[0].clone(), commit(0, 2, batch_of(2).digest())[2].clone()]
    );
    assert!(!effects(&mut backup, OrdererInput::ReadWaits).contains(&sends(2)));
    assert!(!effects(&mut backup, proposes(0, 0, 3, &batch_of(3))).contains(&sends(2)));
    assert!(effects(&mut backup, own_commit(2)).contains(&sends(2)), "a later batch is there");
}

#[test]
fn it_waits_no_longer_than_its_time() {
    let mut backup = waiting();
    assert_eq!(testing::fire(&mut backup, at(102), OrdererTimer::Commit).effects, [sends(2)]);
    assert_eq!(testing::fire(&mut backup, at(103), OrdererTimer::Commit).effects, []);
}

#[test]
fn a_read_that_waits_for_it_sends_it() {
    let mut backup = waiting();
    assert_eq!(effects(&mut backup, OrdererInput::ReadWaits), [sends(2)]);
}

#[test]
fn who_left_the_view_does_not_send_it() {
    let mut backup = waiting();
    effects(&mut backup, OrdererInput::Freeze(View(1)));
    assert_eq!(testing::fire(&mut backup, at(102), OrdererTimer::Commit).effects, []);
}

#[test]
fn it_counts_at_once_where_it_was_cast() {
    let mut backup = waiting();
    let digest = batch_of(2).digest();
    effects(&mut backup, commits(0, 0, 2, digest));
    assert_eq!(effects(&mut backup, commits(3, 0, 2, digest)), [execute(&[(2, &batch_of(2))])]);
}

#[test]
fn where_somebody_waits_for_it_or_may_not_be_answered_early_it_does_not_wait() {
    assert!(!is_sent_at_once(patient(1), 2));
    // The first of its view, and a checkpoint.
    let mut first = orderer(1, 4);
    first.config.tuning.piggyback_commits = true;
    assert!(is_sent_at_once(first, 1));
    let mut checkpoint = patient(1);
    commit_at_backup(&mut checkpoint, 2, &batch_of(2));
    commit_at_backup(&mut checkpoint, 3, &batch_of(3));
    assert!(is_sent_at_once(checkpoint, 4));
    // One with a later batch behind it.
    let mut followed = patient(1);
    effects(&mut followed, proposes(0, 0, 3, &batch_of(3)));
    assert!(is_sent_at_once(followed, 2));
}

#[test]
fn where_it_is_switched_off_or_of_no_use_votes_leave_with_their_records() {
    let off: [fn(&mut Tuning); 3] = [
        |tuning| tuning.piggyback_commits = false,
        |tuning| tuning.tentative_execution = false,
        |tuning| tuning.pipeline = 1,
    ];
    for change in off {
        let mut backup = patient(1);
        change(&mut backup.config.tuning);
        assert_eq!(prepare(&mut backup, 2), commit(0, 2, batch_of(2).digest()));
    }
}
