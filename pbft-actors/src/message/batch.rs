use std::sync::OnceLock;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Request;
use crate::codec;
use crate::crypto::{Digest, Hasher};
use crate::types::{ClientId, Seq, View, Wall};

/// What only one replica can choose and all execute with (PROTOCOL 9).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The primary's wall time.
    pub time: Wall,
    /// A random seed.
    pub seed: Digest,
    /// What the service adds.
    pub extra: Bytes,
}

/// What is ordered at one seq: requests with one choice, or nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    digest: Digest,
    choice: Option<Choice>,
    requests: Vec<Request>,
}

impl Batch {
    /// The batch without requests.
    pub fn null() -> Self {
        Self { digest: Self::null_digest(), choice: None, requests: Vec::new() }
    }

    /// The digest of the batch without requests.
    pub fn null_digest() -> Digest {
        static NULL: OnceLock<Digest> = OnceLock::new();
        *NULL.get_or_init(|| Hasher::new("pbft null batch").finish())
    }

    /// A batch of requests.
    pub fn new(choice: Choice, requests: Vec<Request>) -> Self {
        let digest = Self::digest_of(Some(&choice), requests.iter().map(|request| *request.digest()));
        Self { digest, choice: Some(choice), requests }
    }

    /// A batch from its parts, null without a choice; `None` if null has requests or another has none.
    pub fn from_parts(choice: Option<Choice>, requests: Vec<Request>) -> Option<Self> {
        match choice {
            Some(choice) if !requests.is_empty() => Some(Self::new(choice, requests)),
            None if requests.is_empty() => Some(Self::null()),
            _ => None,
        }
    }

    /// The digest of a batch of which only the requests' digests are known.
    pub fn digest_of(choice: Option<&Choice>, requests: impl Iterator<Item = Digest>) -> Digest {
        let Some(choice) = choice else { return Self::null_digest() };
        let mut hasher = Hasher::new("pbft batch");
        hasher.part(&codec::encode(choice));
        for request in requests {
            hasher.part(&request.0);
        }
        hasher.finish()
    }

    /// Covers all of the batch.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The agreed choice; none in null.
    pub fn choice(&self) -> Option<&Choice> {
        self.choice.as_ref()
    }

    /// The requests in the order of execution.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Whether nothing is in it.
    pub fn is_null(&self) -> bool {
        self.choice.is_none()
    }
}

/// One place in a proposed batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// The request itself.
    Inline(Request),
    /// The digest of one that the client sent to all.
    Digest(Digest),
}

impl Entry {
    /// The digest of the request.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Inline(request) => *request.digest(),
            Self::Digest(digest) => *digest,
        }
    }

    /// Whose request it is, where that is known.
    pub fn client(&self) -> Option<ClientId> {
        match self {
            Self::Inline(request) => Some(request.id().client),
            Self::Digest(_) => None,
        }
    }

    /// Length on the wire.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Inline(request) => request.wire().len(),
            Self::Digest(_) => Digest::BYTES,
        }
    }

    /// On the wire: 32 bytes are a digest, more an encoded request.
    pub(super) fn wire(&self) -> &[u8] {
        match self {
            Self::Inline(request) => request.wire(),
            Self::Digest(digest) => &digest.0,
        }
    }
}

/// The primary proposes a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrePrepare {
    /// The view it is proposed in.
    pub view: View,
    /// Its place.
    pub seq: Seq,
    /// The choice; none for null.
    pub choice: Option<Choice>,
    /// The requests, in full or by digest.
    pub entries: Vec<Entry>,
    digest: Digest,
}

impl PrePrepare {
    /// A proposal.
    pub fn new(view: View, seq: Seq, choice: Option<Choice>, entries: Vec<Entry>) -> Self {
        let digest = Batch::digest_of(choice.as_ref(), entries.iter().map(Entry::digest));
        Self { view, seq, choice, entries, digest }
    }

    /// The proposal of a batch with every request in full.
    pub fn of_batch(view: View, seq: Seq, batch: &Batch) -> Self {
        let entries = batch.requests().iter().cloned().map(Entry::Inline).collect();
        Self { view, seq, choice: batch.choice().cloned(), entries, digest: batch.digest() }
    }

    /// The digest of the batch.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The batch with a request in place of each entry; none if these are not the ones named.
    pub(crate) fn batch_of(&self, requests: Vec<Request>) -> Option<Batch> {
        let named = requests.len() == self.entries.len()
            && requests.iter().zip(&self.entries).all(|(request, entry)| *request.digest() == entry.digest());
        let complete = named && self.choice.is_none() == requests.is_empty();
        complete.then(|| Batch { digest: self.digest, choice: self.choice.clone(), requests })
    }
}
