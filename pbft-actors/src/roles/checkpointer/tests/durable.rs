//! What a restart must have done before it votes, and how a journal that is not the latest is found
//! out (PROTOCOL 11).

use super::*;
use crate::message::{NodeData, ViewChange, Vote, VoteKind};
use crate::role::{LogStanding, Mail, Rejoined, Remembered, RememberedSlot, SavedState};

const VOTES: Effect = Effect::Event(Event::Voting { votes: true });

/// Replica 3 of `n` that starts with this state on disk.
fn restarted(n: usize, on_disk: u64, remembered: &Remembered) -> Checkpointer {
    let mut replica = Checkpointer::new(silent(3, n).config);
    replica.remember(remembered);
    effects(&mut replica, CheckpointerInput::Start(state(on_disk)));
    effects(&mut replica, CheckpointerInput::Replayed(Seq(1_000)));
    replica
}

/// The state of this checkpoint is on disk.
fn saved(seq: u64) -> CheckpointerInput {
    CheckpointerInput::Saved(SavedState { seq: Seq(seq), saved: None })
}

fn claimed(seqs: &[u64]) -> Remembered {
    let claimed = seqs.iter().map(|seq| (Seq(*seq), checkpoint(*seq).digest));
    Remembered { claimed: claimed.collect(), ..Remembered::default() }
}

fn stable(seq: u64) -> Remembered {
    let certificate = Some(Arc::new(certificate(checkpoint(seq), &[0, 1, 2])));
    Remembered { stable: Some(checkpoint(seq)), certificate, ..Remembered::default() }
}

fn listed(effects: &[Effect]) -> Vec<Checkpoint> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Tell(Mail::Orderer(OrdererInput::OwnCheckpoint(checkpoint))) => Some(*checkpoint),
        _ => None,
    });
    told.collect()
}

fn asked(view: u64) -> Remembered {
    Remembered { asked: Some((View(view), None)), ..Remembered::default() }
}

/// Replica 3 accepted and prepared this in view 0.
fn promised(seq: u64) -> Remembered {
    let promise = [(View(0), digest(1))];
    let slot = RememberedSlot {
        pre_prepared: promise.into(),
        prepared: promise.into(),
        ..RememberedSlot::default()
    };
    Remembered { slots: [(Seq(seq), slot)].into(), ..Remembered::default() }
}

fn accepted(seq: u64, digest: Digest) -> (VoteKind, Vote) {
    (VoteKind::PrePrepared, vote(0, seq, digest))
}

/// Replica `id` answers to replica 3, and holds these votes of it.
fn recalls_votes(id: u8, n: usize, votes: &[(VoteKind, Vote)]) -> CheckpointerInput {
    let recollection = Recollection {
        log: log_of(3),
        known: vec![LogId::default(); n],
        certificate: Vec::new(),
        votes: votes.to_vec(),
        view_change: None,
    };
    let answer = ProvenRecollection { recollection, certificate: None, view_change: None };
    CheckpointerInput::Recollection(Box::new(from(id, answer)))
}

fn view_change(signer: &Signer, view: u64) -> Signed<ViewChange> {
    let message = ViewChange {
        view: View(view),
        stable: Seq(0),
        checkpoints: Vec::new(),
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
        signed_only: Vec::new(),
    };
    signer.sign(Kind::ViewChange, message)
}

/// Replica `id` answers to replica 3, and holds this VIEW-CHANGE.
fn recalls_view_change(id: u8, held: &Signed<ViewChange>) -> CheckpointerInput {
    let recollection = Recollection {
        log: log_of(3),
        known: vec![LogId::default(); 4],
        certificate: Vec::new(),
        votes: Vec::new(),
        view_change: Some(held.wire().clone()),
    };
    let view_change = Some(held.clone());
    let answer = ProvenRecollection { recollection, certificate: None, view_change };
    CheckpointerInput::Recollection(Box::new(from(id, answer)))
}

/// What a replica does that finds out by itself that its journal is not the latest.
fn lost() -> Vec<Effect> {
    let own = LogId { number: 101, ..log_of(3) };
    vec![
        Effect::Persist(Record::Lost(own)),
        tell(ViewChangerInput::OwnLog(own)),
        Effect::Send(To::Others, Message::Recall(Recall { log: own })),
    ]
}

fn is_lost(effects: &[Effect]) -> bool {
    effects.ends_with(&lost())
}

