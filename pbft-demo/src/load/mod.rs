//! Closed loops: clients that have so many operations outstanding all the time, and what comes of it.
//!
//! | module | is |
//! |---|---|
//! | `caller` | one client's loop, an actor |
//! | `tally` | latencies and errors of all clients |
//! | `measure` | one run: warm-up, the measured time, and its figures |
//! | `cpu` | processor time of processes |
//! | `failover` | primaries that end under load, and how long nobody is served |
//! | `local` | replicas, and the unreplicated server, as processes or threads of their own |
//! | `table` | the figures side by side |

mod caller;
mod cpu;
mod failover;
pub(crate) mod local;
mod measure;
mod table;
mod tally;

pub(crate) use cpu::Processes;
pub(crate) use failover::{FailOvers, fail_over};
pub(crate) use measure::{Figures, Load, connect, measure};
pub(crate) use table::table;
