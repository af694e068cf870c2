//! Whether a replica has the memory of what it promised (PROTOCOL 11).

use super::*;
use crate::codec;
use crate::message::{RejoinOperation, Request};
use crate::role::{LogStanding, Recalled, Remembered};
use crate::types::{ClientId, SessionId, Timestamp};

/// The log of replica 3 before it lost its memory.
const LOST: LogId = LogId { number: 50, salt: 9 };

const VOTES: Effect = Effect::Event(Event::Voting { votes: true });

fn begins_to_vote() -> Vec<Effect> {
    let let_in = Effect::Persist(Record::LetIn(log_of(3)));
    vec![let_in, VOTES, tell(OrdererInput::Voting(true)), tell(ViewChangerInput::Voting(true))]
}

/// The REJOIN in these effects: log, R, and who asks.
fn rejoin(effects: &[Effect]) -> Option<(RejoinOperation, ClientId)> {
    let request = |effect: &Effect| match effect {
        Effect::Send(To::Others, Message::Request(request)) => Some(request.clone()),
        _ => None,
    };
    let request: Request = effects.iter().find_map(request)?;
    assert!(request.is_signed());
    let operation = codec::decode(request.operation(), request.operation().len()).unwrap();
    Some((operation, request.id().client))
}

/// Replica 3 of four, whose REJOIN names R = 16 (L = 8).
fn lost() -> Checkpointer {
    let mut replica = silent(3, 4);
    effects(&mut replica, recalls(0, 4, &[(3, LOST)]));
    effects(&mut replica, recalls(1, 4, &[(3, LOST)]));
    replica
}

fn rejoined(id: u8, log: LogId, seq: u64, target: u64) -> CheckpointerInput {
    let (seq, target) = (Seq(seq), Seq(target));
    CheckpointerInput::Rejoined(Rejoined { replica: replica(id), log, seq, target })
}

/// What replica 3 does that asks what the others know of it.
fn asks() -> Effect {
    Effect::Send(To::Others, Message::Recall(Recall { log: log_of(3) }))
}

/// Replica `id` asks, and nothing is held of it.
fn asked_by(id: u8, log: LogId) -> CheckpointerInput {
    let (peer, recall) = (replica(id), Recall { log });
    CheckpointerInput::Recall(Recalled { peer, recall, votes: Vec::new(), view_change: None })
}

#[test]
fn a_replica_that_starts_asks_what_the_others_know_of_it() {
    let mut replica = Checkpointer::new(silent(3, 4).config);
    let out = step(&mut replica, at(0), CheckpointerInput::Start(state(0)));
    let told =
        [tell(OrdererInput::OwnCheckpoint(checkpoint(0))), tell(ViewChangerInput::OwnLog(log_of(3))), asks()];
    assert_eq!(out.effects, told);
    assert_eq!(out.timers, [TimerChange::Arm(CheckpointTimer::Retry, deadline(50))]);
}

#[test]
fn it_asks_again_until_it_knows() {
    let mut replica = silent(3, 4);
    assert_eq!(fire(&mut replica, at(50), CheckpointTimer::Retry).effects, [asks()]);
    effects(&mut replica, recalls(0, 4, &[]));
    effects(&mut replica, recalls(1, 4, &[]));
    assert_eq!(fire(&mut replica, at(100), CheckpointTimer::Retry).effects, []);
}

#[test]
fn it_votes_once_all_but_one_of_a_quorum_know_its_log_or_none() {
    let mut replica = silent(3, 4);
    assert_eq!(effects(&mut replica, recalls(0, 4, &[(3, log_of(3))])), []);
    assert_eq!(effects(&mut replica, recalls(1, 4, &[])), begins_to_vote());
    assert_eq!(effects(&mut replica, recalls(2, 4, &[])), []);
}

#[test]
fn five_and_six_replicas_need_three_answers() {
    for n in [5, 6] {
        let mut replica = silent(3, n);
        assert_eq!(effects(&mut replica, recalls(0, n, &[])), [], "n={n}");
        assert_eq!(effects(&mut replica, recalls(1, n, &[])), [], "n={n}");
        assert_eq!(effects(&mut replica, recalls(2, n, &[])), begins_to_vote(), "n={n}");
    }
}

#[test]
fn one_peer_answers_for_one() {
    let mut replica = silent(3, 4);
    effects(&mut replica, recalls(0, 4, &[]));
    assert_eq!(effects(&mut replica, recalls(0, 4, &[])), []);
}

#[test]
fn an_answer_to_the_question_of_an_earlier_start_does_not_count() {
    let mut replica = silent(3, 4);
    replica.config.signer.log = LogId { number: 300, salt: 0 };
    effects(&mut replica, recalls(0, 4, &[]));
    assert_eq!(effects(&mut replica, recalls(1, 4, &[])), []);
}

