//! `cluster.toml` as it is written. What may be left out has a default; what may not is empty then,
//! and named by the rules with all else that is wrong.

use pbft_actors::message::ClusterId;
use pbft_actors::ports::config::{Agreed, Tuning};
use pbft_actors::types::Millis;
use serde::{Deserialize, Serialize};

use super::to_hex;

/// The whole file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterFile {
    /// What must be the same at every replica.
    pub agreed: AgreedSection,
    /// What each replica may choose for itself.
    pub tuning: TuningSection,
    /// The replicas, in the order of their ids.
    pub replicas: Vec<ReplicaSection>,
    /// Clients that may connect.
    pub clients: Vec<ClientSection>,
}

/// What must be the same at every replica, beside the replicas' keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each is the field of this name of `pbft_actors::ports::config::Agreed`")]
pub struct AgreedSection {
    /// The cluster's random name, 32 hexadecimal digits.
    pub cluster: String,
    pub epoch: u64,
    pub checkpoint_interval: u64,
    pub window: u64,
    pub client_window: u64,
    pub sessions_per_client: u64,
    pub sessions_total: u64,
    pub result_bytes_per_client: u64,
    pub state_pages: u32,
    pub signed_requests: bool,
}

/// What each replica may choose for itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each is the field of this name of `pbft_actors::ports::config::Tuning`")]
pub struct TuningSection {
    pub timeout_ms: u64,
    pub timeout_ms_min: u64,
    pub timeout_ms_max: u64,
    pub status_interval_ms: u64,
    pub pipeline: usize,
    pub batch_requests: usize,
    pub batch_bytes: usize,
    pub tentative_execution: bool,
    pub piggyback_commits: bool,
    pub clock_tolerance_ms: u64,
    pub admission_min: usize,
    pub rejoin_interval_ms: u64,
    pub state_memory_bytes: u64,
    pub scrub_bytes_per_second: u64,
}

/// A replica.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplicaSection {
    /// Its place in the group, from 0.
    pub id: u8,
    /// Where peers and clients call it, `host:port`.
    pub address: String,
    /// Where it answers `status` over HTTP, `host:port`; empty for nowhere. Read-only and without
    /// proof of identity, so a loopback address by default.
    pub admin: String,
    /// Its Ed25519 public key, 64 hexadecimal digits.
    pub public_key: String,
}

/// A client.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientSection {
    /// Its number.
    pub id: u32,
    /// Its Ed25519 public key, 64 hexadecimal digits.
    pub public_key: String,
}

impl AgreedSection {
    /// The defaults for a cluster of this name.
    pub(super) fn new(cluster: ClusterId) -> Self {
        Self { cluster: to_hex(&cluster.0), ..Self::default() }
    }

    /// Over the defaults of a group with these keys.
    pub(super) fn over(&self, defaults: Agreed) -> Agreed {
        let Self { cluster: _, epoch, checkpoint_interval, window, client_window, .. } = *self;
        let Self { sessions_per_client, sessions_total, result_bytes_per_client, .. } = *self;
        let Self { state_pages, signed_requests, .. } = *self;
        Agreed {
            epoch,
            checkpoint_interval,
            window,
            client_window,
            sessions_per_client,
            sessions_total,
            result_bytes_per_client,
            state_pages,
            signed_requests,
            ..defaults
        }
    }
}

impl Default for AgreedSection {
    fn default() -> Self {
        let agreed = Agreed::new(ClusterId::default(), Vec::new());
        Self {
            cluster: String::new(),
            epoch: agreed.epoch,
            checkpoint_interval: agreed.checkpoint_interval,
            window: agreed.window,
            client_window: agreed.client_window,
            sessions_per_client: agreed.sessions_per_client,
            sessions_total: agreed.sessions_total,
            result_bytes_per_client: agreed.result_bytes_per_client,
            state_pages: agreed.state_pages,
            signed_requests: agreed.signed_requests,
        }
    }
}

impl TuningSection {
    pub(super) fn tuning(&self) -> Tuning {
        Tuning {
            timeout: Millis(self.timeout_ms),
            timeout_min: Millis(self.timeout_ms_min),
            timeout_max: Millis(self.timeout_ms_max),
            status_interval: Millis(self.status_interval_ms),
            pipeline: self.pipeline,
            batch_requests: self.batch_requests,
            batch_bytes: self.batch_bytes,
            tentative_execution: self.tentative_execution,
            piggyback_commits: self.piggyback_commits,
            clock_tolerance: Millis(self.clock_tolerance_ms),
            admission_min: self.admission_min,
            rejoin_interval: Millis(self.rejoin_interval_ms),
            state_memory_bytes: self.state_memory_bytes,
            scrub_bytes_per_second: self.scrub_bytes_per_second,
        }
    }
}

impl Default for TuningSection {
    fn default() -> Self {
        let tuning = Tuning::default();
        Self {
            timeout_ms: tuning.timeout.0,
            timeout_ms_min: tuning.timeout_min.0,
            timeout_ms_max: tuning.timeout_max.0,
            status_interval_ms: tuning.status_interval.0,
            pipeline: tuning.pipeline,
            batch_requests: tuning.batch_requests,
            batch_bytes: tuning.batch_bytes,
            tentative_execution: tuning.tentative_execution,
            piggyback_commits: tuning.piggyback_commits,
            clock_tolerance_ms: tuning.clock_tolerance.0,
            admission_min: tuning.admission_min,
            rejoin_interval_ms: tuning.rejoin_interval.0,
            state_memory_bytes: tuning.state_memory_bytes,
            scrub_bytes_per_second: tuning.scrub_bytes_per_second,
        }
    }
}
