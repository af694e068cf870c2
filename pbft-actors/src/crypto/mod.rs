//! Digests, MACs, signatures and key agreement. The protocol's rules on what is covered live in
//! `message`.

mod agreement;
mod digest;
mod key_schedule;
mod mac;
mod signature;
#[cfg(any(test, feature = "fuzz"))]
mod toy;

pub use agreement::{EPHEMERAL_BYTES, Ephemeral, SharedSecret};
pub use digest::{Digest, Hasher};
pub use key_schedule::KeySchedule;
pub use mac::{MacKey, TAG_BYTES, Tag};
pub use signature::{Identity, IdentityError, PublicKey, SIGNATURE_BYTES, Signature};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use toy::Toy;
