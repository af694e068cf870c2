//! A cluster, and the unreplicated server beside it, that live as long as the load.

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use actix::Addr;
use pbft_actors::actor::Replica;
use pbft_actors::types::ReplicaId;
use pbft_net::{Listen, Tcp, TcpConfig};
use tempfile::TempDir;

use super::Processes;
use crate::Failure;
use crate::admin::bind;
use crate::ask::ask;
use crate::config::{CLUSTER_FILE, Cluster, KeyOwner, Member, NewCluster, create, write};
use crate::service::Counters;
use crate::unreplicated::start_server;

/// The cluster file of the unreplicated server: with an address of its own.
const UNREPLICATED_FILE: &str = "unreplicated.toml";
/// Longest time until all replicas vote.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// Rest between two questions whether they do.
const START_PAUSE: Duration = Duration::from_millis(20);
/// Least W of a cluster that is made for a load; more where more are outstanding.
const CLIENT_WINDOW_MIN: u64 = 1_024;

/// How the cluster is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) replicas: u8,
    pub(crate) clients: u32,
    /// Most operations that a client will have outstanding.
    pub(crate) outstanding: usize,
    pub(crate) memory: bool,
    /// Threads of this process in place of processes.
    pub(crate) in_process: bool,
}

/// What was started; it ends when this is dropped.
pub(crate) struct Local {
    setup: Setup,
    directory: TempDir,
    children: Children,
}

/// Processes that are killed when nobody needs them any more.
#[derive(Default)]
struct Children(Vec<Child>);

impl Local {
    /// Makes keys and cluster files in a directory of their own.
    ///
    /// # Errors
    /// Sizes that no group has; a temporary directory or ports that cannot be had.
    pub(crate) fn new(setup: Setup) -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("pbft-load-").map_err(|error| {
            Failure::new(format!("cannot make a directory: {error}"), "set TMPDIR to one that is writable")
        })?;
        let Setup { replicas, clients, .. } = setup;
        create(directory.path(), NewCluster { replicas, clients, base_port: 7_000 })?;
        let local = Self { setup, directory, children: Children::default() };
        let mut cluster = Cluster::load(&local.cluster_file())?;
        for replica in &mut cluster.file.replicas {
            (replica.address, replica.admin) = (free_address()?, free_address()?);
        }
        let window = u64::try_from(setup.outstanding).unwrap_or(u64::MAX).max(CLIENT_WINDOW_MIN);
        cluster.file.agreed.client_window = window;
        write(&local.cluster_file(), &cluster.file)?;
        if let Some(server) = cluster.file.replicas.first_mut() {
            server.address = free_address()?;
        }
        write(&local.unreplicated_file(), &cluster.file)?;
        Ok(local)
    }

    pub(crate) fn cluster_file(&self) -> PathBuf {
        self.directory.path().join(CLUSTER_FILE)
    }

    pub(crate) fn unreplicated_file(&self) -> PathBuf {
        self.directory.path().join(UNREPLICATED_FILE)
    }

    /// Starts the replicas and waits until all of them vote.
    ///
    /// # Errors
    /// A replica that does not start, or not in time.
    pub(crate) fn start_replicas(&mut self) -> Result<Processes, Failure> {
        let (file, replicas) = (self.cluster_file(), self.setup.replicas);
        if self.setup.in_process {
            for id in 0..replicas {
                start_replica(&file, ReplicaId(id), self.setup.memory)?;
            }
            return Ok(Processes::default());
        }
        let mut processes = Processes::default();
        for id in 0..replicas {
            let command = self.replica_command(ReplicaId(id))?;
            processes.servers.push(self.children.start(command)?);
        }
        self.until_all_vote(&file)?;
        Ok(processes)
    }

    fn replica_command(&self, id: ReplicaId) -> Result<Command, Failure> {
        let mut command = Command::new(program()?);
        command.arg("replica").arg("--config").arg(self.cluster_file()).args(["--id", &id.to_string()]);
        command.args(self.setup.memory.then_some("--memory"));
        Ok(command)
    }

    /// Kills a replica's process: nothing it has in memory is left.
    ///
    /// # Errors
    /// It has ended already.
    pub(crate) fn kill(&mut self, id: ReplicaId) -> Result<(), Failure> {
        let child = &mut self.children.0[id.index()];
        let gone = |error| Failure::new(format!("replica {id} is not there: {error}"), "report this");
        child.kill().and_then(|()| child.wait()).map_err(gone)?;
        Ok(())
    }

    /// Starts a replica that was killed.
    ///
    /// # Errors
    /// No process can be started.
    pub(crate) fn start_again(&mut self, id: ReplicaId) -> Result<(), Failure> {
        let command = self.replica_command(id)?;
        self.children.start(command)?;
        let child = self.children.0.pop().expect("it was started");
        self.children.0[id.index()] = child;
        Ok(())
    }

    /// Sends a replica's process a signal.
    ///
    /// # Errors
    /// There is no `kill` on this system, or no such process.
    pub(crate) fn signal(&self, id: ReplicaId, signal: &str) -> Result<(), Failure> {
        let pid = self.children.0[id.index()].id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure::new(format!("no {signal} to replica {id}"), "install `kill`")),
        }
    }

    /// Whether replicas run as processes, which can be asked where they stand.
    pub(crate) fn has_processes(&self) -> bool {
        !self.children.0.is_empty() && !self.setup.in_process
    }

    /// Starts the unreplicated server.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start_unreplicated(&mut self) -> Result<Processes, Failure> {
        let file = self.unreplicated_file();
        if self.setup.in_process {
            start_unreplicated_thread(&file)?;
            return Ok(Processes::default());
        }
        let mut command = Command::new(program()?);
        command.arg("unreplicated").arg("--config").arg(&file);
        Ok(Processes { servers: vec![self.children.start(command)?] })
    }

    fn until_all_vote(&mut self, file: &Path) -> Result<(), Failure> {
        let (cluster, began) = (Cluster::load(file)?, Instant::now());
        loop {
            let state = ask(&cluster.file);
            let votes = state.replicas.iter().filter(|replica| {
                replica.report.as_ref().is_some_and(|report| report.voting && !report.changing)
            });
            if votes.count() == state.replicas.len() {
                return Ok(());
            }
            self.children.check()?;
            if began.elapsed() > START_DEADLINE {
                let cause = format!("not all replicas vote after {} s", START_DEADLINE.as_secs());
                return Err(Failure::new(cause, "look at their log above"));
            }
            thread::sleep(START_PAUSE);
        }
    }
}

