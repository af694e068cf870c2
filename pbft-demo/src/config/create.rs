//! A new cluster: keys that nobody else has, and the file that names their public halves.

use std::fs;
use std::io::Write;
use std::path::Path;

use pbft_actors::message::ClusterId;
use pbft_actors::types::{ClientId, REPLICAS_MAX, REPLICAS_MIN, ReplicaId};
use ring::rand::{SecureRandom, SystemRandom};

use super::{AgreedSection, CLUSTER_FILE, ClientSection, ClusterFile, KeyOwner, ReplicaSection};
use super::{TuningSection, key_path, keys, to_hex};
use crate::{Failure, unix};

/// From a replica's port to the one where it answers `status`.
const ADMIN_PORT_OFFSET: u16 = 100;

const INTRODUCTION: &str = "\
# A PBFT cluster. Every node reads this file; the secret keys are beside it in keys/, one per node:
# give each machine this file and its own key, and nothing else.
#
# [agreed] and the replicas' public keys must be the same everywhere: nodes that differ refuse each
# other and name the key. [tuning], addresses and clients may differ.

";

/// What a new cluster is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewCluster {
    /// Replicas.
    pub replicas: u8,
    /// Clients.
    pub clients: u32,
    /// Replica I listens at this port plus I, and answers `status` 100 above that.
    pub base_port: u16,
}

/// Writes the cluster file and all keys into `directory`.
///
/// # Errors
/// Sizes that no group has, a cluster file that is there already, a directory that cannot be written.
pub fn create(directory: &Path, new: NewCluster) -> Result<(), Failure> {
    check(new)?;
    let path = directory.join(CLUSTER_FILE);
    if path.exists() {
        return Err(Failure::new(
            format!("{} exists already", path.display()),
            "use another --dir, or move the old cluster away; its keys cannot be made again",
        ));
    }
    unix::create_secret_directory(&directory.join("keys")).map_err(|error| {
        Failure::new(format!("cannot make {}: {error}", directory.display()), "choose another --dir")
    })?;
    let mut file = ClusterFile {
        agreed: AgreedSection::new(random_cluster()?),
        tuning: TuningSection::default(),
        replicas: Vec::new(),
        clients: Vec::new(),
    };
    for id in 0..new.replicas {
        let port = new.base_port + u16::from(id);
        file.replicas.push(ReplicaSection {
            id,
            address: format!("127.0.0.1:{port}"),
            admin: format!("127.0.0.1:{}", port + ADMIN_PORT_OFFSET),
            public_key: new_key(directory, KeyOwner::Replica(ReplicaId(id)))?,
        });
    }
    for id in 0..new.clients {
        let public_key = new_key(directory, KeyOwner::Client(ClientId(id)))?;
        file.clients.push(ClientSection { id, public_key });
    }
    write(&path, &file)
}

fn check(new: NewCluster) -> Result<(), Failure> {
    let n = usize::from(new.replicas);
    if !(REPLICAS_MIN..=REPLICAS_MAX).contains(&n) {
        let cause =
            format!("--replicas {n}: a group that tolerates a fault has {REPLICAS_MIN} replicas or more");
        return Err(Failure::new(
            cause,
            format!("choose {REPLICAS_MIN} to {REPLICAS_MAX}; 3f+1 for f faults"),
        ));
    }
    if new.clients == 0 {
        return Err(Failure::new("--clients 0: nobody could use the cluster", "choose 1 or more"));
    }
    let highest_offset = ADMIN_PORT_OFFSET + u16::from(new.replicas);
    if new.base_port == 0 || new.base_port.checked_add(highest_offset).is_none() {
        let cause = format!("--base-port {}: some of the cluster's ports would be none", new.base_port);
        return Err(Failure::new(cause, format!("choose 1 to {}", u16::MAX - highest_offset)));
    }
    Ok(())
}

fn random_cluster() -> Result<ClusterId, Failure> {
    let mut name = [0; 16];
    SystemRandom::new()
        .fill(&mut name)
        .map_err(|_| Failure::new("the operating system gave no random bytes", "try again"))?;
    Ok(ClusterId(name))
}

fn new_key(directory: &Path, owner: KeyOwner) -> Result<String, Failure> {
    let public = keys::create(&key_path(directory, owner))?;
    let (pbft_actors::crypto::PublicKey::Ed25519(bytes) | pbft_actors::crypto::PublicKey::Simulated(bytes)) =
        public;
    Ok(to_hex(&bytes))
}

/// Writes a cluster file; one that exists must be meant to be replaced.
pub(crate) fn write(path: &Path, file: &ClusterFile) -> Result<(), Failure> {
    let text = toml::to_string_pretty(file).expect("the sections have only types that TOML has");
    let write = || -> std::io::Result<()> {
        let mut out = fs::File::create(path)?;
        out.write_all(INTRODUCTION.as_bytes())?;
        out.write_all(text.as_bytes())?;
        out.sync_all()
    };
    write().map_err(|error| {
        Failure::new(format!("cannot write {}: {error}", path.display()), "make the directory writable")
    })
}
