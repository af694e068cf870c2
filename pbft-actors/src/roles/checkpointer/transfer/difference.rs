//! What still differs between a state in the making and the one that is fetched.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::Digest;
use crate::message::{NODE_CHILDREN_MAX, NODES_PER_DATA_MAX, PAGES_PER_DATA_MAX};
use crate::ports::state::{
    PAGE_LEVEL, Page, Saved, Snapshot, StateBuilder, StateLimits, TREE_LEVELS, child_index,
};

/// Nodes and pages that may be known to differ and not be here yet: some 2 MiB. Nodes are asked for
/// only as far as what lies below them finds room, so the size of the state does not matter.
const WANTED_MAX: usize = 1 << 15;

/// Level and number in the tree, so that lower levels come first.
pub(super) type Place = (u8, u64);

/// The root's place.
pub(super) const ROOT: Place = (TREE_LEVELS, 0);

/// A node or page that differs, with the digest that its parent names for it.
pub(super) type Wanted = (Place, Digest);

/// The state in the making, and what it lacks of the state that it is to become. What is wanted was
/// named by a node that was checked, down from the root, so only that state can come of it.
#[derive(Clone)]
pub(super) struct Difference {
    builder: StateBuilder,
    /// Nobody is asked for it.
    open: BTreeMap<Place, Digest>,
    /// Somebody is.
    asked: BTreeMap<Place, Digest>,
}

impl Difference {
    /// Starts from a state that is here, but for parts of it that the disk lost.
    pub(super) fn new(limits: StateLimits, from: &Snapshot, lost: &BTreeSet<Place>) -> Self {
        let mut builder = StateBuilder::of_snapshot(limits, from);
        // From the top: what is below a lost node is lost with it.
        for (level, index) in lost.iter().rev() {
            builder.remove_subtree(*level, *index);
        }
        Self { builder, open: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// Goes for the state with this root, from whatever is here. The root is the caller's to ask for.
    pub(super) fn aim(&mut self, root: Digest) {
        self.open.clear();
        self.asked.clear();
        if self.builder.digest_at(ROOT.0, ROOT.1) != Some(root) {
            self.asked.insert(ROOT, root);
        }
    }

    /// Whether nothing is wanted any more.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty() && self.asked.is_empty()
    }

    /// The state as far as it came.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.builder.snapshot()
    }

    /// What is on disk is not held in memory any more.
    pub(super) fn adopt(&mut self, saved: &Saved) {
        self.builder.adopt(saved);
    }

    /// What one question can ask for: pages before nodes and lower nodes before higher ones, which
    /// keeps short what is wanted.
    pub(super) fn take(&mut self) -> Option<Vec<Wanted>> {
        let level = self.open.first_key_value()?.0.0;
        let count =
            if level == PAGE_LEVEL { PAGES_PER_DATA_MAX } else { self.room().min(NODES_PER_DATA_MAX) };
        let taken: Vec<Wanted> = self
            .open
            .range(..=(level, u64::MAX))
            .take(count)
            .map(|(place, digest)| (*place, *digest))
            .collect();
        for (place, digest) in &taken {
            self.open.remove(place);
            self.asked.insert(*place, *digest);
        }
        (!taken.is_empty()).then_some(taken)
    }

    /// Nobody is asked for these any more, unless they came meanwhile.
    pub(super) fn give_back(&mut self, parts: &[Wanted]) {
        for (place, _) in parts.iter().filter(|(place, _)| *place != ROOT) {
            if let Some(digest) = self.asked.remove(place) {
                self.open.insert(*place, digest);
            }
        }
    }

    /// The digest that a part must have, if it is wanted.
    pub(super) fn wants(&self, place: Place) -> Option<Digest> {
        self.asked.get(&place).or_else(|| self.open.get(&place)).copied()
    }

    /// A node that was wanted and has the right digest: goes on below where it differs.
    pub(super) fn put_node(&mut self, place: Place, children: &[(u8, Digest)]) {
        self.forget(place);
        let theirs: BTreeMap<u8, Digest> = children.iter().copied().collect();
        let (level, index) = place;
        for slot in 0..=u8::MAX {
            let child = (level - 1, child_index(index, slot));
            let own = self.builder.digest_at(child.0, child.1);
            match theirs.get(&slot) {
                Some(theirs) if own != Some(*theirs) => {
                    self.open.insert(child, *theirs);
                }
                None if own.is_some() => self.builder.remove_subtree(child.0, child.1),
                _ => {}
            }
        }
    }

    /// A page that was wanted and has the right digest.
    pub(super) fn put_page(&mut self, index: u64, page: &Page, digest: Digest) {
        self.forget((PAGE_LEVEL, index));
        self.builder
            .put_digested(index, page, digest)
            .expect("a correct replica vouched for this page, and all have the same limits");
    }

    fn forget(&mut self, place: Place) {
        self.asked.remove(&place);
        self.open.remove(&place);
    }

    /// Nodes that may be asked for now; one at least if nobody is asked for any.
    fn room(&self) -> usize {
        let nodes = self.asked.range((PAGE_LEVEL + 1, 0)..).count();
        let room = WANTED_MAX.saturating_sub(self.open.len() + self.asked.len()) / NODE_CHILDREN_MAX;
        room.saturating_sub(nodes).max(usize::from(nodes == 0))
    }
}
