//! Shared parts of the benchmarks: a whole group in one process over loopback TCP, with a service
//! that does nothing, and a closed loop of one client.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::Addr;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pbft_actors::actor::{
    Client, DiskStatus, Durable, GroupConfig, Invoke, Replica, StatusRequest, Stop, StopClient, WhenEnded,
};
use pbft_actors::crypto::Identity;
use pbft_actors::message::{ClusterId, Refusal};
use pbft_actors::ports::config::Agreed;
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::State;
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

/// How a group is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Replicas.
    pub n: u8,
    /// Length of every answer, bytes.
    pub reply_bytes: usize,
    /// K, at most 4,096; the window is up to four times as long.
    pub checkpoint_interval: u64,
    /// Where each replica gets a directory of its own; none for memory mode.
    pub directory: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { n: 4, reply_bytes: 0, checkpoint_interval: 128, directory: None }
    }
}

/// A running group with one client.
pub struct Group {
    replicas: Vec<Addr<Replica>>,
    client: Addr<Client>,
    runtime: actix_rt::SystemRunner,
}

impl Group {
    /// Starts replicas and a client, all in this process, each on a thread of its own.
    ///
    /// # Panics
    /// If this machine has no free ports, or the directory cannot be used.
    pub fn start(setup: &Setup) -> Self {
        let Setup { n, reply_bytes, checkpoint_interval, ref directory } = *setup;
        let identity =
            |tag: u8, id: u8| Identity::ed25519(&[[tag; 16], [id; 16]].concat()).expect("32 bytes");
        let identities: Vec<Identity> = (0..n).map(|id| identity(1, id)).collect();
        let client_identity = identity(2, 0);
        let mut agreed =
            Agreed::new(ClusterId([7; 16]), identities.iter().map(Identity::public_key).collect());
        agreed.service = Nothing::NAME.to_owned();
        agreed.service_version = Nothing::VERSION;
        agreed.client_window = 4_096;
        agreed.checkpoint_interval = checkpoint_interval;
        agreed.window = (4 * checkpoint_interval).min(4_096);
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
                let own = directory.as_ref().map(|directory| directory.join(id.to_string()));
                let storage = own.map(|own| Durable::open(own).expect("a directory that can be written"));
                Replica::builder(group.clone(), ReplicaId(id), identity)
                    .service(Nothing { reply_bytes })
                    .storage(storage)
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
        self.run_each(operations, outstanding, operation_bytes, |_| ())
    }

    /// As [`Group::run`], and says how long each operation took.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn run_each(
        &self,
        operations: u64,
        outstanding: u64,
        operation_bytes: usize,
        mut took: impl FnMut(Duration),
    ) -> Duration {
        let client = self.client.clone();
        let operation = Bytes::from(vec![0; operation_bytes]);
        self.runtime.block_on(async move {
            let started = Instant::now();
            let mut waiting = FuturesUnordered::new();
            let mut sent = 0;
            let mut answered = 0;
            while answered < operations {
                while sent < operations && sent - answered < outstanding {
                    let (began, reply) = (Instant::now(), client.send(Invoke::new(operation.clone())));
                    waiting.push(async move { (began, reply.await) });
                    sent += 1;
                }
                if let Some((began, reply)) = waiting.next().await {
                    took(began.elapsed());
                    reply.expect("the client lives").expect("a result");
                    answered += 1;
                }
            }
            started.elapsed()
        })
    }

    /// What the disk of replica 0 did since it started; none in memory mode.
    ///
    /// # Panics
    /// If it does not run.
    pub fn disk(&self) -> Option<DiskStatus> {
        let status = self.replicas[0].send(StatusRequest);
        self.runtime.block_on(status).expect("it runs").disk
    }

    /// Stops everyone, and waits until nothing is left to be written.
    pub fn stop(self) {
        let Self { replicas, client, runtime } = self;
        runtime.block_on(async move {
            let _gone = client.send(StopClient).await;
            for replica in replicas {
                let ending = replica.send(WhenEnded).await;
                let _gone = replica.send(Stop).await;
                if let Ok(ending) = ending {
                    ending.wait().await;
                }
            }
        });
    }
}
