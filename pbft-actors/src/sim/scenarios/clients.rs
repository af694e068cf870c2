//! Clients that lie, and the memory of what they were answered (scenarios 7, 13 and 15).

use std::collections::BTreeSet;

use super::*;
use crate::crypto::MacKey;
use crate::message::{Hints, Opened, Outcome, ProofState, ReplyResult, RequestKeys};

/// A request whose MACs are right for some replicas and wrong for the others.
fn half_proven(cluster: &Cluster, timestamp: u64, id: u64, good: ReplicaSet) -> Request {
    let operation = cluster.operation_of(BOB, timestamp, id);
    let keys = cluster.clients[&BOB].request_keys();
    let keys: Vec<Option<RequestKeys>> = keys
        .into_iter()
        .enumerate()
        .map(|(replica, keys)| {
            let keys = keys?;
            if good.contains(r(replica)) {
                return Some(keys);
            }
            let mut wrong = RequestKeys::default();
            wrong.insert(keys.newest()?.0, MacKey::new([7; 32]));
            Some(wrong)
        })
        .collect();
    let hints = Hints::default();
    Request::authenticated(operation, keys.iter().map(Option::as_ref), hints)
}

/// Every subset that holds the primary; from 6 replicas on, every third of them.
fn subsets(n: usize) -> impl Iterator<Item = ReplicaSet> {
    let step = if n < 6 { 1 } else { 5 };
    (0..1_usize << (n - 1))
        .step_by(step)
        .map(move |bits| set(std::iter::once(0).chain((1..n).filter(move |id| bits >> (id - 1) & 1 == 1))))
}

#[test]
fn scenario_7_macs_that_are_good_for_some_cost_at_most_one_view_change() {
    for n in SIZES {
        for good in subsets(n) {
            let mut cluster = group(n);
            cluster.load(ALICE, 1);
            cluster.load(BOB, 1);
            cluster.settles();
            cluster.load(ALICE, ENDLESS);
            let request = half_proven(&cluster, 2, 1_000_001, good);
            cluster.send(BOB, r(0), &request);
            cluster.wait(20 * MILLISECOND);
            cluster.executes_within(1);
            cluster.wait(SECOND);
            let view = cluster.view();
            assert!(view <= View(1), "n={n} good {good:?}: at most one view change");
            let listed = cluster.correct().filter(|node| node.signed_only() == [BOB]).count();
            assert_eq!(listed, if view == View(1) { n } else { 0 }, "n={n} good {good:?}: Bob must sign now");
            // Never again by the same client.
            let primary = cluster.plan.quorums.primary(view);
            for attempt in 0..3 {
                let again = half_proven(&cluster, 3 + attempt, 1_000_002 + attempt, good);
                cluster.send(BOB, primary, &again);
                cluster.executes_within(1);
                cluster.wait(SECOND / 2);
            }
            assert!(cluster.view() <= View(1), "n={n} good {good:?}: at most one view change, ever");
            cluster.settles();
        }
    }
}

#[test]
fn scenario_7_honest_clients_that_reconnect_are_not_blamed() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(ALICE, ENDLESS);
        cluster.load(BOB, ENDLESS);
        for round in 0..200 {
            cluster.wait(7 * MILLISECOND);
            cluster.connect(Peer::Replica(r(round % n)), Peer::Client(ALICE));
        }
        assert_eq!(cluster.checker.view_changes, 0, "n={n}");
        assert!(cluster.correct().all(|node| node.signed_only().is_empty()), "n={n}");
        cluster.settles();
    }
}

