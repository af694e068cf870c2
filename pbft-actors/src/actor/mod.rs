//! The actix carrier: each role in an actor of its own, a hub through which every step's effects
//! pass in order, and the two addresses an application holds: [`Replica`] and [`Client`].

mod answer;
mod builder;
mod client;
mod clock;
mod digester;
mod disk;
mod gate;
mod hub;
mod inspect;
mod loopback;
#[cfg(feature = "measure")]
pub mod measure;
mod replica;
mod role_actor;
mod storage;
#[cfg(test)]
mod tests;
mod thread;
pub mod transport;
mod writer;

pub use answer::Answer;
pub use builder::{ClientBuilder, GroupConfig, NotChosen, ReplicaBuilder, StartError};
pub use client::{Ask, Client, Invoke, InvokeMany, Outcomes, StopClient};
pub use inspect::{SavedState, StateSummary};
pub use loopback::Loopback;
pub use replica::{
    Directory, DiskStatus, Ended, Ending, Replica, ReplicaEvent, ReplicaStatus, StatusRequest, Stop,
    Subscribe, WhenEnded,
};

pub use storage::{Durable, Storage, StorageError};

pub use crate::role::Event;
pub use crate::roles::client::{ClientTuning, Committed, InvokeError};