#[test]
fn one_liar_takes_nobodys_memory() {
    let mut replica = silent(3, 4);
    assert_eq!(effects(&mut replica, recalls(0, 4, &[(3, LOST)])), []);
    assert_eq!(effects(&mut replica, recalls(1, 4, &[])), begins_to_vote());
}

#[test]
fn a_replica_of_which_weak_many_know_another_log_asks_to_be_let_in() {
    let mut replica_3 = silent(3, 4);
    assert_eq!(effects(&mut replica_3, recalls(0, 4, &[(3, LOST)])), []);
    let asks = effects(&mut replica_3, recalls(1, 4, &[(3, LOST)]));
    assert_eq!(asks[0], Effect::Persist(Record::Lost(log_of(3))), "before it asks");
    assert_eq!(asks[1], Effect::Event(Event::Rejoining { target: Seq(16) }));
    let operation = RejoinOperation { log: log_of(3), target: Seq(16) };
    assert_eq!(rejoin(&asks), Some((operation, ClientId::of_replica(replica(3)))));
    assert_eq!(asks.len(), 3);
}

#[test]
fn its_request_opens_the_session_of_its_log() {
    let asks = {
        let mut replica = silent(3, 4);
        effects(&mut replica, recalls(0, 4, &[(3, LOST)]));
        effects(&mut replica, recalls(1, 4, &[(3, LOST)]))
    };
    let Effect::Send(_, Message::Request(request)) = &asks[2] else { unreachable!("{asks:?}") };
    assert_eq!((request.id().session, request.id().timestamp), (SessionId(100), Timestamp::OPENING));
}

#[test]
fn it_waits_until_all_who_must_be_there_have_shown_their_certificates() {
    // Of seven, three know another log; n-f-1 = 4 must answer before R is certain.
    let mut replica = silent(3, 7);
    for id in [0, 1, 2] {
        assert_eq!(rejoin(&effects(&mut replica, recalls(id, 7, &[(3, LOST)]))), None);
    }
    let asks = effects(&mut replica, recalls(4, 7, &[(3, LOST)]));
    assert_eq!(rejoin(&asks).map(|(operation, _)| operation.target), Some(Seq(16)));
}

#[test]
fn it_abstains_two_windows_above_the_highest_certificate_shown() {
    let mut replica = silent(3, 4);
    let shown = |seq, by: &[u8]| Some(certificate(checkpoint(seq), by));
    effects(&mut replica, recalls_with(0, 4, &[(3, LOST)], shown(8, &[0, 1, 2])));
    let asks = effects(&mut replica, recalls_with(1, 4, &[(3, LOST)], shown(4, &[0, 1, 2])));
    assert_eq!(rejoin(&asks).map(|(operation, _)| operation.target), Some(Seq(24)));
}

#[test]
fn a_log_that_looks_older_than_the_lost_one_is_numbered_above_it() {
    let later = LogId { number: 900, salt: 1 };
    let mut replica = silent(3, 4);
    effects(&mut replica, recalls(0, 4, &[(3, later)]));
    let own = LogId { number: 901, ..log_of(3) };
    let expected = [
        Effect::Persist(Record::Lost(own)),
        tell(ViewChangerInput::OwnLog(own)),
        Effect::Send(To::Others, Message::Recall(Recall { log: own })),
    ];
    assert_eq!(effects(&mut replica, recalls(1, 4, &[(3, later)])), expected);
}

/// What replica 3 does when a log with the number 900 of its own is let in.
fn asks_above_900() -> [Effect; 3] {
    let own = LogId { number: 901, ..log_of(3) };
    [
        Effect::Persist(Record::Lost(own)),
        tell(ViewChangerInput::OwnLog(own)),
        Effect::Send(To::Others, Message::Recall(Recall { log: own })),
    ]
}

#[test]
fn a_rejoin_of_a_former_life_that_executes_late_is_outnumbered() {
    let former = rejoined(3, LogId { number: 900, salt: 1 }, 5, 16);
    let mut asking_to_be_let_in = lost();
    assert_eq!(effects(&mut asking_to_be_let_in, former.clone()), asks_above_900());
    let mut let_in = lost();
    effects(&mut let_in, rejoined(3, log_of(3), 4, 16));
    assert_eq!(effects(&mut let_in, former.clone()), asks_above_900());
    // Its own REJOIN of before is worth nothing any more, whenever it executes.
    assert_eq!(effects(&mut let_in, rejoined(3, log_of(3), 6, 16)), []);

    let mut voting = silent(3, 4);
    effects(&mut voting, recalls(0, 4, &[]));
    assert_eq!(effects(&mut voting, recalls(1, 4, &[])), begins_to_vote());
    let stops = [
        Effect::Event(Event::Voting { votes: false }),
        tell(OrdererInput::Voting(false)),
        tell(ViewChangerInput::Voting(false)),
    ];
    assert_eq!(effects(&mut voting, former), [&stops[..], &asks_above_900()].concat());
}

