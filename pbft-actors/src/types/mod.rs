//! The protocol's numbers, each a type of its own so that one cannot be passed for another.

mod ids;
#[cfg(test)]
mod left_out;
mod log_id;
mod quorum;
mod replica_set;
mod seq;
mod time;

pub use ids::{ClientId, ReplicaId, RequestId, SessionId, Timestamp};
#[cfg(test)]
pub(crate) use left_out::{LeftOut, is_left_out, leave_out};
pub use log_id::LogId;
pub use quorum::{GroupSizeError, Quorums, REPLICAS_MAX, REPLICAS_MIN};
pub use replica_set::ReplicaSet;
pub use seq::{Seq, View, Window};
pub use time::{Millis, Monotonic, Now, Wall};
