use crate::types::{Millis, Monotonic};

/// How long what was seen counts at least; at most twice as long.
const PERIOD: Millis = Millis(5_000);
/// Fewer waits say nothing.
const WAITS_MIN: u64 = 16;
/// Of so many waits one may be longer than what is usual.
const EXCEPTIONS: u64 = 100;
/// The classes of lengths: four for each doubling, up to some minutes.
const CLASSES: usize = 4 * 28;

/// How long it is waited as a rule: what 99 of 100 waits of the recent past did not exceed.
///
/// No mean with its deviation: what is measured comes in bursts. And not the longest: what had to be
/// repaired, because a replica died, is an exception.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsualWait {
    /// When the period began.
    since: Monotonic,
    current: Counts,
    /// Of the period before, microseconds; none in the first.
    before: Option<u64>,
}

/// Waits by class of length.
#[derive(Clone, Debug)]
struct Counts {
    all: u64,
    classes: [u32; CLASSES],
}

impl Default for Counts {
    fn default() -> Self {
        Self { all: 0, classes: [0; CLASSES] }
    }
}

impl UsualWait {
    /// Counts a wait that ended now.
    pub(crate) fn record(&mut self, now: Monotonic, micros: u64) {
        // Only where enough was seen since: what was measured holds over a quiet time.
        if self.current.all >= WAITS_MIN && now >= self.since.plus(PERIOD) {
            self.before = Some(self.current.usual());
            self.current = Counts::default();
        }
        if self.current.all == 0 {
            self.since = now;
        }
        self.current.record(micros);
    }

    /// In microseconds; none while too little was seen.
    pub(crate) fn micros(&self) -> Option<u64> {
        let current = (self.current.all >= WAITS_MIN).then(|| self.current.usual());
        self.before.into_iter().chain(current).max()
    }
}

impl Counts {
    fn record(&mut self, micros: u64) {
        self.all += 1;
        if let Some(count) = self.classes.get_mut(class_of(micros)) {
            *count = count.saturating_add(1);
        }
    }

    /// The end of the class that all but the exceptions are in or below.
    fn usual(&self) -> u64 {
        let mut longer = self.all / EXCEPTIONS;
        for (class, count) in self.classes.iter().enumerate().rev() {
            match longer.checked_sub(u64::from(*count)) {
                Some(rest) => longer = rest,
                None => return end_of(class),
            }
        }
        0
    }
}

/// Below 8 µs a class of its own for each length, then four for each doubling.
fn class_of(micros: u64) -> usize {
    let micros = micros.max(4);
    let doublings = micros.ilog2() - 2;
    let quarter = (micros >> doublings) & 3;
    (4 * doublings as usize + quarter as usize).min(CLASSES - 1)
}

/// The longest wait of a class.
fn end_of(class: usize) -> u64 {
    let next = class + 1;
    ((4 + (next as u64 & 3)) << (next / 4)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(wait: &mut UsualWait, count: u64, at: u64, micros: u64) {
        (0..count).for_each(|_| wait.record(Monotonic(Millis(at).micros()), micros));
    }

    #[test]
    fn classes_are_in_order_and_a_quarter_wide_at_most() {
        for micros in (4..70_000).chain([1 << 27, (1 << 29) - 1]) {
            let end = end_of(class_of(micros));
            assert!(micros <= end && end <= micros + micros / 4, "{micros} in a class to {end}");
        }
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn few_waits_say_nothing_and_then_the_longest_counts() {
        let mut wait = UsualWait::default();
        record(&mut wait, 1, 0, 900);
        record(&mut wait, WAITS_MIN - 2, 1, 10);
        assert_eq!(wait.micros(), None);
        record(&mut wait, 1, 2, 20);
        assert_eq!(wait.micros(), Some(end_of(class_of(900))));
    }

    #[test]
    fn one_of_a_hundred_is_an_exception_and_two_are_not() {
        let mut wait = UsualWait::default();
        record(&mut wait, 99, 0, 7);
        record(&mut wait, 1, 0, 900);
        assert_eq!(wait.micros(), Some(7));
        record(&mut wait, 1, 0, 900);
        assert_eq!(wait.micros(), Some(end_of(class_of(900))));
    }

    #[test]
    fn it_is_forgotten_after_two_periods_with_enough_waits() {
        let mut wait = UsualWait::default();
        record(&mut wait, WAITS_MIN, 0, 900);
        record(&mut wait, WAITS_MIN, 5_000, 7);
        assert_eq!(wait.micros(), Some(end_of(class_of(900))), "the period before");
        record(&mut wait, WAITS_MIN, 10_000, 6);
        assert_eq!(wait.micros(), Some(7));
    }

    #[test]
    fn a_quiet_time_does_not_wear_it_off() {
        let mut wait = UsualWait::default();
        record(&mut wait, WAITS_MIN - 1, 0, 900);
        record(&mut wait, 1, 60_000, 10);
        assert_eq!(wait.micros(), Some(end_of(class_of(900))));
    }
}
