use std::sync::Arc;
use std::time::Instant;

use actix::Addr;
use pbft_actors::types::ReplicaId;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Network;
use crate::backoff::Backoff;
use crate::handshake::{Authenticated, ConnectError, initiate};
use crate::network::Attach;
use crate::shared::Shared;
use crate::socket;

/// The last word of the handshake is this node's, so a refusal of its proof looks like this.
const ENDED_EARLY: &str = "it ended soon after the handshake; if it keeps doing so, the replica's log says whether it refuses this node";

/// A replica that this node calls.
#[derive(Clone, Debug)]
pub(crate) struct Callee {
    pub(crate) id: ReplicaId,
    pub(crate) address: String,
}

/// Keeps a connection to one replica until `stop`.
pub(crate) async fn dial(
    shared: Arc<Shared>,
    network: Addr<Network>,
    callee: Callee,
    stop: CancellationToken,
) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = keep_connected(&shared, &network, &callee) => {}
    }
}

async fn keep_connected(shared: &Shared, network: &Addr<Network>, callee: &Callee) {
    let mut backoff = Backoff::new(shared.limits.redial_min, shared.limits.redial_max);
    let mut last_problem = String::new();
    loop {
        match connect(shared, callee).await {
            Ok(authenticated) => {
                let since = Instant::now();
                if let Ok(Some(link)) = network.send(Attach(authenticated)).await {
                    link.closed().await;
                }
                if since.elapsed() >= shared.limits.stable_after {
                    backoff.reset();
                    last_problem.clear();
                } else {
                    report(callee, ENDED_EARLY.to_owned(), &mut last_problem);
                }
            }
            Err(error) => {
                count(shared, &error);
                report(callee, error.to_string(), &mut last_problem);
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn connect(shared: &Shared, callee: &Callee) -> Result<Authenticated, ConnectError> {
    let connecting = async {
        let stream = TcpStream::connect(&callee.address).await?;
        socket::configure(&stream)?;
        initiate(shared, stream, callee.id).await
    };
    let deadline = shared.limits.handshake_deadline;
    timeout(deadline, connecting).await.unwrap_or(Err(ConnectError::Deadline))
}

/// A replica that is not running is nobody's fault.
fn count(shared: &Shared, error: &ConnectError) {
    if !matches!(error, ConnectError::Io(_)) {
        shared.gate.rejected(error.proven_peer(), error.reason());
    }
}

/// Says what is wrong once, not at every attempt.
fn report(callee: &Callee, problem: String, last_problem: &mut String) {
    let Callee { id: replica, address } = callee;
    if problem == *last_problem {
        tracing::debug!(%replica, address, %problem, "still no connection");
    } else {
        tracing::warn!(%replica, address, %problem, "no connection; trying again");
        *last_problem = problem;
    }
}
