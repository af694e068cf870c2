//! A network within one process: no sockets, no keys; for tests and for groups that live together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::transport::{Connected, Gate, Node, Outbound, Outlet, Transport, TransportError};
use crate::crypto::{Hasher, MacKey};
use crate::message::{Frame, Peer};
use crate::types::LogId;

/// Turns that may wait for one receiver; more are dropped, as a network does.
const QUEUE_MAX: usize = 1_024;

/// Connects every node that starts with a clone of it.
#[derive(Clone, Default)]
pub struct Loopback {
    nodes: Arc<Mutex<Nodes>>,
}

#[derive(Default)]
struct Nodes {
    nodes: BTreeMap<Peer, Registered>,
    connections: u32,
}

#[derive(Clone)]
struct Registered {
    gate: Arc<dyn Gate>,
    log: LogId,
    /// Tells this registration from a later one of the same peer.
    number: u32,
}

impl Loopback {
    /// A network without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Loopback {
    fn start(self: Box<Self>, node: Node, gate: Arc<dyn Gate>) -> Result<Box<dyn Outlet>, TransportError> {
        let mut nodes = self.lock();
        nodes.connections += 1;
        let number = nodes.connections;
        let own = Registered { gate, log: node.log, number };
        let others: Vec<(Peer, Registered)> =
            nodes.nodes.iter().filter(|(peer, _)| **peer != node.own).map(|(p, r)| (*p, r.clone())).collect();
        nodes.nodes.insert(node.own, own.clone());
        let first_epoch = nodes.connections;
        nodes.connections += others.len() as u32;
        drop(nodes);
        for (epoch, (peer, other)) in (first_epoch..).zip(others) {
            if matches!((node.own, peer), (Peer::Client(_), Peer::Client(_))) {
                continue;
            }
            let mut hasher = Hasher::new("loopback request key");
            hasher.number(u64::from(epoch));
            let key = MacKey::new(hasher.finish().0);
            let between_replicas = matches!((node.own, peer), (Peer::Replica(_), Peer::Replica(_)));
            let request_key = (!between_replicas).then_some((epoch, key));
            other.gate.connected(Connected {
                peer: node.own,
                log: node.log,
                request_key: request_key.clone(),
            });
            own.gate.connected(Connected { peer, log: other.log, request_key });
        }
        Ok(Box::new(LoopbackOutlet { own: node.own, number, network: *self, queues: Mutex::default() }))
    }
}

type Queue = mpsc::Sender<Vec<Frame>>;

struct LoopbackOutlet {
    own: Peer,
    number: u32,
    network: Loopback,
    queues: Mutex<BTreeMap<Peer, (u32, Queue)>>,
}

impl LoopbackOutlet {
    /// The queue to a peer as it is registered now, with a task that empties it.
    fn queue(&self, peer: Peer) -> Option<Queue> {
        let registered = self.network.lock().nodes.get(&peer).cloned()?;
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, queue)) = queues.get(&peer)
            && *number == registered.number
        {
            return Some(queue.clone());
        }
        let (sender, mut receiver) = mpsc::channel::<Vec<Frame>>(QUEUE_MAX);
        let (own, gate) = (self.own, registered.gate);
        actix_rt::spawn(async move {
            while let Some(frames) = receiver.recv().await {
                gate.receive(own, frames).await;
            }
        });
        queues.insert(peer, (registered.number, sender.clone()));
        Some(sender)
    }
}

impl Outlet for LoopbackOutlet {
    fn send(&self, messages: Vec<Outbound>) {
        let mut by_peer: BTreeMap<Peer, Vec<Frame>> = BTreeMap::new();
        for message in messages {
            for peer in message.to {
                let frame = message.payload.unsealed();
                by_peer.entry(peer).or_default().push(frame);
            }
        }
        for (peer, frames) in by_peer {
            if let Some(queue) = self.queue(peer)
                && queue.try_send(frames).is_err()
            {
                tracing::debug!(%peer, "loopback queue full or closed: dropped");
            }
        }
    }

    fn close(&self) {
        let mut nodes = self.network.lock();
        if nodes.nodes.get(&self.own).is_some_and(|registered| registered.number == self.number) {
            nodes.nodes.remove(&self.own);
        }
        let others: Vec<Arc<dyn Gate>> =
            nodes.nodes.values().map(|registered| registered.gate.clone()).collect();
        drop(nodes);
        others.iter().for_each(|gate| gate.disconnected(self.own));
    }
}
