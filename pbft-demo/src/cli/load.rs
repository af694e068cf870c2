use std::path::Path;
use std::time::Duration;

use actix::prelude::*;
use pbft_actors::actor::{Client, InvokeMany};
use pbft_actors::types::ClientId;
use pbft_net::{Tcp, TcpConfig};

use super::{LoadArgs, UnreplicatedArgs, log, replica};
use crate::ask::ask;
use crate::config::{Cluster, KeyOwner, Member};
use crate::load::local::{Local, Setup, unreplicated_member};
use crate::load::{Figures, Load, Processes, connect, measure, table};
use crate::service::{Counters, Nothing};
use crate::unreplicated::{UnreplicatedClient, start_server};
use crate::{Failure, unix};

/// Replicas of a cluster that is started for the load.
const REPLICAS_DEFAULT: u8 = 4;

pub(super) fn run(args: LoadArgs) -> Result<(), Failure> {
    log::start("warn");
    actix_rt::System::new().block_on(async move {
        let stop = unix::stop_signal().map_err(replica::no_signals)?;
        tokio::select! {
            result = load(&args) => result,
            signal = stop => Err(Failure::new(format!("{signal}: the load was not finished"), "run it again")),
        }
    })
}

/// Serves without replication until a signal.
pub(super) fn serve_unreplicated(args: UnreplicatedArgs) -> Result<(), Failure> {
    log::start("warn");
    let (member, listener) = unreplicated_member(&args.config)?;
    actix_rt::System::new().block_on(async move {
        let stop = unix::stop_signal().map_err(replica::no_signals)?;
        start_server(member, listener)?;
        let signal = stop.await;
        tracing::info!(signal, "stopping");
        Ok(())
    })
}

async fn load(args: &LoadArgs) -> Result<(), Failure> {
    let mut local = args.local.then(|| Local::new(setup(args))).transpose()?;
    let mut targets = Vec::new();
    if args.unreplicated || args.compare {
        let local = local.as_mut().expect("the command line asks for --local");
        let servers = local.start_unreplicated()?;
        targets.push(Target::unreplicated(&local.unreplicated_file(), args.clients, servers)?);
    }
    if !args.unreplicated {
        targets.push(match &mut local {
            Some(local) => {
                let servers = local.start_replicas()?;
                Target::cluster(&local.cluster_file(), args.clients, Some(servers))?
            }
            None => Target::cluster(args.config.as_deref().unwrap_or(Path::new("")), args.clients, None)?,
        });
    }
    let mut all = Vec::new();
    for target in &targets {
        connect(&target.clients, &load_of(args, 1)).await?;
    }
    for outstanding in &args.outstanding {
        for target in &targets {
            let servers = target.servers.as_ref();
            let load = load_of(args, *outstanding);
            let figures = measure((target.name, target.replicas), &target.clients, servers, &load).await?;
            report(args, &figures);
            all.push(figures);
        }
    }
    if !args.json {
        print!("{}", table(&all));
        if let Some(local) = local.filter(|local| local.has_processes()) {
            println!("\nview changes since the start: {}", view_changes(&local)?);
        }
    }
    Ok(())
}

/// What overload must not lead to: the view of whoever went furthest.
fn view_changes(local: &Local) -> Result<u64, Failure> {
    let state = ask(&Cluster::load(&local.cluster_file())?.file);
    let views = state.replicas.iter().filter_map(|replica| replica.report.as_ref());
    Ok(views.map(|report| report.view).max().unwrap_or(0))
}

fn setup(args: &LoadArgs) -> Setup {
    Setup {
        replicas: args.replicas.unwrap_or(REPLICAS_DEFAULT),
        clients: args.clients,
        outstanding: args.outstanding.iter().copied().max().unwrap_or(1),
        memory: args.memory,
        in_process: args.in_process,
    }
}

