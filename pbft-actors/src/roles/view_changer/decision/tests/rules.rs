//! The rules of PROTOCOL 7.3 one by one, and the traps that others fell into.

use super::*;

fn null() -> Digest {
    Batch::null_digest()
}

#[test]
fn without_promises_a_view_starts_from_the_stable_checkpoint_with_nothing() {
    let votes = [said(0), said(0), said(0)];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[]));
}

#[test]
fn what_a_quorum_prepared_is_chosen() {
    let votes = vec![said(0).prepared(1, digest(1), 3); 3];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn one_of_a_quorum_is_enough_to_keep_what_was_prepared() {
    let votes = [said(0).prepared(1, digest(1), 3), said(0).q(1, digest(1), 3), said(0)];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn fewer_than_a_quorum_decide_nothing() {
    assert_eq!(decision(4, &[said(0), said(0)]), None);
    assert_eq!(decision(7, &vec![said(0); 4]), None);
    assert!(decision(7, &vec![said(0); 5]).is_some());
}

#[test]
fn two_f_plus_one_are_no_quorum_of_five_or_six() {
    for n in [5, 6] {
        assert_eq!(decision(n, &vec![said(0); 3]), None, "n={n}");
        assert!(decision(n, &vec![said(0); 4]).is_some(), "n={n}");
    }
}

#[test]
fn at_five_a_batch_needs_four_that_do_not_contradict() {
    // Three would do if the quorum were 2f+1.
    let other = said(0).prepared(1, digest(2), 4).q(1, digest(1), 3);
    let votes = [said(0).prepared(1, digest(1), 3), said(0), said(0), other.clone(), other];
    assert_eq!(decision(5, &votes[..4]), None);
    assert_eq!(decision(5, &votes), starts(0, state(0), &[(1, digest(2))]));
}

#[test]
fn the_highest_checkpoint_that_weak_many_list_is_chosen() {
    let ahead = said(0).checkpoint(4, state(4));
    let votes = [said(0), ahead.clone(), ahead];
    assert_eq!(decision(4, &votes), starts(4, state(4), &[]));
}

#[test]
fn a_checkpoint_that_one_lists_is_not_chosen() {
    let votes = [said(0), said(0), said(0).checkpoint(4, state(4))];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[]));
}

#[test]
fn a_checkpoint_with_different_digests_is_not_counted_together() {
    let votes = [said(0), said(0).checkpoint(4, digest(1)), said(0).checkpoint(4, digest(2))];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[]));
}

#[test]
fn a_checkpoint_that_too_many_have_passed_is_not_chosen() {
    // Weak-many list 0, but two of three have dropped what follows it.
    let votes = [said(0), said(4).checkpoint(8, state(8)), said(4).checkpoint(8, state(8)), said(0)];
    assert_eq!(decision(4, &votes[..3]), starts(8, state(8), &[]));
    let votes = [said(4).without_checkpoints(), said(4).without_checkpoints(), said(0), said(0)];
    assert_eq!(decision(4, &votes), None);
}

#[test]
fn of_two_digests_of_one_checkpoint_the_smallest_is_chosen() {
    let (small, large) = (digest(1), digest(2));
    let votes =
        [said(4), said(4), said(4), said(4)].map(Said::without_checkpoints).map(|s| s.checkpoint(4, large));
    let mut votes = votes.to_vec();
    votes[..2].iter_mut().for_each(|s| s.0.checkpoints[0].digest = small);
    assert_eq!(decision(4, &votes), starts(4, small, &[]));
    votes.reverse();
    assert_eq!(decision(4, &votes), starts(4, small, &[]));
}

#[test]
fn batches_are_counted_over_all_and_not_over_the_supporters_of_the_checkpoint() {
    // Two list checkpoint 4; what the third says of seq 5 counts all the same.
    let supporter = said(0).checkpoint(4, state(4));
    let votes = [supporter.clone().q(5, digest(1), 2), supporter, said(0).prepared(5, digest(1), 2)];
    assert_eq!(decision(4, &votes), starts(4, state(4), &[(5, digest(1))]));
}

#[test]
fn null_is_counted_over_all_and_not_over_the_supporters_of_the_checkpoint() {
    // Seq 5 is free at a quorum only if the one who does not list checkpoint 4 counts.
    let supporter = said(0).checkpoint(4, state(4));
    let votes = [supporter.clone().q(6, digest(1), 2), supporter, said(0).prepared(6, digest(1), 2)];
    assert_eq!(decision(4, &votes), starts(4, state(4), &[(5, null()), (6, digest(1))]));
}

#[test]
fn the_digest_of_the_highest_view_is_chosen_wherever_it_stands() {
    let votes = vec![
        said(0).prepared(1, digest(2), 5),
        said(0).prepared(1, digest(1), 3),
        said(0).prepared(1, digest(2), 5),
        said(0).prepared(1, digest(1), 3),
    ];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(2))]));
    let reversed: Vec<Said> = votes.into_iter().rev().collect();
    assert_eq!(decision(4, &reversed), starts(0, state(0), &[(1, digest(2))]));
}