fn begins_to_vote() -> Vec<Effect> {
    let let_in = Effect::Persist(Record::LetIn(log_of(3)));
    vec![let_in, VOTES, tell(OrdererInput::Voting(true)), tell(ViewChangerInput::Voting(true))]
}

/// Enough answers that know nothing of it.
fn hears_nothing_else(replica: &mut Checkpointer) -> Vec<Effect> {
    let first = effects(replica, recalls(1, 4, &[]));
    [first, effects(replica, recalls(2, 4, &[]))].concat()
}

fn claims_in(effects: &[Effect]) -> Vec<Checkpoint> {
    let claims = effects.iter().filter_map(|effect| match effect {
        Effect::Persist(Record::Checkpoint(checkpoint)) => Some(*checkpoint),
        _ => None,
    });
    claims.collect()
}

#[test]
fn a_replica_votes_only_where_it_executed_again_what_it_had_claimed() {
    let mut replica = restarted(4, 0, &claimed(&[4, 8]));
    assert_eq!(hears_nothing_else(&mut replica), []);
    let told = effects(&mut replica, CheckpointerInput::Taken(state(4)));
    assert!(!told.contains(&VOTES), "{told:?}");
    let told = effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert!(told.contains(&VOTES), "{told:?}");
}

#[test]
fn one_whose_state_on_disk_is_what_it_claimed_votes_at_once() {
    let mut replica = restarted(4, 4, &claimed(&[4]));
    assert_eq!(hears_nothing_else(&mut replica)[..4], begins_to_vote());
}

#[test]
fn what_was_stable_must_be_reached_too() {
    let mut replica = restarted(4, 4, &stable(8));
    assert_eq!(hears_nothing_else(&mut replica), []);
    let told = effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert!(told.contains(&VOTES), "{told:?}");
}

#[test]
fn the_certificate_in_the_journal_counts_once_the_state_is_there_again() {
    let mut replica = restarted(4, 8, &stable(8));
    assert_eq!(replica.stable(), Seq(8));
    replica = restarted(4, 4, &stable(8));
    assert_eq!(replica.stable(), Seq(0));
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert_eq!(replica.stable(), Seq(8));
}

#[test]
fn what_it_executed_again_it_claims_once() {
    let mut replica = restarted(4, 0, &claimed(&[4]));
    hears_nothing_else(&mut replica);
    let told = effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let mut expected = vec![tell(OrdererInput::OwnCheckpoint(checkpoint(4)))];
    expected.extend(begins_to_vote());
    expected.extend(claims(3, checkpoint(4)).split_off(1));
    assert_eq!(told, expected);
}

#[test]
fn a_digest_that_differs_from_the_one_it_claimed_is_told_and_not_claimed() {
    let mut before = claimed(&[4]);
    before.claimed.insert(Seq(4), wrong(4).digest);
    let mut replica = restarted(4, 0, &before);
    hears_nothing_else(&mut replica);
    let told = effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let (own, stable) = (checkpoint(4).digest, wrong(4).digest);
    let diverged = Effect::Event(Event::Diverged { seq: Seq(4), own, stable });
    assert_eq!(told.iter().filter(|effect| **effect == diverged).count(), 1, "{told:?}");
    assert_eq!(claims_in(&told), []);
}

#[test]
fn an_own_checkpoint_that_the_journal_does_not_hold_is_a_lost_memory() {
    let shown = || recalls_with(0, 4, &[], Some(certificate(checkpoint(4), &[0, 1, 3])));
    assert_eq!(effects(&mut restarted(4, 0, &Remembered::default()), shown()), lost());
    assert_eq!(effects(&mut restarted(4, 0, &claimed(&[4])), shown()), [], "this one holds it");
    assert!(
        !is_lost(&effects(&mut restarted(4, 4, &stable(4)), shown())),
        "it was erased when it was stable"
    );
}

#[test]
fn one_signed_under_a_former_log_says_nothing_of_this_one() {
    let mut shown = certificate(checkpoint(4), &[0, 1]);
    let former = signer_with(3, LogId { number: 50, salt: 9 });
    shown.votes.push(former.sign(Kind::Checkpoint, checkpoint(4)));
    let mut replica = restarted(4, 0, &Remembered::default());
    assert_eq!(effects(&mut replica, recalls_with(0, 4, &[], Some(shown))), []);
}

