use std::time::Duration;

use hdrhistogram::Histogram;
use pbft_actors::actor::InvokeError;

/// Longest latency that is told from a longer one, microseconds.
const LATENCY_MICROS_MAX: u64 = 60_000_000;
/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// What came of the operations of all clients in a stretch of time.
pub(super) struct Tally {
    latencies: Histogram<u64>,
    errors: u64,
    first_error: Option<InvokeError>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, DIGITS);
        Self { latencies: latencies.expect("the bounds are in order"), errors: 0, first_error: None }
    }

    /// Forgets what was before the measured time.
    pub(super) fn reset(&mut self) {
        self.latencies.reset();
        self.errors = 0;
    }

    pub(super) fn succeeded(&mut self, latency: Duration) {
        self.latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn failed(&mut self, error: InvokeError) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    pub(super) fn operations(&self) -> u64 {
        self.latencies.len()
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    /// The first error since the start, the warm-up included.
    pub(super) fn first_error(&self) -> Option<&InvokeError> {
        self.first_error.as_ref()
    }

    /// The latency that this part of the operations did not exceed, microseconds.
    pub(super) fn quantile_micros(&self, part: f64) -> u64 {
        self.latencies.value_at_quantile(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_came_after_the_reset() {
        let mut tally = Tally::new();
        tally.succeeded(Duration::from_secs(9));
        tally.failed(InvokeError::Stopped);
        tally.reset();
        (1..=1_000).for_each(|micros| tally.succeeded(Duration::from_micros(micros)));
        assert_eq!((tally.operations(), tally.errors()), (1_000, 0));
        assert_eq!([0.5, 0.99, 0.999].map(|part| tally.quantile_micros(part)), [500, 990, 999]);
        assert_eq!(tally.first_error(), Some(&InvokeError::Stopped));
    }
}
