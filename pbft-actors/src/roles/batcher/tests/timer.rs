//! The request timer (PROTOCOL 7.1).

use super::*;

fn late(batcher: &mut Batcher, milliseconds: u64) -> (Vec<Effect>, Vec<TimerChange<BatcherTimer>>) {
    let out = fire(batcher, at(milliseconds), BatcherTimer::Request);
    (out.effects, out.timers)
}

/// A backup that was sent these requests, one every 100 ms.
fn waiting(requests: &[&Request]) -> Batcher {
    let mut backup = batcher(1);
    for (number, request) in requests.iter().enumerate() {
        step(&mut backup, at(100 * number as u64), admitted(&[request]));
    }
    backup
}

#[test]
fn a_signed_request_starts_a_full_timeout() {
    assert_eq!(step(&mut batcher(1), at(70), admitted(&[&signed(1, 1)])).timers, armed(1_070));
}

#[test]
fn an_unsigned_request_starts_none() {
    assert_eq!(step(&mut batcher(1), at(0), admitted(&[&maced(1, 1)])).timers, []);
}

#[test]
fn the_primary_has_one_too_its_view_change_may_make_weak_many() {
    assert_eq!(step(&mut batcher(0), at(0), admitted(&[&signed(1, 1)])).timers, armed(1_000));
}

#[test]
fn a_forwarded_request_starts_one_too() {
    assert_eq!(step(&mut batcher(1), at(0), forwarded(2, &[&signed(1, 1)])).timers, armed(1_000));
}

#[test]
fn a_request_that_is_not_the_oldest_changes_nothing() {
    let mut backup = waiting(&[&signed(1, 1)]);
    assert_eq!(step(&mut backup, at(500), admitted(&[&signed(2, 1)])).timers, []);
}

#[test]
fn a_retransmission_changes_nothing() {
    let mut backup = waiting(&[&signed(1, 1)]);
    assert_eq!(step(&mut backup, at(500), admitted(&[&signed(1, 1)])).timers, []);
}

#[test]
fn the_signed_form_of_a_request_starts_the_timer() {
    let mut backup = waiting(&[&maced(1, 1)]);
    assert_eq!(step(&mut backup, at(500), admitted(&[&signed(1, 1)])).timers, armed(1_500));
}

#[test]
fn progress_of_other_requests_does_not_restart_it() {
    let mut backup = waiting(&[&signed(1, 1), &signed(2, 1)]);
    assert_eq!(step(&mut backup, at(900), executed(1, &[&signed(2, 1)])).timers, []);
    assert_eq!(late(&mut backup, 1_000).0, [suspect(0)]);
}

#[test]
fn the_next_oldest_request_gets_a_full_timeout() {
    let mut backup = waiting(&[&signed(1, 1), &signed(2, 1)]);
    assert_eq!(step(&mut backup, at(900), executed(1, &[&signed(1, 1)])).timers, armed(1_900));
}

#[test]
fn it_ends_with_the_last_request() {
    let mut backup = waiting(&[&signed(1, 1)]);
    assert_eq!(step(&mut backup, at(10), executed(1, &[&signed(1, 1)])).timers, DISARMED);
    assert_eq!(late(&mut backup, 1_000), (vec![], vec![]));
}

#[test]
fn it_ends_when_a_floor_passes_the_request() {
    let mut backup = waiting(&[&signed(1, 1)]);
    let floor = |timestamp| {
        let floors = vec![(ClientId(1), SessionId(1), Timestamp(timestamp))];
        BatcherInput::Executed(Finished { floors, ..Finished::default() })
    };
    assert_eq!(step(&mut backup, at(10), floor(1)).timers, []);
    assert_eq!(step(&mut backup, at(10), floor(2)).timers, DISARMED);
}

#[test]
fn it_ends_when_the_session_is_closed() {
    let mut backup = waiting(&[&signed(1, 1)]);
    let closed = |session| {
        let closed = vec![(ClientId(1), SessionId(session))];
        BatcherInput::Executed(Finished { closed, ..Finished::default() })
    };
    assert_eq!(step(&mut backup, at(10), closed(2)).timers, []);
    assert_eq!(step(&mut backup, at(10), closed(1)).timers, DISARMED);
}

