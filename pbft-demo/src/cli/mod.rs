//! The command line: words that scripts rely on.

mod counter;
mod failover;
mod init;
mod load;
mod log;
mod replica;
mod state;
mod status;
mod up;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::Failure;
pub use failover::{FailOverArgs, How};
pub(crate) use replica::{data_directory, open};

/// A replicated counter service that goes on while a third of its replicas fail in any way.
///
/// Without a command: `up`.
#[derive(Parser, Debug, PartialEq, Eq)]
#[command(name = "pbft-demo", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What `up` takes.
    #[command(flatten)]
    pub up: UpArgs,
}

/// The commands.
#[derive(Subcommand, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run a whole cluster over loopback TCP in this process, with HTTP in front of it
    Up(UpArgs),
    /// Make keys and a cluster file
    Init(InitArgs),
    /// Run one replica in the foreground; SIGTERM or Ctrl-C stops it cleanly
    Replica(ReplicaArgs),
    /// Add to a counter, or read one or all
    Counter(CounterArgs),
    /// Show where each replica stands
    Status(StatusArgs),
    /// Look at the directory of a replica that does not run
    State(StateArgs),
    /// Measure: clients that have so many operations outstanding all the time
    Load(LoadArgs),
    /// Measure: primaries that end under load, and how long nobody is served then
    FailOver(FailOverArgs),
    /// Serve the counters without replication, for `load` to compare with
    #[command(hide = true)]
    Unreplicated(UnreplicatedArgs),
}

/// What `up` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct UpArgs {
    /// Where keys and the cluster file are; made at the first start
    #[arg(long, value_name = "D", default_value = "pbft-data")]
    pub dir: PathBuf,
    /// Replicas of a cluster that is made now [default: 4]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u8>,
    /// Where to serve HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Keep the state in memory only: it is forgotten when the process stops
    #[arg(long)]
    pub memory: bool,
}

/// What `init` takes.
#[derive(Args, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// Where to write cluster.toml and keys/
    #[arg(long, value_name = "D")]
    pub dir: PathBuf,
    /// Replicas: 4 to 31; of 3f+1, f may fail in any way
    #[arg(long, value_name = "N")]
    pub replicas: u8,
    /// Clients that may connect
    #[arg(long, value_name = "M")]
    pub clients: u32,
    /// Replica I listens at 127.0.0.1:P+I and answers `status` at 127.0.0.1:P+100+I
    #[arg(long, value_name = "P", default_value_t = 7000)]
    pub base_port: u16,
}

/// What `replica` takes.
#[derive(Args, Debug, PartialEq, Eq)]
pub struct ReplicaArgs {
    /// The cluster file; the replica's key is keys/replica-I.key next to it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Which replica of the cluster file to be
    #[arg(long, value_name = "I")]
    pub id: u8,
    /// Where to keep what must not be forgotten [default: data/I next to the cluster file]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep everything in memory: after a restart the group must let the replica in again
    #[arg(long)]
    pub memory: bool,
}

/// What `counter` takes.
#[derive(Args, Debug, PartialEq, Eq)]
pub struct CounterArgs {
    /// The cluster file; the client's key is keys/client-I.key next to it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Which client of the cluster file to be; several processes may be the same one
    #[arg(long, value_name = "I", default_value_t = 0)]
    pub client: u32,
    /// Longest time to wait for an outcome, in seconds
    #[arg(long, value_name = "S", default_value = "10", global = true, value_parser = seconds)]
    pub timeout: Duration,
    /// What to do with counters.
    #[command(subcommand)]
    pub action: CounterAction,
}

/// What to do with counters.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum CounterAction {
    /// Add to a counter and print its new value
    Add {
        /// The counter
        name: String,
        /// What to add; may be negative
        #[arg(value_name = "N", allow_negative_numbers = true)]
        by: i64,
        /// Add so many times, one after the other, and print each new value
        #[arg(long, hide = true, default_value_t = 1)]
        repeat: u64,
    },
    /// Print the value of a counter
    Get {
        /// The counter
        name: String,
    },
    /// Print all counters, one `NAME VALUE` per line
    List,
    /// Send an operation that panics at every replica
    #[command(hide = true)]
    Panic,
}

