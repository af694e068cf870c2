//! Where a replica goes on that stopped, and what it tells of others (PROTOCOL 11).

use super::new_view::{enters, gather, leader};
use super::*;
use crate::message::{Recall, SeqBitmap, VoteKind};
use crate::role::{Recalled, Whereabouts};

fn starts(
    asked: Option<(u64, Option<Signed<ViewChange>>)>,
    entered: Option<(u64, Option<ProvenNewView>)>,
) -> ViewChangerInput {
    ViewChangerInput::Start(Box::new(Whereabouts {
        asked: asked.map(|(view, vote)| (View(view), vote)),
        entered: entered.map(|(view, proven)| (View(view), proven)),
    }))
}

/// The own VIEW-CHANGE of replica 3 as its journal has it.
fn own(view: u64) -> Option<Signed<ViewChange>> {
    Some(signed_by(3, empty(view)))
}

fn signs(view: u64) -> Vec<Effect> {
    let signed = signed_by(3, empty(view));
    vec![
        Effect::Persist(Record::ViewChange(signed.clone())),
        Effect::Send(To::Others, Message::ViewChange(signed.clone())),
        tell(ViewChangerInput::OwnViewChange(signed)),
    ]
}

fn may_vote(changer: &mut ViewChanger) -> Vec<Effect> {
    effects(changer, ViewChangerInput::Voting(true))
}

/// Replica 0 moves to this view and holds these VIEW-CHANGEs.
fn lacking(view: u64, view_changes: &[u8]) -> ViewChangerInput {
    ViewChangerInput::Status(from(
        0,
        Status {
            view: View(view),
            changing: true,
            stable: Seq(0),
            executed: Seq(0),
            first_held: Seq(1),
            prepared: SeqBitmap::default(),
            decided: SeqBitmap::default(),
            view_changes: view_changes.iter().copied().map(ReplicaId).collect(),
        },
    ))
}

fn gives(vote: &Signed<ViewChange>) -> Effect {
    Effect::Send(To::Replica(replica(0)), Message::ViewChange(vote.clone()))
}

#[test]
fn a_replica_that_remembers_nothing_stays_in_view_0() {
    let mut backup = silent(3, 4);
    assert_eq!(effects(&mut backup, starts(None, None)), []);
    assert_eq!((backup.view(), backup.is_active()), (View(0), true));
}

#[test]
fn the_view_entered_last_is_entered_again_and_kept_no_second_time() {
    for asked in [None, Some((1, own(1)))] {
        let mut backup = silent(3, 4);
        let proven = quiet_start(1);
        let entered = enters(&proven);
        assert_eq!(entered[0], Effect::Persist(Record::NewView(proven.new_view.clone())));
        assert_eq!(effects(&mut backup, starts(asked, Some((1, Some(proven))))), entered[1..]);
        assert_eq!((backup.view(), backup.is_active()), (View(1), true));
    }
}

#[test]
fn one_that_had_asked_for_a_later_view_goes_on_to_it() {
    let mut backup = silent(3, 4);
    let start = starts(Some((2, own(2))), Some((1, Some(quiet_start(1)))));
    assert_eq!(effects(&mut backup, start), leaves(2));
    assert_eq!((backup.view(), backup.is_active()), (View(2), false));
}

#[test]
fn its_view_change_is_given_again_as_it_was_signed_and_not_signed_again() {
    let mut backup = silent(3, 4);
    effects(&mut backup, starts(Some((2, own(2))), None));
    assert_eq!(effects(&mut backup, frozen(2)), []);
    assert_eq!(may_vote(&mut backup), []);
    assert_eq!(effects(&mut backup, frozen(2)), []);
    assert_eq!(effects(&mut backup, lacking(2, &[])), [gives(&signed_by(3, empty(2)))]);
}

#[test]
fn it_counts_like_any_other_in_the_view_change_that_goes_on() {
    let mut primary = silent(1, 4);
    effects(&mut primary, starts(Some((1, Some(signed_by(1, empty(1))))), None));
    may_vote(&mut primary);
    assert_eq!(effects(&mut primary, asks(2, empty(1))), []);
    assert_eq!(effects(&mut primary, asks(3, empty(1))), [gather(1, &[])]);
}

