//! A small service, and a cluster of it over the loopback network.

use std::collections::BTreeMap;

use actix::Addr;
use bytes::Bytes;
use pbft_actors::actor::{Client, GroupConfig, Invoke, Loopback, Replica};
use pbft_actors::crypto::Identity;
use pbft_actors::message::{ClusterId, Refusal};
use pbft_actors::ports::config::Agreed;
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::State;
use pbft_actors::ports::storage::Memory;
use pbft_actors::types::{ClientId, ReplicaId};

/// The name that makes an operation panic.
pub(crate) const BOOM: &str = "boom";

/// Named sums.
pub(crate) struct Sums;

impl Service for Sums {
    const NAME: &'static str = "sums";
    const VERSION: u32 = 1;

    fn execute(
        &self,
        state: &mut State,
        _context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        let Some((by, name)) = operation.split_first_chunk::<8>() else {
            return Err(Refusal::new(Refusal::UNKNOWN_OPERATION, "8 bytes and a name"));
        };
        let mut sums = state.map_mut("sums");
        let old = sums.get(name).map_or(0, |old| value(&old));
        let new = old + u64::from_be_bytes(*by);
        sums.insert(name, &new.to_be_bytes())?;
        assert_ne!(name, BOOM.as_bytes(), "as asked");
        Ok(Bytes::copy_from_slice(&new.to_be_bytes()))
    }

    fn query(&self, state: &State, _context: &Query, name: &[u8]) -> Result<Bytes, Refusal> {
        Ok(state.map("sums").get(name).map_or_else(Bytes::new, |sum| Bytes::copy_from_slice(&sum)))
    }
}

pub(crate) fn value(bytes: &[u8]) -> u64 {
    bytes.try_into().map(u64::from_be_bytes).expect("8 bytes")
}

pub(crate) fn add(name: &str, by: u64) -> Invoke {
    let mut operation = by.to_be_bytes().to_vec();
    operation.extend_from_slice(name.as_bytes());
    Invoke::new(operation)
}

pub(crate) struct Cluster {
    pub(crate) group: GroupConfig,
    pub(crate) network: Loopback,
    pub(crate) replicas: Vec<Addr<Replica>>,
    clients: Vec<Identity>,
}

impl Cluster {
    pub(crate) fn start(n: u8) -> Self {
        let identity =
            |tag: u8, id: u8| Identity::ed25519(&[[tag; 16], [id; 16]].concat()).expect("32 bytes");
        let identities: Vec<Identity> = (0..n).map(|id| identity(1, id)).collect();
        let clients: Vec<Identity> = (0..2).map(|id| identity(2, id)).collect();
        let keys = identities.iter().map(Identity::public_key).collect();
        let mut agreed = Agreed::new(ClusterId([9; 16]), keys);
        agreed.checkpoint_interval = 16;
        agreed.window = 64;
        let directory: BTreeMap<_, _> =
            (0..).map(ClientId).zip(clients.iter().map(Identity::public_key)).collect();
        let group = GroupConfig::new(agreed, directory);
        let network = Loopback::new();
        let replicas = (0..)
            .zip(identities)
            .map(|(id, identity)| {
                Replica::builder(group.clone(), ReplicaId(id), identity)
                    .service(Sums)
                    .storage(Memory)
                    .transport(network.clone())
                    .start()
                    .expect("a valid configuration")
            })
            .collect();
        Self { group, network, replicas, clients }
    }

    pub(crate) fn client(&self, id: u32) -> Addr<Client> {
        let identity = self.clients[id as usize].clone();
        Client::builder(self.group.clone(), ClientId(id), identity)
            .transport(self.network.clone())
            .start()
            .expect("a valid configuration")
    }
}
