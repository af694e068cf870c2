use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use actix::Addr;
use actix_web::dev::ServerHandle;
use futures_util::future::{join_all, select_all};
use pbft_actors::actor::{Client, Ended, Replica, Stop, StopClient, WhenEnded};
use pbft_actors::crypto::Identity;
use pbft_actors::types::{ClientId, ReplicaId};
use pbft_net::{Listen, Tcp, TcpConfig};

use super::replica::{data_directory, no_signals, open};
use super::{UpArgs, counter, log};
use crate::admin::{self, Subject};
use crate::config::{CLUSTER_FILE, Cluster, KeyOwner, Member, NewCluster, create, write};
use crate::http::{self, Front};
use crate::service::Counters;
use crate::{Failure, unix};

/// Replicas of a cluster that is made now.
const REPLICAS_DEFAULT: u8 = 4;
/// Clients of a cluster that is made now: 0 is the HTTP server's, 1 is for `counter`.
const CLIENTS: u32 = 2;
/// The cluster file with the addresses of this run: any free ports.
const RUNNING_FILE: &str = "running.toml";
/// The port in a new cluster file, for whoever runs its replicas one by one later.
const BASE_PORT: u16 = 7000;

pub(super) fn run(args: UpArgs) -> Result<(), Failure> {
    log::start("warn");
    let lock = lock(&args.dir)?;
    let (cluster, identities) = cluster(&args)?;
    let http = admin::bind(&args.http.to_string(), "--http")?;
    let ended = actix_rt::System::new().block_on(serve(&args, cluster, identities, http));
    drop(lock);
    ended
}

/// Two clusters in one directory would mix up their files.
fn lock(directory: &Path) -> Result<File, Failure> {
    let path = directory.join("lock");
    let cannot = |error: std::io::Error| {
        let cause = format!("cannot use {}: {error}", directory.display());
        Failure::new(cause, "choose another --dir, or make this one writable")
    };
    unix::create_secret_directory(directory).map_err(cannot)?;
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            format!("another pbft-demo runs in {}", directory.display()),
            "stop it, or choose another --dir",
        )),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// The cluster in the directory, made now if there is none.
fn cluster(args: &UpArgs) -> Result<(Cluster, Vec<Identity>), Failure> {
    let path = args.dir.join(CLUSTER_FILE);
    if !path.exists() {
        let replicas = args.replicas.unwrap_or(REPLICAS_DEFAULT);
        create(&args.dir, NewCluster { replicas, clients: CLIENTS, base_port: BASE_PORT })?;
    }
    let n = Cluster::load(&path)?.file.replicas.len();
    if let Some(wanted) = args.replicas.filter(|wanted| usize::from(*wanted) != n) {
        let cause = format!("--replicas {wanted}, but the cluster in {} has {n}", args.dir.display());
        return Err(Failure::new(cause, "leave --replicas out, or choose another --dir"));
    }
    let replicas = (0..n).filter_map(|id| u8::try_from(id).ok()).map(|id| KeyOwner::Replica(ReplicaId(id)));
    let owners: Vec<KeyOwner> = replicas.chain([KeyOwner::Client(ClientId(0))]).collect();
    Ok(Cluster::load_with(&path, &owners)?)
}

async fn serve(
    args: &UpArgs,
    mut cluster: Cluster,
    mut identities: Vec<Identity>,
    http: TcpListener,
) -> Result<(), Failure> {
    let stop = unix::stop_signal().map_err(no_signals)?;
    let sockets = bind_free_ports(&mut cluster)?;
    let http_address = http.local_addr().unwrap_or(args.http);
    let running_file = RunningFile::write(&args.dir, &cluster)?;
    let identity = identities.pop().expect("the client's key was asked for last");
    let running = start(args, &cluster, identities, sockets)?;
    let member = Member { cluster: cluster.clone(), identity };
    let client = counter::start(ClientId(0), member)?;
    let front = Front {
        client: client.clone(),
        replicas: cluster.addresses().into_iter().zip(running.replicas.iter().cloned()).collect(),
        quorums: cluster.group.agreed.quorums(),
    };
    let server = http::serve(http, front)?;
    print_banner(args, &cluster, http_address, &running_file.0);
    let ended = running.until_the_end(stop).await;
    server.stop(true).await;
    running.stop(&client).await;
    ended
}

/// The sockets of a replica.
struct Sockets {
    peers: TcpListener,
    admin: TcpListener,
}