#[test]
fn a_primary_that_may_not_sign_yet_gathers_again_once_it_may() {
    let mut primary = silent(1, 4);
    effects(&mut primary, starts(Some((1, Some(signed_by(1, empty(1))))), None));
    effects(&mut primary, asks(2, empty(1)));
    assert_eq!(effects(&mut primary, asks(3, empty(1))), [gather(1, &[])]);
    assert_eq!(effects(&mut primary, ViewChangerInput::Gathered(View(1))), []);
    assert_eq!(may_vote(&mut primary), [gather(1, &[])]);
    assert_eq!(effects(&mut primary, ViewChangerInput::Gathered(View(1))).len(), 3);
}

#[test]
fn where_the_disk_lost_a_view_change_the_next_view_is_asked_for() {
    let mut backup = silent(3, 4);
    assert_eq!(effects(&mut backup, starts(Some((1, None)), None)), leaves(2));
    assert_eq!(effects(&mut backup, frozen(2)), [], "it may not vote yet");
    assert_eq!(may_vote(&mut backup), [tell(OrdererInput::Freeze(View(2)))]);
    assert_eq!(effects(&mut backup, frozen(2)), signs(2));
    assert_eq!(effects(&mut backup, frozen(2)), [], "and once");
}

#[test]
fn a_view_whose_new_view_the_disk_lost_is_entered_with_the_next_one_that_comes() {
    let mut backup = silent(3, 4);
    assert_eq!(effects(&mut backup, starts(Some((1, own(1))), Some((1, None)))), leaves(1));
    assert!(!backup.is_active());
    assert_eq!(effects(&mut backup, brings(&quiet_start(1))), enters(&quiet_start(1)));
}

#[test]
fn a_primary_starts_its_view_once_although_its_new_view_is_not_durable_yet() {
    let mut leader = leader();
    effects(&mut leader, asks(0, empty(1)));
    effects(&mut leader, asks(2, empty(1)));
    assert_eq!(effects(&mut leader, ViewChangerInput::Gathered(View(1))).len(), 3);
    assert_eq!(effects(&mut leader, asks(3, empty(1))), []);
    assert_eq!(effects(&mut leader, ViewChangerInput::Gathered(View(1))), []);
}

#[test]
fn a_primary_whose_new_view_the_disk_lost_signs_no_other_one() {
    let begin = |entered| {
        let mut primary = silent(1, 4);
        effects(&mut primary, starts(Some((1, Some(signed_by(1, empty(1))))), entered));
        may_vote(&mut primary);
        effects(&mut primary, asks(0, empty(1)));
        effects(&mut primary, asks(2, empty(1)))
    };
    assert_eq!(begin(Some((1, None))), []);
    assert_eq!(begin(None), [gather(1, &[])], "one that had signed none does");
}

#[test]
fn a_primary_that_signed_one_starts_the_view_after_it_too() {
    let mut primary = silent(1, 4);
    effects(&mut primary, starts(Some((1, Some(signed_by(1, empty(1))))), Some((1, None))));
    may_vote(&mut primary);
    for id in [0, 2] {
        effects(&mut primary, asks(id, empty(5)));
    }
    effects(&mut primary, frozen(5));
    let own = ViewChangerInput::OwnViewChange(signed_by(1, empty(5)));
    assert_eq!(effects(&mut primary, own), [gather(5, &[])]);
}

#[test]
fn clients_that_the_own_view_change_named_must_sign_again() {
    let named = signed_by(3, ViewChange { signed_only: vec![ClientId(7)], ..empty(1) });
    let mut backup = silent(3, 4);
    effects(&mut backup, starts(Some((1, Some(named))), None));
    assert_eq!(backup.signed_only(), [ClientId(7)]);
}