#[test]
fn of_two_candidates_of_one_view_the_smallest_digest_is_chosen() {
    // A faulty primary and one more liar bring this about: each batch has its quorum of A1 beside the
    // other.
    let votes = |first: u8, second: u8| {
        let by = |d: u8| said(0).p(1, digest(d), 5).q(1, digest(1), 5).q(1, digest(2), 5);
        let mut votes = vec![by(first), by(second)];
        votes.extend(vec![said(0); 4]);
        votes
    };
    assert_eq!(decision(6, &votes(1, 2)), starts(0, state(0), &[(1, digest(1))]));
    assert_eq!(decision(6, &votes(2, 1)), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn a_batch_that_one_alone_pre_prepared_is_not_chosen() {
    // A2 keeps a liar from inventing a batch.
    let votes = [said(0).prepared(1, digest(1), 5), said(0), said(0)];
    assert_eq!(decision(4, &votes), None);
    let more = [&votes[..], &[said(0)]].concat();
    assert_eq!(decision(4, &more), starts(0, state(0), &[(1, null())]));
}

#[test]
fn a_batch_pre_prepared_in_an_earlier_view_only_is_not_vouched_for() {
    let votes = [said(0).p(1, digest(1), 5).q(1, digest(1), 5), said(0).q(1, digest(1), 4), said(0)];
    assert_eq!(decision(4, &votes), None);
}

#[test]
fn a_batch_pre_prepared_again_in_a_later_view_is_vouched_for() {
    let votes = [said(0).prepared(1, digest(1), 5), said(0).q(1, digest(1), 6), said(0)];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn another_digest_prepared_in_the_same_view_speaks_against_a_batch() {
    let votes = [said(0).prepared(1, digest(1), 5), said(0).q(1, digest(1), 5).p(1, digest(2), 5), said(0)];
    assert_eq!(decision(4, &votes), None);
}

#[test]
fn null_that_was_prepared_is_an_ordinary_digest() {
    let votes = [
        said(0).prepared(1, null(), 5),
        said(0).prepared(1, null(), 5),
        said(0).prepared(1, digest(1), 3),
        said(0).q(1, digest(1), 3),
    ];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, null())]));
    // And it loses to what was prepared later.
    let votes =
        [said(0).prepared(1, null(), 3), said(0).prepared(1, digest(1), 5), said(0).q(1, digest(1), 5)];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn a_gap_is_filled_with_null() {
    let votes = vec![said(0).prepared(3, digest(1), 5); 3];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, null()), (2, null()), (3, digest(1))]));
}

#[test]
fn a_seq_that_a_member_has_passed_is_not_free_there() {
    // A member with h = 4 may have forgotten what it prepared at seq 3.
    let passed = said(4).without_checkpoints().p(5, digest(1), 5).q(5, digest(1), 5);
    let votes = [said(0), said(0).q(5, digest(1), 5), passed];
    assert_eq!(decision(4, &votes), None);
    let more = [&votes[..], &[said(0).q(5, digest(1), 5)]].concat();
    let expected = [(1, null()), (2, null()), (3, null()), (4, null()), (5, digest(1))];
    assert_eq!(decision(4, &more), starts(0, state(0), &expected));
}

#[test]
fn a_member_that_has_passed_a_seq_does_not_agree_to_a_batch_there() {
    let passed = said(4).without_checkpoints();
    let liar = said(0).p(4, digest(2), 7);
    let votes = [said(0).prepared(4, digest(1), 5), said(0).q(4, digest(1), 5), liar, passed];
    assert_eq!(decision(4, &votes), None);
    let more = [said(0).prepared(4, digest(1), 5), said(0).q(4, digest(1), 5), said(0), votes[3].clone()];
    let expected = [(1, null()), (2, null()), (3, null()), (4, digest(1))];
    assert_eq!(decision(4, &more), starts(0, state(0), &expected));
}

#[test]
fn a_seq_that_is_undetermined_waits_for_more_votes() {
    let liar = said(0).prepared(1, digest(9), 8);
    let honest = said(0).prepared(1, digest(1), 3);
    let votes = [liar, honest.clone(), honest.clone()];
    assert_eq!(decision(4, &votes), None);
    let more = [&votes[..], &[honest]].concat();
    assert_eq!(decision(4, &more), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn nothing_is_chosen_above_the_highest_seq_that_any_p_names() {
    let votes = vec![said(0).prepared(1, digest(1), 3).q(2, digest(2), 3); 3];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(1))]));
}

#[test]
fn nothing_is_chosen_above_the_window_of_the_checkpoint() {
    // Only the one who is ahead can name seq 17 and above.
    let ahead = said(4).without_checkpoints().prepared(18, digest(1), 3);
    let votes = [said(0).prepared(1, digest(2), 3), said(0).prepared(1, digest(2), 3), said(0), ahead];
    assert_eq!(decision(4, &votes), starts(0, state(0), &[(1, digest(2))]));
}

#[test]
fn nothing_is_chosen_at_or_below_the_checkpoint() {
    let vote = said(0).checkpoint(4, state(4)).prepared(3, digest(1), 3).prepared(5, digest(2), 3);
    assert_eq!(decision(4, &vec![vote; 3]), starts(4, state(4), &[(5, digest(2))]));
}

#[test]
fn a_checkpoint_that_its_claimants_may_not_list_is_waited_for() {
    // L = 16: the first executed up to 20 before any checkpoint was stable here, and claimed it; its
    // VIEW-CHANGE may name nothing above 16. So 20 is stable at the last one only, all that is
    // correct is in V, and there is no decision before the first one asks for another view.
    let first = said(0).checkpoint(4, state(4)).checkpoint(16, state(16));
    let votes = [first, said(16), said(20)];
    assert_eq!(decision(4, &votes), None);
}
