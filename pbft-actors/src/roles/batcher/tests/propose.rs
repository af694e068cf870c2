//! What goes into a batch, and when (PROTOCOL 5).

use super::*;

#[test]
fn what_is_pending_is_proposed_at_the_end_of_a_turn() {
    let mut primary = batcher(0);
    effects(&mut primary, granted(0, 1, 1));
    assert_eq!(effects(&mut primary, admitted(&[&signed(1, 1), &maced(2, 1)])), []);
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1), (2, 1)])]);
}

#[test]
fn nothing_is_proposed_twice() {
    let mut primary = batcher(0);
    effects(&mut primary, granted(0, 1, 8));
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    turn_end(&mut primary);
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    assert_eq!(turn_end(&mut primary), []);
}

#[test]
fn nothing_pending_is_nothing_proposed() {
    let mut primary = batcher(0);
    effects(&mut primary, granted(0, 1, 8));
    assert_eq!(turn_end(&mut primary), []);
}

#[test]
fn what_was_executed_meanwhile_is_not_proposed() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2)]));
    effects(&mut primary, executed(1, &[&signed(1, 1)]));
    effects(&mut primary, granted(0, 2, 8));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 2)])]);
}

#[test]
fn a_batch_takes_a_credit_and_without_one_nothing_is_proposed() {
    let mut primary = tuned(0, |tuning| tuning.batch_requests = 1);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2), &signed(1, 3)]));
    assert_eq!(turn_end(&mut primary), []);
    effects(&mut primary, granted(0, 1, 2));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1)]), (0, vec![(1, 2)])]);
    assert_eq!(turn_end(&mut primary), []);
}

#[test]
fn a_grant_of_another_view_is_of_no_use() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    effects(&mut primary, granted(4, 1, 8));
    assert_eq!(turn_end(&mut primary), []);
}

#[test]
fn nothing_is_proposed_in_a_view_change() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    effects(&mut primary, granted(0, 1, 8));
    effects(&mut primary, BatcherInput::Changing(View(1)));
    assert_eq!(turn_end(&mut primary), []);
}

#[test]
fn a_backup_proposes_nothing() {
    let mut backup = batcher(1);
    effects(&mut backup, admitted(&[&signed(1, 1)]));
    effects(&mut backup, granted(0, 1, 8));
    assert_eq!(turn_end(&mut backup), []);
}

#[test]
fn clients_take_turns_each_in_its_own_order() {
    let mut primary = batcher(0);
    let (a, b, c) = ([signed(1, 1), signed(1, 2), signed(1, 3)], signed(2, 1), [signed(3, 1), signed(3, 2)]);
    effects(&mut primary, admitted(&[&a[0], &a[1], &a[2], &b, &c[0], &c[1]]));
    effects(&mut primary, granted(0, 1, 1));
    let order = vec![(1, 1), (2, 1), (3, 1), (1, 2), (3, 2), (1, 3)];
    assert_eq!(turn_end(&mut primary), [(0, order)]);
}

#[test]
fn whose_turn_it_is_is_remembered_from_batch_to_batch() {
    let mut primary = tuned(0, |tuning| tuning.batch_requests = 1);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2), &signed(2, 1)]));
    effects(&mut primary, granted(0, 1, 2));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1)]), (0, vec![(2, 1)])]);
}

#[test]
fn forwarded_requests_come_first_and_backups_take_turns() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    effects(&mut primary, forwarded(3, &[&signed(4, 1), &signed(4, 2)]));
    effects(&mut primary, forwarded(2, &[&signed(9, 1), &signed(8, 1)]));
    effects(&mut primary, granted(0, 1, 1));
    let order = vec![(9, 1), (4, 1), (8, 1), (4, 2), (1, 1)];
    assert_eq!(turn_end(&mut primary), [(0, order)]);
}

#[test]
fn a_batch_holds_no_more_requests_than_configured() {
    let mut primary = tuned(0, |tuning| tuning.batch_requests = 2);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2), &signed(1, 3)]));
    effects(&mut primary, granted(0, 1, 8));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1), (1, 2)]), (0, vec![(1, 3)])]);
}

#[test]
fn a_batch_holds_no_more_bytes_than_configured_and_at_least_one_request() {
    let length = signed(1, 1).wire().len();
    let pairs = |bytes| {
        let mut primary = tuned(0, |tuning| tuning.batch_bytes = bytes);
        effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2), &signed(1, 3)]));
        effects(&mut primary, granted(0, 1, 8));
        turn_end(&mut primary)
    };
    assert_eq!(pairs(2 * length), [(0, vec![(1, 1), (1, 2)]), (0, vec![(1, 3)])]);
    assert_eq!(pairs(1), [(0, vec![(1, 1)]), (0, vec![(1, 2)]), (0, vec![(1, 3)])]);
}

#[test]
fn null_batches_are_proposed_up_to_where_a_replica_rejoins() {
    let mut primary = batcher(0);
    // R = 6 needs the checkpoint at 8.
    effects(&mut primary, BatcherInput::Fill(Seq(6)));
    effects(&mut primary, granted(0, 1, 2));
    assert_eq!(turn_end(&mut primary), [(0, vec![]), (0, vec![])]);
    effects(&mut primary, granted(0, 8, 8));
    assert_eq!(turn_end(&mut primary), [(0, vec![])]);
    effects(&mut primary, granted(0, 9, 8));
    assert_eq!(turn_end(&mut primary), []);
}

#[test]
fn requests_take_the_place_of_null() {
    let mut primary = batcher(0);
    effects(&mut primary, BatcherInput::Fill(Seq(4)));
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    effects(&mut primary, granted(0, 3, 8));
    assert_eq!(turn_end(&mut primary), [(0, vec![(1, 1)]), (0, vec![])]);
}

#[test]
fn two_batches_never_have_the_same_seed() {
    let mut primary = tuned(0, |tuning| tuning.batch_requests = 1);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2)]));
    effects(&mut primary, granted(0, 1, 2));
    let seeds: BTreeSet<Digest> = effects(&mut primary, BatcherInput::TurnEnd)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Tell(crate::role::Mail::Orderer(OrdererInput::Propose { batch, .. })) => {
                batch.choice().map(|choice| choice.seed)
            }
            _ => None,
        })
        .collect();
    assert_eq!(seeds.len(), 2);
}