#[test]
fn an_own_view_change_that_the_journal_does_not_hold_is_a_lost_memory() {
    let held = view_change(&signer(3), 2);
    let mut rolled_back = restarted(4, 0, &asked(1));
    assert_eq!(effects(&mut rolled_back, recalls_view_change(0, &held)), lost());
    let mut whole = restarted(4, 0, &asked(2));
    assert_eq!(effects(&mut whole, recalls_view_change(0, &held)), [], "this one holds it");
}

#[test]
fn another_replicas_view_change_or_one_of_a_former_log_proves_nothing() {
    let former = signer_with(3, LogId { number: 50, salt: 9 });
    for held in [view_change(&signer(2), 2), view_change(&former, 2)] {
        let mut replica = restarted(4, 0, &Remembered::default());
        assert_eq!(effects(&mut replica, recalls_view_change(0, &held)), []);
    }
}

#[test]
fn a_vote_that_weak_many_report_and_the_journal_does_not_hold_is_a_lost_memory() {
    for (n, weak) in [(4, 2), (7, 3)] {
        let mut replica = restarted(n, 0, &Remembered::default());
        for id in 1..weak {
            let told = effects(&mut replica, recalls_votes(id, n, &[accepted(1, digest(1))]));
            assert_eq!(told, [], "n={n}: {id} may be liars");
        }
        let told = effects(&mut replica, recalls_votes(0, n, &[accepted(1, digest(1))]));
        assert_eq!(told, lost(), "n={n}");
    }
}

#[test]
fn one_liar_who_reports_a_vote_does_not_hinder() {
    let mut replica = restarted(4, 0, &Remembered::default());
    effects(&mut replica, recalls_votes(0, 4, &[accepted(1, digest(1))]));
    assert_eq!(effects(&mut replica, recalls(1, 4, &[])), begins_to_vote());
}

#[test]
fn different_votes_are_not_counted_together() {
    let prepared = (VoteKind::Prepared, vote(0, 1, digest(1)));
    for other in [accepted(1, digest(2)), accepted(2, digest(1)), prepared] {
        let mut replica = restarted(4, 0, &Remembered::default());
        effects(&mut replica, recalls_votes(0, 4, &[accepted(1, digest(1))]));
        assert_eq!(effects(&mut replica, recalls_votes(1, 4, &[other])), begins_to_vote());
    }
}

#[test]
fn votes_that_the_journal_holds_prove_nothing() {
    let both = [accepted(1, digest(1)), (VoteKind::Prepared, vote(0, 1, digest(1)))];
    let mut replica = restarted(4, 0, &promised(1));
    effects(&mut replica, recalls_votes(0, 4, &both));
    assert_eq!(effects(&mut replica, recalls_votes(1, 4, &both)), begins_to_vote());
}

#[test]
fn votes_at_or_below_the_stable_checkpoint_do_not_count() {
    let mut replica = restarted(4, 4, &stable(4));
    effects(&mut replica, recalls_votes(0, 4, &[accepted(4, digest(1))]));
    assert_eq!(effects(&mut replica, recalls_votes(1, 4, &[accepted(4, digest(1))])), begins_to_vote());
    let mut replica = restarted(4, 4, &stable(4));
    effects(&mut replica, recalls_votes(0, 4, &[accepted(5, digest(1))]));
    assert_eq!(effects(&mut replica, recalls_votes(1, 4, &[accepted(5, digest(1))])), lost());
}

#[test]
fn a_replica_that_votes_is_not_talked_out_of_it() {
    let mut replica = restarted(4, 0, &Remembered::default());
    hears_nothing_else(&mut replica);
    effects(&mut replica, recalls_votes(0, 4, &[accepted(1, digest(1))]));
    assert_eq!(effects(&mut replica, recalls_votes(1, 4, &[accepted(1, digest(1))])), []);
}

fn rejoins(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Event(Event::Rejoining { .. })))
}

#[test]
fn a_replica_that_knows_by_itself_that_it_is_lost_asks_although_nobody_knows_another_log() {
    let mut replica = restarted(4, 0, &Remembered { standing: LogStanding::Lost, ..Remembered::default() });
    assert!(!rejoins(&effects(&mut replica, recalls(0, 4, &[]))), "n-f-1 must answer");
    let told = effects(&mut replica, recalls(1, 4, &[(3, log_of(3))]));
    assert!(rejoins(&told) && !told.contains(&VOTES), "{told:?}");
    assert_eq!(told[0], Effect::Persist(Record::Lost(log_of(3))), "durable before it asks, whoever said it");
}

