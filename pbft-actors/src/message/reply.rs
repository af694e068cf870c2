use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec;
use crate::crypto::{Digest, Hasher};
use crate::types::{RequestId, Seq, SessionId, View};

/// Why a service did not do what an operation asked; the same at every correct replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Error)]
#[error("refused with code {code}: {detail}")]
pub struct Refusal {
    /// Stable code. Services use 1_000 and above.
    pub code: u32,
    /// For people; cut at [`super::REFUSAL_DETAIL_BYTES_MAX`].
    pub detail: String,
}

impl Refusal {
    /// The operation panicked.
    pub const PANICKED: u32 = 1;
    /// The result is larger than a reply may be.
    pub const RESULT_TOO_LARGE: u32 = 2;
    /// The operation is none that the service knows.
    pub const UNKNOWN_OPERATION: u32 = 3;
    /// The state refused: full, or a key or value over its limit.
    pub const STATE_REFUSED: u32 = 4;

    /// A refusal with a code and a text for people.
    pub fn new(code: u32, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > super::REFUSAL_DETAIL_BYTES_MAX {
            let cut = (0..=super::REFUSAL_DETAIL_BYTES_MAX)
                .rev()
                .find(|at| detail.is_char_boundary(*at))
                .unwrap_or(0);
            detail.truncate(cut);
        }
        Self { code, detail }
    }
}

/// What became of an ordered request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The operation's result.
    Done(Bytes),
    /// The service refused; nothing changed.
    Refused(Refusal),
    /// The session is open.
    Opened,
    /// The session is closed or was never above the highest one; nothing was executed now.
    SessionExpired {
        /// The highest session ever opened by this identity.
        highest: SessionId,
    },
    /// Executed, but the result was dropped to stay within the client's share.
    ResultDropped,
}

impl Outcome {
    /// Bytes of the service's answer.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Done(result) => result.len() as u64,
            Self::Refused(refusal) => refusal.detail.len() as u64,
            Self::Opened | Self::SessionExpired { .. } | Self::ResultDropped => 0,
        }
    }

    /// The digest by which clients compare outcomes, bound to the request.
    pub fn digest(&self, request: Digest) -> Digest {
        let mut hasher = Hasher::new("pbft outcome");
        hasher.part(&request.0).part(&codec::encode(self));
        hasher.finish()
    }
}

/// A reply's result, in full or as a digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReplyResult {
    /// The whole outcome.
    Full(Outcome),
    /// Its digest (PROTOCOL 10).
    Digest(Digest),
}

impl ReplyResult {
    /// The digest by which replies are compared.
    pub fn digest(&self, request: Digest) -> Digest {
        match self {
            Self::Full(outcome) => outcome.digest(request),
            Self::Digest(digest) => *digest,
        }
    }
}

/// A replica's answer to a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The replica's view, so that the client learns who the primary is.
    pub view: View,
    /// Whether the batch was executed before it was committed.
    pub tentative: bool,
    /// What is answered.
    pub request: RequestId,
    /// The digest of the request that was executed under this id.
    pub request_digest: Digest,
    /// Where it was executed; 0 where the answer is not from an execution.
    pub seq: Seq,
    /// The outcome.
    pub result: ReplyResult,
}

/// A replica has more requests than it can serve within a quarter of the time-out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Busy {
    /// What was not admitted.
    pub request: RequestId,
    /// When to try again, milliseconds.
    pub retry_after_ms: u64,
}
