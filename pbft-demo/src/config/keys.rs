//! Secret keys: the 32-byte seed of an Ed25519 key in a file of its own, that only its owner can read.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use pbft_actors::crypto::{Identity, PublicKey};
use pbft_actors::types::{ClientId, ReplicaId};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::{Problem, from_hex, to_hex};
use crate::{Failure, unix};

/// The first line of every key file.
const HEADER: &str = "pbft secret key 1";
/// Most that is read of a key file, in bytes.
const FILE_BYTES_MAX: u64 = 256;

/// Whose key it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOwner {
    /// A replica's.
    Replica(ReplicaId),
    /// A client's.
    Client(ClientId),
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(id) => write!(f, "replica-{}", id.0),
            Self::Client(id) => write!(f, "client-{}", id.0),
        }
    }
}

/// Where the key of a node is, next to its cluster file.
pub fn key_path(directory: &Path, owner: KeyOwner) -> PathBuf {
    directory.join("keys").join(format!("{owner}.key"))
}

/// Makes a new key and keeps it at `path`; its public half is for everybody.
///
/// # Errors
/// The file exists or cannot be written.
pub(super) fn create(path: &Path) -> Result<PublicKey, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(&mut *seed)
        .map_err(|_| Failure::new("the operating system gave no random bytes", "try again"))?;
    let identity = Identity::ed25519(&*seed).expect("any 32 bytes are a seed");
    let text = Zeroizing::new(format!("{HEADER}\n{}\n", &*Zeroizing::new(to_hex(&*seed))));
    let write = || -> std::io::Result<()> {
        let mut file = unix::create_secret(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| {
        let cure = "make the directory writable, or choose another one; a key is never overwritten";
        Failure::new(format!("cannot write the key {}: {error}", path.display()), cure)
    })?;
    Ok(identity.public_key())
}

/// Reads the key at `path`, whose public half must be `public`.
pub(super) fn load(path: &Path, public: Option<&PublicKey>) -> Result<Identity, Problem> {
    let problem = |text: String| Problem::new(path.display().to_string(), text);
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => problem(
            "the secret key is missing; copy it here from where the cluster was made, mode 0600".to_owned(),
        ),
        _ => problem(format!("the secret key cannot be opened: {error}")),
    })?;
    let unreadable = |error| problem(format!("the secret key cannot be read: {error}"));
    if unix::others_may_use(&file).map_err(unreadable)? {
        return Err(problem(format!("the secret key can be used by others; chmod 600 {}", path.display())));
    }
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let Some(seed) = seed(&text) else {
        return Err(problem(format!(
            "not a secret key: line 1 is {HEADER:?}, line 2 has 64 hexadecimal digits; copy the key again"
        )));
    };
    let identity = Identity::ed25519(&*seed).expect("any 32 bytes are a seed");
    match public {
        Some(public) if *public != identity.public_key() => Err(problem(
            "the secret key does not belong to the public key in the cluster file; use the pair made together"
                .to_owned(),
        )),
        _ => Ok(identity),
    }
}

fn seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let (header, rest) = text.split_once('\n')?;
    let digits = rest.strip_suffix('\n').unwrap_or(rest);
    (header == HEADER).then(|| from_hex(digits).map(Zeroizing::new)).flatten()
}
