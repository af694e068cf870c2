//! What it costs to bring a replica back to a large state, what the group's service has left meanwhile, and
//! how much memory a state takes that is larger than what a replica may hold of it.
//!
//! ```text
//! cargo run --release -p benches --example transfer -- [DIRECTORY [MEBIBYTES [MEBIBYTES_IN_MEMORY]]]
//! ```

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pbft_actors::actor::{
    Client, Durable, Event, GroupConfig, Invoke, Replica, ReplicaEvent, Stop, Subscribe, WhenEnded,
};
use pbft_actors::crypto::Identity;
use pbft_actors::message::{ClusterId, Refusal};
use pbft_actors::ports::config::Agreed;
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::{PAGE_BYTES, State};
use pbft_actors::types::{ClientId, ReplicaId};
use pbft_net::{Listen, Tcp, TcpConfig};

const N: u8 = 4;
/// The replica that is stopped and comes back.
const LATE: u8 = 3;
const CHECKPOINT_INTERVAL: u64 = 16;
/// Pages that one operation writes.
const PAGES_PER_OPERATION: u64 = 512;
/// The changes that one is behind by: 1 MiB.
const CHANGED_PAGES: u64 = 256;
/// What the service does meanwhile: operations that change nothing.
const OUTSTANDING: usize = 64;
const MEBIBYTE: f64 = 1_048_576.0;

/// Writes pages: first page, count, and how far apart.
struct Pages;

impl Service for Pages {
    const NAME: &'static str = "pages";
    const VERSION: u32 = 1;

    fn execute(
        &self,
        state: &mut State,
        context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        let words: Vec<u64> =
            operation.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word)).collect();
        if let [first, count, apart] = words[..] {
            for page in (0..count).map(|index| first + index * apart) {
                let mut content = [0; PAGE_BYTES];
                for (word, salt) in content.as_chunks_mut::<8>().0.iter_mut().zip(1_u64..) {
                    *word = (page.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ context.seq.0 ^ salt).to_be_bytes();
                }
                state
                    .write(page * PAGE_BYTES as u64, &content)
                    .map_err(|error| Refusal::new(1, error.to_string()))?;
            }
        }
        Ok(Bytes::new())
    }

    fn query(&self, _state: &State, _context: &Query, _operation: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::new())
    }
}

/// What a replica told, and when.
type Told = (Instant, Event);

/// Passes on what a replica tells.
struct Watcher(Sender<Told>);

impl Actor for Watcher {
    type Context = Context<Self>;
}

impl Handler<ReplicaEvent> for Watcher {
    type Result = ();

    fn handle(&mut self, told: ReplicaEvent, _context: &mut Self::Context) {
        let _nobody_listens = self.0.send((Instant::now(), told.event));
    }
}

struct Group {
    config: GroupConfig,
    identities: Vec<Identity>,
    addresses: Vec<String>,
    directory: PathBuf,
    replicas: BTreeMap<u8, Addr<Replica>>,
    client: Addr<Client>,
    events: (Sender<Told>, Receiver<Told>),
}

impl Group {
    fn start(directory: PathBuf, pages: u64, memory_bytes: u64) -> Self {
        let identity =
            |tag: u8, id: u8| Identity::ed25519(&[[tag; 16], [id; 16]].concat()).expect("32 bytes");
        let identities: Vec<Identity> = (0..N).map(|id| identity(1, id)).collect();
        let client_identity = identity(2, 0);
        let mut agreed =
            Agreed::new(ClusterId([7; 16]), identities.iter().map(Identity::public_key).collect());
        agreed.service = Pages::NAME.to_owned();
        agreed.service_version = Pages::VERSION;
        agreed.checkpoint_interval = CHECKPOINT_INTERVAL;
        agreed.window = 4 * CHECKPOINT_INTERVAL;
        agreed.state_pages = u32::try_from(pages).expect("a state of at most 16 TiB");
        let clients = BTreeMap::from([(ClientId(0), client_identity.public_key())]);
        let mut config = GroupConfig::new(agreed, clients);
        config.tuning.state_memory_bytes = memory_bytes;
        let listeners: Vec<TcpListener> =
            (0..N).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let addresses: Vec<String> = listeners
            .iter()
            .map(|listener| listener.local_addr().expect("a bound address").to_string())
            .collect();
        drop(listeners);
        let client = Client::builder(config.clone(), ClientId(0), client_identity)
            .transport(Tcp::new(TcpConfig::client(addresses.clone())))
            .start()
            .expect("a valid group");
        let replicas = BTreeMap::new();
        let mut group =
            Self { config, identities, addresses, directory, replicas, client, events: mpsc::channel() };
        (0..N).for_each(|id| group.start_replica(id));
        group
    }

    fn directory_of(&self, id: u8) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn start_replica(&mut self, id: u8) {
        let address = &self.addresses[usize::from(id)];
        let listener = TcpListener::bind(address).expect("the port that it had");
        let tcp = Tcp::new(TcpConfig::replica(Listen::Bound(listener), self.addresses.clone()));
        let storage = Durable::open(self.directory_of(id)).expect("a directory that can be written");
        let replica =
            Replica::builder(self.config.clone(), ReplicaId(id), self.identities[usize::from(id)].clone())
                .service(Pages)
                .storage(storage)
                .transport(tcp)
                .start()
                .expect("a valid group");
        if id == LATE {
            let watcher = Watcher(self.events.0.clone()).start();
            replica.do_send(Subscribe(watcher.recipient()));
        }
        self.replicas.insert(id, replica);
    }

