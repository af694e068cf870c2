//! Batches: one from all that is pending, at the end of a turn, while few enough are in flight.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::crypto::Hasher;
use crate::message::{Batch, Choice};

/// How long throughput is measured before it counts.
const MEASURE: Millis = Millis(100);

/// Requests executed per second in the recent past.
#[derive(Clone, Debug, Default)]
pub(super) struct Throughput {
    since: Monotonic,
    count: u64,
    per_second: u64,
}

impl Throughput {
    pub(super) fn record(&mut self, now: Monotonic, requests: usize) {
        self.count += requests as u64;
        let elapsed = now.micros_since(self.since);
        if elapsed >= MEASURE.micros() {
            self.per_second = self.count.saturating_mul(1_000_000) / elapsed;
            self.since = now;
            self.count = 0;
        }
    }
}

impl Batcher {
    /// How many requests may wait: what recent throughput executes within a quarter of T.
    pub(super) fn admission(&self) -> usize {
        let executable = self.throughput.per_second.saturating_mul(self.timeout.0) / 4_000;
        usize::try_from(executable).unwrap_or(usize::MAX).max(self.config.tuning.admission_min)
    }

    pub(super) fn propose(&mut self, now: Now, out: &mut Outbox<BatcherTimer>) {
        while let Some(grant) = self
            .grant
            .filter(|grant| grant.credits > 0 && grant.view == self.view && self.active && self.is_primary())
        {
            let requests = self.take_batch();
            let batch = if !requests.is_empty() {
                Batch::new(self.choose(now, &requests), requests)
            } else if grant.next <= self.fill {
                Batch::null()
            } else {
                return;
            };
            self.grant = Some(Grant { next: grant.next.next(), credits: grant.credits - 1, ..grant });
            out.tell(OrdererInput::Propose { view: grant.view, batch: Arc::new(batch) });
        }
    }

    fn take_batch(&mut self) -> Vec<Request> {
        let tuning = &self.config.tuning;
        let (mut requests, mut bytes) = (Vec::new(), 0);
        while requests.len() < tuning.batch_requests {
            let Some(request) = self.pending.next_to_propose() else { break };
            let length = request.wire().len();
            if !requests.is_empty() && bytes + length > tuning.batch_bytes {
                self.pending.put_back(request.id());
                break;
            }
            bytes += length;
            requests.push(request);
        }
        requests
    }

    fn choose(&mut self, now: Now, requests: &[Request]) -> Choice {
        let operations: Vec<&[u8]> = requests.iter().map(|request| &request.operation()[..]).collect();
        self.choices += 1;
        let mut seed = Hasher::new("pbft choice seed");
        seed.part(&self.config.entropy.0).number(self.choices);
        let service = &self.config.service;
        // A service that panics over a client's bytes adds nothing; it must not take the primary down.
        let extra = catch_unwind(AssertUnwindSafe(|| service.propose(now.wall, &operations)));
        Choice { time: now.wall, seed: seed.finish(), extra: extra.unwrap_or_default() }
    }
}
