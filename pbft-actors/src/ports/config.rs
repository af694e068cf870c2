//! Configuration: what all replicas must agree on, and what each may choose for itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::{Digest, Hasher, PublicKey};
use crate::message::{BATCH_BYTES_MAX, BATCH_REQUESTS_MAX, Binding, ClusterId, WINDOW_MAX};
use crate::ports::state::{PAGE_BYTES, StateLimits};
use crate::types::{Millis, Quorums, REPLICAS_MAX, REPLICAS_MIN};

/// What must be the same at every replica: it changes results or certificates (DESIGN, agreed class).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// The cluster's random name.
    pub cluster: ClusterId,
    /// Rises with every agreed change of this configuration.
    pub epoch: u64,
    /// The replicas' public keys, by id.
    pub replicas: Vec<PublicKey>,
    /// The service's name.
    pub service: String,
    /// The service's version.
    pub service_version: u32,
    /// K: batches from checkpoint to checkpoint.
    pub checkpoint_interval: u64,
    /// L: batches above the stable checkpoint that may be in progress; a multiple of K.
    pub window: u64,
    /// W: requests that a session may have outstanding.
    pub client_window: u64,
    /// Sessions that an identity may have open.
    pub sessions_per_client: u64,
    /// Sessions that may be open in all.
    pub sessions_total: u64,
    /// Bytes of results kept per client for retransmission.
    pub result_bytes_per_client: u64,
    /// Pages of 4 KiB that the service's raw bytes may have, and as many for its maps and cells.
    pub state_pages: u32,
    /// Whether every client must sign every request.
    pub signed_requests: bool,
}

/// A rule of the configuration that is broken, by the key's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The key.
    pub key: &'static str,
    /// What is wrong and what would do.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl Agreed {
    /// The defaults for a group with these keys.
    pub fn new(cluster: ClusterId, replicas: Vec<PublicKey>) -> Self {
        Self {
            cluster,
            epoch: 1,
            replicas,
            service: String::new(),
            service_version: 0,
            checkpoint_interval: 128,
            window: 512,
            client_window: 1_024,
            sessions_per_client: 64,
            sessions_total: 16_384,
            result_bytes_per_client: 4 << 20,
            state_pages: 1 << 20,
            signed_requests: false,
        }
    }

    /// Every rule that is broken.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut rule = |holds: bool, key: &'static str, problem: String| {
            if !holds {
                found.push(Violation { key, problem });
            }
        };
        let n = self.replicas.len();
        rule(
            (REPLICAS_MIN..=REPLICAS_MAX).contains(&n),
            "replicas",
            format!("{n} replicas; a group has {REPLICAS_MIN} to {REPLICAS_MAX}"),
        );
        let mut keys = BTreeMap::new();
        for (id, key) in self.replicas.iter().enumerate() {
            if let Some(first) = keys.insert(*key, id) {
                rule(false, "replicas", format!("replicas {first} and {id} have the same public key"));
            }
        }
        let interval = self.checkpoint_interval;
        rule(interval >= 1, "checkpoint_interval", "is 0; at least 1".to_owned());
        rule(
            interval >= 1 && self.window >= interval && self.window.is_multiple_of(interval),
            "window",
            format!("{} is not a multiple of checkpoint_interval = {interval}", self.window),
        );
        rule(self.window <= WINDOW_MAX, "window", format!("{} is over {WINDOW_MAX}", self.window));
        let in_range = |value: u64, high: u64| (1..=high).contains(&value);
        rule(
            in_range(self.client_window, 65_536),
            "client_window",
            format!("{} is not in 1..=65536", self.client_window),
        );
        rule(self.sessions_per_client >= 1, "sessions_per_client", "is 0; at least 1".to_owned());
        rule(
            self.sessions_total >= self.sessions_per_client,
            "sessions_total",
            format!("{} is below sessions_per_client = {}", self.sessions_total, self.sessions_per_client),
        );
        rule(self.state_pages >= 1, "state_pages", "is 0; at least 1".to_owned());
        found
    }

    /// The group's counting rules.
    ///
    /// # Panics
    /// If [`Self::violations`] names the number of replicas.
    pub fn quorums(&self) -> Quorums {
        Quorums::new(self.replicas.len()).expect("the number of replicas was checked by `violations`")
    }

    /// How large the state may become.
    pub fn state_limits(&self) -> StateLimits {
        // The replica's own tables are limited by sessions and results, not by their pages.
        let reserved_pages = u32::MAX;
        StateLimits { raw_pages: self.state_pages, named_pages: self.state_pages, reserved_pages }
    }

    /// What every proof binds.
    pub fn binding(&self) -> Binding {
        Binding { cluster: self.cluster, epoch: self.epoch }
    }

    /// Every key with its value as text, in a fixed order: replicas compare them in the handshake
    /// and name the one that differs.
    pub fn entries(&self) -> Vec<(String, String)> {
        let mut entries = vec![
            ("cluster".to_owned(), hex(&self.cluster.0)),
            ("epoch".to_owned(), self.epoch.to_string()),
            ("service".to_owned(), self.service.clone()),
            ("service_version".to_owned(), self.service_version.to_string()),
            ("checkpoint_interval".to_owned(), self.checkpoint_interval.to_string()),
            ("window".to_owned(), self.window.to_string()),
            ("client_window".to_owned(), self.client_window.to_string()),
            ("sessions_per_client".to_owned(), self.sessions_per_client.to_string()),
            ("sessions_total".to_owned(), self.sessions_total.to_string()),
            ("result_bytes_per_client".to_owned(), self.result_bytes_per_client.to_string()),
            ("state_pages".to_owned(), self.state_pages.to_string()),
            ("signed_requests".to_owned(), self.signed_requests.to_string()),
        ];
        for (id, key) in self.replicas.iter().enumerate() {
            let (PublicKey::Ed25519(bytes) | PublicKey::Simulated(bytes)) = key;
            entries.push((format!("replicas[{id}].public_key"), hex(bytes)));
        }
        entries
    }

    /// Covers every entry.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("pbft agreed configuration");
        for (key, value) in self.entries() {
            hasher.part(key.as_bytes()).part(value.as_bytes());
        }
        hasher.finish()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What each replica may choose for itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tuning {
    /// T0: how long a request may wait before the primary is suspected, while nothing went wrong.
    pub timeout: Millis,
    /// The least of that time after which a primary of which nothing at all is seen is suspected; more where
    /// it is quiet for longer as a rule. From `timeout` on, `timeout` alone counts.
    pub timeout_min: Millis,
    /// What T never exceeds, however often it doubled.
    pub timeout_max: Millis,
    /// How often a replica says where it stands.
    pub status_interval: Millis,
    /// Batches that the primary has in flight.
    pub pipeline: usize,
    /// Requests in a batch.
    pub batch_requests: usize,
    /// Bytes of encoded requests in a batch, but for a single larger request.
    pub batch_bytes: usize,
    /// Whether a batch is executed, and answered as tentative, before it is certain.
    pub tentative_execution: bool,
    /// Whether the COMMIT of the last batch waits, for 2 ms at most, for a message that goes to all anyway.
    pub piggyback_commits: bool,
    /// How far a proposed time may be from this replica's clock.
    pub clock_tolerance: Millis,
    /// Requests admitted whatever recent throughput was.
    pub admission_min: usize,
    /// Shortest time between two REJOINs of one replica that this one admits.
    pub rejoin_interval: Millis,
    /// Bytes of pages of the state that a durable replica holds in memory of their own: what changed and
    /// is not on disk yet. Above it the replica waits for its disk. One checkpoint interval's changes may
    /// exceed it; memory mode does not know it.
    pub state_memory_bytes: u64,
    /// Bytes of the state on disk that are read again each second and compared with their digests.
    pub scrub_bytes_per_second: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            timeout: Millis(1_000),
            timeout_min: Millis(80),
            timeout_max: Millis(60_000),
            status_interval: Millis(50),
            pipeline: 8,
            batch_requests: 512,
            // Larger frames are longer than what a socket and a cache take at once (docs/benchmarks.md).
            batch_bytes: 64 << 10,
            tentative_execution: true,
            piggyback_commits: false,
            clock_tolerance: Millis(5_000),
            admission_min: 4_096,
            rejoin_interval: Millis(1_000),
            state_memory_bytes: 1 << 30,
            scrub_bytes_per_second: 1 << 20,
        }
    }
}

