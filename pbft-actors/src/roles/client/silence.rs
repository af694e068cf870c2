//! Silence: where nothing is answered any more, one request goes to all, signed, ahead of its time.
//!
//! One is enough: it is what makes the replicas look after their primary. As long as others are answered,
//! a single request that is late says nothing about the primary but that it has much to do, and
//! waits for its own time.

use super::*;
use crate::roles::UsualWait;

/// Patience, in usual latencies. To ask in vain costs little.
const FACTOR: u64 = 2;

/// When something was answered last, and how long that takes as a rule.
#[derive(Default)]
pub(super) struct Silence {
    /// Since when nothing was answered although something was sent; none where nothing waits.
    since: Option<Monotonic>,
    /// Requests that went to all in this silence.
    asked: u32,
    /// When one did last, in this silence or before.
    asked_at: Option<Monotonic>,
    /// There is no link to the primary.
    cut_off: bool,
    usual: UsualWait,
}

impl Silence {
    /// Something is sent; `waiting` says whether something was before.
    pub(super) fn on_sent(&mut self, now: Monotonic, waiting: bool) {
        if !waiting {
            (self.since, self.asked) = (Some(now), 0);
        }
    }

    /// Something is answered; `waiting` says whether something else is not.
    pub(super) fn on_answered(&mut self, now: Monotonic, waiting: bool) {
        self.since = waiting.then_some(now);
        self.asked = 0;
    }

    /// How long an answer took.
    pub(super) fn record(&mut self, now: Monotonic, sent: Monotonic) {
        self.usual.record(now, now.micros_since(sent));
    }

    /// When one goes to all; none where only its own time counts, or nothing waits.
    fn due(&self, tuning: &ClientTuning) -> Option<Monotonic> {
        let usual = if self.cut_off { 0 } else { self.usual.micros()? };
        let patience = usual.saturating_mul(FACTOR).max(tuning.retry_min.micros());
        // The first after one patience, the next after two more, and so on.
        let wait = patience.saturating_mul((1_u64 << self.asked.min(16)) * 2 - 1);
        (wait < tuning.retry.micros()).then_some(self.since?.plus_micros(wait))
    }

    /// Whether the newest may go to all at once: nobody else hears of it where the primary does not.
    fn is_cut_off(&self, now: Monotonic, tuning: &ClientTuning) -> bool {
        let rested = self.asked_at.is_none_or(|at| now >= at.plus(tuning.retry_min));
        self.cut_off && self.asked == 0 && self.since.is_some() && rested
    }
}

impl Client {
    pub(super) fn silence_ends_at(&self) -> Option<Monotonic> {
        self.silence.due(&self.config.tuning)
    }

    pub(super) fn try_break_silence(&mut self, now: Monotonic, step: &mut ClientStep) {
        if self.silence_ends_at().is_some_and(|due| due <= now) {
            let oldest = self.outstanding.iter().find(|(_, sent)| !sent.is_put_off(now));
            self.ask_all(now, oldest.map(|(timestamp, _)| timestamp), step);
        }
    }

    /// The link to a replica is gone, or there.
    pub(super) fn on_link(&mut self, replica: ReplicaId, up: bool) {
        if replica == self.config.quorums.primary(self.view) {
            self.silence.cut_off = !up;
        }
    }

    /// Without a link to the primary the newest request goes to all: older ones may have been decided before
    /// the link was lost. Not at anyone's pace: a primary that comes and goes must not make this
    /// client sign all the time.
    pub(super) fn try_go_round(&mut self, now: Monotonic, step: &mut ClientStep) {
        if self.silence.is_cut_off(now, &self.config.tuning) {
            let newest = self.outstanding.highest();
            self.ask_all(now, newest, step);
        }
    }

    fn ask_all(&mut self, now: Monotonic, timestamp: Option<Timestamp>, step: &mut ClientStep) {
        self.silence.asked += 1;
        self.silence.asked_at = Some(now);
        let Some(timestamp) = timestamp else { return };
        if let Some(sent) = self.outstanding.get_mut(timestamp) {
            sent.note_signed(now);
        }
        self.send_signed(timestamp, step);
    }