fn load_of(args: &LoadArgs, outstanding: usize) -> Load {
    Load {
        outstanding,
        operation: Nothing { operation_bytes: args.op_bytes, reply_bytes: args.reply_bytes },
        read_only: args.read_only,
        warm_up: args.warm_up,
        measured: args.seconds,
    }
}

/// Each as soon as it is known: a long run shows that it goes on.
fn report(args: &LoadArgs, figures: &Figures) {
    if args.json {
        println!("{}", serde_json::to_string(figures).expect("numbers and words"));
    } else {
        let Figures { target, clients, outstanding, ops_per_s, .. } = figures;
        eprintln!("{target}, {clients} x {outstanding}: {ops_per_s:.0} op/s");
    }
}

/// Who is measured.
struct Target {
    name: &'static str,
    replicas: usize,
    clients: Vec<Recipient<InvokeMany>>,
    /// None where the servers are not this command's.
    servers: Option<Processes>,
}

impl Target {
    fn cluster(file: &Path, clients: u32, servers: Option<Processes>) -> Result<Self, Failure> {
        let replicas = Cluster::load(file)?.file.replicas.len();
        let clients = self::clients(file, clients)?;
        Ok(Self { name: "cluster", replicas, clients, servers })
    }

    fn unreplicated(file: &Path, clients: u32, servers: Processes) -> Result<Self, Failure> {
        let start = |(id, member)| Ok(UnreplicatedClient::start_here(id, member)?.recipient());
        let clients = members(file, clients)?.into_iter().map(start).collect::<Result<_, Failure>>()?;
        Ok(Self { name: "unreplicated", replicas: 1, clients, servers: Some(servers) })
    }
}

/// Starts the first clients of a cluster.
pub(super) fn clients(file: &Path, clients: u32) -> Result<Vec<Recipient<InvokeMany>>, Failure> {
    members(file, clients)?.into_iter().map(|(id, member)| Ok(client(id, member)?.recipient())).collect()
}

/// The first clients of a cluster: each has a connection of its own to every replica.
fn members(file: &Path, clients: u32) -> Result<Vec<(ClientId, Member)>, Failure> {
    let known = Cluster::load(file)?.file.clients.len();
    if usize::try_from(clients).is_ok_and(|clients| clients > known) {
        let cause = format!("--clients {clients}, but the cluster file names {known}");
        return Err(Failure::new(cause, "choose fewer, or make a cluster with more by `pbft-demo init`"));
    }
    let owners: Vec<KeyOwner> = (0..clients).map(|id| KeyOwner::Client(ClientId(id))).collect();
    let (cluster, identities) = Cluster::load_with(file, &owners)?;
    let member = |identity| Member { cluster: cluster.clone(), identity };
    Ok((0..clients).map(ClientId).zip(identities.into_iter().map(member)).collect())
}

/// All on this thread, so that it is the callers' own time that is measured and no wake-ups of others.
fn client(id: ClientId, member: Member) -> Result<Addr<Client>, Failure> {
    let Member { cluster, identity } = member;
    let transport = Tcp::new(TcpConfig::client(cluster.addresses()));
    Client::builder(cluster.group, id, identity)
        .transport(transport)
        .service::<Counters>()
        .start_here()
        .map_err(|error| Failure::new(error.to_string(), "mend what is named, then try again"))
}

/// Time before anything counts, unless it is chosen.
pub(super) const WARM_UP_DEFAULT: &str = "1";
/// Time that counts, unless it is chosen.
pub(super) const MEASURED_DEFAULT: &str = "5";

/// A number of clients or of outstanding operations.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=OUTSTANDING_MAX).contains(number))
        .ok_or_else(|| format!("choose 1 to {OUTSTANDING_MAX}"))
}

/// The largest W that a cluster may have.
const OUTSTANDING_MAX: usize = 65_536;

/// A time in seconds that may be none.
pub(super) fn seconds_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { super::seconds(text) }
}
