//! The simulator: the same roles, route, codec and authentication as over TCP, under a seeded
//! scheduler with virtual time and a network that loses, delays, reorders, duplicates and cuts.
//! One seed is one run, bit for bit.

mod byzantine;
mod checker;
mod client;
mod cluster;
mod network;
mod node;
mod plan;
mod rng;
mod run;
#[cfg(test)]
mod scenarios;
mod service;

pub use run::{Failure, FailureKind, RunReport, run};
