//! The replicated counter service, its cluster and its command line.
//!
//! | module | is |
//! |---|---|
//! | [`service`] | the counters: operations, results, the service |
//! | [`config`] | the cluster file, keys, and their rules |
//! | [`cli`] | the commands |
//! | `http` | the counters over HTTP |
//! | `admin`, [`report`], `metrics`, [`ask`](mod@ask) | where a replica stands, told and asked |
//! | `load`, `unreplicated` | closed loops of clients, and the same service without replication to compare with |
//! | `unix` | all that only Unix has |

mod admin;
pub mod ask;
pub mod cli;
pub mod config;
mod failure;
mod http;
mod invoke;
mod load;
mod metrics;
pub mod report;
pub mod service;
mod unix;
mod unreplicated;

pub use failure::Failure;
