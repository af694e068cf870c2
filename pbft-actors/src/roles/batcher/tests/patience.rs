//! Patience with a primary of which nothing is seen (PROTOCOL 7.1): where it ends before T, and where not.

use super::*;

/// A replica that saw 20 batches accepted, one every 10 ms, each executed so long after; then a signed
/// request waits from 300 ms on, when the primary was last seen.
fn seen(own: u8, latency: u64, change: impl FnOnce(&mut Tuning)) -> Batcher {
    let mut batcher = tuned(own, change);
    for number in 1..=20 {
        see(&mut batcher, number, 10 * number, latency);
    }
    step(&mut batcher, at(300), executed(20, &[]));
    step(&mut batcher, at(300), admitted(&[&signed(1, 1)]));
    batcher
}

fn see(batcher: &mut Batcher, seq: u64, milliseconds: u64, latency: u64) {
    step(batcher, at(milliseconds), BatcherInput::Accepted(Seq(seq)));
    step(batcher, at(milliseconds + latency), executed(seq, &[]));
}

fn late(batcher: &mut Batcher, milliseconds: u64) -> (Vec<Effect>, Vec<TimerChange<BatcherTimer>>) {
    let out = fire(batcher, at(milliseconds), BatcherTimer::Request);
    (out.effects, out.timers)
}

/// When the primary is suspected if the timer fires each time it was set to.
fn suspected_at(batcher: &mut Batcher) -> u64 {
    let mut due = 300;
    loop {
        let (effects, timers) = late(batcher, due);
        if !effects.is_empty() {
            assert_eq!(effects, [suspect(0)]);
            return due;
        }
        let [TimerChange::Arm(BatcherTimer::Request, at)] = timers[..] else { panic!("{timers:?}") };
        due = at.0.div_ceil(1_000);
    }
}

#[test]
fn a_primary_of_which_nothing_is_seen_is_suspected_after_the_least_time() {
    let mut backup = seen(1, 1, |_| {});
    assert_eq!(late(&mut backup, 379), (vec![], armed(380).to_vec()));
    assert_eq!(late(&mut backup, 380), (vec![suspect(0)], armed(1_380).to_vec()));
}

#[test]
fn it_is_set_at_once() {
    let mut backup = seen(1, 1, |_| {});
    step(&mut backup, at(310), executed(21, &[&signed(1, 1)]));
    assert_eq!(step(&mut backup, at(320), admitted(&[&signed(1, 2)])).timers, armed(400));
}

#[test]
fn where_it_is_quiet_for_longer_as_a_rule_it_is_waited_for_longer() {
    // Three times 90 ms, of which a quarter more is the same class.
    assert_eq!(suspected_at(&mut seen(1, 90, |_| {})), 300 + 3 * 98 + 1);
}

#[test]
fn but_never_for_longer_than_t() {
    assert_eq!(suspected_at(&mut seen(1, 400, |_| {})), 1_300);
    assert_eq!(suspected_at(&mut seen(1, 1, |tuning| tuning.timeout_min = tuning.timeout)), 1_300);
}

#[test]
fn every_sign_of_it_counts_from_there_on() {
    let need = Need { requests: vec![(digest(9), None)], again: true };
    for sign in [BatcherInput::Accepted(Seq(21)), executed(21, &[]), BatcherInput::Need(need)] {
        let mut backup = seen(1, 1, |_| {});
        step(&mut backup, at(320), sign);
        assert_eq!(suspected_at(&mut backup), 400);
    }
}

/// T is a full one for each request: nobody is starved by what others get.
#[test]
fn signs_do_not_put_off_a_full_timeout() {
    let mut backup = seen(1, 1, |_| {});
    (21..1_000).for_each(|number| see(&mut backup, number, 300 + number, 0));
    assert_eq!(suspected_at(&mut backup), 1_300);
}

#[test]
fn few_waits_say_nothing() {
    let mut backup = batcher(1);
    see(&mut backup, 1, 10, 1);
    step(&mut backup, at(300), admitted(&[&signed(1, 1)]));
    assert_eq!(suspected_at(&mut backup), 1_300);
}

#[test]
fn a_primary_has_patience_with_itself() {
    assert_eq!(suspected_at(&mut seen(0, 1, |_| {})), 1_300);
}

#[test]
fn a_batch_that_waits_has_all_of_t() {
    let mut backup = seen(1, 1, |_| {});
    step(&mut backup, at(310), executed(21, &[&signed(1, 1)]));
    assert_eq!(step(&mut backup, at(320), BatcherInput::Accepted(Seq(22))).timers, armed(1_320));
    assert_eq!(late(&mut backup, 500).0, []);
}

/// T has doubled: what was usual may be so no longer.
#[test]
fn where_something_went_wrong_of_late_only_t_counts() {
    let mut backup = seen(1, 1, |_| {});
    step(&mut backup, at(310), BatcherInput::Timeout(Millis(2_000)));
    assert_eq!(suspected_at(&mut backup), 2_300);
}

#[test]
fn a_new_primary_has_all_of_t_until_something_of_its_view_is_executed() {
    let mut backup = seen(1, 1, |_| {});
    step(&mut backup, at(310), BatcherInput::Changing(View(2)));
    assert_eq!(step(&mut backup, at(320), entered(2)).timers, armed(1_320));
    step(&mut backup, at(330), BatcherInput::Accepted(Seq(21)));
    step(&mut backup, at(340), executed(21, &[]));
    assert_eq!(late(&mut backup, 419), (vec![], armed(420).to_vec()));
    assert_eq!(late(&mut backup, 420).0, [suspect(2)]);
}

/// What the primary sent meanwhile is still in this replica's sockets.
#[test]
fn who_stood_still_itself_waits_anew() {
    let mut backup = seen(1, 1, |_| {});
    assert_eq!(late(&mut backup, 421), (vec![], armed(501).to_vec()));
    assert_eq!(late(&mut backup, 501).0, [suspect(0)]);
}
