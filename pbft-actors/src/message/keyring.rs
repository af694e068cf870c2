use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Peer;
use crate::crypto::{Hasher, MacKey, PublicKey, TAG_BYTES, Tag};
use crate::types::{ClientId, Quorums, ReplicaId};

/// Version of the protocol; part of every proof.
pub(crate) const PROTOCOL_VERSION: u64 = 1;
/// Most clients whose request keys a replica remembers; beyond it the lowest id makes room.
pub const CLIENTS_WITH_KEYS_MAX: usize = 65_536;
/// Request keys remembered per client: the current one and the one before (PROTOCOL 3).
const KEYS_PER_CLIENT: usize = 2;

/// The random name of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ClusterId(pub [u8; 16]);

/// What every proof binds besides kind and sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Binding {
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch of the agreed configuration.
    pub epoch: u64,
}

impl Binding {
    /// Adds what every proof binds to a digest.
    pub fn hash_into(&self, hasher: &mut Hasher) {
        hasher.number(PROTOCOL_VERSION).part(&self.cluster.0).number(self.epoch);
    }
}

/// A client's keys with one replica, by the epoch that its authenticators name.
#[derive(Clone, Debug, Default)]
pub struct RequestKeys {
    // Newest last.
    keys: Vec<(u32, MacKey)>,
}

impl RequestKeys {
    /// Adds a key; of three the oldest goes.
    pub fn insert(&mut self, epoch: u32, key: MacKey) {
        self.keys.retain(|(known, _)| *known != epoch);
        self.keys.push((epoch, key));
        if self.keys.len() > KEYS_PER_CLIENT {
            self.keys.remove(0);
        }
    }

    /// The key of an epoch, if it is one of the last two.
    pub fn of_epoch(&self, epoch: u32) -> Option<&MacKey> {
        self.keys.iter().find(|(known, _)| *known == epoch).map(|(_, key)| key)
    }

    /// The newest key with its epoch.
    pub fn newest(&self) -> Option<(u32, &MacKey)> {
        self.keys.last().map(|(epoch, key)| (*epoch, key))
    }
}

/// The tag of a request's authenticator for one replica, over what a proof covers.
pub(super) fn request_tag(key: &MacKey, covered: &[u8]) -> Tag {
    key.tag(&[b"pbft request MAC", covered])
}

/// Whether a tag is the one for a request.
pub(super) fn request_tag_is_good(key: &MacKey, covered: &[u8], tag: &[u8]) -> bool {
    debug_assert_eq!(request_tag(key, covered).len(), TAG_BYTES);
    key.verify(&[b"pbft request MAC", covered], tag)
}

/// Everything by which this node recognises others.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// This node.
    pub own: Peer,
    /// The group's counting rules.
    pub quorums: Quorums,
    /// What every proof binds.
    pub binding: Binding,
    replicas: Vec<PublicKey>,
    clients: BTreeMap<ClientId, PublicKey>,
    request_keys: BTreeMap<ClientId, RequestKeys>,
}

impl Keyring {
    /// A keyring that knows the group's `replicas`, in the order of their ids.
    ///
    /// # Panics
    /// If there is not one key per replica.
    pub fn new(own: Peer, quorums: Quorums, binding: Binding, replicas: Vec<PublicKey>) -> Self {
        assert_eq!(replicas.len(), quorums.n(), "one public key per replica");
        Self { own, quorums, binding, replicas, clients: BTreeMap::new(), request_keys: BTreeMap::new() }
    }

    /// Adds a client of the directory, or replaces its key.
    pub fn insert_client(&mut self, id: ClientId, key: PublicKey) {
        self.clients.insert(id, key);
    }

    /// Removes a client that the directory no longer names.
    pub fn remove_client(&mut self, id: ClientId) {
        self.clients.remove(&id);
        self.request_keys.remove(&id);
    }

    /// The clients known.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> + '_ {
        self.clients.keys().copied()
    }

    /// A peer's public key, if it is known.
    pub fn public_key(&self, peer: Peer) -> Option<PublicKey> {
        match peer {
            Peer::Replica(id) => self.replicas.get(id.index()).copied(),
            Peer::Client(id) => match id.replica() {
                Some(replica) => self.public_key(Peer::Replica(replica)),
                None => self.clients.get(&id).copied(),
            },
        }
    }

    /// The public key of a replica, if it is a member.
    pub(super) fn replica_key(&self, id: ReplicaId) -> Option<PublicKey> {
        self.public_key(Peer::Replica(id))
    }

    /// Remembers a request key that a handshake with a client established.
    pub fn insert_request_key(&mut self, client: ClientId, epoch: u32, key: MacKey) {
        if !self.request_keys.contains_key(&client) && self.request_keys.len() >= CLIENTS_WITH_KEYS_MAX {
            self.request_keys.pop_first();
        }
        self.request_keys.entry(client).or_default().insert(epoch, key);
    }

    /// A client's request keys with this replica.
    pub fn request_keys(&self, client: ClientId) -> Option<&RequestKeys> {
        self.request_keys.get(&client)
    }
}