#[test]
fn who_was_let_in_before_it_stopped_waits_for_r_and_asks_no_second_time() {
    let mut replica = restarted(4, 0, &Remembered { standing: LogStanding::Lost, ..Remembered::default() });
    let (seq, target) = (Seq(3), Seq(4));
    let let_in = Rejoined { replica: ReplicaId(3), log: log_of(3), seq, target };
    assert_eq!(effects(&mut replica, CheckpointerInput::Rejoined(let_in)), []);
    assert_eq!(hears_nothing_else(&mut replica), []);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let told = effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    assert!(told.contains(&Effect::Persist(Record::LetIn(log_of(3)))), "{told:?}");
    assert!(told.ends_with(&begins_to_vote()), "{told:?}");
}

#[test]
fn a_transferred_state_is_claimed_once_it_is_durable() {
    let mut replica = checkpointer(3, 4);
    assert_eq!(claims_in(&effects(&mut replica, CheckpointerInput::Installed(state(8)))), []);
    assert_eq!(claims_in(&effects(&mut replica, saved(4))), []);
    let told = effects(&mut replica, saved(8));
    assert_eq!(claims_in(&told), [checkpoint(8)]);
    assert_eq!(claims_in(&effects(&mut replica, saved(8))), []);
}

#[test]
fn an_executed_state_is_claimed_without_it() {
    let mut replica = checkpointer(3, 4);
    let told = effects(&mut replica, CheckpointerInput::Taken(state(4)));
    assert_eq!(told, claims(3, checkpoint(4)));
}

/// Replica 3, whose stable checkpoint is at 4, and whose disk has no state yet.
fn stable_at_4() -> Checkpointer {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let told = effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    assert_eq!(released(&told), []);
    replica
}

fn released(effects: &[Effect]) -> Vec<Seq> {
    let released = effects.iter().filter_map(|effect| match effect {
        Effect::Release(seq) => Some(*seq),
        _ => None,
    });
    released.collect()
}

#[test]
fn records_are_released_up_to_the_stable_state_that_is_on_disk() {
    let mut replica = stable_at_4();
    assert_eq!(effects(&mut replica, saved(4)), [Effect::Release(Seq(4))]);
    assert_eq!(effects(&mut replica, saved(4)), [], "once");
}

#[test]
fn a_state_on_disk_above_the_stable_one_releases_only_what_is_stable() {
    let mut replica = stable_at_4();
    assert_eq!(effects(&mut replica, saved(8)), [Effect::Release(Seq(4))]);
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    let told = effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    assert_eq!(released(&told), [Seq(8)]);
    let erased = told.iter().position(|effect| *effect == Effect::Release(Seq(8)));
    let kept = told.iter().position(|effect| matches!(effect, Effect::Persist(Record::Stable(_))));
    assert!(kept < erased, "the certificate first: {told:?}");
}

#[test]
fn who_has_an_older_state_on_disk_than_the_stable_one_releases_up_to_the_older() {
    let mut replica = stable_at_4();
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    let next = Effect::Save(Save::Checkpoint { seq: Seq(8), snapshot: state(8).snapshot });
    assert_eq!(effects(&mut replica, saved(4)), [Effect::Release(Seq(4)), next]);
}

#[test]
fn it_waits_only_for_what_its_journal_leads_to() {
    let mut replica = Checkpointer::new(silent(3, 4).config);
    replica.remember(&claimed(&[4, 8]));
    effects(&mut replica, CheckpointerInput::Start(state(0)));
    assert_eq!(hears_nothing_else(&mut replica), [], "how far that is, is not known yet");
    let told = effects(&mut replica, CheckpointerInput::Replayed(Seq(6)));
    assert!(!told.contains(&VOTES), "{told:?}");
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let told = effects(&mut replica, CheckpointerInput::Executed(Seq(6)));
    assert!(told.contains(&VOTES), "seq 7 is lost, and others are asked for it: {told:?}");
}

