use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix::prelude::*;
use bytes::{BufMut, Bytes, BytesMut};
use pbft_actors::actor::transport::{Connected, Gate, Outbound, Outlet, Transport};
use pbft_actors::actor::{Committed, InvokeError, InvokeMany, Outcomes};
use pbft_actors::crypto::PublicKey;
use pbft_actors::message::{Frame, Kind, Payload, Peer, Refusal};
use pbft_actors::types::{ClientId, RequestId, Seq, SessionId, Timestamp};
use pbft_net::{Tcp, TcpConfig};
use slab::Slab;

use super::{SERVER, node};
use crate::Failure;
use crate::config::Member;

/// A client of the unreplicated server.
pub(crate) struct UnreplicatedClient {
    outlet: Option<Box<dyn Outlet>>,
    /// Invoked before there was a connection: what is sent then is lost.
    early: Option<Vec<InvokeMany>>,
    /// Whom each reply is for, by the token on the wire.
    waiting: Slab<(u64, Recipient<Outcomes>)>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Up;

#[derive(Message)]
#[rtype(result = "()")]
struct Replies(Vec<Frame>);

#[derive(Message)]
#[rtype(result = "()")]
struct SetOutlet(Box<dyn Outlet>);

impl UnreplicatedClient {
    /// Starts a client on the arbiter of the caller.
    ///
    /// # Errors
    /// The transport's.
    pub(crate) fn start_here(id: ClientId, member: Member) -> Result<Addr<Self>, Failure> {
        let Member { cluster, identity } = member;
        let client = Self { outlet: None, early: Some(Vec::new()), waiting: Slab::new() }.start();
        let server = cluster.group.agreed.replicas.first().copied();
        let gate = Arc::new(ClientGate { client: client.clone(), server });
        let address = cluster.addresses().swap_remove(0);
        let outlet = Box::new(Tcp::new(TcpConfig::client(vec![address])))
            .start(node(&cluster, Peer::Client(id), identity), gate)
            .map_err(|error| Failure::new(error.to_string(), "mend what is named, then try again"))?;
        client.do_send(SetOutlet(outlet));
        Ok(client)
    }

    fn send(&mut self, many: InvokeMany) {
        let InvokeMany { invocations, to } = many;
        let requests = invocations.into_iter().map(|(token, invoke)| {
            let wire = self.waiting.insert((token, to.clone())) as u64;
            let mut body = BytesMut::with_capacity(9 + invoke.operation().len());
            body.put_u64(wire);
            body.put_u8(invoke.is_read_only().into());
            body.put_slice(invoke.operation());
            Outbound { to: vec![SERVER], payload: Payload::new(Kind::Request, body.freeze()) }
        });
        let requests = requests.collect();
        if let Some(outlet) = &self.outlet {
            outlet.send(requests);
        }
    }

    /// Whom a reply is for, and what it says; none for what is no reply.
    fn outcome(
        &mut self,
        body: &Bytes,
    ) -> Option<(Recipient<Outcomes>, u64, Result<Committed, InvokeError>)> {
        let (wire, rest) = body.split_first_chunk::<8>()?;
        let (code, result) = rest.split_first_chunk::<4>()?;
        let (token, to) = self.waiting.try_remove(u64::from_be_bytes(*wire) as usize)?;
        let id = RequestId { client: ClientId(0), session: SessionId(0), timestamp: Timestamp(0) };
        let outcome = match u32::from_be_bytes(*code) {
            0 => Ok(Committed { id, seq: Seq::ZERO, result: body.slice_ref(result) }),
            code => Err(InvokeError::Refused { id, seq: Seq::ZERO, refusal: Refusal::new(code, "") }),
        };
        Some((to, token, outcome))
    }
}

impl Actor for UnreplicatedClient {
    type Context = Context<Self>;
}

impl Handler<SetOutlet> for UnreplicatedClient {
    type Result = ();

    fn handle(&mut self, SetOutlet(outlet): SetOutlet, _context: &mut Self::Context) {
        self.outlet = Some(outlet);
    }
}

impl Handler<Up> for UnreplicatedClient {
    type Result = ();

    fn handle(&mut self, _up: Up, _context: &mut Self::Context) {
        for many in self.early.take().unwrap_or_default() {
            self.send(many);
        }
    }
}

impl Handler<InvokeMany> for UnreplicatedClient {
    type Result = ();

    fn handle(&mut self, many: InvokeMany, _context: &mut Self::Context) {
        match &mut self.early {
            Some(early) => early.push(many),
            None => self.send(many),
        }
    }
}

impl Handler<Replies> for UnreplicatedClient {
    type Result = ();

    fn handle(&mut self, Replies(frames): Replies, _context: &mut Self::Context) {
        let mut told: Option<(Recipient<Outcomes>, Vec<_>)> = None;
        for frame in frames {
            let Some((to, token, outcome)) = self.outcome(&frame.body) else { continue };
            match &mut told {
                Some((known, outcomes)) if *known == to => outcomes.push((token, outcome)),
                _ => {
                    if let Some((to, outcomes)) = told.replace((to, vec![(token, outcome)])) {
                        to.do_send(Outcomes(outcomes));
                    }
                }
            }
        }
        if let Some((to, outcomes)) = told {
            to.do_send(Outcomes(outcomes));
        }
    }
}

struct ClientGate {
    client: Addr<UnreplicatedClient>,
    server: Option<PublicKey>,
}

impl Gate for ClientGate {
    fn connected(&self, _connected: Connected) {
        self.client.do_send(Up);
    }

    fn disconnected(&self, _peer: Peer) {}

    fn receive(&self, _peer: Peer, frames: Vec<Frame>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            if self.client.send(Replies(frames)).await.is_err() {
                tracing::debug!("the client has stopped");
            }
        })
    }

    fn rejected(&self, peer: Option<Peer>, reason: &'static str) {
        tracing::warn!(?peer, reason, "rejected");
    }

    fn public_key(&self, peer: Peer) -> Option<PublicKey> {
        self.server.filter(|_| peer == SERVER)
    }
}
