//! A cluster file that broke no rule, and the one secret key that is needed.

use std::fs;
use std::path::{Path, PathBuf};

use pbft_actors::actor::GroupConfig;
use pbft_actors::crypto::{Identity, PublicKey};
use pbft_actors::types::{ClientId, ReplicaId};

use super::{ClusterFile, KeyOwner, Problem, Problems, check, key_path, keys, unknown};

/// A cluster file that broke no rule.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What every node is told.
    pub group: GroupConfig,
    /// The file, its replicas in the order of their ids.
    pub file: ClusterFile,
    /// Where the file and the keys are.
    pub directory: PathBuf,
}

/// One node of a cluster, with its secret key.
#[derive(Clone, Debug)]
pub struct Member {
    /// The cluster.
    pub cluster: Cluster,
    /// The node's key.
    pub identity: Identity,
}

impl Cluster {
    /// Reads a cluster file.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::load_with(path, &[]).map(|(cluster, _)| cluster)
    }

    /// Reads the text of a cluster file, as if it were the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problems> {
        let mut found = Vec::new();
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        match read(text, &mut found) {
            Some((file, group)) if found.is_empty() => Ok(Self { group, file, directory }),
            _ => Err(Problems { file: path.to_owned(), found }),
        }
    }

    /// Reads a cluster file and the secret keys of some nodes.
    ///
    /// # Errors
    /// Everything that is wrong, with the file and with the keys, at once.
    pub fn load_with(path: &Path, owners: &[KeyOwner]) -> Result<(Self, Vec<Identity>), Problems> {
        let problems = |found| Problems { file: path.to_owned(), found };
        let text = fs::read_to_string(path).map_err(|error| {
            let cure = "name the file with --config, or make one with `pbft-demo init`";
            problems(vec![Problem::new("file", format!("cannot be read: {error}; {cure}"))])
        })?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut found = Vec::new();
        let Some((file, group)) = read(&text, &mut found) else { return Err(problems(found)) };
        let mut identities = Vec::new();
        for owner in owners {
            match identity(&directory, &group, *owner) {
                Ok(identity) => identities.push(identity),
                Err(problem) => found.push(problem),
            }
        }
        if found.is_empty() {
            Ok((Self { group, file, directory }, identities))
        } else {
            Err(problems(found))
        }
    }

    /// The replicas' addresses in the order of their ids.
    pub fn addresses(&self) -> Vec<String> {
        self.file.replicas.iter().map(|replica| replica.address.clone()).collect()
    }
}

/// The file and the group that it describes; none for what is no such file. Whatever is wrong is added
/// to `found`.
fn read(text: &str, found: &mut Vec<Problem>) -> Option<(ClusterFile, GroupConfig)> {
    match unknown::parse(text, found) {
        Ok(mut file) => {
            let group = check::group(&file, found);
            file.replicas.sort_by_key(|replica| replica.id);
            Some((file, group))
        }
        Err(problem) => {
            found.push(problem);
            None
        }
    }
}

impl Member {
    /// Reads a cluster file and the secret key of one node.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(path: &Path, owner: KeyOwner) -> Result<Self, Problems> {
        let (cluster, identities) = Cluster::load_with(path, &[owner])?;
        let identity = identities.into_iter().next().expect("a key that was not read is a problem");
        Ok(Self { cluster, identity })
    }
}

fn identity(directory: &Path, group: &GroupConfig, owner: KeyOwner) -> Result<Identity, Problem> {
    let public = public_key(group, owner)?;
    // A public key that is malformed is a problem of its own.
    let public = Some(public).filter(|key| matches!(key, PublicKey::Ed25519(_)));
    keys::load(&key_path(directory, owner), public)
}

fn public_key(group: &GroupConfig, owner: KeyOwner) -> Result<&PublicKey, Problem> {
    match owner {
        KeyOwner::Replica(ReplicaId(id)) => group.agreed.replicas.get(usize::from(id)).ok_or_else(|| {
            let n = group.agreed.replicas.len();
            Problem::new("replicas", format!("there is no replica {id} among {n}; choose another --id"))
        }),
        KeyOwner::Client(ClientId(id)) => group.clients.get(&ClientId(id)).ok_or_else(|| {
            Problem::new("clients", format!("there is no client {id}; choose another --client, or add it"))
        }),
    }
}
