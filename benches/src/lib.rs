//! Shared parts of the benchmarks: a whole group in one process over loopback TCP, with a service
//! that does nothing, and a closed loop of one client.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix::Addr;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pbft_actors::actor::{Client, GroupConfig, Invoke, Replica, Stop, StopClient};
use pbft_actors::crypto::Identity;
use pbft_actors::message::{ClusterId, Refusal};
use pbft_actors::ports::config::Agreed;
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::State;
use pbft_actors::ports::storage::Memory;
use pbft_actors::types::{ClientId, ReplicaId};
use pbft_net::{Listen, Tcp, TcpConfig};

/// Answers with as many zero bytes as it was asked for when it was made, and changes nothing.
pub struct Nothing {
    /// Length of every answer, bytes.
    pub reply_bytes: usize,
}

impl Service for Nothing {
    const NAME: &'static str = "nothing";
    const VERSION: u32 = 1;

    fn execute(
        &self,
        _state: &mut State,
        _context: &Execution<'_>,
        _operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        Ok(vec![0; self.reply_bytes].into())
    }

    fn query(&self, _state: &State, _context: &Query, _operation: &[u8]) -> Result<Bytes, Refusal> {
        Ok(vec![0; self.reply_bytes].into())
    }
}

/// A running group with one client.
pub struct Group {
    replicas: Vec<Addr<Replica>>,
    client: Addr<Client>,
    runtime: actix_rt::SystemRunner,
}

impl Group {
    /// Starts `n` replicas and a client, all in this process, each on a thread of its own.
    ///
    /// # Panics
    /// If this machine has no free ports.
    pub fn start(n: u8, reply_bytes: usize) -> Self {
        let identity =
            |tag: u8, id: u8| Identity::ed25519(&[[tag; 16], [id; 16]].concat()).expect("32 bytes");
        let identities: Vec<Identity> = (0..n).map(|id| identity(1, id)).collect();
        let client_identity = identity(2, 0);
        let mut agreed =
            Agreed::new(ClusterId([7; 16]), identities.iter().map(Identity::public_key).collect());
        agreed.service = Nothing::NAME.to_owned();
        agreed.service_version = Nothing::VERSION;
        agreed.client_window = 4_096;
        let clients = BTreeMap::from([(ClientId(0), client_identity.public_key())]);
        let group = GroupConfig::new(agreed, clients);
        let listeners: Vec<TcpListener> =
            (0..n).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let addresses: Vec<String> = listeners
            .iter()
            .map(|listener| listener.local_addr().expect("a bound address").to_string())
            .collect();
        let replicas = (0..)
            .zip(identities)
            .zip(listeners)
            .map(|((id, identity), listener)| {
                let tcp = Tcp::new(TcpConfig::replica(Listen::Bound(listener), addresses.clone()));
                Replica::builder(group.clone(), ReplicaId(id), identity)
                    .service(Nothing { reply_bytes })
                    .storage(Memory)
                    .transport(tcp)
                    .start()
                    .expect("a valid group")
            })
            .collect();
        let client = Client::builder(group, ClientId(0), client_identity)
            .transport(Tcp::new(TcpConfig::client(addresses)))
            .start()
            .expect("a valid group");
        let group = Self { replicas, client, runtime: actix_rt::System::new() };
        group.run(100, 1, 0);
        group
    }

    /// Has `operations` executed, `outstanding` at a time, and returns how long it took.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn run(&self, operations: u64, outstanding: u64, operation_bytes: usize) -> Duration {
        let client = self.client.clone();
        let operation = Bytes::from(vec![0; operation_bytes]);
        self.runtime.block_on(async move {
            let started = Instant::now();
            let mut waiting = FuturesUnordered::new();
            let mut sent = 0;
            let mut answered = 0;
            while answered < operations {
                while sent < operations && sent - answered < outstanding {
                    waiting.push(client.send(Invoke::new(operation.clone())));
                    sent += 1;
                }
                if let Some(reply) = waiting.next().await {
                    reply.expect("the client lives").expect("a result");
                    answered += 1;
                }
            }
            started.elapsed()
        })
    }

    /// Stops everyone.
    pub fn stop(self) {
        let Self { replicas, client, runtime } = self;
        runtime.block_on(async move {
            let _gone = client.send(StopClient).await;
            for replica in replicas {
                let _gone = replica.send(Stop).await;
            }
        });
    }
}
