//! The threads that write: one syncs the journal, so that one sync covers all that waits; the other
//! writes checkpoints, so that a large one keeps no vote waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::builder::StartError;
use super::hub::{Hub, WorkerFailed};
use super::thread;
use crate::ports::state::{DamagedPart, PAGE_BYTES, PageFile};
use crate::replica::{Journal, Mark, save};
use crate::role::{Mail, Record, Save};
use crate::types::{ReplicaId, Seq};

/// How often pages are read again and compared with their digests, between states that are written.
const SCRUBS_PER_SECOND: u64 = 4;
const SCRUB_INTERVAL: Duration = Duration::from_millis(1_000 / SCRUBS_PER_SECOND);

/// Everything up to this mark is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Durable(pub(super) Mark);

/// A state is on disk: what is said of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StateSaved(pub(super) Mail);

/// Parts of the state on disk are not what was written there.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StateDamaged(pub(super) Vec<DamagedPart>);

/// What the disk did since the replica started.
#[derive(Debug, Default)]
pub(super) struct DiskCounts {
    pub(super) syncs: AtomicU64,
    pub(super) sync_micros: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) saves: AtomicU64,
    pub(super) save_micros: AtomicU64,
    pub(super) scrubbed: AtomicU64,
}

enum Order {
    Write { records: Vec<Record>, mark: Mark },
    Release(Seq),
}

/// The way to both threads. They end when it is dropped, after what was ordered is done.
pub(super) struct Writers {
    journal: Sender<Order>,
    states: Sender<Save>,
}

impl Writers {
    /// Starts both threads; wait for them with the handles once the writers are dropped.
    pub(super) fn start(
        replica: ReplicaId,
        journal: Journal,
        pages: PageFile,
        scrub_bytes_per_second: u64,
        hub: Addr<Hub>,
        counts: Arc<DiskCounts>,
    ) -> Result<(Self, Vec<JoinHandle<()>>), StartError> {
        let (to_journal, orders) = mpsc::channel();
        let (to_states, states) = mpsc::channel();
        let (journal_hub, journal_counts) = (hub.clone(), counts.clone());
        let (state_hub, state_counts) = (hub.clone(), counts);
        let threads = vec![
            thread::spawn_worker(format!("pbft-journal-{replica}"), hub.clone(), move || {
                write_journal(journal, &orders, &journal_hub, &journal_counts);
            })?,
            thread::spawn_worker(format!("pbft-state-{replica}"), hub, move || {
                write_states(pages, &states, scrub_bytes_per_second, &state_hub, &state_counts);
            })?,
        ];
        Ok((Self { journal: to_journal, states: to_states }, threads))
    }

    // A thread that is gone has said why.

    pub(super) fn write(&self, records: Vec<Record>, mark: Mark) {
        let _gone = self.journal.send(Order::Write { records, mark });
    }

    pub(super) fn release(&self, seq: Seq) {
        let _gone = self.journal.send(Order::Release(seq));
    }

    pub(super) fn save(&self, save: Save) {
        let _gone = self.states.send(save);
    }
}

fn write_journal(mut journal: Journal, orders: &Receiver<Order>, hub: &Addr<Hub>, counts: &DiskCounts) {
    while let Ok(first) = orders.recv() {
        let (mut all, mut last) = (Vec::new(), None);
        // What came while the last sync ran goes together.
        for order in std::iter::once(first).chain(orders.try_iter()) {
            match order {
                Order::Write { records, mark } => {
                    all.extend(records);
                    last = Some(mark);
                }
                Order::Release(seq) => journal.release(seq),
            }
        }
        let Some(mark) = last else { continue };
        counts.records.fetch_add(all.len() as u64, Ordering::Relaxed);
        let awaited = all.iter().any(Record::is_awaited);
        let began = Instant::now();
        let written = if awaited { journal.write(&all) } else { journal.append(&all) };
        match written {
            Ok(()) if awaited => {
                counts.syncs.fetch_add(1, Ordering::Relaxed);
                counts.sync_micros.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                hub.do_send(Durable(mark));
            }
            Ok(()) => {}
            Err(error) => {
                hub.do_send(WorkerFailed(error.to_string()));
                return;
            }
        }
    }
    if let Err(error) = journal.write(&[]) {
        tracing::warn!(%error, "what nothing waited for is not on disk");
    }
}

/// Reads the next pages of the saved state again.
fn scrub(pages: &PageFile, from: u64, count: u64, hub: &Addr<Hub>, counts: &DiskCounts) -> u64 {
    let scrubbed = pages.scrub(from, count);
    counts.scrubbed.fetch_add(scrubbed.pages, Ordering::Relaxed);
    if !scrubbed.damaged.is_empty() {
        hub.do_send(StateDamaged(scrubbed.damaged));
    }
    scrubbed.next.unwrap_or(0)
}

fn write_states(
    mut pages: PageFile,
    states: &Receiver<Save>,
    scrub_bytes_per_second: u64,
    hub: &Addr<Hub>,
    counts: &DiskCounts,
) {
    let scrub_pages = scrub_bytes_per_second.div_ceil(SCRUBS_PER_SECOND * PAGE_BYTES as u64);
    let (mut next, mut scrub_at) = (0, Instant::now() + SCRUB_INTERVAL);
    loop {
        let wait = scrub_at.saturating_duration_since(Instant::now());
        let order = if wait.is_zero() { Err(RecvTimeoutError::Timeout) } else { states.recv_timeout(wait) };
        let state = match order {
            Ok(state) => state,
            Err(RecvTimeoutError::Timeout) => {
                if scrub_pages > 0 {
                    next = scrub(&pages, next, scrub_pages, hub, counts);
                }
                scrub_at = Instant::now() + SCRUB_INTERVAL;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let began = Instant::now();
        match save(&mut pages, &state) {
            Ok(mail) => {
                counts.saves.fetch_add(1, Ordering::Relaxed);
                counts.save_micros.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                hub.do_send(StateSaved(mail));
            }
            Err(error) => {
                hub.do_send(WorkerFailed(error.to_string()));
                return;
            }
        }
    }
}
