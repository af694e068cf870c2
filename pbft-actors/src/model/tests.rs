//! A slice of the model, and proof that it bites.

use super::search::{self, Explored};
use super::*;
use crate::types::{LeftOut, ReplicaId, leave_out};

fn limits(views: u64, states: usize, walks: u64) -> Limits {
    Limits {
        views,
        walks,
        seqs: 1,
        unseen: 6,
        states,
        time: Duration::from_secs(3_600),
        agreement_only: false,
    }
}

fn explore(liar: u8, limits: &Limits) -> Explored {
    search::explore(ReplicaId(liar), limits)
}

#[test]
fn whatever_a_primary_says_in_one_view_every_order_is_safe() {
    let explored = explore(0, &limits(1, usize::MAX, 0));
    assert_eq!(explored.violation, None);
    assert!(explored.complete && explored.executed, "{explored:?}");
}

#[test]
fn a_quorum_of_one_less_is_found_out() {
    leave_out(LeftOut::OneOfAQuorum);
    let explored = explore(0, &Limits { agreement_only: true, ..limits(1, usize::MAX, 0) });
    assert!(explored.violation.is_some_and(|what| what.starts_with("agreement")));
}