    async fn stop_replica(&mut self, id: u8) {
        if let Some(replica) = self.replicas.remove(&id) {
            let ending = replica.send(WhenEnded).await.expect("it runs");
            let _gone = replica.send(Stop).await;
            ending.wait().await;
        }
    }

    async fn write(&self, first: u64, count: u64, apart: u64) {
        let operation: Vec<u8> = [first, count, apart].iter().flat_map(|word| word.to_be_bytes()).collect();
        let invoke = Invoke::new(operation).timeout(Duration::from_secs(120));
        self.client.send(invoke).await.expect("the client lives").expect("a result");
    }

    /// Keeps the service busy until told to stop; says how many operations were answered in what time.
    async fn load(&self, mut over: impl FnMut(Instant) -> bool) -> (u64, Duration) {
        let (began, mut answered) = (Instant::now(), 0);
        let mut waiting = FuturesUnordered::new();
        let invoke = || self.client.send(Invoke::new(Bytes::new()).timeout(Duration::from_secs(120)));
        (0..OUTSTANDING).for_each(|_| waiting.push(invoke()));
        while let Some(reply) = waiting.next().await {
            reply.expect("the client lives").expect("a result");
            answered += 1;
            if over(Instant::now()) {
                break;
            }
            waiting.push(invoke());
        }
        let took = began.elapsed();
        while waiting.next().await.is_some() {}
        (answered, took)
    }

    async fn load_for(&self, time: Duration) -> f64 {
        let until = Instant::now() + time;
        let (answered, took) = self.load(|now| now >= until).await;
        answered as f64 / took.as_secs_f64()
    }

    /// Brings the late replica back, while the service is busy if it is known what it does otherwise.
    async fn bring_back(&mut self, what: &str, usual: Option<f64>, expected: u64) {
        while self.events.1.try_recv().is_ok() {}
        let began = Instant::now();
        self.start_replica(LATE);
        let mut all = (0_u64, 0_u64);
        let (mut behind, mut there) = (began, None);
        let events = &self.events.1;
        let mut over = |_now| {
            for (at, event) in events.try_iter() {
                match event {
                    Event::Behind { .. } if behind == began => behind = at,
                    Event::Transferred { pages, bytes, .. } => {
                        all = (all.0 + pages, all.1 + bytes);
                        there = Some(at);
                    }
                    _ => {}
                }
            }
            there.is_some()
        };
        let load = match usual {
            Some(usual) => {
                let (answered, took) = self.load(over).await;
                let rate = answered as f64 / took.as_secs_f64();
                format!("{rate:.0} | {:.0} %", 100.0 * rate / usual)
            }
            None => {
                let mut ticks = actix_rt::time::interval(Duration::from_millis(1));
                while !over(Instant::now()) {
                    ticks.tick().await;
                }
                "none |".to_owned()
            }
        };
        let seconds = (there.expect("the loop ends with it") - behind).as_secs_f64();
        let (pages, bytes) = all;
        println!(
            "| {what} | {pages} | {:.2} | {:.3} | {seconds:.2} | {:.0} | {load} |",
            bytes as f64 / MEBIBYTE,
            bytes as f64 / (expected * PAGE_BYTES as u64) as f64,
            bytes as f64 / MEBIBYTE / seconds,
        );
    }

    async fn end(mut self) {
        for id in 0..N {
            self.stop_replica(id).await;
        }
    }
}

/// What this process has in memory that is no file's, MiB.
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line of it");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") >> 10
}

async fn measure(directory: PathBuf, mebibytes: u64, memory: u64) {
    let pages = mebibytes * 256;
    let limit = pages.next_multiple_of(1 << 16) + (1 << 16);
    let mut group = Group::start(directory, limit, memory << 20);
    let (began, mut most) = (Instant::now(), 0);
    for first in (0..pages).step_by(PAGES_PER_OPERATION as usize) {
        group.write(first, PAGES_PER_OPERATION, 1).await;
        most = most.max(anonymous());
    }
    eprintln!(
        "{mebibytes} MiB written by operations in {:.1} s; four replicas and their client had at most {most} MiB \
         in memory, each may have {memory} MiB of state there",
        began.elapsed().as_secs_f64()
    );
    let four = group.load_for(Duration::from_secs(4)).await;
    group.stop_replica(LATE).await;
    let three = group.load_for(Duration::from_secs(4)).await;
    eprintln!("{four:.0} op/s with four replicas, {three:.0} op/s with three");
    println!(
        "| replica that comes back | pages | MiB moved | of what differs | s | MiB/s | op/s meanwhile | of four replicas' |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (what, apart) in
        [("1 MiB behind, in one place", 1), ("1 MiB behind, all over", pages / CHANGED_PAGES)]
    {
        group.stop_replica(LATE).await;
        group.write(0, CHANGED_PAGES, apart).await;
        // Until the others hold no batch any more that leads there.
        group.load_for(Duration::from_secs(2)).await;
        group.bring_back(what, Some(four), CHANGED_PAGES).await;
    }
    for (what, usual) in [("its disk was lost", Some(four)), ("the same, an idle service", None)] {
        group.stop_replica(LATE).await;
        std::fs::remove_dir_all(group.directory_of(LATE)).expect("what it had");
        group.load_for(Duration::from_secs(1)).await;
        group.bring_back(what, usual, pages).await;
    }
    group.end().await;
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mebibytes = arguments.next().map_or(1_024, |count| count.parse().expect("mebibytes"));
    let memory = arguments.next().map_or(1_024, |count| count.parse().expect("mebibytes"));
    let own = directory.join(format!("pbft-transfer-{}", std::process::id()));
    actix_rt::System::new().block_on(measure(own.clone(), mebibytes, memory));
    std::fs::remove_dir_all(own).expect("what was made here");
}