#[test]
fn when_it_expires_the_primary_is_suspected_and_again_a_timeout_later() {
    let mut backup = waiting(&[&signed(1, 1)]);
    assert_eq!(late(&mut backup, 1_000), (vec![suspect(0)], armed(2_000).to_vec()));
    assert_eq!(late(&mut backup, 2_000), (vec![suspect(0)], armed(3_000).to_vec()));
}

#[test]
fn an_early_wake_up_suspects_nobody() {
    let mut backup = waiting(&[&signed(1, 1)]);
    step(&mut backup, at(10), BatcherInput::Timeout(Millis(2_000)));
    assert_eq!(late(&mut backup, 1_000), (vec![], armed(2_000).to_vec()));
}

#[test]
fn it_stands_still_in_a_view_change() {
    let mut backup = waiting(&[&signed(1, 1)]);
    assert_eq!(step(&mut backup, at(500), BatcherInput::Changing(View(1))).timers, DISARMED);
    assert_eq!(late(&mut backup, 1_000), (vec![], vec![]));
    assert_eq!(step(&mut backup, at(1_500), admitted(&[&signed(2, 1)])).timers, []);
}

#[test]
fn it_starts_afresh_when_a_view_is_entered() {
    let mut backup = waiting(&[&signed(1, 1)]);
    step(&mut backup, at(500), BatcherInput::Changing(View(2)));
    assert_eq!(step(&mut backup, at(800), entered(2)).timers, armed(1_800));
    assert_eq!(late(&mut backup, 1_800).0, [suspect(2)]);
}

#[test]
fn it_starts_afresh_also_where_the_view_was_entered_without_leaving_one() {
    let mut backup = waiting(&[&signed(1, 1)]);
    assert_eq!(step(&mut backup, at(800), entered(2)).timers, armed(1_800));
}

#[test]
fn it_stands_still_during_a_transfer_and_starts_afresh_after() {
    let mut backup = waiting(&[&signed(1, 1)]);
    step(&mut backup, at(500), BatcherInput::Transferring(true));
    assert_eq!(late(&mut backup, 1_000), (vec![], vec![]));
    assert_eq!(step(&mut backup, at(3_000), BatcherInput::Transferring(false)).timers, armed(4_000));
}

#[test]
fn a_primary_that_withholds_what_a_rejoining_replica_needs_is_suspected() {
    let mut backup = batcher(1);
    assert_eq!(step(&mut backup, at(0), BatcherInput::Fill(Seq(6))).timers, armed(1_000));
    assert_eq!(step(&mut backup, at(500), executed(1, &[])).timers, armed(1_500));
    assert_eq!(late(&mut backup, 1_500).0, [suspect(0)]);
    assert_eq!(step(&mut backup, at(1_600), executed(7, &[])).timers, armed(2_600));
    assert_eq!(step(&mut backup, at(1_700), executed(8, &[])).timers, DISARMED);
}

/// A replica that has restarted may know of no request that waits.
#[test]
fn a_primary_whose_accepted_batch_does_not_get_decided_is_suspected() {
    let mut backup = batcher(1);
    assert_eq!(step(&mut backup, at(0), BatcherInput::Accepted(Seq(2))).timers, armed(1_000));
    assert_eq!(step(&mut backup, at(500), executed(1, &[])).timers, armed(1_500));
    assert_eq!(late(&mut backup, 1_500).0, [suspect(0)]);
    assert_eq!(step(&mut backup, at(1_600), executed(2, &[])).timers, DISARMED);
    assert_eq!(step(&mut backup, at(1_700), BatcherInput::Accepted(Seq(2))).timers, []);
}

#[test]
fn what_was_accepted_in_a_view_that_was_left_is_not_waited_for() {
    let mut backup = batcher(1);
    step(&mut backup, at(0), BatcherInput::Accepted(Seq(2)));
    step(&mut backup, at(100), BatcherInput::Changing(View(2)));
    assert_eq!(step(&mut backup, at(200), entered(2)).timers, []);
}

/// It is not the primary's doing.
#[test]
fn it_stands_still_while_the_own_disk_is_waited_for() {
    let mut backup = waiting(&[&signed(1, 1)]);
    step(&mut backup, at(500), BatcherInput::WaitingForDisk(true));
    assert_eq!(late(&mut backup, 1_000), (vec![], vec![]));
    assert_eq!(step(&mut backup, at(3_000), BatcherInput::WaitingForDisk(false)).timers, armed(4_000));
}
