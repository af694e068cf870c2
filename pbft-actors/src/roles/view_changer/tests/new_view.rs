//! Starting a view (PROTOCOL 7.3 to 7.5).

use super::*;

/// What a replica does that enters a view with a NEW-VIEW of replicas 0, 1 and 2.
pub(super) fn enters(proven: &ProvenNewView) -> Vec<Effect> {
    let message = &proven.new_view.message;
    let view = message.view;
    let holders = [0, 1, 2].map(replica).into_iter().collect();
    vec![
        Effect::Persist(Record::NewView(proven.new_view.clone())),
        Effect::Event(Event::ViewInstalled { view, primary: proven.new_view.sender }),
        tell(OrdererInput::Enter(Enter {
            view,
            checkpoint: Seq(0),
            chosen: message.chosen.clone(),
            contested: Vec::new(),
            signed_only: Vec::new(),
        })),
        tell(BatcherInput::SignedOnly(Vec::new())),
        tell(BatcherInput::Entered(Entered { view, timeout: Millis(1_000) })),
        tell(ExecutorInput::Entered(view)),
        tell(CheckpointerInput::Chosen { checkpoint: genesis(), holders }),
    ]
}

fn misbehaved(id: u8) -> Effect {
    let what = "a NEW-VIEW that does not follow from its V";
    Effect::Event(Event::Misbehaved { replica: replica(id), what })
}

/// Replica 1 of four on its way to view 1, which it leads; its own VIEW-CHANGE is durable.
pub(super) fn leader() -> ViewChanger {
    let mut leader = changer(1, 4);
    effects(&mut leader, ViewChangerInput::Progress(View(0)));
    effects(&mut leader, ViewChangerInput::Suspect(View(0)));
    effects(&mut leader, frozen(1));
    effects(&mut leader, ViewChangerInput::OwnViewChange(signed_by(1, empty(1))));
    leader
}

pub(super) fn gather(view: u64, chosen: &[(u64, Digest)]) -> Effect {
    let chosen = chosen.iter().map(|(seq, digest)| (Seq(*seq), *digest)).collect();
    tell(OrdererInput::Gather { view: View(view), chosen })
}

#[test]
fn the_new_primary_decides_with_a_quorum() {
    let mut leader = leader();
    assert_eq!(effects(&mut leader, asks(2, empty(1))), []);
    assert_eq!(effects(&mut leader, asks(3, empty(1))), [gather(1, &[])]);
}

#[test]
fn it_decides_once() {
    let mut leader = leader();
    effects(&mut leader, asks(2, empty(1)));
    effects(&mut leader, asks(3, empty(1)));
    assert_eq!(effects(&mut leader, asks(0, empty(1))), []);
}

#[test]
fn its_own_view_change_must_be_durable_and_among_them() {
    let mut leader = changer(1, 4);
    effects(&mut leader, ViewChangerInput::Suspect(View(0)));
    effects(&mut leader, frozen(1));
    for id in [0, 2, 3] {
        assert_eq!(effects(&mut leader, asks(id, empty(1))), []);
    }
    let own = ViewChangerInput::OwnViewChange(signed_by(1, empty(1)));
    assert_eq!(effects(&mut leader, own), [gather(1, &[])]);
}

#[test]
fn view_changes_for_another_view_are_not_counted() {
    let mut leader = leader();
    effects(&mut leader, asks(2, empty(1)));
    assert_eq!(effects(&mut leader, asks(3, empty(2))), []);
}

#[test]
fn it_waits_for_more_view_changes_where_a_batch_is_undetermined() {
    let mut leader = leader();
    effects(&mut leader, asks(2, empty(1)));
    assert_eq!(effects(&mut leader, asks(3, prepared(1, digest(9)))), []);
    assert_eq!(effects(&mut leader, asks(0, empty(1))), [gather(1, &[(1, Batch::null_digest())])]);
}

#[test]
fn a_backup_decides_nothing() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Suspect(View(0)));
    effects(&mut backup, frozen(1));
    effects(&mut backup, ViewChangerInput::OwnViewChange(signed_by(3, empty(1))));
    effects(&mut backup, asks(1, empty(1)));
    assert_eq!(effects(&mut backup, asks(2, empty(1))), []);
}

#[test]
fn new_view_is_durable_then_sent_once_all_bodies_are_held() {
    let mut leader = leader();
    effects(&mut leader, asks(0, empty(1)));
    effects(&mut leader, asks(2, empty(1)));
    let proven = quiet_start(1);
    let expected = [
        Effect::Persist(Record::NewView(proven.new_view.clone())),
        Effect::Send(To::Others, Message::NewView(proven.new_view.clone())),
        tell(ViewChangerInput::OwnNewView(proven)),
    ];
    assert_eq!(effects(&mut leader, ViewChangerInput::Gathered(View(1))), expected);
    assert_eq!(effects(&mut leader, ViewChangerInput::Gathered(View(1))), []);
}

#[test]
fn bodies_gathered_for_a_view_that_was_left_start_nothing() {
    let mut leader = leader();
    effects(&mut leader, asks(0, empty(1)));
    effects(&mut leader, asks(2, empty(1)));
    effects(&mut leader, asks(0, empty(2)));
    effects(&mut leader, asks(2, empty(2)));
    assert_eq!(effects(&mut leader, ViewChangerInput::Gathered(View(1))), []);
}

