//! The cluster file, the keys beside it, and what must hold before anything starts.
//!
//! | module | is |
//! |---|---|
//! | `file` | the sections of `cluster.toml` as they are written |
//! | `unknown` | keys that mean nothing, and what was probably meant |
//! | `check` | every rule by name |
//! | `cluster` | a cluster file that broke no rule |
//! | `keys` | secret keys in files of their own |
//! | `create` | makes a new cluster's file and keys |

mod check;
mod cluster;
mod create;
mod file;
mod hex;
mod keys;
mod unknown;

pub use cluster::{Cluster, Member};
pub(crate) use create::write;
pub use create::{NewCluster, create};
pub use file::{AgreedSection, ClientSection, ClusterFile, ReplicaSection, TuningSection};
pub use keys::{KeyOwner, key_path};

use std::fmt;
use std::path::PathBuf;

pub(crate) use hex::{from_hex, to_hex};

/// The name of a cluster file in its directory.
pub const CLUSTER_FILE: &str = "cluster.toml";

/// A rule that the cluster file, or a key, breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The key in the cluster file, or the key file.
    pub key: String,
    /// What is wrong and what would do.
    pub problem: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

/// Why a cluster file cannot be used: all that is wrong with it, at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems {
    /// The cluster file.
    pub file: PathBuf,
    /// Every broken rule, in the order of the file.
    pub found: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used:", self.file.display())?;
        self.found.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for crate::Failure {
    fn from(problems: Problems) -> Self {
        let cure = "mend what is named above; `pbft-demo init` writes a file that breaks no rule";
        Self::new(problems.to_string(), cure)
    }
}
