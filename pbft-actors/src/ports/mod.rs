//! What a replica needs from outside the protocol: the service and its state, storage, clocks, keys.

pub mod state;
