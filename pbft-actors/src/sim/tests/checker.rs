//! Checks that no correct replica fails: each with what it must find, and what it must let pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::message::Batch;
use crate::role::Message;
use crate::roles::testing::{batch, replica, signed, vote};
use crate::sim::checker::Checker;
use crate::sim::scenarios::plan;
use crate::types::{ClientId, ReplicaId, Seq};

fn checker() -> Checker {
    let mut plan = plan(4);
    plan.tuning.piggyback_commits = false;
    Checker::new(&plan)
}

fn commits(checker: &mut Checker, ids: &[u8], view: u64, batch: &Batch) {
    for id in ids {
        checker.on_sent(replica(*id), &Message::Commit(vote(view, 1, batch.digest())));
    }
}

fn executes(checker: &mut Checker, batch: &Arc<Batch>, byzantine: &[ReplicaId]) -> Option<String> {
    checker.on_executed(replica(0), Seq(1), batch, byzantine);
    checker.violation.clone()
}

#[test]
fn what_is_executed_has_a_certificate_of_one_view() {
    let (one, other) = (batch([signed(1, 1)]), batch([signed(1, 2)]));
    let mut good = checker();
    commits(&mut good, &[0, 1, 2], 3, &one);
    assert_eq!(executes(&mut good, &one, &[]), None);
    let mut helped = checker();
    commits(&mut helped, &[0, 1], 3, &one);
    assert_eq!(executes(&mut helped, &one, &[replica(3)]), None, "a liar may have said it to one alone");
    let mut two_views = checker();
    commits(&mut two_views, &[0, 1], 3, &one);
    commits(&mut two_views, &[2], 4, &one);
    assert!(executes(&mut two_views, &one, &[]).unwrap().starts_with("certificate"));
    let mut another = checker();
    commits(&mut another, &[0, 1, 2], 3, &other);
    assert!(executes(&mut another, &one, &[]).unwrap().starts_with("certificate"));
}

#[test]
fn who_may_have_forgotten_its_commit_counts_as_if_it_had_sent_it() {
    let one = batch([signed(1, 1)]);
    let mut checker = checker();
    commits(&mut checker, &[0, 1], 3, &one);
    checker.forgetful.insert(replica(2));
    assert_eq!(executes(&mut checker, &one, &[]), None);
}

#[test]
fn a_request_that_an_honest_client_never_made_is_found() {
    let (made, invented) = (signed(1, 1), signed(1, 2));
    let of_client = BTreeMap::from([(ClientId(1), BTreeSet::from([*made.digest()]))]);
    for (request, holds) in [(made, true), (invented, false), (signed(2, 1), true)] {
        let mut checker = checker();
        let one = batch([request]);
        commits(&mut checker, &[0, 1, 2], 0, &one);
        executes(&mut checker, &one, &[]);
        checker.check_validity(&of_client);
        assert_eq!(checker.violation.is_none(), holds, "{:?}", checker.violation);
    }
}