impl Children {
    /// Starts a process and gives its id. Its log goes where this one's goes.
    fn start(&mut self, mut command: Command) -> Result<u32, Failure> {
        if env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(|error| {
            Failure::new(format!("cannot start {command:?}: {error}"), "raise the limit of processes")
        })?;
        let id = child.id();
        self.0.push(child);
        Ok(id)
    }

    fn check(&mut self) -> Result<(), Failure> {
        for child in &mut self.0 {
            if let Ok(Some(status)) = child.try_wait() {
                let cause = format!("process {} ended: {status}", child.id());
                return Err(Failure::new(cause, "mend what its log above says"));
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ended_already = child.kill();
            let _ended_already = child.wait();
        }
    }
}

fn program() -> Result<PathBuf, Failure> {
    env::current_exe().map_err(|error| {
        Failure::new(format!("cannot find this program's file: {error}"), "use --in-process")
    })
}

/// An address that nobody uses now; whoever is told it binds it a moment later.
fn free_address() -> Result<String, Failure> {
    let address = bind("127.0.0.1:0", "a free port")?.local_addr();
    let address = address.map_err(|error| Failure::new(format!("no address: {error}"), "try again"))?;
    Ok(address.to_string())
}

/// Starts a replica on a thread of this process; it ends with the process.
fn start_replica(file: &Path, id: ReplicaId, memory: bool) -> Result<Addr<Replica>, Failure> {
    let Member { cluster, identity } = Member::load(file, KeyOwner::Replica(id))?;
    let own = &cluster.file.replicas[id.index()];
    let listener = bind(&own.address, &format!("replicas[{id}].address"))?;
    let transport = Tcp::new(TcpConfig::replica(Listen::Bound(listener), cluster.addresses()));
    let directory = crate::cli::data_directory(file, id);
    let storage = if memory { None } else { Some(crate::cli::open(&directory)?) };
    Replica::builder(cluster.group.clone(), id, identity)
        .service(Counters)
        .storage(storage)
        .transport(transport)
        .start()
        .map_err(|error| Failure::new(error.to_string(), "mend what is named, then start again"))
}

/// Starts the unreplicated server on a thread of this process; it ends with the process.
fn start_unreplicated_thread(file: &Path) -> Result<(), Failure> {
    let (member, listener) = unreplicated_member(file)?;
    let (started, start) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("unreplicated".to_owned())
        .spawn(move || {
            actix_rt::System::new().block_on(async move {
                let result = start_server(member, listener);
                let serving = result.is_ok();
                if started.send(result).is_ok() && serving {
                    std::future::pending::<()>().await;
                }
            });
        })
        .map_err(|error| Failure::new(format!("no thread: {error}"), "raise the limit of threads"))?;
    start.recv().unwrap_or_else(|_| Err(Failure::new("the server ended at its start", "report this")))
}

/// What the unreplicated server is, and its socket.
///
/// # Errors
/// A cluster file or an address that cannot be used.
pub(crate) fn unreplicated_member(file: &Path) -> Result<(Member, TcpListener), Failure> {
    let member = Member::load(file, KeyOwner::Replica(ReplicaId(0)))?;
    let address = &member.cluster.file.replicas[0].address;
    let listener = bind(address, "replicas[0].address")?;
    Ok((member, listener))
}
