use std::io;
use std::net;
use std::sync::Arc;

use actix::{Actor, Addr};
use pbft_actors::actor::transport::{Gate, Node, Outbound, Outlet, Transport, TransportError};
use pbft_actors::message::{Introduction, Peer};
use pbft_actors::types::ReplicaId;
use tokio::net::TcpListener;

use crate::admission::Admission;
use crate::dialer::Callee;
use crate::limits::REPLICA_REDIAL_MAX;
use crate::links::Links;
use crate::network::Close;
use crate::shared::{Refused, Shared};
use crate::{Network, TcpLimits};

/// Where a node is called.
#[derive(Debug)]
pub enum Listen {
    /// Nowhere: a client.
    Nowhere,
    /// At this address, `host:port`.
    At(String),
    /// At a socket that is bound already: nobody can take its port in between.
    Bound(net::TcpListener),
}

/// Where this node listens and where the replicas are.
#[derive(Debug)]
pub struct TcpConfig {
    /// Where this node is called; replicas must be.
    pub listen: Listen,
    /// The replicas' addresses by id, `host:port`; a name is resolved at every attempt.
    pub replicas: Vec<String>,
    /// What is taken from others.
    pub limits: TcpLimits,
}

impl TcpConfig {
    /// A client of the replicas at these addresses, in the order of their ids.
    pub fn client(replicas: Vec<String>) -> Self {
        Self { listen: Listen::Nowhere, replicas, limits: TcpLimits::default() }
    }

    /// A replica that listens at `listen`, among the replicas at these addresses.
    pub fn replica(listen: Listen, replicas: Vec<String>) -> Self {
        let limits = TcpLimits { redial_max: REPLICA_REDIAL_MAX, ..TcpLimits::default() };
        Self { listen, replicas, limits }
    }
}

/// TCP between nodes: clients call all replicas, a replica calls those with lower ids.
#[derive(Debug)]
pub struct Tcp(TcpConfig);

impl Tcp {
    /// A transport that is not yet started.
    pub fn new(config: TcpConfig) -> Self {
        Self(config)
    }
}

impl Transport for Tcp {
    fn start(self: Box<Self>, node: Node, gate: Arc<dyn Gate>) -> Result<Box<dyn Outlet>, TransportError> {
        let TcpConfig { listen, replicas, limits } = self.0;
        if actix_rt::Arbiter::try_current().is_none() {
            return Err(TransportError("no actix system runs on this thread; start one first".to_owned()));
        }
        let (known, addresses) = (node.agreed.replicas.len(), replicas.len());
        if known != addresses {
            return Err(TransportError(format!(
                "{addresses} addresses for {known} replicas; give one for each, in the order of their ids"
            )));
        }
        let listener = match (node.own, listen) {
            (Peer::Client(_), Listen::Nowhere) => None,
            (Peer::Client(_), _) => {
                return Err(TransportError("a client is not called; let it listen nowhere".to_owned()));
            }
            (Peer::Replica(_), Listen::Nowhere) => {
                return Err(TransportError("a replica is called by others; give it an address".to_owned()));
            }
            (Peer::Replica(_), Listen::At(address)) => Some(bound(&address)?),
            (Peer::Replica(_), Listen::Bound(listener)) => Some(adopted(listener)?),
        };
        let callees = callees(node.own, replicas);
        let entries = node.agreed.entries();
        let introduction = Introduction::new(node.own, node.identity, node.agreed.cluster, node.log, entries)
            .map_err(|error| TransportError(error.to_string()))?;
        let links = Arc::new(Links::default());
        let shared = Arc::new(Shared {
            introduction,
            gate: Arc::clone(&gate),
            admission: Admission::new(limits.clone()),
            limits,
            links: Arc::clone(&links),
            refused: Refused::default(),
        });
        let network = Network::new(shared, listener, callees).start();
        Ok(Box::new(TcpOutlet { links, gate, network }))
    }
}

fn bound(address: &str) -> Result<TcpListener, TransportError> {
    let listener = net::TcpListener::bind(address).map_err(|error| {
        TransportError(format!(
            "cannot listen at {address}: {error}; stop what uses it, or choose another address"
        ))
    })?;
    adopted(listener)
}

fn adopted(listener: net::TcpListener) -> Result<TcpListener, TransportError> {
    let adopt = || -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    adopt().map_err(|error| TransportError(format!("cannot use the bound socket: {error}; bind another")))
}

/// The replicas that this node calls; the others call it.
fn callees(own: Peer, replicas: Vec<String>) -> Vec<Callee> {
    let calls = |id: ReplicaId| match own {
        Peer::Client(_) => true,
        Peer::Replica(own) => id < own,
    };
    let ids = (0..=u8::MAX).map(ReplicaId);
    let callees = ids.zip(replicas).filter(|(id, _)| calls(*id));
    callees.map(|(id, address)| Callee { id, address }).collect()
}

/// Puts messages into the queues of the links, from any thread.
struct TcpOutlet {
    links: Arc<Links>,
    gate: Arc<dyn Gate>,
    network: Addr<Network>,
}

impl Outlet for TcpOutlet {
    fn send(&self, messages: Vec<Outbound>) {
        self.links.send(messages, &*self.gate);
    }

    fn close(&self) {
        self.network.do_send(Close);
    }
}

impl Drop for TcpOutlet {
    /// Nobody can send any more.
    fn drop(&mut self) {
        self.close();
    }
}