/// Binds before anybody is told the ports, so that no other process can take one in between.
fn bind_free_ports(cluster: &mut Cluster) -> Result<Vec<Sockets>, Failure> {
    let bound = || {
        let listener = admin::bind("127.0.0.1:0", "a free port")?;
        let address = listener
            .local_addr()
            .map_err(|error| Failure::new(format!("a bound socket has no address: {error}"), "try again"))?;
        Ok::<_, Failure>((listener, address.to_string()))
    };
    let mut sockets = Vec::new();
    for replica in &mut cluster.file.replicas {
        let (peers, address) = bound()?;
        let (admin, admin_address) = bound()?;
        (replica.address, replica.admin) = (address, admin_address);
        sockets.push(Sockets { peers, admin });
    }
    Ok(sockets)
}

/// The cluster file of this run; gone when it ends.
struct RunningFile(PathBuf);

impl RunningFile {
    fn write(directory: &Path, cluster: &Cluster) -> Result<Self, Failure> {
        let path = directory.join(RUNNING_FILE);
        write(&path, &cluster.file)?;
        Ok(Self(path))
    }
}

impl Drop for RunningFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "the addresses of this run are still there");
        }
    }
}

struct Running {
    replicas: Vec<Addr<Replica>>,
    servers: Vec<ServerHandle>,
}

fn start(
    args: &UpArgs,
    cluster: &Cluster,
    identities: Vec<Identity>,
    sockets: Vec<Sockets>,
) -> Result<Running, Failure> {
    let quorums = cluster.group.agreed.quorums();
    let mut running = Running { replicas: Vec::new(), servers: Vec::new() };
    for ((id, identity), sockets) in (0..).map(ReplicaId).zip(identities).zip(sockets) {
        let transport = Tcp::new(TcpConfig::replica(Listen::Bound(sockets.peers), cluster.addresses()));
        let directory = data_directory(&args.dir.join(CLUSTER_FILE), id);
        let storage = if args.memory { None } else { Some(open(&directory)?) };
        let replica = Replica::builder(cluster.group.clone(), id, identity)
            .service(Counters)
            .storage(storage)
            .transport(transport)
            .start()
            .map_err(|error| Failure::new(error.to_string(), "mend what is named, then start again"))?;
        let subject = Subject { id, replica: replica.clone(), quorums };
        running.servers.push(admin::serve(sockets.admin, subject)?);
        running.replicas.push(replica);
    }
    Ok(running)
}

impl Running {
    /// Waits for a signal. A replica that goes down is one of the faults that the group outlives.
    async fn until_the_end(&self, stop: impl Future<Output = &'static str>) -> Result<(), Failure> {
        let mut waiting = Vec::new();
        for (id, replica) in self.replicas.iter().enumerate() {
            if let Ok(ending) = replica.send(WhenEnded).await {
                waiting.push(Box::pin(async move { (id, ending.wait().await) }));
            }
        }
        let all_down = async move {
            while !waiting.is_empty() {
                let ((id, ended), _, rest) = select_all(waiting).await;
                if let Ended::Fault { why } = ended {
                    tracing::error!(replica = id, why, "went down; the others go on");
                }
                waiting = rest;
            }
        };
        tokio::select! {
            signal = stop => {
                eprintln!("{signal}: stopping");
                Ok(())
            }
            () = all_down => Err(Failure::new("every replica went down", "report this with the log above")),
        }
    }

    async fn stop(&self, client: &Addr<Client>) {
        // Whoever does not hear of it has ended already.
        let _ended_already = client.send(StopClient).await;
        join_all(self.servers.iter().map(|server| server.stop(false))).await;
        let stopping = self.replicas.iter().map(|replica| async move {
            if let Ok(ending) = replica.send(WhenEnded).await {
                let _ended_already = replica.send(Stop).await;
                ending.wait().await;
            }
        });
        join_all(stopping).await;
    }
}

fn print_banner(args: &UpArgs, cluster: &Cluster, http: SocketAddr, running_file: &Path) {
    let n = cluster.file.replicas.len();
    let (f, directory) = (cluster.group.agreed.quorums().f(), args.dir.display());
    println!("{n} replicas of the counter service run over loopback TCP; {f} may fail in any way.");
    println!("Keys are in {directory}.");
    if args.memory {
        println!("The state is in memory: it is forgotten when this stops.");
    } else {
        println!("The state is in {directory}/data: a second start goes on with it.");
    }
    println!();
    println!("Try:");
    println!("  curl -X POST http://{http}/counters/apples/add -d '{{\"by\": 3}}'");
    println!("  curl http://{http}/counters/apples");
    println!("  curl http://{http}/status");
    println!("  pbft-demo counter --config {} --client 1 add apples 1", running_file.display());
    println!("  pbft-demo status --config {}", running_file.display());
    println!("Ctrl-C stops it.");
}
