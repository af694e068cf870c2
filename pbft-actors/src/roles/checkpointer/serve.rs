//! Handing out checkpoints to those who fetch them, at a pace that leaves the service its share
//! (PROTOCOL 8).

use std::collections::VecDeque;

use bytes::Bytes;

use super::*;
use crate::message::{Fetch, NodeData, PageData, TreeNode};
use crate::ports::state::Snapshot;
use crate::types::{Millis, Monotonic};

/// Bytes that one peer gets in an interval where this replica has nothing else to do: some 170 MiB/s.
const IDLE_PACE: (usize, Millis) = (1 << 20, Millis(6));
/// The same where it executes: one answer full of pages, some 25 MiB/s, or many small ones, so that a small
/// difference is not waited for. A mebibyte costs all who are part of it about 5 ms of processor time.
const BUSY_PACE: (usize, Millis) = (128 << 10, Millis(10));
/// How long after a batch a replica counts as one that executes.
const BUSY: Millis = Millis(20);
/// What the smallest answer counts as, bytes: it costs more than its length.
const SERVED_BYTES_MIN: usize = 4 << 10;
/// Questions of one peer that wait: four times as many as a correct one has open, which may have given
/// some up.
const QUEUED_MAX: usize = 16;
/// How long a checkpoint is kept for a peer that asked for part of it, after it last did,
const KEPT: Millis = Millis(5_000);
/// and at most after it first did. What was fetched until then is not fetched again.
const KEPT_MAX: Millis = Millis(600_000);

/// What is handed out, and to whom.
#[derive(Clone, Default)]
pub(super) struct Server {
    queues: BTreeMap<ReplicaId, VecDeque<Fetch>>,
    spent: RateLimit,
    /// When the last batch was executed here.
    executed_at: Option<Monotonic>,
    /// The one checkpoint that each peer is fetching; it may be older than the stable one.
    kept: BTreeMap<ReplicaId, Kept>,
}

#[derive(Clone)]
struct Kept {
    seq: Seq,
    snapshot: Snapshot,
    first_asked: Monotonic,
    last_asked: Monotonic,
}

impl Server {
    /// A batch was executed.
    pub(super) fn on_executed(&mut self, now: Monotonic) {
        self.executed_at = Some(now);
    }

    /// How much one peer gets, and in what time.
    fn pace(&self, now: Monotonic) -> (usize, Millis) {
        if self.executed_at.is_some_and(|at| now < at.plus(BUSY)) { BUSY_PACE } else { IDLE_PACE }
    }

    /// Keeps a checkpoint for a peer, in place of another one.
    fn keep(&mut self, now: Monotonic, peer: ReplicaId, seq: Seq, snapshot: &Snapshot) {
        let kept = self.kept.get(&peer).filter(|kept| kept.seq == seq);
        let first_asked = kept.map_or(now, |kept| kept.first_asked);
        self.kept.insert(peer, Kept { seq, snapshot: snapshot.clone(), first_asked, last_asked: now });
    }

    /// Forgets what is kept for peers; they ask for another checkpoint.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }

    pub(super) fn snapshots_mut(&mut self) -> impl Iterator<Item = &mut Snapshot> {
        self.kept.values_mut().map(|kept| &mut kept.snapshot)
    }

    fn drop_expired(&mut self, now: Monotonic) {
        self.kept.retain(|_, kept| now < kept.last_asked.plus(KEPT) && now < kept.first_asked.plus(KEPT_MAX));
    }
}

impl Checkpointer {
    /// A peer fetches nodes or pages.
    pub(super) fn on_fetch(&mut self, now: Now, fetch: Verified<Fetch>, out: &mut Outbox<CheckpointTimer>) {
        let Peer::Replica(peer) = fetch.from() else { return };
        let queue = self.server.queues.entry(peer).or_default();
        if queue.len() < QUEUED_MAX {
            queue.push_back(fetch.into_inner());
            self.serve(now, peer, out);
        }
    }

