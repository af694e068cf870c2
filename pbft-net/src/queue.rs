use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pbft_actors::message::Payload;
use tokio::sync::Notify;

use crate::limits::QUEUED_OVERHEAD_BYTES;

/// Messages on their way to one connection's writer. Never blocks; past its limit it says no.
#[derive(Debug)]
pub(crate) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    payloads: VecDeque<Payload>,
    bytes: usize,
    finished: bool,
}

/// A message that was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueueFull;

impl Queue {
    /// A queue of at most `bytes_max` bytes, but for a single larger message.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), wake: Notify::new() }
    }

    /// Adds a message; without effect once the queue is finished.
    pub(crate) fn push(&self, payload: Payload) -> Result<(), QueueFull> {
        let mut state = self.state();
        if state.finished {
            return Ok(());
        }
        let bytes = state.bytes + cost(&payload);
        if bytes > self.bytes_max && !state.payloads.is_empty() {
            return Err(QueueFull);
        }
        state.bytes = bytes;
        state.payloads.push_back(payload);
        let first = state.payloads.len() == 1;
        drop(state);
        if first {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes nothing more; what is queued can still be taken out.
    pub(crate) fn finish(&self) {
        self.state().finished = true;
        self.wake.notify_one();
    }

    /// Waits for messages and takes them all, or as many as make `bytes` and one; `None` once the
    /// queue is finished and empty.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Vec<Payload>> {
        loop {
            {
                let mut state = self.state();
                if !state.payloads.is_empty() {
                    return Some(state.take(bytes));
                }
                if state.finished {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes_max: usize) -> Vec<Payload> {
        let mut bytes = 0;
        let fits = |payload: &&Payload| {
            let before = bytes;
            bytes += cost(payload);
            before < bytes_max
        };
        let count = self.payloads.iter().take_while(fits).count();
        let taken: Vec<Payload> = self.payloads.drain(..count).collect();
        self.bytes -= taken.iter().map(cost).sum::<usize>();
        taken
    }
}

fn cost(payload: &Payload) -> usize {
    payload.frame_bytes() + QUEUED_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use pbft_actors::message::Kind;

    use super::*;

    fn payload(length: usize) -> Payload {
        Payload::new(Kind::Prepare, vec![1; length].into())
    }

    #[tokio::test]
    async fn what_exceeds_the_limit_is_refused_until_room_is_made() {
        let queue = Queue::new(2 * cost(&payload(100)));
        assert_eq!(queue.push(payload(100)), Ok(()));
        assert_eq!(queue.push(payload(100)), Ok(()));
        assert_eq!(queue.push(payload(0)), Err(QueueFull));
        assert_eq!(queue.take(1).await.unwrap(), [payload(100)]);
        assert_eq!(queue.push(payload(0)), Ok(()));
        assert_eq!(queue.take(usize::MAX).await.unwrap(), [payload(100), payload(0)]);
        assert_eq!(queue.state().bytes, 0);
    }

    #[tokio::test]
    async fn a_single_message_always_fits() {
        let queue = Queue::new(1);
        assert_eq!(queue.push(payload(100)), Ok(()));
        assert_eq!(queue.push(payload(0)), Err(QueueFull));
    }

    #[tokio::test]
    async fn a_finished_queue_gives_out_what_it_has_and_ends() {
        let queue = Queue::new(1_000);
        queue.push(payload(1)).unwrap();
        queue.finish();
        queue.push(payload(2)).unwrap();
        assert_eq!(queue.take(usize::MAX).await.unwrap(), [payload(1)]);
        assert_eq!(queue.take(usize::MAX).await, None);
    }
}
