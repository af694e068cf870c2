//! Digests, MACs and signatures. The protocol's rules on what is covered live in `message`.

mod digest;
mod mac;
mod signature;

pub use digest::{Digest, Hasher};
pub use mac::{MacKey, TAG_BYTES, Tag};
pub use signature::{Identity, IdentityError, PublicKey, SIGNATURE_BYTES, Signature};
