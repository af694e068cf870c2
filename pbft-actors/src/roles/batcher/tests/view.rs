//! What waits when a view is left and entered (PROTOCOL 7.5).

use super::*;

/// Leaves its view and enters this one.
fn change(batcher: &mut Batcher, view: u64) -> Vec<Effect> {
    effects(batcher, BatcherInput::Changing(View(view)));
    effects(batcher, entered(view))
}

#[test]
fn a_backup_passes_what_waits_on_to_the_new_primary_oldest_first() {
    let mut backup = batcher(1);
    let (first, second, third) = (signed(3, 1), maced(2, 1), signed(1, 1));
    for request in [&first, &second, &third] {
        effects(&mut backup, admitted(&[request]));
    }
    let expected = [forward(2, &first), forward(2, &second), forward(2, &third)];
    assert_eq!(change(&mut backup, 2), expected);
}

#[test]
fn it_passes_on_no_more_than_its_quota() {
    let mut backup = tuned(1, |tuning| tuning.admission_min = 6);
    let requests = [signed(1, 1), signed(1, 2), signed(1, 3)];
    effects(&mut backup, admitted(&requests.iter().collect::<Vec<_>>()));
    assert_eq!(change(&mut backup, 2), [forward(2, &requests[0]), forward(2, &requests[1])]);
}

#[test]
fn an_old_primary_forgets_what_is_not_signed() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&maced(1, 1), &signed(2, 1)]));
    assert_eq!(change(&mut primary, 1), [forward(1, &signed(2, 1))]);
    change(&mut primary, 4);
    effects(&mut primary, granted(4, 1, 1));
    assert_eq!(turn_end(&mut primary), [(4, vec![(2, 1)])]);
}

#[test]
fn an_old_primary_forgets_also_over_a_view_that_never_started() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&maced(1, 1)]));
    effects(&mut primary, BatcherInput::Changing(View(1)));
    assert_eq!(change(&mut primary, 2), []);
}

#[test]
fn what_was_proposed_in_an_old_view_and_not_executed_is_proposed_again() {
    let mut primary = batcher(1);
    effects(&mut primary, admitted(&[&signed(1, 1), &signed(1, 2)]));
    change(&mut primary, 1);
    effects(&mut primary, granted(1, 1, 1));
    assert_eq!(turn_end(&mut primary), [(1, vec![(1, 1), (1, 2)])]);
    change(&mut primary, 5);
    effects(&mut primary, executed(1, &[&signed(1, 1)]));
    effects(&mut primary, granted(5, 2, 1));
    assert_eq!(turn_end(&mut primary), [(5, vec![(1, 2)])]);
}

#[test]
fn a_grant_of_the_old_view_is_void() {
    let mut primary = batcher(0);
    effects(&mut primary, admitted(&[&signed(1, 1)]));
    effects(&mut primary, granted(0, 1, 8));
    change(&mut primary, 4);
    assert_eq!(turn_end(&mut primary), []);
}
