use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use pbft_actors::actor::transport::{Connected, Gate, Outbound, Outlet, Transport};
use pbft_actors::crypto::{Digest, PublicKey};
use pbft_actors::message::{Frame, Kind, Payload, Peer, Refusal};
use pbft_actors::ports::service::{Execution, Query, Seed, Service};
use pbft_actors::ports::state::State;
use pbft_actors::types::{ClientId, RequestId, Seq, SessionId, Timestamp, Wall};
use pbft_net::{Listen, Tcp, TcpConfig};

use super::{SERVER, node};
use crate::Failure;
use crate::config::Member;
use crate::service::Counters;

/// Starts the server within the running actix system; it serves until that ends.
///
/// # Errors
/// The transport's.
pub(crate) fn start_server(member: Member, listener: TcpListener) -> Result<(), Failure> {
    let Member { cluster, identity } = member;
    let gate = Arc::new(Server {
        clients: cluster.group.clients.clone(),
        serving: Mutex::new(Serving {
            state: State::new(cluster.group.agreed.state_limits()),
            seq: Seq::ZERO,
            outlet: None,
        }),
    });
    let address = cluster.addresses().swap_remove(0);
    let transport = Tcp::new(TcpConfig::replica(Listen::Bound(listener), vec![address]));
    let outlet = Box::new(transport)
        .start(node(&cluster, SERVER, identity), Arc::clone(&gate) as Arc<dyn Gate>)
        .map_err(|error| Failure::new(error.to_string(), "mend what is named, then start again"))?;
    gate.serving.lock().unwrap_or_else(PoisonError::into_inner).outlet = Some(outlet);
    Ok(())
}

/// Executes what arrives in the task of its connection.
struct Server {
    clients: BTreeMap<ClientId, PublicKey>,
    serving: Mutex<Serving>,
}

struct Serving {
    state: State,
    /// Operations executed.
    seq: Seq,
    outlet: Option<Box<dyn Outlet>>,
}

impl Serving {
    /// Executes a request and makes its reply; none for what is no request.
    fn serve(&mut self, body: &Bytes) -> Option<Payload> {
        let (token, rest) = body.split_first_chunk::<8>()?;
        let (read_only, operation) = rest.split_first()?;
        self.seq = self.seq.next();
        let (code, result) = match self.execute(*read_only != 0, operation) {
            Ok(result) => (0, result),
            Err(refusal) => (refusal.code, Bytes::new()),
        };
        let mut reply = BytesMut::with_capacity(12 + result.len());
        reply.put_slice(token);
        reply.put_u32(code);
        reply.put_slice(&result);
        Some(Payload::new(Kind::Reply, reply.freeze()))
    }

    fn execute(&mut self, read_only: bool, operation: &[u8]) -> Result<Bytes, Refusal> {
        let (seq, time) = (self.seq, Wall(self.seq.0));
        if read_only {
            return Counters.query(&self.state, &Query { seq, time }, operation);
        }
        let request = RequestId { client: ClientId(0), session: SessionId(0), timestamp: Timestamp(seq.0) };
        let context =
            Execution { seq, time, seed: Seed::new(Digest::default(), seq.0), extra: &Bytes::new(), request };
        Counters.execute(&mut self.state, &context, operation)
    }
}

impl Gate for Server {
    fn connected(&self, _connected: Connected) {}

    fn disconnected(&self, _peer: Peer) {}

    fn receive(&self, peer: Peer, frames: Vec<Frame>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = frames.iter().filter(|frame| frame.kind == Kind::Request);
        let replies: Vec<Outbound> = requests
            .filter_map(|frame| serving.serve(&frame.body))
            .map(|payload| Outbound { to: vec![peer], payload })
            .collect();
        if let Some(outlet) = &serving.outlet {
            outlet.send(replies);
        }
        Box::pin(std::future::ready(()))
    }

    fn rejected(&self, peer: Option<Peer>, reason: &'static str) {
        tracing::warn!(?peer, reason, "rejected");
    }

    fn public_key(&self, peer: Peer) -> Option<PublicKey> {
        match peer {
            Peer::Client(id) => self.clients.get(&id).copied(),
            Peer::Replica(_) => None,
        }
    }
}