#[test]
fn a_disk_that_cannot_keep_up_holds_claims_back_until_it_does() {
    let mut replica = checkpointer(3, 4);
    // Four windows of 8 above the state on disk, which is the first.
    assert_eq!(claims_in(&effects(&mut replica, CheckpointerInput::Taken(state(32)))), [checkpoint(32)]);
    assert_eq!(claims_in(&effects(&mut replica, CheckpointerInput::Taken(state(36)))), []);
    assert_eq!(claims_in(&effects(&mut replica, saved(4))), [checkpoint(36)]);
    assert_eq!(claims_in(&effects(&mut replica, saved(8))), [], "once");
}

/// Questions for parts of a checkpoint.
fn fetches(effects: &[Effect]) -> Vec<Seq> {
    let fetched = effects.iter().filter_map(|effect| match effect {
        Effect::Send(_, Message::Fetch(crate::message::Fetch::Nodes { seq, .. })) => Some(*seq),
        _ => None,
    });
    fetched.collect()
}

#[test]
fn what_the_disk_lost_is_fetched_from_the_others_at_the_stable_checkpoint() {
    let mut replica = stable_at_4();
    let lost = DamagedPart { level: 0, index: 5 };
    let told = effects(&mut replica, CheckpointerInput::Damaged(vec![lost]));
    let stops = [tell(ExecutorInput::Damaged), Effect::Event(Event::Damaged { parts: 1, first: (0, 5) })];
    assert_eq!(told[..2], stops);
    assert_eq!(fetches(&told), [Seq(4); 3], "the root, from everyone");
    assert_eq!(effects(&mut replica, CheckpointerInput::Damaged(vec![lost])), [], "it is known");
}

#[test]
fn what_the_disk_lost_before_anything_is_stable_waits_for_a_certificate() {
    let mut replica = checkpointer(3, 4);
    let lost = DamagedPart { level: 0, index: 5 };
    assert_eq!(fetches(&effects(&mut replica, CheckpointerInput::Damaged(vec![lost]))), []);
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    let told = fire(&mut replica, at(50), CheckpointTimer::Retry).effects;
    assert_eq!(fetches(&told), [Seq(4); 3]);
}

/// Of a replica that once rejoined the state says so at every later start.
#[test]
fn who_rejoined_once_asks_at_every_later_start_and_executes_again_what_it_claimed() {
    let remembered = Remembered { claimed: claimed(&[20]).claimed, ..stable(16) };
    let mut replica = restarted(4, 16, &remembered);
    let let_in = Rejoined { replica: ReplicaId(3), log: log_of(3), seq: Seq(8), target: Seq(16) };
    let told = effects(&mut replica, CheckpointerInput::Rejoined(let_in));
    assert!(!told.contains(&VOTES), "nobody was asked: {told:?}");
    assert!(!hears_nothing_else(&mut replica).contains(&VOTES), "20 is not executed again");
    let told = effects(&mut replica, CheckpointerInput::Taken(state(20)));
    assert!(told.contains(&VOTES), "{told:?}");
}

/// The group may have executed a REJOIN that the journal lost sight of.
#[test]
fn what_a_log_was_let_in_with_holds_whatever_the_journal_says() {
    let mut replica = restarted(4, 4, &stable(4));
    let let_in = Rejoined { replica: ReplicaId(3), log: log_of(3), seq: Seq(4), target: Seq(8) };
    effects(&mut replica, CheckpointerInput::Rejoined(let_in));
    assert!(!hears_nothing_else(&mut replica).contains(&VOTES), "R is 8");
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert!(effects(&mut replica, brings(checkpoint(8), &[0, 1, 2])).contains(&VOTES));
}

#[test]
fn damage_that_is_found_before_the_start_waits_for_it() {
    let mut replica = Checkpointer::new(silent(3, 4).config);
    replica.remember(&stable(4));
    let lost = DamagedPart { level: 0, index: 5 };
    assert_eq!(fetches(&effects(&mut replica, CheckpointerInput::Damaged(vec![lost]))), []);
    effects(&mut replica, CheckpointerInput::Start(state(4)));
    assert_eq!(fetches(&fire(&mut replica, at(50), CheckpointTimer::Retry).effects), [Seq(4); 3]);
}

#[test]
fn a_repair_goes_on_while_checkpoints_are_taken() {
    let mut replica = stable_at_4();
    let lost = DamagedPart { level: 0, index: 5 };
    effects(&mut replica, CheckpointerInput::Damaged(vec![lost]));
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert!(replica.transfer.is_some());
}

