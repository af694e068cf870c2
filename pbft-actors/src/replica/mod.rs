//! A replica without a carrier: its roles with their timers, the way from a message to a role, and
//! the stage between a step's effects and the world.

mod driver;
mod journal;
mod roles;
mod route;
mod save;
#[cfg(any(test, feature = "sim"))]
mod together;

pub(crate) use driver::Driver;
#[cfg(any(test, feature = "sim"))]
pub(crate) use journal::Restored;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use journal::record_entry;
pub(crate) use journal::{Journal, JournalStage, Mark};
pub(crate) use roles::{ReplicaConfig, Roles, StoredState};
pub(crate) use route::{Inbound, route};
pub(crate) use save::save;
