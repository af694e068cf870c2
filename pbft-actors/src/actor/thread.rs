//! Threads: one with an actix system of its own, so that a replica or client starts alike under every
//! kind of main and never stops a system that it does not own; and those that work for one.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use actix::prelude::*;

use super::builder::StartError;
use super::hub::{Hub, WorkerFailed};

/// Runs `start` in a new system on a new thread, which lives until the future that it returns ends.
pub(super) fn spawn<A, F, W>(name: String, start: F) -> Result<A, StartError>
where
    A: Send + 'static,
    F: FnOnce() -> Result<(A, W), StartError> + Send + 'static,
    W: Future<Output = ()> + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name(name)
        .spawn(move || {
            actix_rt::System::new().block_on(async move {
                match start() {
                    Ok((address, ended)) => {
                        if sender.send(Ok(address)).is_ok() {
                            ended.await;
                        }
                    }
                    Err(error) => drop(sender.send(Err(error))),
                }
            });
        })
        .map_err(|error| StartError::Thread(error.to_string()))?;
    receiver.recv().unwrap_or_else(|_| Err(StartError::Thread("it ended before it had started".to_owned())))
}

/// Runs what keeps a replica's own thread from waiting. The replica must not live on without it.
pub(super) fn spawn_worker(
    name: String,
    hub: Addr<Hub>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let what = format!("the thread {name} panicked");
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            hub.do_send(WorkerFailed(what));
        }
    };
    thread::Builder::new().name(name).spawn(guarded).map_err(|error| StartError::Thread(error.to_string()))
}
