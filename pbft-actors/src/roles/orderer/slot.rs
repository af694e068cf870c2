use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::message::{Batch, DIGESTS_PER_SEQ_MAX, PrePrepare, Request};
use crate::types::{ReplicaId, View};

/// Everything a replica holds about one seq above its stable checkpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// The primary's proposal in the current view, until it is accepted.
    pub(super) proposal: Option<PrePrepare>,
    /// What the current view's NEW-VIEW chose here.
    pub(super) chosen: Option<Digest>,
    /// The batch accepted in the current view.
    pub(super) accepted: Option<Digest>,
    /// At the primary: its own proposal of the current view is durable.
    pub(super) proposed: bool,
    /// Votes of the current view, one per sender.
    pub(super) prepares: BTreeMap<ReplicaId, Digest>,
    /// Votes of the current view, one per sender.
    pub(super) commits: BTreeMap<ReplicaId, Digest>,
    /// Prepared in the current view.
    pub(super) prepared: bool,
    /// P: what prepared here in the latest view.
    pub(super) prepared_latest: Option<(Digest, View)>,
    /// Qs: what was pre-prepared here, each with its latest view. Never evicted.
    pub(super) pre_prepared: BTreeMap<Digest, View>,
    /// Those of Qs that came fresh from a primary.
    pub(super) fresh: BTreeSet<Digest>,
    /// The batches behind every digest promised or decided here.
    pub(super) bodies: BTreeMap<Digest, Arc<Batch>>,
    /// Requests of the proposal that were found elsewhere, by digest.
    pub(super) found: BTreeMap<Digest, Request>,
    /// The requests were asked for.
    pub(super) asked: bool,
    /// The seq's batch, once it is certain.
    pub(super) decided: Option<Digest>,
    /// Who says what was decided.
    pub(super) claims: BTreeMap<ReplicaId, Digest>,
    /// How often a missing body was asked for; picks whom to ask.
    pub(super) fetches: usize,
}

impl Slot {
    /// Forgets the votes of the view that was left; promises and bodies stay.
    pub(super) fn leave_view(&mut self) {
        self.proposal = None;
        self.chosen = None;
        self.accepted = None;
        self.proposed = false;
        self.prepares.clear();
        self.commits.clear();
        self.prepared = false;
        self.found.clear();
        self.asked = false;
    }

    /// The batch with this digest, if it is held; null always is.
    pub(super) fn body(&self, digest: Digest) -> Option<Arc<Batch>> {
        if digest == Batch::null_digest() {
            return Some(Arc::new(Batch::null()));
        }
        self.bodies.get(&digest).cloned()
    }

    /// The batch accepted in the current view.
    pub(super) fn accepted_batch(&self) -> Option<Arc<Batch>> {
        self.accepted.and_then(|digest| self.body(digest))
    }

    /// Notes the promise to accept `digest` in `view`: an entry of Qs.
    pub(super) fn promise(&mut self, digest: Digest, view: View) {
        let latest = self.pre_prepared.entry(digest).or_insert(view);
        *latest = view.max(*latest);
        assert!(
            self.pre_prepared.len() <= DIGESTS_PER_SEQ_MAX,
            "Qs is bounded by the rule on fresh digests: {:?}",
            self.pre_prepared
        );
    }
}
