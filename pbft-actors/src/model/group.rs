//! Keys and configuration of a group that exists in one process only, and what its members may sign.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::{Member, Said};
use crate::crypto::{Digest, Identity, MacKey};
use crate::message::{
    Binding, ClusterId, Hints, Keyring, Kind, Opener, Operation, Payload, Peer, Request, Signer,
};
use crate::ports::config::{Agreed, Tuning};
use crate::ports::service::AnyService;
use crate::replica::ReplicaConfig;
use crate::role::To;
use crate::types::{ClientId, LogId, Quorums, ReplicaId, SessionId, Timestamp};

/// The only client.
pub(crate) const CLIENT: ClientId = ClientId(1);

const HINTS: Hints = Hints { replier: None, ordered: false };

/// A group of four with one client.
#[derive(Clone)]
pub(crate) struct Group {
    agreed: Arc<Agreed>,
    service: Arc<dyn AnyService>,
}

impl Group {
    /// A group that takes a checkpoint every `interval` batches.
    pub(crate) fn new(interval: u64, service: Arc<dyn AnyService>) -> Self {
        let replicas = (0..4).map(|id| identity_of(ReplicaId(id)).public_key()).collect();
        let agreed = Agreed {
            checkpoint_interval: interval,
            window: 2 * interval,
            ..Agreed::new(ClusterId([7; 16]), replicas)
        };
        Self { agreed: Arc::new(agreed), service }
    }

    /// The counting rules.
    pub(crate) fn quorums(&self) -> Quorums {
        self.agreed.quorums()
    }

    /// L.
    pub(crate) fn window(&self) -> u64 {
        self.agreed.window
    }

    pub(crate) fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        self.agreed.quorums().replicas()
    }

    /// Opens what `own` receives.
    pub(crate) fn opener(&self, own: Peer) -> Opener {
        let Agreed { checkpoint_interval, window, .. } = *self.agreed;
        let (quorums, replicas) = (self.agreed.quorums(), self.agreed.replicas.clone());
        let mut keyring = Keyring::new(own, quorums, self.binding(), replicas);
        keyring.insert_client(CLIENT, client_identity().public_key());
        keyring.insert_request_key(CLIENT, 1, MacKey::new([9; 32]));
        Opener { keyring, interval: checkpoint_interval, window }
    }

    pub(crate) fn binding(&self) -> Binding {
        self.agreed.binding()
    }

    /// What a replica signs with.
    pub(crate) fn signer(&self, own: ReplicaId) -> Signer {
        Signer { sender: own, log: log_of(own), identity: identity_of(own), binding: self.binding() }
    }

    /// What a replica is made from.
    pub(crate) fn config(&self, own: ReplicaId) -> ReplicaConfig {
        ReplicaConfig {
            own,
            identity: identity_of(own),
            log: log_of(own),
            agreed: self.agreed.clone(),
            tuning: Tuning { tentative_execution: false, ..Tuning::default() },
            service: self.service.clone(),
            entropy: Digest::of(&[own.0]),
        }
    }

    /// The client's request with this timestamp, signed; timestamp 0 opens the session.
    pub(crate) fn request(&self, timestamp: u64, operation: &'static [u8]) -> Request {
        Request::signed(operation_of(timestamp, operation), &client_identity(), &self.binding(), HINTS)
    }

    /// The same with a MAC for every replica.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn maced_request(&self, timestamp: u64, operation: &'static [u8]) -> Request {
        let mut keys = crate::message::RequestKeys::default();
        keys.insert(1, MacKey::new([9; 32]));
        Request::authenticated(
            operation_of(timestamp, operation),
            self.replicas().map(|_| Some(&keys)),
            HINTS,
        )
    }

    /// All members, each of which has its memory, once the requests were executed everywhere. `seen` is
    /// shown every message.
    pub(crate) fn started(
        &self,
        requests: &[Request],
        seen: &mut impl FnMut(Peer, Peer, &Payload),
    ) -> Vec<Member> {
        let mut members: Vec<Member> = self.replicas().map(|own| Member::new(self, own)).collect();
        let said = members.iter_mut().map(|member| (member.own(), member.start(self))).collect();
        self.settle(&mut members, said, seen);
        for request in requests {
            let payload = Payload::new(Kind::Request, request.wire().clone());
            let mut said = Vec::new();
            for member in &mut members {
                seen(Peer::Client(CLIENT), Peer::Replica(member.own()), &payload);
                let heard = member.on_message(Peer::Client(CLIENT), Kind::Request, payload.body().clone());
                said.push((member.own(), heard.expect("the client's own request")));
            }
            self.settle(&mut members, said, seen);
        }
        members
    }

    /// Delivers what members said, and what they say to that, in the order in which it was said.
    pub(crate) fn settle(
        &self,
        members: &mut [Member],
        said: Vec<(ReplicaId, Vec<Said>)>,
        seen: &mut impl FnMut(Peer, Peer, &Payload),
    ) {
        let mut waiting = VecDeque::from(said);
        while let Some((from, said)) = waiting.pop_front() {
            for (to, message) in said.into_iter().filter_map(Said::message) {
                let (from, payload) = (Peer::Replica(from), message.payload());
                if let To::Client(client) = to {
                    seen(from, Peer::Client(client), &payload);
                }
                for member in members.iter_mut().filter(|member| names(to, from, member.own())) {
                    seen(from, Peer::Replica(member.own()), &payload);
                    let heard = member.on_message(from, payload.kind(), payload.body().clone());
                    waiting.push_back((member.own(), heard.expect("members say what opens")));
                }
            }
        }
    }
}

/// Whether a message from `from` for `to` is for this replica.
pub(crate) fn names(to: To, from: Peer, replica: ReplicaId) -> bool {
    match to {
        To::Replica(id) => id == replica,
        To::Others => from != Peer::Replica(replica),
        To::Replicas(set) => set.contains(replica),
        To::Client(_) => false,
    }
}

fn operation_of(timestamp: u64, operation: &'static [u8]) -> Operation {
    Operation {
        client: CLIENT,
        session: SessionId(1),
        timestamp: Timestamp(timestamp),
        answered_below: Timestamp(timestamp.min(1)),
        read_only: false,
        operation: Bytes::from_static(operation),
    }
}

pub(crate) fn identity_of(replica: ReplicaId) -> Identity {
    Identity::simulated([replica.0; 32])
}

fn client_identity() -> Identity {
    Identity::simulated([200; 32])
}

fn log_of(replica: ReplicaId) -> LogId {
    LogId { number: 100, salt: u64::from(replica.0) }
}
