//! Shared parts of the benchmarks: a whole group in one process over loopback TCP, with a service
//! that does nothing, and closed loops of clients.

mod caller;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::Addr;
use bytes::Bytes;
use pbft_actors::actor::{
    Client, ClientTuning, DiskStatus, Durable, GroupConfig, Replica, StatusRequest, Stop, StopClient,
    WhenEnded,
};
use pbft_actors::crypto::Identity;
use pbft_actors::message::{ClusterId, Refusal};
use pbft_actors::ports::config::Agreed;
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::State;
use pbft_actors::types::{ClientId, ReplicaId};
use pbft_net::{Listen, Tcp, TcpConfig};

use caller::{Caller, Run};

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
    /// Clients, each with a connection of its own to every replica.
    pub clients: u32,
    /// Length of every answer, bytes.
    pub reply_bytes: usize,
    /// K, at most 4,096; the window is up to four times as long.
    pub checkpoint_interval: u64,
    /// Whether clients sign every request in place of MACs.
    pub signed: bool,
    /// Where each replica gets a directory of its own; none for memory mode.
    pub directory: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { n: 4, clients: 1, reply_bytes: 0, checkpoint_interval: 128, signed: false, directory: None }
    }
}

/// What the clients of a group do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Operations that each client has outstanding.
    pub outstanding: u64,
    /// Length of each operation, bytes.
    pub operation_bytes: usize,
    /// Whether they only read.
    pub read_only: bool,
}

/// A running group with its clients.
pub struct Group {
    replicas: Vec<Addr<Replica>>,
    clients: Vec<Addr<Client>>,
    runtime: actix_rt::SystemRunner,
}

impl Group {
    /// Starts replicas, each on a thread of its own, and all clients on the caller's.
    ///
    /// # Panics
    /// If this machine has no free ports, or the directory cannot be used.
    pub fn start(setup: &Setup) -> Self {
        let Setup { n, clients, reply_bytes, checkpoint_interval, signed, ref directory } = *setup;
        let identity = |tag: u8, id: u32| {
            let [a, b, c, d] = id.to_be_bytes();
            Identity::ed25519(&[[tag; 16], [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat())
                .expect("32 bytes")
        };
        let identities: Vec<Identity> = (0..n).map(|id| identity(1, id.into())).collect();
        let mut agreed =
            Agreed::new(ClusterId([7; 16]), identities.iter().map(Identity::public_key).collect());
        agreed.service = Nothing::NAME.to_owned();
        agreed.service_version = Nothing::VERSION;
        agreed.client_window = 4_096;
        agreed.checkpoint_interval = checkpoint_interval;
        agreed.window = (4 * checkpoint_interval).min(4_096);
        let keys = (0..clients).map(|id| (ClientId(id), identity(2, id).public_key()));
        let group = GroupConfig::new(agreed, keys.collect());
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
        let runtime = actix_rt::System::new();
        let clients = runtime.block_on(async {
            let start = |id| {
                Client::builder(group.clone(), ClientId(id), identity(2, id))
                    .tuning(ClientTuning { sign_all: signed, ..ClientTuning::default() })
                    .transport(Tcp::new(TcpConfig::client(addresses.clone())))
                    .start_here()
                    .expect("a valid group")
            };
            (0..clients).map(start).collect::<Vec<_>>()
        });
        let group = Self { replicas, clients, runtime };
        group.run(100 * u64::from(setup.clients), Work { outstanding: 1, ..Work::default() });
        group
    }

    /// Has `operations` executed by all clients together, and returns how long it took.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn run(&self, operations: u64, work: Work) -> Duration {
        self.run_each(operations, work).0
    }

    /// As [`Group::run`], and says how long each operation took.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn run_each(&self, operations: u64, work: Work) -> (Duration, Vec<Duration>) {
        self.runtime.block_on(async {
            let (began, run) = (Instant::now(), Run::new(operations, work));
            for client in &self.clients {
                Caller::start(&run, client.clone().recipient());
            }
            run.finished().await;
            (began.elapsed(), run.take_latencies())
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
        let Self { replicas, clients, runtime } = self;
        runtime.block_on(async move {
            for client in clients {
                let _gone = client.send(StopClient).await;
            }
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
