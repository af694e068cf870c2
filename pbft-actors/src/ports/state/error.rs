use thiserror::Error;

use crate::codec::DecodeError;

/// Why the state refused an operation. Nothing was changed, and every replica refuses the same.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StateError {
    /// A raw write past the configured limit.
    #[error(
        "{length} bytes at offset {offset} end past the limit of {limit} bytes: write below it, or raise raw_pages in the agreed configuration"
    )]
    PastLimit {
        /// Where the write began, in bytes.
        offset: u64,
        /// Bytes to be written.
        length: usize,
        /// The first offset that cannot be written.
        limit: u64,
    },
    /// Too few pages are left for an insertion.
    #[error(
        "{needed} pages needed and {available} left: remove something, or raise named_pages (or reserved_pages) in the agreed configuration"
    )]
    OutOfPages {
        /// Most pages that the operation could take.
        needed: u64,
        /// Pages not in use.
        available: u64,
    },
    /// A map's key is too long.
    #[error("a key of {length} bytes where at most {limit} are allowed: use its digest as the key")]
    KeyTooLong {
        /// Bytes of the key.
        length: usize,
        /// [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX).
        limit: usize,
    },
    /// The name of a map, cell or value is too long.
    #[error(
        "a name of {length} bytes where at most {limit} are allowed: choose a shorter one, or put data in a key"
    )]
    NameTooLong {
        /// Bytes of the name.
        length: usize,
        /// [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX).
        limit: usize,
    },
    /// A value is too long for where it was to be put.
    #[error("a value of {length} bytes where at most {limit} are allowed: split it over several keys")]
    ValueTooLong {
        /// Bytes of the value.
        length: usize,
        /// The named limit.
        limit: usize,
    },
    /// A named value is not of the type it was asked for as.
    #[error("the stored value has another type: read it as what was written ({0})")]
    WrongType(#[from] DecodeError),
    /// A transferred page does not come after the one before it.
    #[error("page {0} is out of order: ask another replica")]
    PageOutOfOrder(u64),
    /// A transferred page lies outside the configured limits.
    #[error("page {0} is outside the limits: compare the agreed configuration, or ask another replica")]
    PageOutsideLimits(u64),
    /// A transferred page is all zero, which is never sent.
    #[error("page {0} is all zero: ask another replica")]
    PageEmpty(u64),
}

/// A service may pass a refusal of its state on as its own.
impl From<StateError> for crate::message::Refusal {
    fn from(error: StateError) -> Self {
        Self::new(Self::STATE_REFUSED, error.to_string())
    }
}
