//! From a description to a running replica or client. `start` exists only once everything that has
//! no default was chosen.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use actix::prelude::*;
use thiserror::Error;
use tokio::sync::oneshot;

use super::client::{Client, SetOutlet};
use super::digester::Digester;
use super::gate::{ClientGate, Rejections, ReplicaGate};
use super::hub::{Hub, Mailboxes, Wire};
use super::replica::{Replica, SetHub};
use super::role_actor::{InFlight, RoleActor};
use super::storage::{Durable, Storage, StorageError};
use super::transport::{Node, Transport, TransportError};
use super::writer::{DiskCounts, Writers};
use super::{clock, thread};
use crate::crypto::{Identity, PublicKey};
use crate::message::{Keyring, Opener, Peer};
use crate::ports::config::{Agreed, Tuning, Violation};
use crate::ports::service::Service;
use crate::replica::{ReplicaConfig, Roles, StoredState};
use crate::role::Remembered;
use crate::roles::client::{self as role, ClientConfig, ClientTuning};
use crate::types::{ClientId, LogId, ReplicaId, SessionId};

/// What every node of a group knows.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// What all must agree on.
    pub agreed: Agreed,
    /// What each replica may choose for itself.
    pub tuning: Tuning,
    /// Clients that may connect, with their public keys.
    pub clients: BTreeMap<ClientId, PublicKey>,
}

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Rules of the configuration that are broken, all of them.
    #[error("the configuration cannot work:{}", list(.0))]
    Config(Vec<Violation>),
    /// The identity is not the one that the configuration names.
    #[error(
        "the private key of {0} does not belong to the public key in the configuration; use the key that was made with it"
    )]
    Identity(String),
    /// The transport did not start.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No thread could be started.
    #[error("no thread for the node: {0}")]
    Thread(String),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

/// Nothing chosen yet.
#[derive(Clone, Copy, Debug)]
pub struct NotChosen;

/// Describes a replica.
pub struct ReplicaBuilder<S, J, T> {
    group: GroupConfig,
    id: ReplicaId,
    identity: Identity,
    service: S,
    storage: J,
    transport: T,
}

impl ReplicaBuilder<NotChosen, NotChosen, NotChosen> {
    pub(super) fn new(group: GroupConfig, id: ReplicaId, identity: Identity) -> Self {
        Self { group, id, identity, service: NotChosen, storage: NotChosen, transport: NotChosen }
    }
}

impl<J, T> ReplicaBuilder<NotChosen, J, T> {
    /// The service to replicate.
    pub fn service<S: Service>(self, service: S) -> ReplicaBuilder<S, J, T> {
        let Self { group, id, identity, storage, transport, .. } = self;
        ReplicaBuilder { group, id, identity, service, storage, transport }
    }
}

impl<S, T> ReplicaBuilder<S, NotChosen, T> {
    /// Where it keeps what it must not forget.
    pub fn storage<J: Storage>(self, storage: J) -> ReplicaBuilder<S, J, T> {
        let Self { group, id, identity, service, transport, .. } = self;
        ReplicaBuilder { group, id, identity, service, storage, transport }
    }
}

impl<S, J> ReplicaBuilder<S, J, NotChosen> {
    /// What carries its messages.
    pub fn transport<T: Transport>(self, transport: T) -> ReplicaBuilder<S, J, T> {
        let Self { group, id, identity, service, storage, .. } = self;
        ReplicaBuilder { group, id, identity, service, storage, transport }
    }
}

impl<S: Service, J: Storage, T: Transport> ReplicaBuilder<S, J, T> {
    /// Starts the replica on a thread of its own, under any kind of main.
    ///
    /// # Errors
    /// Every broken rule of the configuration at once, a key that is not this replica's, an address
    /// that cannot be used, a directory that is another replica's, in use or cannot be read.
    pub fn start(self) -> Result<Addr<Replica>, StartError> {
        let Self { mut group, id, identity, service, storage, transport } = self;
        group.agreed.service = S::NAME.to_owned();
        group.agreed.service_version = S::VERSION;
        group.check()?;
        if group.agreed.replicas.get(id.index()) != Some(&identity.public_key()) {
            return Err(StartError::Identity(format!("replica {id}")));
        }
        thread::spawn(format!("pbft-replica-{id}"), move || {
            start_replica(group, id, identity, service, storage.into_durable(), transport)
        })
    }
}

