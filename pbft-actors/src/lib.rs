//! Practical Byzantine fault tolerant replication as actix actors.
//!
//! The crate is built in floors; a lower one knows nothing of an upper one (`tests/architecture.rs`
//! holds them apart):
//!
//! | floor | modules |
//! |---|---|
//! | tools | `fuzz` (feature `fuzz`) |
//! | carriers | `actor` (actix), `sim` and `model` (feature `sim`) |
//! | replica | `replica`: drivers, the route from message to role, the journal stage, recovery |
//! | roles | `roles`: batcher, orderer, checkpointer, view changer, executor; the client |
//! | role | `role`: the trait, the outbox, timers, every role's mail |
//! | ports | `ports`: service, state, storage, clock, keys, configuration |
//! | message | `message`: wire types, proofs, handshake |
//! | codec | `codec` |
//! | crypto | `crypto` |
//! | types | `types` |

pub mod actor;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod adversary;
pub mod codec;
pub mod crypto;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod message;
#[cfg(any(test, feature = "sim"))]
#[doc(hidden)]
pub mod model;
pub mod ports;
pub(crate) mod replica;
pub(crate) mod role;
pub(crate) mod roles;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod types;
