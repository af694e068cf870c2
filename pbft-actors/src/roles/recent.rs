use crate::types::{Millis, Monotonic};

/// How long what was seen counts at least; at most twice as long.
const PERIOD: Millis = Millis(5_000);
/// Fewer waits say nothing.
const WAITS_MIN: u64 = 16;

/// The longest wait of the recent past: an upper estimate for the next one.
///
/// The longest, and not a mean with its deviation: what is measured comes in bursts, and a wait that was
/// longer than usual for a good reason is soon followed by another.
#[derive(Debug, Default)]
pub(crate) struct LongestWait {
    /// When the period began.
    since: Monotonic,
    /// Waits in it.
    count: u64,
    /// The longest in it, microseconds.
    longest: u64,
    /// The longest of the period before; none in the first.
    before: Option<u64>,
}

impl LongestWait {
    /// Counts a wait that ended now.
    pub(crate) fn record(&mut self, now: Monotonic, micros: u64) {
        // Only where enough was seen since: what was measured holds over a quiet time.
        if self.count >= WAITS_MIN && now >= self.since.plus(PERIOD) {
            self.before = Some(self.longest);
            (self.since, self.count, self.longest) = (now, 0, 0);
        }
        if self.count == 0 {
            self.since = now;
        }
        self.count += 1;
        self.longest = self.longest.max(micros);
    }

    /// In microseconds; none while too little was seen.
    pub(crate) fn micros(&self) -> Option<u64> {
        let known = self.before.is_some() || self.count >= WAITS_MIN;
        known.then(|| self.before.unwrap_or(0).max(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(wait: &mut LongestWait, count: u64, at: u64, micros: u64) {
        (0..count).for_each(|_| wait.record(Monotonic(Millis(at).micros()), micros));
    }

    #[test]
    fn few_waits_say_nothing_and_then_the_longest_counts() {
        let mut wait = LongestWait::default();
        record(&mut wait, 1, 0, 900);
        record(&mut wait, WAITS_MIN - 2, 1, 10);
        assert_eq!(wait.micros(), None);
        record(&mut wait, 1, 2, 20);
        assert_eq!(wait.micros(), Some(900));
    }

    #[test]
    fn it_is_forgotten_after_two_periods_with_enough_waits() {
        let mut wait = LongestWait::default();
        record(&mut wait, WAITS_MIN, 0, 900);
        record(&mut wait, WAITS_MIN, 5_000, 20);
        assert_eq!(wait.micros(), Some(900), "the period before");
        record(&mut wait, 1, 10_000, 10);
        assert_eq!(wait.micros(), Some(20));
        record(&mut wait, 1, 60_000, 30);
        assert_eq!(wait.micros(), Some(30), "the next at once");
    }

    #[test]
    fn a_quiet_time_does_not_wear_it_off() {
        let mut wait = LongestWait::default();
        record(&mut wait, WAITS_MIN - 1, 0, 900);
        record(&mut wait, 1, 60_000, 10);
        assert_eq!(wait.micros(), Some(900));
    }
}
