//! The actix carrier: each role in an actor of its own.

pub mod transport;
