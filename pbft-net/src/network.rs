use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use pbft_actors::actor::transport::Connected;
use pbft_actors::message::{LinkKeys, Peer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::dialer::{Callee, dial};
use crate::handshake::Authenticated;
use crate::link::Link;
use crate::links::Remaining;
use crate::listener::listen;
use crate::shared::Shared;

/// Owns a node's listener, its dialers and the table of links; runs on the arbiter that started it.
///
/// Messages do not pass through its mailbox: senders put them into the queues of the links, which are
/// bounded where a mailbox is not.
pub struct Network {
    shared: Arc<Shared>,
    listener: Option<TcpListener>,
    callees: Vec<Callee>,
    stop: CancellationToken,
}

/// A peer proved itself; the answer tells when the link ends, and is nothing if it was not let in.
#[derive(Message)]
#[rtype(result = "Option<LinkEnded>")]
pub(crate) struct Attach(pub(crate) Authenticated);

/// Lets a dialer wait for the end of its link.
pub(crate) struct LinkEnded(CancellationToken);

/// A link's task is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Detach(Arc<Link>);

/// Stops accepting and dialing, writes what is queued, and ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

impl Network {
    pub(crate) fn new(shared: Arc<Shared>, listener: Option<TcpListener>, callees: Vec<Callee>) -> Self {
        Self { shared, listener, callees, stop: CancellationToken::new() }
    }

    fn is_closing(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// A replica has one connection and is never turned away; clients share what is left.
    fn room_for(&self, peer: Peer) -> Option<Room> {
        let limits = &self.shared.limits;
        match peer {
            _ if self.is_closing() => None,
            Peer::Replica(_) => Some(Room { links_max: 1, queue_bytes: limits.replica_queue_bytes }),
            Peer::Client(_) if self.shared.links.count() >= limits.links_max => {
                tracing::warn!(%peer, limit = limits.links_max, "no room for another connection; raise links_max");
                self.shared.gate.rejected(Some(peer), "links_max");
                None
            }
            Peer::Client(_) => {
                Some(Room { links_max: limits.links_per_client_max, queue_bytes: limits.client_queue_bytes })
            }
        }
    }
}

/// What a peer may have.
struct Room {
    links_max: usize,
    queue_bytes: usize,
}

impl LinkEnded {
    /// Waits for the end of the link.
    pub(crate) async fn closed(&self) {
        self.0.cancelled().await;
    }
}

impl Actor for Network {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let address = context.address();
        if let Some(listener) = self.listener.take() {
            let shared = Arc::clone(&self.shared);
            actix_rt::spawn(listen(shared, address.clone(), listener, self.stop.clone()));
        }
        for callee in self.callees.drain(..) {
            actix_rt::spawn(dial(Arc::clone(&self.shared), address.clone(), callee, self.stop.clone()));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.stop.cancel();
        for link in self.shared.links.all() {
            link.cut();
        }
    }
}

impl Handler<Attach> for Network {
    type Result = Option<LinkEnded>;

    fn handle(&mut self, Attach(authenticated): Attach, context: &mut Self::Context) -> Self::Result {
        let Authenticated { stream, established, received } = authenticated;
        let peer = established.peer;
        let room = self.room_for(peer)?;
        let link = Arc::new(Link::new(peer, room.queue_bytes));
        for replaced in self.shared.links.add(Arc::clone(&link), room.links_max) {
            replaced.cut();
        }
        self.shared.refused.forget(peer);
        tracing::info!(%peer, version = established.version, "connected");
        self.shared.gate.connected(Connected {
            peer,
            log: established.log,
            request_key: established.request_key,
        });
        let ended = CancellationToken::new();
        let task = LinkTask {
            shared: Arc::clone(&self.shared),
            network: context.address(),
            link,
            ended: ended.clone(),
        };
        actix_rt::spawn(task.run(stream, received, established.keys));
        Some(LinkEnded(ended))
    }
}

impl Handler<Detach> for Network {
    type Result = ();

    fn handle(&mut self, Detach(link): Detach, context: &mut Self::Context) {
        if self.shared.links.remove(&link) == Remaining::None {
            self.shared.gate.disconnected(link.peer());
        }
        if self.is_closing() && self.shared.links.count() == 0 {
            context.stop();
        }
    }
}

impl Handler<Close> for Network {
    type Result = ();

    fn handle(&mut self, Close: Close, context: &mut Self::Context) {
        if self.is_closing() {
            return;
        }
        self.stop.cancel();
        let links = self.shared.links.all();
        if links.is_empty() {
            context.stop();
            return;
        }
        for link in links {
            link.finish();
        }
        context.run_later(self.shared.limits.flush, |_, context| context.stop());
    }
}

/// A link's task; however it ends, the actor hears of it.
struct LinkTask {
    shared: Arc<Shared>,
    network: Addr<Network>,
    link: Arc<Link>,
    ended: CancellationToken,
}

impl LinkTask {
    async fn run(self, stream: TcpStream, received: bytes::BytesMut, keys: LinkKeys) {
        let gate = Arc::clone(&self.shared.gate);
        let end = self.link.run(stream, received, keys, gate, self.shared.limits.write_stall).await;
        let peer = self.link.peer();
        match end.reason() {
            Some(reason) => {
                tracing::warn!(%peer, why = %end, "disconnected");
                self.shared.gate.rejected(Some(peer), reason);
            }
            None => tracing::info!(%peer, why = %end, "disconnected"),
        }
    }
}

impl Drop for LinkTask {
    fn drop(&mut self) {
        self.network.do_send(Detach(Arc::clone(&self.link)));
        self.ended.cancel();
    }
}