    /// The next interval has begun.
    pub(super) fn on_serve_due(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        let waiting: Vec<ReplicaId> = self.server.queues.keys().copied().collect();
        waiting.into_iter().for_each(|peer| self.serve(now, peer, out));
    }

    /// Forgets checkpoints that nobody fetches any more.
    pub(super) fn drop_unfetched(&mut self, now: Now) {
        self.server.drop_expired(now.monotonic);
    }

    /// Answers a peer as far as its share goes.
    fn serve(&mut self, now: Now, peer: ReplicaId, out: &mut Outbox<CheckpointTimer>) {
        let (bytes_max, interval) = self.server.pace(now.monotonic);
        while let Some(queue) = self.server.queues.get_mut(&peer).filter(|queue| !queue.is_empty()) {
            if !self.server.spent.admits_up_to(bytes_max, peer, now.monotonic, interval) {
                out.arm(CheckpointTimer::Serve, now.monotonic.plus(interval));
                return;
            }
            let fetch = queue.pop_front().expect("the queue is not empty");
            let bytes = self.answer(now, peer, fetch, out);
            self.server.spent.spend(peer, bytes.max(SERVED_BYTES_MIN));
        }
        self.server.queues.remove(&peer);
    }

    /// Answers a question; returns the length of the answer, about.
    fn answer(
        &mut self,
        now: Now,
        peer: ReplicaId,
        fetch: Fetch,
        out: &mut Outbox<CheckpointTimer>,
    ) -> usize {
        let (Fetch::Nodes { seq, .. } | Fetch::Pages { seq, .. }) = fetch else { return 0 };
        let kept = self.server.kept.get(&peer).filter(|kept| kept.seq == seq);
        // The own one first: it may have been repaired since it was kept.
        let held = self.taken.get(&seq).or(kept.map(|kept| &kept.snapshot)).cloned();
        let (bytes, message) = match fetch {
            Fetch::Nodes { ticket, nodes, .. } => {
                let nodes = held.as_ref().map(|held| nodes_of(held, &nodes));
                let children: usize = nodes.iter().flatten().map(|node| node.children.len()).sum();
                (children * (1 + Digest::BYTES), Message::NodeData(NodeData { seq, ticket, nodes }))
            }
            Fetch::Pages { ticket, pages, .. } => {
                let pages = held.as_ref().map(|held| pages_of(held, &pages));
                let bytes = pages.iter().flatten().map(|(_, page)| page.len()).sum();
                (bytes, Message::PageData(PageData { seq, ticket, pages }))
            }
            Fetch::Batch { .. } => return 0,
        };
        out.send(To::Replica(peer), message);
        match held {
            Some(held) => self.server.keep(now.monotonic, peer, seq, &held),
            None => self.offer_stable(now, peer, out),
        }
        bytes
    }

    /// Shows a peer that asked for an older checkpoint the stable one, and keeps that for it.
    fn offer_stable(&mut self, now: Now, peer: ReplicaId, out: &mut Outbox<CheckpointTimer>) {
        if let (Some(certificate), Some(snapshot)) = (&self.certificate, self.taken.get(&self.stable)) {
            self.server.keep(now.monotonic, peer, self.stable, snapshot);
            out.send(To::Replica(peer), Message::Certificate(certificate.clone()));
        }
    }
}

/// What is not there is left out: nobody asks for it who goes by a certificate.
fn nodes_of(snapshot: &Snapshot, places: &[(u8, u64)]) -> Vec<TreeNode> {
    let node = |(level, index): &(u8, u64)| {
        let children = snapshot.node(*level, *index)?;
        Some(TreeNode { level: *level, index: *index, children })
    };
    places.iter().filter_map(node).collect()
}

fn pages_of(snapshot: &Snapshot, indexes: &[u64]) -> Vec<(u64, Bytes)> {
    let page = |index: &u64| Some((*index, Bytes::copy_from_slice(snapshot.page(*index)?)));
    indexes.iter().filter_map(page).collect()
}
