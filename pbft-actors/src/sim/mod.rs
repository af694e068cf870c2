//! The simulator: the same roles, route, codec and authentication as over TCP, under a seeded
//! scheduler with virtual time and a network that loses, delays, reorders, duplicates and cuts.
//! One seed is one run, bit for bit.

mod attack;
mod chart;
mod checker;
mod client;
mod client_attack;
mod clock;
mod cluster;
mod divergence;
mod fault;
mod mark;
mod network;
mod node;
mod plan;
mod promises;
mod replay;
mod rng;
mod run;
#[cfg(test)]
mod scenarios;
mod script;
mod service;
mod shrink;
mod simulation;
mod systematic;
#[cfg(test)]
mod tests;
mod twin;
mod watch;
mod workload;

pub use chart::Chart;
pub use divergence::Divergence;
pub use mark::{Mark, Marks};
pub use run::{Failure, FailureKind, RunReport, run};
pub use script::Script;
pub use shrink::Shrunk;
pub use simulation::{Finding, Simulation};
pub use systematic::Systematic;