#[test]
fn a_former_life_that_was_let_in_before_this_one_knew_its_place_is_outnumbered_too() {
    let mut replica = silent(3, 4);
    assert_eq!(effects(&mut replica, rejoined(3, LogId { number: 900, salt: 1 }, 5, 16)), []);
    // The answers were given before that.
    effects(&mut replica, recalls(0, 4, &[(3, LogId { number: 500, salt: 1 })]));
    let asks = effects(&mut replica, recalls(1, 4, &[(3, LogId { number: 500, salt: 1 })]));
    assert_eq!(asks, asks_above_900());
}

/// n=5 seed 921560 of commit 00e0fac: two lives found the same number, and the first one's REJOIN executed.
#[test]
fn a_former_life_of_the_same_number_is_outnumbered_whatever_its_salt() {
    for salt in [0, 99] {
        let mut replica = lost();
        let own = log_of(3);
        let above = LogId { number: own.number + 1, ..own };
        let asked = effects(&mut replica, rejoined(3, LogId { salt, ..own }, 5, 16));
        assert_eq!(asked[0], Effect::Persist(Record::Lost(above)), "salt {salt}");
    }
}

#[test]
fn an_older_rejoin_of_its_own_does_not_trouble_a_replica() {
    let mut replica = lost();
    assert_eq!(effects(&mut replica, rejoined(3, LOST, 5, 16)), []);
}

#[test]
fn a_lost_replica_claims_nothing_and_does_not_begin_to_vote() {
    let mut replica = lost();
    assert_eq!(effects(&mut replica, recalls(2, 4, &[])), []);
    let told = [tell(OrdererInput::OwnCheckpoint(checkpoint(4)))];
    assert_eq!(effects(&mut replica, CheckpointerInput::Taken(state(4))), told);
}

#[test]
fn a_request_to_rejoin_is_repeated_now_and_then() {
    let mut replica = lost();
    let mut retry = || rejoin(&fire(&mut replica, at(0), CheckpointTimer::Retry).effects).is_some();
    assert_eq!([retry(), retry(), retry(), retry(), retry()], [false, false, false, true, false]);
}

#[test]
fn once_let_in_it_votes_where_the_group_has_passed_r() {
    let mut replica = lost();
    assert_eq!(effects(&mut replica, rejoined(3, log_of(3), 3, 8)), []);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    assert_eq!(effects(&mut replica, brings(checkpoint(4), &[0, 1, 2])), advances(checkpoint(4), &[0, 1, 2]));
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    let expected = [advances_unsaved(checkpoint(8), &[0, 1, 2]), begins_to_vote()].concat();
    assert_eq!(effects(&mut replica, brings(checkpoint(8), &[0, 1, 2])), expected);
}

#[test]
fn it_votes_no_earlier_than_where_its_request_executed() {
    let mut replica = lost();
    effects(&mut replica, rejoined(3, log_of(3), 5, 4));
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let stable = effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    assert!(!stable.contains(&VOTES), "{stable:?}");
}

#[test]
fn letting_in_another_log_of_it_changes_nothing() {
    let mut replica = lost();
    effects(&mut replica, rejoined(3, LOST, 3, 4));
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let stable = effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    assert!(!stable.contains(&VOTES), "{stable:?}");
}

#[test]
fn what_it_took_meanwhile_it_claims_when_it_votes() {
    let mut replica = silent(3, 4);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    effects(&mut replica, recalls(0, 4, &[]));
    let expected = [begins_to_vote(), claims(3, checkpoint(4))[1..].to_vec()].concat();
    assert_eq!(effects(&mut replica, recalls(1, 4, &[])), expected);
}

#[test]
fn a_peer_that_was_let_in_is_known_by_its_new_log() {
    let mut replica_3 = checkpointer(3, 4);
    let log = LogId { number: 900, salt: 0 };
    let told = [tell(ViewChangerInput::Log { replica: replica(1), log })];
    assert_eq!(effects(&mut replica_3, rejoined(1, log, 3, 16)), told);
}

#[test]
fn a_log_that_weak_many_know_of_a_third_is_believed() {
    let mut replica_3 = silent(3, 4);
    let log = LogId { number: 900, salt: 0 };
    effects(&mut replica_3, recalls(0, 4, &[(1, log)]));
    let learned = effects(&mut replica_3, recalls(2, 4, &[(1, log)]));
    let written = Effect::Persist(Record::PeerLog { replica: replica(1), log });
    assert_eq!(learned[..2], [written, tell(ViewChangerInput::Log { replica: replica(1), log })]);
}

