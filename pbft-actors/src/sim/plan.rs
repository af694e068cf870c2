//! What a seed decides before its run starts: configuration, workload, network and faults.

use serde::{Deserialize, Serialize};

use super::rng::Rng;
use crate::crypto::PublicKey;
use crate::message::ClusterId;
use crate::ports::config::{Agreed, Tuning, Violation};
use crate::types::{Millis, Quorums};

/// Virtual microseconds.
pub(super) type Micros = u64;

/// How links behave while faults last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct LinkPlan {
    pub(super) loss_per_mille: u64,
    pub(super) duplicate_per_mille: u64,
    pub(super) delay_min: Micros,
    pub(super) delay_max: Micros,
}

impl LinkPlan {
    /// A healthy network.
    pub(super) const HEALED: Self =
        Self { loss_per_mille: 0, duplicate_per_mille: 0, delay_min: 100, delay_max: 2_000 };
}

/// A run's parameters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) quorums: Quorums,
    pub(super) checkpoint_interval: u64,
    pub(super) window: u64,
    pub(super) client_window: u64,
    pub(super) sessions_per_client: u64,
    pub(super) sessions_total: u64,
    pub(super) result_bytes_per_client: u64,
    pub(super) tuning: Tuning,
    pub(super) clients: u64,
    pub(super) operations_per_client: u64,
    pub(super) outstanding: u64,
    pub(super) sign_all: bool,
    pub(super) digest_replies: bool,
    pub(super) one_round_reads: bool,
    pub(super) links: LinkPlan,
    /// How long everything may go wrong.
    pub(super) faulty_time: Micros,
    pub(super) crashes: u64,
    pub(super) partitions: u64,
    pub(super) client_restarts: u64,
    /// Replicas keep a journal on disk, and have it after a crash.
    pub(super) durable: bool,
    /// How long a record takes to become durable, at most.
    pub(super) sync_max: Micros,
    /// How long a digest of a checkpoint takes, at most.
    pub(super) digest_max: Micros,
    /// Ed25519 instead of keyed hashes.
    pub(super) real_signatures: bool,
    /// Replicas that stay dead after the network healed.
    pub(super) stay_dead: u64,
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng, quorums: Quorums) -> Self {
        let checkpoint_interval = *rng.pick(&[1, 2, 3, 4, 8, 16]);
        let stormy = rng.chance(700);
        let loss = if stormy { rng.between(0, 300) } else { rng.below(20) };
        let delay_max = *rng.pick(&[1_000, 5_000, 20_000, 80_000]);
        Self {
            quorums,
            checkpoint_interval,
            window: checkpoint_interval * rng.between(1, 4),
            client_window: *rng.pick(&[1, 2, 8, 64]),
            sessions_per_client: rng.between(1, 4),
            sessions_total: rng.between(4, 12),
            result_bytes_per_client: *rng.pick(&[8, 64, 4_096]),
            tuning: Tuning {
                timeout: Millis(*rng.pick(&[150, 300, 600])),
                // From `timeout` on it is off.
                timeout_min: Millis(*rng.pick(&[10, 40, 80, 600])),
                timeout_max: Millis(*rng.pick(&[1_200, 5_000])),
                status_interval: Millis(*rng.pick(&[20, 50, 100])),
                pipeline: *rng.pick(&[1, 2, 4, 8]),
                batch_requests: *rng.pick(&[1, 2, 8, 64]),
                batch_bytes: *rng.pick(&[1, 512, 1 << 20]),
                tentative_execution: rng.chance(700),
                piggyback_commits: rng.chance(300),
                clock_tolerance: Millis(5_000),
                admission_min: *rng.pick(&[4, 64, 4_096]),
                rejoin_interval: Millis(*rng.pick(&[50, 200, 1_000])),
                state_memory_bytes: *rng.pick(&[1 << 12, 1 << 16, 1 << 30]),
                scrub_bytes_per_second: 0,
            },
            clients: rng.between(1, 4),
            operations_per_client: rng.between(5, 30),
            outstanding: *rng.pick(&[1, 2, 8]),
            sign_all: rng.chance(100),
            digest_replies: rng.chance(700),
            one_round_reads: rng.chance(700),
            links: LinkPlan {
                loss_per_mille: loss,
                duplicate_per_mille: if stormy { rng.between(0, 200) } else { 0 },
                delay_min: 100,
                delay_max,
            },
            faulty_time: rng.between(500_000, 4_000_000),
            crashes: if rng.chance(600) { rng.between(1, 4) } else { 0 },
            partitions: if rng.chance(600) { rng.between(1, 4) } else { 0 },
            client_restarts: if rng.chance(200) { 1 } else { 0 },
            durable: rng.chance(500),
            sync_max: *rng.pick(&[0, 0, 500, 10_000]),
            digest_max: *rng.pick(&[0, 100, 2_000, 50_000]),
            real_signatures: rng.chance(5),
            stay_dead: rng.between(0, quorums.f() as u64),
        }
    }

    /// What the replicas agree on.
    pub(super) fn agreed(&self, cluster: ClusterId, keys: Vec<PublicKey>) -> Agreed {
        Agreed {
            checkpoint_interval: self.checkpoint_interval,
            window: self.window,
            client_window: self.client_window,
            sessions_per_client: self.sessions_per_client,
            sessions_total: self.sessions_total.max(self.sessions_per_client),
            result_bytes_per_client: self.result_bytes_per_client,
            ..Agreed::new(cluster, keys)
        }
    }

    /// Every rule of the configuration that is broken, for plans that somebody wrote.
    pub(super) fn violations(&self) -> Vec<Violation> {
        let keys = self.quorums.replicas().map(|id| PublicKey::Simulated([id.0; 32])).collect();
        let mut found = self.agreed(ClusterId::default(), keys).violations();
        found.extend(self.tuning.violations());
        found
    }
}