impl Tuning {
    /// Every rule that is broken.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut rule = |holds: bool, key: &'static str, problem: &str| {
            if !holds {
                found.push(Violation { key, problem: problem.to_owned() });
            }
        };
        rule(self.timeout >= Millis(1), "timeout_ms", "is 0; at least 1");
        rule(self.timeout_min >= Millis(1), "timeout_ms_min", "is 0; at least 1");
        rule(self.timeout_max >= self.timeout, "timeout_ms_max", "is below timeout_ms");
        rule(self.status_interval >= Millis(1), "status_interval_ms", "is 0; at least 1");
        rule(self.pipeline >= 1, "pipeline", "is 0; at least 1");
        rule((1..=BATCH_REQUESTS_MAX).contains(&self.batch_requests), "batch_requests", "is not in 1..=4096");
        rule((1..=BATCH_BYTES_MAX).contains(&self.batch_bytes), "batch_bytes", "is not in 1..=2097152");
        rule(self.admission_min >= 1, "admission_min", "is 0; at least 1");
        let page = PAGE_BYTES as u64;
        rule(self.state_memory_bytes >= page, "state_memory_bytes", "is below 4096, one page");
        found
    }

    /// Pages of the state that may be in memory of their own.
    pub(crate) fn state_memory_pages(&self) -> usize {
        usize::try_from(self.state_memory_bytes / PAGE_BYTES as u64).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed() -> Agreed {
        Agreed::new(ClusterId([1; 16]), (0..4).map(|id| PublicKey::Simulated([id; 32])).collect())
    }

    #[test]
    fn the_defaults_break_no_rule() {
        assert_eq!(agreed().violations(), []);
        assert_eq!(Tuning::default().violations(), []);
    }

    #[test]
    fn every_broken_rule_is_named_at_once() {
        let mut broken = agreed();
        broken.replicas = vec![PublicKey::Simulated([1; 32]); 2];
        broken.window = 100;
        broken.client_window = 0;
        let keys: Vec<&str> = broken.violations().iter().map(|violation| violation.key).collect();
        assert_eq!(keys, ["replicas", "replicas", "window", "client_window"]);
    }

    #[test]
    fn the_digest_covers_every_entry() {
        let mut other = agreed();
        other.sessions_total += 1;
        assert_ne!(agreed().digest(), other.digest());
        let differing: Vec<_> =
            agreed().entries().into_iter().zip(other.entries()).filter(|(a, b)| a != b).collect();
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].0.0, "sessions_total");
    }
}
