//! What a replica must not forget: the stage that lets effects out once the records before them are
//! durable, and the records on disk.

mod durable;
mod record;
mod stage;
#[cfg(test)]
mod tests;

pub(crate) use durable::Journal;
#[cfg(any(test, feature = "sim"))]
pub(crate) use durable::Restored;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use record::entry as record_entry;
pub(crate) use stage::{JournalStage, Mark};
