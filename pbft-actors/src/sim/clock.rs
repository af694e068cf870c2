//! One replica's wall clock: apart from the others' from the start, and worse when it is told to be.

use super::plan::Micros;

/// A clock as its replica reads it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// Ahead of true time, while nothing is wrong with it.
    skew: Micros,
    /// What jumps and drift added until `since`.
    error: i64,
    /// Millionths that it is too fast.
    drift_ppm: i64,
    since: Micros,
}

impl Clock {
    pub(super) fn new(skew: Micros) -> Self {
        Self { skew, ..Self::default() }
    }

    fn error_at(&self, now: Micros) -> i64 {
        self.error + (now - self.since) as i64 * self.drift_ppm / 1_000_000
    }

    /// What it shows, given true time since the epoch and since the start of the run.
    pub(super) fn read(&self, epoch: Micros, now: Micros) -> Micros {
        (epoch + now + self.skew).saturating_add_signed(self.error_at(now))
    }

    pub(super) fn jump(&mut self, now: Micros, by: i64) {
        (self.error, self.since) = (self.error_at(now) + by, now);
    }

    pub(super) fn drift(&mut self, now: Micros, ppm: i64) {
        (self.error, self.since) = (self.error_at(now), now);
        self.drift_ppm = ppm;
    }

    /// Somebody sets it right.
    pub(super) fn mend(&mut self) {
        *self = Self::new(self.skew);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_jumps_drifts_and_is_set_right() {
        let mut clock = Clock::new(7);
        assert_eq!(clock.read(1_000_000, 10), 1_000_017);
        clock.jump(10, -500);
        assert_eq!(clock.read(1_000_000, 20), 999_527);
        clock.drift(20, 100_000);
        assert_eq!(clock.read(1_000_000, 1_020), 1_000_000 + 1_020 + 7 - 500 + 100);
        clock.mend();
        assert_eq!(clock.read(1_000_000, 1_020), 1_001_027);
    }
}
