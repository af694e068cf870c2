use std::path::{Path, PathBuf};

use actix::Addr;
use pbft_actors::actor::{Durable, Ended, Replica, Stop, WhenEnded};
use pbft_actors::types::ReplicaId;
use pbft_net::{Listen, Tcp, TcpConfig};

use super::{ReplicaArgs, log};
use crate::admin::{self, Subject};
use crate::config::{KeyOwner, Member};
use crate::service::Counters;
use crate::{Failure, unix};

pub(super) fn run(args: ReplicaArgs) -> Result<(), Failure> {
    log::start("info");
    let id = ReplicaId(args.id);
    let member = Member::load(&args.config, KeyOwner::Replica(id))?;
    let storage = match (&args.data, args.memory) {
        (_, true) => None,
        (Some(data), false) => Some(open(data)?),
        (None, false) => Some(open(&data_directory(&args.config, id))?),
    };
    actix_rt::System::new().block_on(serve(id, member, storage))
}

/// Where a replica keeps its journal and its state unless it is told another place: beside the cluster
/// file.
pub(crate) fn data_directory(cluster_file: &Path, id: ReplicaId) -> PathBuf {
    cluster_file.parent().unwrap_or(Path::new("")).join("data").join(id.to_string())
}

pub(crate) fn open(directory: &Path) -> Result<Durable, Failure> {
    Durable::open(directory).map_err(|error| {
        Failure::new(
            error.to_string(),
            "stop whoever uses it, make it writable, or name another one by --data",
        )
    })
}

async fn serve(id: ReplicaId, member: Member, storage: Option<Durable>) -> Result<(), Failure> {
    let stop = unix::stop_signal().map_err(no_signals)?;
    let Member { cluster, identity } = member;
    let own = &cluster.file.replicas[id.index()];
    // Before the replica speaks to anybody: what can fail, fails first.
    let peers = admin::bind_patiently(&own.address, &format!("replicas[{id}].address"))?;
    let admin = match own.admin.as_str() {
        "" => None,
        address => Some(admin::bind_patiently(address, &format!("replicas[{id}].admin"))?),
    };
    let transport = Tcp::new(TcpConfig::replica(Listen::Bound(peers), cluster.addresses()));
    let quorums = cluster.group.agreed.quorums();
    let replica = Replica::builder(cluster.group.clone(), id, identity)
        .service(Counters)
        .storage(storage)
        .transport(transport)
        .start()
        .map_err(|error| Failure::new(error.to_string(), "mend what is named, then start again"))?;
    let subject = Subject { id, replica: replica.clone(), quorums };
    let admin = admin.map(|listener| admin::serve(listener, subject)).transpose()?;
    tracing::info!(replica = %id, address = own.address, admin = own.admin, "running");
    let ended = until_the_end(&replica, stop).await;
    if let Some(admin) = admin {
        admin.stop(false).await;
    }
    ended
}

/// Waits for a signal, or for the replica to go down by itself.
async fn until_the_end(
    replica: &Addr<Replica>,
    stop: impl Future<Output = &'static str>,
) -> Result<(), Failure> {
    let gone = |_| fault("it ended right after its start");
    let mut ending = Box::pin(replica.send(WhenEnded).await.map_err(gone)?.wait());
    let ended = tokio::select! {
        signal = stop => {
            tracing::info!(signal, "stopping");
            // Fails only if it has just ended, which the wait tells.
            let _ended_already = replica.send(Stop).await;
            ending.await
        }
        ended = &mut ending => ended,
    };
    match ended {
        Ended::Stopped => Ok(()),
        Ended::Fault { why } => Err(fault(&why)),
    }
}

fn fault(why: &str) -> Failure {
    let cure = "start it again: the group lets it in once it has fetched the state; report this with its log";
    Failure::new(format!("the replica went down: {why}"), cure)
}

pub(super) fn no_signals(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot wait for signals: {error}"), "raise the limit of open files")
}
