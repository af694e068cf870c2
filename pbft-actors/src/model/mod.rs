//! A model check of the real roles: one Byzantine replica of four may say anything of a small set, and
//! whatever the others may hear in whatever order is tried (docs/testing.md).
//!
//! | module | is |
//! |---|---|
//! | `member`, `group`, `tally` | replicas without network, threads or chance |
//! | `byzantine` | what the liar may say |
//! | `local` | the states of single replicas, made by the real roles |
//! | `unseen` | which of their steps need not be tried |
//! | `search` | the states of the group, and what must hold in each |

mod byzantine;
mod group;
mod local;
mod member;
mod report;
mod search;
mod tally;
#[cfg(test)]
mod tests;
mod unseen;

use std::time::Duration;

pub(crate) use group::{CLIENT, Group, identity_of, names};
pub(crate) use member::{Member, Said};
pub use report::explore;
pub(crate) use tally::Tally;

/// What may happen.
#[derive(Clone, Debug)]
pub struct Limits {
    /// 1, or 2: then each correct replica's request timer of view 0 may expire, once.
    pub views: u64,
    /// Seqs that the liar proposes at, and lies about.
    pub seqs: u64,
    /// Steps that nobody else sees which a replica takes in a row.
    pub unseen: usize,
    /// States of the group after which no more are looked at one after the other.
    pub states: usize,
    /// Ways through the rest that are then taken by chance.
    pub walks: u64,
    /// Time after which all ends.
    pub time: Duration,
    /// Whether certificates are not looked at.
    pub agreement_only: bool,
}