#[test]
fn the_primary_enters_with_its_own_new_view_like_any_other_and_keeps_it_no_second_time() {
    let mut leader = leader();
    let proven = quiet_start(1);
    let kept = Effect::Persist(Record::NewView(proven.new_view.clone()));
    let (entered, own) = (enters(&proven), ViewChangerInput::OwnNewView(proven));
    assert_eq!(entered[0], kept);
    assert_eq!(effects(&mut leader, own), entered[1..]);
}

#[test]
fn a_new_view_that_follows_from_its_v_is_entered() {
    for proven in [quiet_start(1), busy_start(1)] {
        let mut backup = changer(3, 4);
        assert_eq!(effects(&mut backup, brings(&proven)), enters(&proven));
    }
}

#[test]
fn it_is_entered_whatever_view_this_replica_was_in() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&quiet_start(1)));
    assert_eq!(effects(&mut backup, brings(&quiet_start(6))), enters(&quiet_start(6)));
}

#[test]
fn it_is_entered_once_and_never_backwards() {
    let mut backup = changer(3, 4);
    effects(&mut backup, brings(&quiet_start(6)));
    assert_eq!(effects(&mut backup, brings(&quiet_start(6))), []);
    assert_eq!(effects(&mut backup, brings(&quiet_start(5))), []);
}

#[test]
fn a_replica_without_memory_enters_too() {
    assert_eq!(effects(&mut silent(3, 4), brings(&quiet_start(1))), enters(&quiet_start(1)));
}

#[test]
fn one_that_does_not_follow_sends_this_replica_to_the_next_view_at_once() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Suspect(View(0)));
    let proven = quiet_start(1);
    let wrong = claims(1, &proven.view_changes, &[(1, digest(9))]);
    let expected = [vec![misbehaved(1)], leaves(2).to_vec()].concat();
    assert_eq!(effects(&mut backup, brings(&wrong)), expected);
}

#[test]
fn one_that_leaves_out_what_was_prepared_does_not_follow() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Suspect(View(0)));
    let wrong = claims(1, &busy_start(1).view_changes, &[]);
    assert_eq!(effects(&mut backup, brings(&wrong))[0], misbehaved(1));
}

#[test]
fn one_for_a_view_that_this_replica_is_not_moving_to_is_reported_only() {
    let mut backup = changer(3, 4);
    let wrong = claims(5, &quiet_start(5).view_changes, &[(1, digest(9))]);
    assert_eq!(effects(&mut backup, brings(&wrong)), [misbehaved(1)]);
}

#[test]
fn one_with_a_void_view_change_is_ignored() {
    let mut backup = changer(3, 4);
    let log = LogId { number: 101, salt: 0 };
    effects(&mut backup, ViewChangerInput::Log { replica: replica(2), log });
    assert_eq!(effects(&mut backup, brings(&quiet_start(1))), []);
}

#[test]
fn a_log_newer_than_the_one_known_is_accepted() {
    let mut backup = changer(3, 4);
    effects(&mut backup, ViewChangerInput::Log { replica: replica(2), log: LogId { number: 1, salt: 0 } });
    assert_eq!(effects(&mut backup, brings(&quiet_start(1))), enters(&quiet_start(1)));
}

#[test]
fn seqs_above_x_that_some_qs_names_are_contested() {
    let promised = |seqs: &[u64]| {
        let entry = |seq: &u64| PrePrepared { seq: Seq(*seq), digest: digest(1), view: View(0) };
        ViewChange { pre_prepared: seqs.iter().map(entry).collect(), ..prepared(1, digest(1)) }
    };
    let votes = [promised(&[1, 5]), promised(&[1, 3, 5]), prepared(1, digest(1))];
    let votes: Vec<_> = votes.into_iter().zip([0, 1, 2]).map(|(vote, id)| signed_by(id, vote)).collect();
    let entered = effects(&mut changer(3, 4), brings(&claims(1, &votes, &[(1, digest(1))])));
    let enter = Enter {
        view: View(1),
        checkpoint: Seq(0),
        chosen: vec![(Seq(1), digest(1))],
        contested: vec![Seq(3), Seq(5)],
        signed_only: Vec::new(),
    };
    assert_eq!(entered[2], tell(OrdererInput::Enter(enter)));
}

#[test]
fn a_client_that_any_member_of_v_names_must_sign() {
    let mut votes = quiet_start(1).view_changes;
    votes[1] = signed_by(1, ViewChange { signed_only: vec![ClientId(7)], ..empty(1) });
    let entered = effects(&mut changer(3, 4), brings(&claims(1, &votes, &[])));
    assert_eq!(entered[3], tell(BatcherInput::SignedOnly(vec![ClientId(7)])));
}

#[test]
fn who_listed_the_checkpoint_can_serve_it() {
    let mut votes = quiet_start(1).view_changes;
    votes[1] = signed_by(1, ViewChange { checkpoints: Vec::new(), ..empty(1) });
    let entered = effects(&mut changer(3, 4), brings(&claims(1, &votes, &[])));
    let holders = [0, 2].map(replica).into_iter().collect();
    assert_eq!(entered[6], tell(CheckpointerInput::Chosen { checkpoint: genesis(), holders }));
}