#[test]
fn what_was_signed_under_a_log_that_was_left_is_given_to_nobody() {
    let changing = || {
        let mut backup = silent(3, 4);
        effects(&mut backup, starts(Some((1, own(1))), None));
        effects(&mut backup, asks(2, empty(1)));
        backup
    };
    let other = signed_by(2, empty(1));
    let mut backup = changing();
    effects(&mut backup, ViewChangerInput::OwnLog(LogId { number: 101, salt: 3 }));
    assert_eq!(effects(&mut backup, lacking(1, &[])), [gives(&other)]);
    let mut backup = changing();
    effects(&mut backup, ViewChangerInput::OwnLog(log_of(3)));
    assert_eq!(effects(&mut backup, lacking(1, &[])), [gives(&other), gives(&signed_by(3, empty(1)))]);
}

#[test]
fn under_another_log_the_view_change_is_signed_again_when_voting_begins() {
    let mut backup = silent(3, 4);
    effects(&mut backup, starts(Some((1, own(1))), None));
    let log = LogId { number: 101, salt: 3 };
    effects(&mut backup, ViewChangerInput::OwnLog(log));
    assert_eq!(may_vote(&mut backup), [tell(OrdererInput::Freeze(View(1)))]);
    let signed = signer_with(3, log).sign(Kind::ViewChange, empty(1));
    assert_eq!(effects(&mut backup, frozen(1))[0], Effect::Persist(Record::ViewChange(signed)));
}

/// What is told to replica `peer`, which asks: its own latest VIEW-CHANGE.
fn recollected(changer: &mut ViewChanger, peer: u8) -> Option<Signed<ViewChange>> {
    let votes = vec![(VoteKind::Prepared, vote(0, 1, digest(1)))];
    let (peer, recall) = (replica(peer), Recall { log: log_of(peer) });
    let asked = Recalled { peer, recall, votes, view_change: None };
    let told = effects(changer, ViewChangerInput::Recall(asked.clone()));
    let [Effect::Tell(crate::role::Mail::Checkpointer(CheckpointerInput::Recall(told)))] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((&told.votes, told.recall), (&asked.votes, asked.recall), "the rest goes through");
    let known = [0, 1, 2].into_iter().flat_map(|view| [empty(view), prepared(view, digest(1))]);
    let mut known = known.map(|message| signed_by(peer.0, message));
    known.find(|vote| Some(vote.wire()) == told.view_change.as_ref())
}

#[test]
fn who_asks_gets_its_latest_view_change_of_those_held() {
    let mut backup = changer(3, 4);
    effects(&mut backup, asks(2, empty(1)));
    assert_eq!(recollected(&mut backup, 2), Some(signed_by(2, empty(1))));
    effects(&mut backup, asks(2, empty(2)));
    assert_eq!(recollected(&mut backup, 2), Some(signed_by(2, empty(2))));
    assert_eq!(recollected(&mut backup, 1), None);
}

#[test]
fn who_asks_gets_the_one_that_the_view_started_from() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&busy_start(1)));
    assert_eq!(recollected(&mut backup, 2), Some(signed_by(2, prepared(1, digest(1)))));
    effects(&mut backup, asks(2, empty(2)));
    assert_eq!(recollected(&mut backup, 2), Some(signed_by(2, empty(2))));
}

#[test]
fn one_that_was_let_in_again_may_ask_for_the_same_view_under_its_new_log() {
    let later = Signer { log: LogId { number: 900, salt: 0 }, ..signer(2) };
    let mut backup = silent(3, 4);
    may_vote(&mut backup);
    effects(&mut backup, asks(2, empty(1)));
    let again = later.sign(Kind::ViewChange, prepared(1, digest(1)));
    let told = effects(&mut backup, ViewChangerInput::ViewChange(from(2, again.clone())));
    assert!(!told.iter().any(|effect| matches!(effect, Effect::Event(Event::Misbehaved { .. }))), "{told:?}");
    assert_eq!(backup.latest.get(&ReplicaId(2)), Some(&again));
    let former = signed_by(2, empty(1));
    effects(&mut backup, ViewChangerInput::ViewChange(from(2, former)));
    assert_eq!(backup.latest.get(&ReplicaId(2)), Some(&again), "what is void does not come back");
}
