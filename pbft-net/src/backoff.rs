use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long to rest before the next attempt: twice as long each time, shortened at random by up to
/// half so that those who lost one peer do not all come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    current: Duration,
    random: RandomState,
    attempts: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, current: min, random: RandomState::new(), attempts: 0 }
    }

    /// The rest before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let full = self.current;
        self.current = (full * 2).min(self.max);
        self.attempts += 1;
        let share = (self.random.hash_one(self.attempts) % 1_024) as u32;
        full - full * share / 2_048
    }

    /// Starts again after something went well.
    pub(crate) fn reset(&mut self) {
        self.current = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_limit_and_starts_again() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(2));
        let mut backoff = Backoff::new(min, max);
        for full in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000].map(Duration::from_millis) {
            let rest = backoff.next();
            assert!(full / 2 <= rest && rest <= full, "{rest:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= min);
    }
}