#[test]
fn a_replica_answers_what_it_knows_even_before_it_knows_of_itself() {
    let mut replica_3 = silent(3, 4);
    effects(&mut replica_3, CheckpointerInput::PeerLog { replica: replica(1), log: log_of(1) });
    let log = LogId { number: 900, salt: 0 };
    let recall = asked_by(1, log);
    let known = vec![LogId::default(), log_of(1), LogId::default(), log_of(3)];
    let answer = Recollection { log, known, certificate: Vec::new(), votes: Vec::new(), view_change: None };
    assert_eq!(effects(&mut replica_3, recall), [send(1, Message::Recollection(answer))]);
}

#[test]
fn it_shows_its_stable_certificate() {
    let mut replica_3 = checkpointer(3, 4);
    effects(&mut replica_3, CheckpointerInput::Taken(state(4)));
    effects(&mut replica_3, brings(checkpoint(4), &[0, 1, 2]));
    let answered = effects(&mut replica_3, asked_by(1, log_of(1)));
    let shown = answered.iter().find_map(|effect| match effect {
        Effect::Send(_, Message::Recollection(answer)) => Some(answer.certificate.clone()),
        _ => None,
    });
    let votes = [0, 1, 2].map(|id| signed_by(id, checkpoint(4)).wire().clone());
    assert_eq!(shown, Some(votes.to_vec()));
}

/// Replica 3 of four that starts with a journal in which it has voted under its log.
fn let_in() -> Checkpointer {
    let mut replica = Checkpointer::new(silent(3, 4).config);
    replica.remember(&Remembered { standing: LogStanding::LetIn, ..Remembered::default() });
    effects(&mut replica, CheckpointerInput::Start(state(0)));
    replica
}

/// When it began, too few of those who answered knew of the older one.
#[test]
fn who_has_voted_under_its_log_does_not_lose_it_to_an_older_one() {
    let mut replica = let_in();
    effects(&mut replica, recalls(0, 4, &[(3, LOST)]));
    let told = effects(&mut replica, recalls(1, 4, &[(3, LOST)]));
    assert!(told.contains(&VOTES), "{told:?}");
    assert!(!told.contains(&Effect::Persist(Record::LetIn(log_of(3)))), "it is in the journal");
}

/// It was let in again since, and this directory is from before that.
#[test]
fn who_has_voted_under_its_log_loses_it_to_a_later_one() {
    let (mut replica, later) = (let_in(), LogId { number: 150, salt: 9 });
    effects(&mut replica, recalls(0, 4, &[(3, later)]));
    let told = effects(&mut replica, recalls(1, 4, &[(3, later)]));
    assert!(rejoin(&told).is_none() && !told.contains(&VOTES), "{told:?}");
    assert!(told.iter().any(|effect| matches!(effect, Effect::Persist(Record::Lost(log)) if *log > later)));
}

fn known_of_1(replica: &Checkpointer) -> Option<LogId> {
    replica.memory.logs().find(|(id, _)| *id == ReplicaId(1)).map(|(_, log)| log)
}

/// Replica 1 was down while replica 3 started, and comes back under another log.
#[test]
fn what_the_others_know_of_a_peer_holds_against_the_log_that_it_comes_back_with() {
    let (older, back) = (LogId { number: 40, salt: 1 }, log_of(1));
    let mut replica = silent(3, 4);
    effects(&mut replica, recalls(0, 4, &[(3, LOST), (1, older)]));
    let told = effects(&mut replica, recalls(2, 4, &[(3, LOST), (1, older)]));
    assert!(told.contains(&Effect::Persist(Record::PeerLog { replica: ReplicaId(1), log: older })));
    let told = effects(&mut replica, CheckpointerInput::PeerLog { replica: ReplicaId(1), log: back });
    assert_eq!(told, [Effect::Persist(Record::PeerLog { replica: ReplicaId(1), log: older })]);
    assert_eq!(known_of_1(&replica), Some(older));
    // A REJOIN makes it void.
    effects(&mut replica, rejoined(1, back, 3, 8));
    assert_eq!(known_of_1(&replica), Some(back));
}

#[test]
fn a_peer_that_came_back_before_anyone_answered_is_known_by_what_weak_many_say() {
    let (older, back) = (LogId { number: 40, salt: 1 }, log_of(1));
    let mut replica = silent(3, 4);
    effects(&mut replica, CheckpointerInput::PeerLog { replica: ReplicaId(1), log: back });
    effects(&mut replica, recalls(0, 4, &[(1, older)]));
    assert_eq!(known_of_1(&replica), Some(back), "one may lie");
    effects(&mut replica, recalls(2, 4, &[(1, older)]));
    assert_eq!(known_of_1(&replica), Some(older));
}
