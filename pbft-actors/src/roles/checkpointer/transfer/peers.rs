//! Who is asked for a state, for what, and for how long.

use std::collections::BTreeMap;

use super::difference::Wanted;
use crate::types::{Millis, Monotonic, ReplicaId};

/// Questions that one peer has to answer at a time.
const REQUESTS_PER_PEER_MAX: usize = 4;
/// Questions that all peers have to answer at a time: at most 4 MiB of pages, or 10 MiB of nodes, are
/// on their way here.
const REQUESTS_MAX: usize = 16;
/// A peer is slow when it takes so many times longer than answers usually do,
const LATENCY_FACTOR: u64 = 4;
/// and longer than this: answers are paced, and nobody answers at once while it executes.
const PATIENCE_MIN: Millis = Millis(20);
/// Patience doubles when everyone was too slow, this many times at most.
const DOUBLINGS_MAX: u32 = 4;
/// Of how many answers the usual time is the average, about.
const LATENCY_WEIGHT: u64 = 8;

/// What a peer is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Asked for the root, which is how it shows that it has the checkpoint.
    Probed,
    /// Answers.
    Good,
    /// Not asked: it is slow, does not have the checkpoint, or is not known to.
    Behind,
    /// Never asked again.
    Liar,
}

/// A question that a peer has to answer.
#[derive(Clone)]
pub(super) struct Request {
    peer: ReplicaId,
    asked_at: Monotonic,
    due: Monotonic,
    pub(super) parts: Vec<Wanted>,
}

/// The peers of one transfer.
#[derive(Clone)]
pub(super) struct Peers {
    standings: BTreeMap<ReplicaId, Standing>,
    /// By ticket, so the oldest first.
    requests: BTreeMap<u64, Request>,
    /// Patience while it is not known how long an answer takes.
    patience_max: Millis,
    doublings: u32,
    /// How long an answer usually takes, microseconds.
    latency: Option<u64>,
}

impl Peers {
    pub(super) fn new(others: impl Iterator<Item = ReplicaId>, patience_max: Millis) -> Self {
        Self {
            standings: others.map(|id| (id, Standing::Behind)).collect(),
            requests: BTreeMap::new(),
            patience_max,
            doublings: 0,
            latency: None,
        }
    }

    /// Forgets what was asked and who had the last checkpoint, but not who lied.
    pub(super) fn reset(&mut self) {
        self.requests.clear();
        for standing in self.standings.values_mut().filter(|standing| **standing != Standing::Liar) {
            *standing = Standing::Behind;
        }
    }

    /// Those of these who may be asked for the root.
    pub(super) fn to_probe(&self, among: &[ReplicaId]) -> Vec<ReplicaId> {
        let behind = |id: &&ReplicaId| self.standings.get(id) == Some(&Standing::Behind);
        among.iter().filter(behind).copied().collect()
    }

    /// Everyone who did not lie.
    pub(super) fn honest(&self) -> Vec<ReplicaId> {
        let honest = self.standings.iter().filter(|(_, standing)| **standing != Standing::Liar);
        honest.map(|(id, _)| *id).collect()
    }

    /// Whether anybody is left to be waited for.
    pub(super) fn has_hope(&self) -> bool {
        self.standings.values().any(|standing| matches!(standing, Standing::Probed | Standing::Good))
    }

    /// Whether an answer of this peer is looked at.
    pub(super) fn heeds(&self, peer: ReplicaId) -> bool {
        self.standings.get(&peer).is_some_and(|standing| *standing != Standing::Liar)
    }

    /// Waits longer from now on: everyone was too slow.
    pub(super) fn double_patience(&mut self) {
        self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
    }

    /// A good peer that has room for a question, the one with the most room first.
    pub(super) fn choose(&self) -> Option<ReplicaId> {
        if self.requests.len() >= REQUESTS_MAX {
            return None;
        }
        let good = self.standings.iter().filter(|(_, standing)| **standing == Standing::Good);
        let load = good.map(|(id, _)| (self.load(*id), *id));
        load.filter(|(load, _)| *load < REQUESTS_PER_PEER_MAX).min().map(|(_, id)| id)
    }

    /// A question was sent.
    pub(super) fn ask(&mut self, now: Monotonic, peer: ReplicaId, ticket: u64, parts: Vec<Wanted>) {
        let due = now.plus(self.patience());
        self.requests.insert(ticket, Request { peer, asked_at: now, due, parts });
    }

    /// The question that this peer answers, which is then no longer open.
    pub(super) fn close(&mut self, peer: ReplicaId, ticket: u64) -> Option<Request> {
        let own = self.requests.get(&ticket).is_some_and(|request| request.peer == peer);
        if own { self.requests.remove(&ticket) } else { None }
    }

    /// A peer answered a question in time.
    pub(super) fn on_answered(&mut self, now: Monotonic, request: &Request) {
        let took = now.0.saturating_sub(request.asked_at.0);
        let usual = self.latency.unwrap_or(took);
        self.latency = Some((usual * (LATENCY_WEIGHT - 1) + took) / LATENCY_WEIGHT);
        self.stand(request.peer, Standing::Good);
    }

    pub(super) fn stand(&mut self, peer: ReplicaId, standing: Standing) {
        self.standings.insert(peer, standing);
    }

    /// Leaves a peer; what it was asked for is somebody else's to answer now.
    pub(super) fn leave(&mut self, peer: ReplicaId, standing: Standing) -> Vec<Wanted> {
        self.stand(peer, standing);
        let mut left = Vec::new();
        self.requests.retain(|_, request| {
            let keeps = request.peer != peer;
            if !keeps {
                left.append(&mut request.parts);
            }
            keeps
        });
        left
    }

    /// Leaves whoever has not answered in time.
    pub(super) fn leave_slow(&mut self, now: Monotonic) -> Vec<Wanted> {
        let late: Vec<ReplicaId> =
            self.requests.values().filter(|request| request.due <= now).map(|request| request.peer).collect();
        late.into_iter().flat_map(|peer| self.leave(peer, Standing::Behind)).collect()
    }

    /// When the next question is answered too late.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.requests.values().map(|request| request.due).min()
    }

    fn load(&self, peer: ReplicaId) -> usize {
        self.requests.values().filter(|request| request.peer == peer).count()
    }

    fn patience(&self) -> Millis {
        let usual = self.latency.map(|latency| Millis((latency * LATENCY_FACTOR).div_ceil(1_000)));
        let patience =
            usual.map_or(self.patience_max, |usual| usual.max(PATIENCE_MIN).min(self.patience_max));
        Millis(patience.0 << self.doublings)
    }
}
