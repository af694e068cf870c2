//! What a new view starts from, as a function of V alone (PROTOCOL 7.3). The new primary computes
//! it, and everyone verifies the NEW-VIEW by computing it again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::Digest;
use crate::message::{Batch, Checkpoint, ViewChange};
use crate::types::{Quorums, Seq, View};

/// What a view starts from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    /// The chosen checkpoint.
    pub(crate) checkpoint: Checkpoint,
    /// X: a batch for every seq above it, up to the highest that any P names.
    pub(crate) chosen: Vec<(Seq, Digest)>,
}

/// Chooses from valid VIEW-CHANGEs for one view, one per sender; `None` asks for more of them.
///
/// `window` is L.
pub(crate) fn decide(quorums: Quorums, window: u64, votes: &[&ViewChange]) -> Option<Decision> {
    if votes.len() < quorums.quorum() {
        return None;
    }
    let checkpoint = choose_checkpoint(quorums, votes)?;
    let promises: Vec<Promises> = votes.iter().map(|vote| Promises::new(vote)).collect();
    let low = checkpoint.seq;
    let named = votes.iter().flat_map(|vote| &vote.prepared).map(|entry| entry.seq);
    let last = named.filter(|seq| *seq <= low.plus(window)).max().unwrap_or(low);
    let mut chosen = Vec::new();
    let mut seq = low.next();
    while seq <= last {
        chosen.push((seq, choose_batch(quorums, &promises, seq)?));
        seq = seq.next();
    }
    Some(Decision { checkpoint, chosen })
}

/// The highest checkpoint that weak-many can serve and that Q have not passed.
fn choose_checkpoint(quorums: Quorums, votes: &[&ViewChange]) -> Option<Checkpoint> {
    let listed: BTreeSet<Checkpoint> =
        votes.iter().flat_map(|vote| vote.checkpoints.iter().copied()).collect();
    let eligible = |candidate: &Checkpoint| {
        let passed_by_few = votes.iter().filter(|vote| vote.stable <= candidate.seq).count();
        let listing = votes.iter().filter(|vote| vote.checkpoints.contains(candidate)).count();
        passed_by_few >= quorums.quorum() && listing >= quorums.weak()
    };
    let mut best: Option<Checkpoint> = None;
    for candidate in listed.into_iter().filter(eligible) {
        // Ascending: of two digests at one seq the smaller comes first and stays.
        if best.is_none_or(|best| best.seq < candidate.seq) {
            best = Some(candidate);
        }
    }
    best
}

/// One VIEW-CHANGE, by seq.
struct Promises {
    stable: Seq,
    prepared: BTreeMap<Seq, (Digest, View)>,
    pre_prepared: BTreeMap<(Seq, Digest), View>,
}

impl Promises {
    fn new(vote: &ViewChange) -> Self {
        Self {
            stable: vote.stable,
            prepared: vote.prepared.iter().map(|entry| (entry.seq, (entry.digest, entry.view))).collect(),
            pre_prepared: vote
                .pre_prepared
                .iter()
                .map(|entry| ((entry.seq, entry.digest), entry.view))
                .collect(),
        }
    }

    /// A1: nothing this replica prepared at `seq` speaks against `digest` of `view`.
    fn agrees(&self, seq: Seq, digest: Digest, view: View) -> bool {
        self.stable < seq
            && self
                .prepared
                .get(&seq)
                .is_none_or(|(other, later)| *later < view || (*later == view && *other == digest))
    }

    /// A2: this replica pre-prepared `digest` at `seq` in `view` or later.
    fn vouches(&self, seq: Seq, digest: Digest, view: View) -> bool {
        self.pre_prepared.get(&(seq, digest)).is_some_and(|latest| *latest >= view)
    }

    /// B: this replica prepared nothing at `seq`.
    fn is_free(&self, seq: Seq) -> bool {
        self.stable < seq && !self.prepared.contains_key(&seq)
    }
}

fn choose_batch(quorums: Quorums, promises: &[Promises], seq: Seq) -> Option<Digest> {
    let candidates: BTreeSet<(View, Digest)> = promises
        .iter()
        .filter_map(|promise| promise.prepared.get(&seq))
        .map(|(digest, view)| (*view, *digest))
        .collect();
    let mut best: Option<(View, Digest)> = None;
    for (view, digest) in candidates {
        let agreeing = promises.iter().filter(|promise| promise.agrees(seq, digest, view)).count();
        let vouching = promises.iter().filter(|promise| promise.vouches(seq, digest, view)).count();
        let proven = agreeing >= quorums.quorum() && vouching >= quorums.weak();
        // Ascending by view, then digest: a later view replaces, an equal one does not.
        if proven && best.is_none_or(|(highest, _)| highest < view) {
            best = Some((view, digest));
        }
    }
    if let Some((_, digest)) = best {
        return Some(digest);
    }
    let free = promises.iter().filter(|promise| promise.is_free(seq)).count();
    (free >= quorums.quorum()).then(Batch::null_digest)
}
