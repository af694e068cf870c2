//! Frames' way in: opened in the task of their connection, one mail per role and socket read, and
//! the connection waits until all are handled.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use actix::prelude::*;

use super::client::{Client, Inputs};
use super::hub::Mailboxes;
use super::replica::{Link, Replica};
use super::role_actor::{InFlight, Mails};
use super::transport::{Connected, Gate};
use crate::crypto::PublicKey;
use crate::message::{Frame, Opened, Opener, Peer};
use crate::replica::{Inbound, route};
use crate::role::{Mail, OrdererInput};
use crate::roles::client::ClientInput;

/// What was refused, by reason.
#[derive(Debug, Default)]
pub(super) struct Rejections(Mutex<BTreeMap<&'static str, u64>>);

impl Rejections {
    fn count(&self, peer: Option<Peer>, reason: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
        match peer {
            Some(peer) => tracing::debug!(%peer, reason, "rejected"),
            None => tracing::debug!(reason, "rejected"),
        }
    }

    pub(super) fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A replica's gate.
pub(super) struct ReplicaGate {
    pub(super) opener: Arc<RwLock<Opener>>,
    pub(super) mailboxes: Mailboxes,
    pub(super) in_flight: InFlight,
    pub(super) replica: Addr<Replica>,
    pub(super) rejections: Arc<Rejections>,
}

impl ReplicaGate {
    fn open(&self, peer: Peer, frames: Vec<Frame>) -> Vec<Mail> {
        let mut inbound = Inbound::default();
        let opener = self.opener.read().unwrap_or_else(PoisonError::into_inner);
        for frame in frames {
            match opener.open_frame(peer, frame) {
                Ok(opened) => {
                    if let Opened::Requests(_, rejects) = &opened {
                        rejects.iter().for_each(|reject| self.rejections.count(Some(peer), reject.name()));
                    }
                    route(opened, &mut inbound);
                }
                Err(reject) => self.rejections.count(Some(peer), reject.name()),
            }
        }
        inbound.into_mail()
    }

    async fn post<I: Send + 'static>(&self, to: &Recipient<Mails<I>>, inputs: Vec<I>) {
        if !inputs.is_empty() {
            self.in_flight.raise();
            if to.send(Mails { inputs, turn_end: false }).await.is_err() {
                self.in_flight.lower();
            }
        }
    }
}

impl Gate for ReplicaGate {
    fn connected(&self, connected: Connected) {
        let peer = connected.peer;
        match peer {
            Peer::Replica(replica) => {
                self.in_flight.raise();
                let inputs = vec![OrdererInput::PeerLog { replica, log: connected.log }];
                self.mailboxes.orderer.do_send(Mails { inputs, turn_end: false });
            }
            Peer::Client(client) => {
                if let Some((epoch, key)) = connected.request_key {
                    let mut opener = self.opener.write().unwrap_or_else(PoisonError::into_inner);
                    opener.keyring.insert_request_key(client, epoch, key);
                }
            }
        }
        self.replica.do_send(Link { peer, up: true });
    }

    fn disconnected(&self, peer: Peer) {
        self.replica.do_send(Link { peer, up: false });
    }

    fn receive(&self, peer: Peer, frames: Vec<Frame>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let (mut batcher, mut orderer, mut checkpointer) = (Vec::new(), Vec::new(), Vec::new());
            let (mut view_changer, mut executor) = (Vec::new(), Vec::new());
            for mail in self.open(peer, frames) {
                match mail {
                    Mail::Batcher(input) => batcher.push(input),
                    Mail::Orderer(input) => orderer.push(input),
                    Mail::Checkpointer(input) => checkpointer.push(input),
                    Mail::ViewChanger(input) => view_changer.push(input),
                    Mail::Executor(input) => executor.push(input),
                }
            }
            self.post(&self.mailboxes.orderer, orderer).await;
            self.post(&self.mailboxes.executor, executor).await;
            self.post(&self.mailboxes.batcher, batcher).await;
            self.post(&self.mailboxes.checkpointer, checkpointer).await;
            self.post(&self.mailboxes.view_changer, view_changer).await;
        })
    }

    fn rejected(&self, peer: Option<Peer>, reason: &'static str) {
        self.rejections.count(peer, reason);
    }

    fn public_key(&self, peer: Peer) -> Option<PublicKey> {
        self.opener.read().unwrap_or_else(PoisonError::into_inner).keyring.public_key(peer)
    }
}

/// A client's gate.
pub(super) struct ClientGate {
    pub(super) opener: Opener,
    pub(super) client: Addr<Client>,
    pub(super) rejections: Arc<Rejections>,
}

impl Gate for ClientGate {
    fn connected(&self, connected: Connected) {
        if let (Peer::Replica(replica), Some((epoch, key))) = (connected.peer, connected.request_key) {
            self.client.do_send(Inputs(vec![ClientInput::RequestKey { replica, epoch, key }]));
        }
    }

    fn disconnected(&self, peer: Peer) {
        if let Peer::Replica(replica) = peer {
            self.client.do_send(Inputs(vec![ClientInput::LinkLost(replica)]));
        }
    }

    fn receive(&self, peer: Peer, frames: Vec<Frame>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut inputs = Vec::with_capacity(frames.len());
            for frame in frames {
                match self.opener.open_frame(peer, frame) {
                    Ok(Opened::Reply(reply)) => inputs.push(ClientInput::Reply(reply)),
                    Ok(Opened::Replies(replies)) => {
                        inputs.extend(replies.into_iter().map(ClientInput::Reply));
                    }
                    Ok(Opened::NeedSignature(need)) => inputs.push(ClientInput::NeedSignature(need)),
                    Ok(Opened::Busy(busy)) => inputs.push(ClientInput::Busy(busy)),
                    Ok(_) => self.rejections.count(Some(peer), "kind"),
                    Err(reject) => self.rejections.count(Some(peer), reject.name()),
                }
            }
            if !inputs.is_empty() && self.client.send(Inputs(inputs)).await.is_err() {
                tracing::debug!("the client has stopped");
            }
        })
    }

    fn rejected(&self, peer: Option<Peer>, reason: &'static str) {
        self.rejections.count(peer, reason);
    }

    fn public_key(&self, peer: Peer) -> Option<PublicKey> {
        self.opener.keyring.public_key(peer)
    }
}
