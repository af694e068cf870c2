//! The thread that computes the digests of checkpoints, so that the pages that changed since the last
//! one keep no vote waiting.

use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use actix::prelude::*;

use super::builder::StartError;
use super::hub::Hub;
use super::thread;
use super::writer::StateDamaged;
use crate::ports::state::DamagedPart;
use crate::role::Taken;
use crate::types::ReplicaId;

/// A state has its digest.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Digested {
    pub(super) generation: u64,
    pub(super) taken: Taken,
}

/// The way to the thread. It ends when this is dropped, after what was ordered is done.
pub(super) struct Digester {
    orders: Sender<Digested>,
}

impl Digester {
    /// Starts the thread; wait for it with the handle once the digester is dropped.
    pub(super) fn start(replica: ReplicaId, hub: Addr<Hub>) -> Result<(Self, JoinHandle<()>), StartError> {
        let (orders, ordered) = mpsc::channel::<Digested>();
        let to = hub.clone();
        let work = move || {
            for state in ordered {
                // A digest is kept where it was computed: whoever asks again has it.
                match DamagedPart::catch(|| state.taken.snapshot.root()) {
                    Ok(_kept) => to.do_send(state),
                    Err(part) => to.do_send(StateDamaged(vec![part])),
                }
            }
        };
        let thread = thread::spawn_worker(format!("pbft-digest-{replica}"), hub, work)?;
        Ok((Self { orders }, thread))
    }

    /// Orders one digest. A thread that is gone has said why.
    pub(super) fn digest(&self, generation: u64, taken: Taken) {
        let _gone = self.orders.send(Digested { generation, taken });
    }
}
