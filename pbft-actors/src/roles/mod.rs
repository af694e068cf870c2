//! The five roles of a replica, and the client. None knows another; they share only mail.

pub(crate) mod batcher;
pub(crate) mod checkpointer;
pub(crate) mod client;
pub(crate) mod executor;
pub(crate) mod orderer;
mod rate_limit;
mod recent;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod view_changer;

pub(crate) use rate_limit::RateLimit;
pub(crate) use recent::UsualWait;
