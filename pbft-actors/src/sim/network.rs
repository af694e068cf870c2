//! Links: which frames arrive, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{LinkPlan, Micros};
use super::rng::Rng;
use crate::message::Peer;

/// The network between all nodes.
pub(super) struct Network {
    rng: Rng,
    plan: LinkPlan,
    /// Directed links that carry nothing.
    cut: BTreeSet<(Peer, Peer)>,
    /// What a directed link takes longer.
    clogged: BTreeMap<(Peer, Peer), Micros>,
    pub(super) lost: u64,
    pub(super) carried: u64,
    /// Frames of a direction, for tests that count.
    #[cfg(test)]
    pub(super) by_link: BTreeMap<(Peer, Peer), u64>,
    /// Kinds that a direction does not carry, for tests that need one to be missing.
    #[cfg(test)]
    swallowed: BTreeSet<(Peer, Peer, u8)>,
}

impl Network {
    pub(super) fn new(rng: Rng, plan: LinkPlan) -> Self {
        Self {
            rng,
            plan,
            cut: BTreeSet::new(),
            clogged: BTreeMap::new(),
            lost: 0,
            carried: 0,
            #[cfg(test)]
            by_link: BTreeMap::new(),
            #[cfg(test)]
            swallowed: BTreeSet::new(),
        }
    }

    pub(super) fn set_plan(&mut self, plan: LinkPlan) {
        self.plan = plan;
    }

    pub(super) fn cut(&mut self, from: Peer, to: Peer) {
        self.cut.insert((from, to));
    }

    pub(super) fn clog(&mut self, from: Peer, to: Peer, delay: Micros) {
        self.clogged.insert((from, to), delay);
    }

    pub(super) fn is_cut(&self, from: Peer, to: Peer) -> bool {
        self.cut.contains(&(from, to))
    }

    pub(super) fn mend_all(&mut self) {
        self.cut.clear();
        self.clogged.clear();
        #[cfg(test)]
        self.swallowed.clear();
    }

    /// From now on no message of this kind arrives, until all is mended.
    #[cfg(test)]
    pub(super) fn swallow(&mut self, from: Peer, to: Peer, kind: crate::message::Kind) {
        self.swallowed.insert((from, to, kind as u8));
    }

    /// Whether a frame is of a kind that does not arrive.
    #[cfg(test)]
    pub(super) fn swallows(&self, from: Peer, to: Peer, frame: &[u8]) -> bool {
        frame.get(1).is_some_and(|kind| self.swallowed.contains(&(from, to, *kind)))
    }

    /// After how long a frame arrives, once for each of its copies.
    pub(super) fn carry(&mut self, from: Peer, to: Peer) -> [Option<Micros>; 2] {
        let plan = self.plan;
        if self.cut.contains(&(from, to)) || self.rng.chance(plan.loss_per_mille) {
            self.lost += 1;
            return [None; 2];
        }
        self.carried += 1;
        #[cfg(test)]
        {
            *self.by_link.entry((from, to)).or_default() += 1;
        }
        let twice = self.rng.chance(plan.duplicate_per_mille);
        let clogged = self.clogged.get(&(from, to)).copied().unwrap_or_default();
        let mut delay = || clogged + self.rng.between(plan.delay_min, plan.delay_max);
        [Some(delay()), twice.then(delay)]
    }
}