/// The others hold no older one any more, and what the disk lost may be of this one.
#[test]
fn a_repair_follows_the_group_to_the_own_stable_checkpoint_and_a_transfer_does_not() {
    let lost = DamagedPart { level: 0, index: 5 };
    for damaged in [vec![lost], Vec::new()] {
        let mut replica = stable_at_4();
        let repairs = !damaged.is_empty();
        if repairs {
            effects(&mut replica, CheckpointerInput::Damaged(damaged));
        } else {
            effects(&mut replica, CheckpointerInput::Taken(wrong_state(8)));
            effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
        }
        let target = if repairs { 4 } else { 8 };
        effects(&mut replica, CheckpointerInput::Taken(state(12)));
        effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
        let mut told = Vec::new();
        for (peer, ticket) in [(0, 1), (1, 2), (2, 3)] {
            let none = NodeData { seq: Seq(target), ticket, nodes: None };
            told.extend(effects(&mut replica, CheckpointerInput::NodeData(from(peer, none))));
        }
        assert_eq!(fetches(&told).contains(&Seq(12)), repairs, "{told:?}");
    }
}

/// What was to be installed was built on parts that were lost since: the repair goes on.
#[test]
fn what_was_given_up_and_installed_all_the_same_ends_no_repair() {
    let mut replica = stable_at_4();
    let lost = |index| CheckpointerInput::Damaged(vec![DamagedPart { level: 0, index }]);
    effects(&mut replica, lost(5));
    replica.transfer.as_mut().unwrap().hand_over();
    assert_eq!(fetches(&effects(&mut replica, lost(300))), [Seq(4); 3]);
    let told = effects(&mut replica, CheckpointerInput::Installed(state(4)));
    assert!(!told.contains(&tell(BatcherInput::Transferring(false))), "{told:?}");
    assert!(replica.transfer.is_some() && replica.damaged.len() == 2);
}

/// A part that was fetched may rot before the state is installed.
#[test]
fn a_part_that_is_lost_once_more_while_the_state_is_installed_is_fetched_once_more() {
    let mut replica = stable_at_4();
    let lost = || CheckpointerInput::Damaged(vec![DamagedPart { level: 0, index: 5 }]);
    effects(&mut replica, lost());
    replica.transfer.as_mut().unwrap().hand_over();
    assert_eq!(fetches(&effects(&mut replica, lost())), [Seq(4); 3]);
}

/// The digest of a later one was under way when the state went back.
#[test]
fn one_that_went_back_below_its_stable_checkpoint_fetches_that() {
    let mut replica = stable_at_4();
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    let told = effects(&mut replica, CheckpointerInput::Installed(state(4)));
    assert_eq!(fetches(&told), [Seq(8); 3]);
}

/// A VIEW-CHANGE has to list it.
#[test]
fn what_was_claimed_must_have_its_digest_again() {
    let mut replica = restarted(4, 4, &claimed(&[8]));
    assert!(!hears_nothing_else(&mut replica).contains(&VOTES));
    assert!(!effects(&mut replica, CheckpointerInput::Executed(Seq(9))).contains(&VOTES));
    assert!(effects(&mut replica, CheckpointerInput::Taken(state(8))).contains(&VOTES));
}

#[test]
fn what_only_waits_for_the_disk_is_not_fetched() {
    for waiting in [true, false] {
        let mut replica = stable_at_4();
        effects(&mut replica, CheckpointerInput::WaitingForDisk(waiting));
        let mut told = effects(&mut replica, brings(checkpoint(12), &[0, 1, 2]));
        (0..3).for_each(|id| told.extend(effects(&mut replica, status(id, 12, 13))));
        assert_eq!(fetches(&told).is_empty(), waiting, "{told:?}");
    }
}

#[test]
fn what_was_claimed_below_or_above_the_state_on_disk_is_listed_all_the_same() {
    for (remembered, on_disk, expected) in [
        (claimed(&[4, 8, 16]), 12, [4, 8, 16, 12].map(checkpoint).to_vec()),
        (stable(4), 12, [4, 12].map(checkpoint).to_vec()),
        // The state itself comes last: its digest is the one that counts.
        (stable(12), 12, [12, 12].map(checkpoint).to_vec()),
        (stable(16), 12, [16, 12].map(checkpoint).to_vec()),
    ] {
        let mut replica = Checkpointer::new(silent(3, 4).config);
        replica.remember(&remembered);
        assert_eq!(listed(&effects(&mut replica, CheckpointerInput::Start(state(on_disk)))), expected);
    }
}
