//! The handshake that every connection starts with (PROTOCOL 3), without any I/O.
//!
//! | message | from | holds |
//! |---|---|---|
//! | HELLO | initiator | versions, cluster, who it is and whom it wants, ephemeral key, nonce, log, agreed configuration |
//! | HELLO | responder | the same, and its signature over both HELLOs |
//! | FINISH | initiator | its signature over all of the above |
//! | REFUSAL | either, in place of any | why; not proven, so only for the log |
//!
//! Signatures and keys cover both HELLOs as the bytes that were received, so nothing in them can be
//! changed, left out or replayed: not the range of versions either, and with it no downgrade. The
//! configurations are compared once the peer has proven itself, so that both ends learn the keys
//! that differ and an impostor cannot make either report any.
//!
//! The responder does nothing costly for a peer that the directory does not name.

mod configuration;
mod error;
mod hello;
mod initiator;
mod introduction;
mod responder;
#[cfg(test)]
mod tests;
mod transcript;
mod wire;

pub use configuration::{Difference, Differences};
pub use error::{Failure, HandshakeError};
pub use initiator::Initiator;
pub use introduction::{Fresh, Introduction, IntroductionError, VersionRange};
pub use responder::Responder;
pub use transcript::Established;
pub use wire::HANDSHAKE_BYTES_MAX;