/// What `status` takes.
#[derive(Args, Debug, PartialEq, Eq)]
pub struct StatusArgs {
    /// The cluster file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `state` takes.
#[derive(Args, Debug, PartialEq, Eq)]
pub struct StateArgs {
    /// What to look for.
    #[command(subcommand)]
    pub action: StateAction,
}

/// What to look for in a directory.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum StateAction {
    /// Read every page, compare it with its digest, and print seq, root digest and pages
    Verify {
        /// The replica's directory, such as D/data/0
        data: PathBuf,
    },
    /// The same, and the digest of every page
    Hash {
        /// The replica's directory, such as D/data/0
        data: PathBuf,
    },
    /// Name the first page in which two replicas differ
    Diff {
        /// One replica's directory
        one: PathBuf,
        /// Another one's
        other: PathBuf,
    },
}

/// What `load` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["config", "local"]))]
pub struct LoadArgs {
    /// The cluster file of a cluster that runs; the clients' keys are keys/client-I.key next to it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Start a cluster for the load: a process per replica, on loopback TCP
    #[arg(long)]
    pub local: bool,
    /// Replicas of the cluster that is started [default: 4]
    #[arg(long, value_name = "N", conflicts_with = "config")]
    pub replicas: Option<u8>,
    /// Keep the state of the cluster that is started in memory only
    #[arg(long, conflicts_with = "config")]
    pub memory: bool,
    /// Start threads of this process in place of processes
    #[arg(long, conflicts_with = "config")]
    pub in_process: bool,
    /// Measure one unreplicated server with the same service and transport in place of the cluster
    #[arg(long, conflicts_with_all = ["config", "compare"])]
    pub unreplicated: bool,
    /// Measure the unreplicated server, too, under each load, and show the ratios
    #[arg(long, conflicts_with = "config")]
    pub compare: bool,
    /// Clients, each with connections of its own
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients: u32,
    /// Operations that each client has outstanding; several numbers for one run each
    #[arg(long, value_name = "W,..", default_value = "1", value_delimiter = ',', value_parser = load::at_least_one)]
    pub outstanding: Vec<usize>,
    /// How long each run is measured, in seconds
    #[arg(long, value_name = "S", default_value = load::MEASURED_DEFAULT, value_parser = seconds)]
    pub seconds: Duration,
    /// How long each run goes on before that, in seconds
    #[arg(long, value_name = "S", default_value = load::WARM_UP_DEFAULT, value_parser = load::seconds_or_none)]
    pub warm_up: Duration,
    /// Length of each operation, in bytes; at least 5 with --reply-bytes
    #[arg(long, value_name = "A", default_value_t = 0)]
    pub op_bytes: usize,
    /// Length of each answer, in bytes
    #[arg(long, value_name = "B", default_value_t = 0)]
    pub reply_bytes: u32,
    /// Operations that only read
    #[arg(long)]
    pub read_only: bool,
    /// Print one JSON line per run, and nothing else
    #[arg(long)]
    pub json: bool,
}

/// What `unreplicated` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct UnreplicatedArgs {
    /// The cluster file; the server is replica 0
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Cause and cure.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            None => up::run(self.up),
            Some(Command::Up(args)) => up::run(args),
            Some(Command::Init(args)) => init::run(args),
            Some(Command::Replica(args)) => replica::run(args),
            Some(Command::Counter(args)) => counter::run(args),
            Some(Command::Status(args)) => status::run(args),
            Some(Command::State(args)) => state::run(args),
            Some(Command::Load(args)) => load::run(args),
            Some(Command::FailOver(args)) => failover::run(args),
            Some(Command::Unreplicated(args)) => load::serve_unreplicated(args),
        }
    }
}

/// A positive time in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= TIMEOUT_MAX)
        .ok_or_else(|| format!("choose more than 0 and at most {} seconds", TIMEOUT_MAX.as_secs()))
}

/// Longest time that a command waits for an outcome.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