fn start_replica<S: Service, T: Transport>(
    group: GroupConfig,
    id: ReplicaId,
    identity: Identity,
    service: S,
    storage: Option<Durable>,
    transport: T,
) -> Result<(Addr<Replica>, impl Future<Output = ()>), StartError> {
    let (ended, end) = oneshot::channel();
    let agreed = Arc::new(group.agreed.clone());
    let opener = group.opener(Peer::Replica(id));
    let fresh = clock::log_id();
    let contents = storage.map(|durable| durable.read(&opener, fresh)).transpose()?;
    let log = contents.as_ref().map_or(fresh, |contents| contents.log);
    let config = ReplicaConfig {
        own: id,
        identity: identity.clone(),
        log,
        agreed: agreed.clone(),
        tuning: group.tuning.clone(),
        service: Arc::new(service),
        entropy: clock::entropy(),
    };
    let opener = Arc::new(RwLock::new(opener));
    let (in_flight, rejections) = (InFlight::default(), Arc::new(Rejections::default()));
    let counts = contents.as_ref().map(|_| Arc::new(DiskCounts::default()));
    let replica = Replica::new(id, opener.clone(), rejections.clone(), counts.clone(), ended).start();
    let hub = Hub::new(id, agreed.quorums(), in_flight.clone(), replica.clone()).start();
    let (mut writers, mut threads, mut remembered, mut stored) =
        (None, Vec::new(), Remembered::default(), None);
    if let Some(contents) = contents {
        remembered = contents.remembered;
        stored = Some(StoredState::of(&contents.pages));
        let counts = counts.unwrap_or_default();
        let scrub = config.tuning.scrub_bytes_per_second;
        let started = Writers::start(id, contents.journal, contents.pages, scrub, hub.clone(), counts)?;
        (writers, threads) = (Some(started.0), started.1);
    }
    let (digester, digesting) = Digester::start(id, hub.clone())?;
    threads.push(digesting);
    let (roles, first) = Roles::new(&config, remembered, stored);
    let Roles { batcher, orderer, checkpointer, view_changer, executor } = roles;
    macro_rules! start_role {
        ($name:literal, $driver:expr) => {
            RoleActor::new($name, $driver, hub.clone(), in_flight.clone()).start().recipient()
        };
    }
    let mailboxes = Mailboxes {
        batcher: start_role!("request batcher", batcher),
        orderer: start_role!("three-phase orderer", orderer),
        checkpointer: start_role!("checkpointer", checkpointer),
        view_changer: start_role!("view-change manager", view_changer),
        executor: start_role!("executor", executor),
    };
    let gate = Arc::new(ReplicaGate {
        opener,
        mailboxes: mailboxes.clone(),
        in_flight,
        replica: replica.clone(),
        rejections,
    });
    let node = Node { own: Peer::Replica(id), identity, agreed, log };
    let outlet = Box::new(transport).start(node, gate)?;
    hub.do_send(Wire { mailboxes, outlet, digester, writers, first });
    replica.do_send(SetHub(hub));
    Ok((replica, async move {
        // Fails only if the actor is gone, which ends the replica just as well.
        let farewell = end.await;
        // What is queued for the links is written before the system ends.
        tokio::time::sleep(DRAIN).await;
        // Whoever starts it again finds the directory free and everything in it.
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(replica = %id, "a thread that works for it panicked");
            }
        }
        if let Ok(farewell) = farewell {
            farewell.say();
        }
    }))
}

/// How long a stopped node's links may go on to write what was queued.
const DRAIN: std::time::Duration = std::time::Duration::from_millis(100);

/// Describes a client.
pub struct ClientBuilder<T> {
    group: GroupConfig,
    id: ClientId,
    identity: Identity,
    tuning: ClientTuning,
    transport: T,
}

impl ClientBuilder<NotChosen> {
    pub(super) fn new(group: GroupConfig, id: ClientId, identity: Identity) -> Self {
        Self { group, id, identity, tuning: ClientTuning::default(), transport: NotChosen }
    }

    /// What carries its messages.
    pub fn transport<T: Transport>(self, transport: T) -> ClientBuilder<T> {
        let Self { group, id, identity, tuning, .. } = self;
        ClientBuilder { group, id, identity, tuning, transport }
    }
}

