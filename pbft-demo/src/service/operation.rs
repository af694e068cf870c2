use bytes::Bytes;
use pbft_actors::codec::{self, DecodeError};
use pbft_actors::message::{BODY_BYTES_MAX, Refusal};
use serde::{Deserialize, Serialize};

use super::Counters;

/// Longest name of a counter, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// What can be done with counters; in MessagePack on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Operation {
    /// Adds to a counter; answered with a [`Counter`].
    Add {
        /// The counter's name.
        name: String,
        /// What is added; may be negative.
        by: i64,
    },
    /// Reads a counter; answered with a [`Counter`]. One that nobody added to is 0.
    Get {
        /// The counter's name.
        name: String,
    },
    /// Lists counters in order of names; answered with a [`Listing`].
    List {
        /// The listing starts behind this name.
        after: Option<String>,
        /// Most entries in the answer; cut at [`super::LIST_ENTRIES_MAX`].
        limit: u32,
    },
    /// Panics: shows what becomes of an operation with a bug.
    Panic,
}

/// A counter as of one place in the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: i64,
    /// The batch after which it has this value.
    pub seq: u64,
    /// The agreed time of that batch, microseconds since 1970-01-01 UTC.
    pub time: u64,
}

/// Counters as of one place in the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Names and values, in order of names.
    pub counters: Vec<(String, i64)>,
    /// Whether there are more behind the last name.
    pub more: bool,
    /// The batch after which they have these values.
    pub seq: u64,
    /// The agreed time of that batch, microseconds since 1970-01-01 UTC.
    pub time: u64,
}

impl Operation {
    /// The operation as a request carries it.
    pub fn encode(&self) -> Bytes {
        codec::encode(self).into()
    }
}

impl Counter {
    /// A counter from a result.
    ///
    /// # Errors
    /// Bytes that are no counter.
    pub fn decode(result: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(result, BODY_BYTES_MAX)
    }
}

impl Listing {
    /// A listing from a result.
    ///
    /// # Errors
    /// Bytes that are no listing.
    pub fn decode(result: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(result, BODY_BYTES_MAX)
    }
}

/// Whether a counter may be called so.
///
/// # Errors
/// The refusal with which every replica answers otherwise.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let problem = if name.is_empty() {
        "a counter needs a name".to_owned()
    } else if name.len() > NAME_BYTES_MAX {
        format!("the counter's name has {} bytes; at most {NAME_BYTES_MAX} are allowed", name.len())
    } else if name.chars().any(char::is_control) {
        "the counter's name has control characters; leave them out".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::new(Counters::BAD_NAME, problem))
}
