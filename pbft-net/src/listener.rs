use std::sync::Arc;

use actix::Addr;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Network;
use crate::admission::Slot;
use crate::handshake::{Authenticated, ConnectError, respond};
use crate::limits::ACCEPT_PAUSE;
use crate::network::Attach;
use crate::shared::Shared;
use crate::socket;

/// Accepts connections until `stop`.
pub(crate) async fn listen(
    shared: Arc<Shared>,
    network: Addr<Network>,
    listener: TcpListener,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let slot = shared.admission.admit(from.ip());
                actix_rt::spawn(greet(Arc::clone(&shared), network.clone(), stream, slot, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted; are there too many open files?");
                shared.gate.rejected(None, "accept_failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One caller, from its first byte to its place among the links.
async fn greet(
    shared: Arc<Shared>,
    network: Addr<Network>,
    stream: TcpStream,
    slot: Slot,
    stop: CancellationToken,
) {
    let authenticated = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = slot.evicted() => Err(ConnectError::Evicted),
        authenticated = authenticate(&shared, stream) => authenticated,
    };
    match authenticated {
        Ok(authenticated) => network.do_send(Attach(authenticated)),
        Err(error) => report(&shared, &slot, &error),
    }
}

async fn authenticate(shared: &Shared, stream: TcpStream) -> Result<Authenticated, ConnectError> {
    socket::configure(&stream)?;
    let deadline = shared.limits.handshake_deadline;
    timeout(deadline, respond(shared, stream)).await.unwrap_or(Err(ConnectError::Deadline))
}

/// Strangers fill no log: only a proven peer's fault is a warning.
fn report(shared: &Shared, slot: &Slot, error: &ConnectError) {
    let (peer, from) = (error.proven_peer(), slot.address());
    shared.gate.rejected(peer, error.reason());
    match peer {
        Some(peer) if shared.refused.is_news(peer, error.to_string()) => {
            tracing::warn!(%peer, %from, %error, "a connection was refused");
        }
        Some(peer) => tracing::debug!(%peer, %from, %error, "a connection was refused again"),
        None => tracing::debug!(%from, %error, "a connection was refused"),
    }
}