#[test]
fn scenario_13_of_two_operations_under_one_timestamp_one_is_executed() {
    for n in SIZES {
        for first_gets in 1..n {
            let mut cluster = group(n);
            cluster.load(ALICE, 3);
            cluster.load(BOB, 1);
            cluster.settles();
            let (one, other) = (1_000_001, 1_000_002);
            let requests = [one, other].map(|id| cluster.sign(cluster.operation_of(BOB, 2, id)));
            for id in 0..n {
                let request = &requests[usize::from(id >= first_gets)];
                cluster.send(BOB, r(id), request);
            }
            cluster.load(ALICE, 10);
            let limit = Cluster::limit(cluster.plan.tuning.timeout, 1);
            cluster.expect(limit, "executing one of Bob's", |c| {
                c.position(r(0), one).or(c.position(r(0), other)).is_some()
            });
            cluster.wait(2 * SECOND);
            // Sent again, the other way round.
            for id in 0..n {
                cluster.send(BOB, r(id), &requests[usize::from(id < first_gets)]);
            }
            cluster.wait(2 * SECOND);
            cluster.settles();
            let held: Vec<(bool, bool)> = (0..n)
                .map(|id| (cluster.position(r(id), one).is_some(), cluster.position(r(id), other).is_some()))
                .collect();
            assert!(held.iter().all(|held| *held == held_by_first(&cluster, one, other)), "n={n}: {held:?}");
            assert!(held[0].0 != held[0].1, "n={n}: exactly one of them: {held:?}");
        }
    }
}

fn held_by_first(cluster: &Cluster, one: u64, other: u64) -> (bool, bool) {
    (cluster.position(r(0), one).is_some(), cluster.position(r(0), other).is_some())
}

/// What each replica answers to a request, in order of arrival.
pub(super) fn answers(cluster: &mut Cluster, request: &Request) -> Vec<(ReplicaId, Seq, Outcome)> {
    cluster.heard = Some(Vec::new());
    cluster.send_to_all(BOB, request);
    cluster.wait(SECOND);
    let heard = cluster.heard.take().unwrap();
    let client = &cluster.clients[&BOB];
    let read = |(from, to, bytes): (Peer, Peer, bytes::Bytes)| {
        let (Peer::Replica(replica), true) = (from, to == Peer::Client(BOB)) else { return None };
        let replies = match client.read(from, bytes)? {
            Opened::Reply(reply) => vec![reply],
            Opened::Replies(replies) => replies,
            _ => return None,
        };
        let reply = replies.into_iter().find(|reply| reply.request == request.id())?;
        match &reply.result {
            ReplyResult::Full(outcome) => Some((replica, reply.seq, outcome.clone())),
            ReplyResult::Digest(_) => None,
        }
    };
    heard.into_iter().filter_map(read).collect()
}

#[test]
fn scenario_15_an_old_request_gets_its_first_answer_for_ever() {
    for n in SIZES {
        let mut cluster = group(n);
        cluster.load(BOB, 1);
        cluster.settles();
        let request = cluster.sign(cluster.operation_of(BOB, 2, 1_000_001));
        assert_eq!(request.proof_state(), ProofState::Good);
        let first = answers(&mut cluster, &request);
        let answered = first.iter().map(|(replica, ..)| *replica).collect::<BTreeSet<ReplicaId>>();
        assert_eq!(answered.len(), n, "n={n}: all answer");
        let (_, seq, outcome) = first[0].clone();
        let is_first_answer = |(_, s, o): &(ReplicaId, Seq, Outcome)| *s == seq && *o == outcome;

        // After checkpoints, one replica away; it comes back by transfer.
        cluster.cut_off(r(n - 1));
        cluster.load(ALICE, 100);
        cluster.wait(2 * SECOND);
        cluster.heal();
        cluster.expect(5 * SECOND, "catching up", Cluster::is_converged);
        assert!(cluster.checker.transfers > 0, "n={n}: by transfer");
        let again = answers(&mut cluster, &request);
        assert_eq!(again.len(), n, "n={n}: all answer again, the transferred one too");
        assert!(again.iter().all(is_first_answer), "n={n}: {again:?}");

        // After a restart that lost all memory.
        cluster.crash(r(n - 1));
        cluster.restart_after(r(n - 1), 10 * MILLISECOND);
        cluster.wait(5 * SECOND);
        let again = answers(&mut cluster, &request);
        assert_eq!(again.len(), n, "n={n}: all answer after the restart");
        assert!(again.iter().all(is_first_answer), "n={n}: {again:?}");
        cluster.settles();
    }
}