    /// The group is in another view: its primary may know of nothing that was sent to the one before.
    pub(super) fn on_new_primary(&mut self, step: &mut ClientStep) {
        // What is known of links is of the one before.
        self.silence.cut_off = false;
        // Each would be a signature; their own time brings them.
        if self.config.tuning.sign_all {
            return;
        }
        let primary = self.config.quorums.primary(self.view);
        for (_, sent) in self.outstanding.iter().filter(|(_, sent)| !sent.is_unordered()) {
            step.sends.push((To::Replica(primary), Message::Request(self.authenticated(sent))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outstanding::tests::{answer, client_with};
    use super::*;
    use crate::message::{Busy, ReplyResult};

    /// What was sent: to whom, the timestamp, and whether it is signed.
    fn requests(step: &ClientStep) -> Vec<(To, u64, bool)> {
        let request = |(to, message): &(To, Message)| {
            let Message::Request(request) = message else { unreachable!("a client sends requests") };
            (*to, request.id().timestamp.0, request.is_signed())
        };
        step.sends.iter().map(request).collect()
    }

    fn at(milliseconds: u64) -> Monotonic {
        Monotonic(0).plus(Millis(milliseconds))
    }

    /// A client with 3 operations outstanding since 100 ms after the start. It saw 20 answered before, each
    /// after 2 ms.
    fn waiting() -> Client {
        let mut client = client_with(20);
        for timestamp in 1..=20 {
            answer(&mut client, at(2), timestamp, View(0));
        }
        for token in 20..23 {
            let (operation, timeout) = (Bytes::from_static(b"op"), Millis(60_000));
            client.on_input(at(100), ClientInput::Invoke { token, operation, read_only: false, timeout });
        }
        client
    }

    fn tick(client: &mut Client, milliseconds: u64) -> Vec<(To, u64, bool)> {
        requests(&client.on_input(at(milliseconds), ClientInput::Tick))
    }

    #[test]
    fn the_oldest_goes_to_all_after_the_least_silence_and_later_and_later() {
        let mut client = waiting();
        assert_eq!(client.next_wake(), Some(at(125)));
        assert_eq!(tick(&mut client, 124), []);
        assert_eq!(tick(&mut client, 125), [(To::Others, 21, true)]);
        assert_eq!(tick(&mut client, 174), []);
        assert_eq!(tick(&mut client, 175), [(To::Others, 21, true)]);
        assert_eq!(tick(&mut client, 275), [(To::Others, 21, true)]);
        let own_time = tick(&mut client, 400);
        assert_eq!(own_time, [(To::Others, 21, true), (To::Others, 22, true), (To::Others, 23, true)]);
    }

    #[test]
    fn as_long_as_others_are_answered_it_waits_for_its_own_time() {
        let mut client = waiting();
        answer(&mut client, at(105), 22, View(0));
        assert_eq!(tick(&mut client, 129), []);
        assert_eq!(tick(&mut client, 130), [(To::Others, 21, true)]);
    }

    #[test]
    fn where_answers_take_longer_it_is_silence_later() {
        let mut client = waiting();
        answer(&mut client, at(120), 21, View(0));
        assert_eq!(tick(&mut client, 160), [], "twice 20 ms and a little");
        assert_eq!(tick(&mut client, 161), [(To::Others, 22, true)]);
    }

    /// Or the next primary that dies would be waited for longer.
    #[test]
    fn what_waited_for_a_new_primary_is_not_usual() {
        let mut client = waiting();
        answer(&mut client, at(300), 21, View(1));
        assert_eq!(tick(&mut client, 325), [(To::Others, 22, true)]);
    }

    #[test]
    fn where_nothing_is_known_of_answers_there_is_no_silence() {
        let mut client = client_with(3);
        assert_eq!(tick(&mut client, 299), []);
    }

    #[test]
    fn where_nothing_waits_there_is_none_either() {
        let mut client = waiting();
        (21..=23).for_each(|timestamp| answer(&mut client, at(101), timestamp, View(0)));
        assert_eq!(tick(&mut client, 1_000), []);
        assert_eq!(client.silence_ends_at(), None);
    }

    #[test]
    fn a_replica_that_puts_a_request_off_is_not_asked_for_it() {
        let mut client = waiting();
        let id = client.outstanding.get_mut(Timestamp(21)).unwrap().id();
        let busy = Busy { request: id, retry_after_ms: 250 };
        let busy = Verified::own(Peer::Replica(ReplicaId(0)), busy);
        client.on_input(at(101), ClientInput::Busy(busy));
        assert_eq!(tick(&mut client, 125), [(To::Others, 22, true)]);
    }

    #[test]
    fn without_a_link_to_the_primary_the_newest_goes_to_all_at_once_and_the_oldest_after_the_least_silence() {
        let mut client = waiting();
        let link = |client: &mut Client, now, input| requests(&client.on_input(at(now), input));
        assert_eq!(link(&mut client, 101, ClientInput::LinkLost(ReplicaId(1))), [], "a backup");
        let lost = ClientInput::LinkLost(ReplicaId(0));
        assert_eq!(link(&mut client, 101, lost.clone()), [(To::Others, 23, true)]);
        assert_eq!(link(&mut client, 102, lost), [], "once");
        assert_eq!(tick(&mut client, 175), [(To::Others, 21, true)]);
    }

    #[test]
    fn where_the_newest_was_decided_before_the_next_one_goes_to_all_once_in_the_least_silence() {
        let mut client = waiting();
        client.on_input(at(101), ClientInput::LinkLost(ReplicaId(0)));
        (21..=23).for_each(|timestamp| answer(&mut client, at(102), timestamp, View(0)));
        let mut invoke = |now| {
            let (operation, timeout) = (Bytes::from_static(b"op"), Millis(60_000));
            let invoke = ClientInput::Invoke { token: now, operation, read_only: false, timeout };
            requests(&client.on_input(at(now), invoke))
        };
        let to = To::Replica(ReplicaId(0));
        assert_eq!(invoke(103), [(to, 24, false)]);
        assert_eq!(invoke(126), [(to, 25, false), (To::Others, 25, true)]);
        assert_eq!(invoke(127), [(to, 26, false)]);
    }

    #[test]
    fn a_new_primary_gets_what_is_outstanding_once_weak_many_tell_of_it() {
        let mut client = waiting();
        let sent = |client: &mut Client, replica| {
            let id = client.outstanding.get_mut(Timestamp(21)).unwrap().id();
            let reply = Reply {
                view: View(1),
                tentative: false,
                request: id,
                request_digest: Digest([9; 32]),
                seq: Seq(9),
                result: ReplyResult::Full(Outcome::Opened),
            };
            let reply = Verified::own(Peer::Replica(ReplicaId(replica)), reply);
            requests(&client.on_input(at(110), ClientInput::Reply(reply)))
        };
        assert_eq!(sent(&mut client, 2), []);
        let to = To::Replica(ReplicaId(1));
        assert_eq!(sent(&mut client, 3), [(to, 21, false), (to, 22, false), (to, 23, false)]);
        assert_eq!(sent(&mut client, 0), []);
    }
}
