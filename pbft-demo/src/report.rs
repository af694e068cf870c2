//! Where a replica stands, as its admin endpoint tells it.

use std::collections::BTreeMap;

use actix::Addr;
use pbft_actors::actor::{DiskStatus, Replica, ReplicaStatus, StatusRequest};
use pbft_actors::types::Quorums;
use serde::{Deserialize, Serialize};

use crate::config::to_hex;

/// Where a replica stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// The view it is in, or moves to.
    pub view: u64,
    /// The primary of that view.
    pub primary: u8,
    /// Whether it still moves to that view.
    pub changing: bool,
    /// Whether it votes; after a restart without memory only once the group let it in again.
    pub voting: bool,
    /// The last batch executed.
    pub last_executed: u64,
    /// Operations executed since it started.
    pub operations: u64,
    /// The seq of the stable checkpoint; none before the first.
    pub stable_checkpoint: Option<u64>,
    /// The digest of the state at the stable checkpoint.
    pub state_digest: Option<String>,
    /// Replicas it has a link with.
    pub peers: Vec<u8>,
    /// Clients it has a link with.
    pub clients: Vec<u32>,
    /// View changes it took part in since it started.
    pub view_changes: u64,
    /// What its disk did since it started; none in memory mode.
    pub disk: Option<DiskStatus>,
    /// What was refused since it started, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// One replica among those asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplicaState {
    /// The replica.
    pub id: u8,
    /// Where it is called.
    pub address: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What it answered.
    #[serde(flatten)]
    pub report: Option<ReplicaReport>,
}

/// All replicas of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterReport {
    /// In the order of their ids.
    pub replicas: Vec<ReplicaState>,
}

impl ReplicaReport {
    /// Asks a replica of this process; none if it has stopped.
    pub async fn of(replica: &Addr<Replica>, quorums: Quorums) -> Option<Self> {
        replica.send(StatusRequest).await.ok().map(|status| Self::new(status, quorums))
    }

    fn new(status: ReplicaStatus, quorums: Quorums) -> Self {
        Self {
            view: status.view.0,
            primary: quorums.primary(status.view).0,
            changing: status.changing,
            voting: status.voting,
            last_executed: status.executed.0,
            operations: status.operations,
            stable_checkpoint: status.stable.map(|stable| stable.seq.0),
            state_digest: status.stable.map(|stable| to_hex(&stable.digest.0)),
            peers: status.replicas.iter().map(|id| id.0).collect(),
            clients: status.clients.iter().map(|id| id.0).collect(),
            view_changes: status.view_changes,
            disk: status.disk,
            rejected: status.rejected.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        }
    }
}