impl<T> ClientBuilder<T> {
    /// Retries and signatures.
    pub fn tuning(mut self, tuning: ClientTuning) -> Self {
        self.tuning = tuning;
        self
    }
}

impl<T: Transport> ClientBuilder<T> {
    /// The service that the client talks to, if it should be compared in the handshake. Must be the
    /// one that the replicas run.
    pub fn service<S: Service>(mut self) -> Self {
        self.group.agreed.service = S::NAME.to_owned();
        self.group.agreed.service_version = S::VERSION;
        self
    }

    /// Starts the client on a thread of its own, under any kind of main.
    ///
    /// # Errors
    /// As [`ReplicaBuilder::start`].
    pub fn start(self) -> Result<Addr<Client>, StartError> {
        self.check()?;
        let Self { group, id, identity, tuning, transport } = self;
        thread::spawn(format!("pbft-client-{id}"), move || {
            start_client(group, id, identity, tuning, transport)
        })
    }

    /// Starts the client on the arbiter of the caller: many clients share one thread, and a caller there
    /// saves a wake-up of another thread per mail. The client ends with the arbiter.
    ///
    /// # Errors
    /// As [`Self::start`], and where no actix system runs on this thread.
    pub fn start_here(self) -> Result<Addr<Client>, StartError> {
        self.check()?;
        if actix_rt::Arbiter::try_current().is_none() {
            let why = "no actix system runs on this thread; start one first, or use `start`";
            return Err(StartError::Thread(why.to_owned()));
        }
        let Self { group, id, identity, tuning, transport } = self;
        let (client, ended) = start_client(group, id, identity, tuning, transport)?;
        actix_rt::spawn(ended);
        Ok(client)
    }

    fn check(&self) -> Result<(), StartError> {
        self.group.check()?;
        if self.group.clients.get(&self.id) != Some(&self.identity.public_key()) {
            return Err(StartError::Identity(format!("client {}", self.id)));
        }
        Ok(())
    }
}

fn start_client<T: Transport>(
    group: GroupConfig,
    id: ClientId,
    identity: Identity,
    tuning: ClientTuning,
    transport: T,
) -> Result<(Addr<Client>, impl Future<Output = ()>), StartError> {
    let (ended, end) = oneshot::channel();
    let quorums = group.agreed.quorums();
    let config = ClientConfig {
        id,
        identity: identity.clone(),
        binding: group.agreed.binding(),
        quorums,
        client_window: group.agreed.client_window,
        tuning,
        first_session: SessionId(clock::wall().0),
        entropy: clock::entropy(),
    };
    let rejections = Arc::new(Rejections::default());
    let client = Client::new(id, quorums, role::Client::new(config), rejections.clone(), ended).start();
    let opener = group.opener(Peer::Client(id));
    let gate = Arc::new(ClientGate { opener, client: client.clone(), rejections });
    let agreed = Arc::new(group.agreed);
    let node = Node { own: Peer::Client(id), identity, agreed, log: LogId::default() };
    let outlet = Box::new(transport).start(node, gate)?;
    client.do_send(SetOutlet(outlet));
    Ok((client, async move {
        let _ended = end.await;
        tokio::time::sleep(DRAIN).await;
    }))
}

impl GroupConfig {
    /// A group with default tuning.
    pub fn new(agreed: Agreed, clients: BTreeMap<ClientId, PublicKey>) -> Self {
        Self { agreed, tuning: Tuning::default(), clients }
    }

    /// Every broken rule.
    ///
    /// # Errors
    /// All of them at once.
    pub fn check(&self) -> Result<(), StartError> {
        let mut violations = self.agreed.violations();
        violations.extend(self.tuning.violations());
        if violations.is_empty() { Ok(()) } else { Err(StartError::Config(violations)) }
    }

    fn opener(&self, own: Peer) -> Opener {
        let Agreed { checkpoint_interval, window, .. } = self.agreed;
        let replicas = self.agreed.replicas.clone();
        let mut keyring = Keyring::new(own, self.agreed.quorums(), self.agreed.binding(), replicas);
        for (id, key) in &self.clients {
            keyring.insert_client(*id, *key);
        }
        Opener { keyring, interval: checkpoint_interval, window }
    }
}
