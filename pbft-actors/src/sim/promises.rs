//! What a replica may never take back: its view, its water mark, and what it prepared and accepted.

use std::collections::BTreeMap;

use crate::message::ViewChange;
use crate::types::{ReplicaId, Seq};

/// The last word of each replica about itself.
#[derive(Default)]
pub(super) struct Promises {
    last: BTreeMap<ReplicaId, ViewChange>,
    stable: BTreeMap<ReplicaId, Seq>,
}

impl Promises {
    /// A replica begins a new life. What it asked for it remembers, or it owes nothing to the life before; a
    /// checkpoint that was stable may have been so in memory only.
    pub(super) fn on_start(&mut self, replica: ReplicaId, remembers: bool) {
        self.stable.remove(&replica);
        if !remembers {
            self.last.remove(&replica);
        }
    }

    /// A replica's stable checkpoint after a turn; what is wrong with it.
    pub(super) fn on_stable(&mut self, replica: ReplicaId, stable: Seq) -> Option<String> {
        let before = self.stable.insert(replica, stable).unwrap_or_default();
        (stable < before)
            .then(|| format!("water marks rise: replica {replica} goes from {before} to {stable}"))
    }

    /// A replica asks for a view; what is wrong with that.
    pub(super) fn on_view_change(&mut self, replica: ReplicaId, new: &ViewChange) -> Option<String> {
        let old = self.last.insert(replica, new.clone())?;
        if new.view < old.view || new.stable < old.stable {
            return Some(format!(
                "promise: replica {replica} asks for view {} from {} after view {} from {}",
                new.view, new.stable, old.view, old.stable
            ));
        }
        let held = |seq: Seq| seq > new.stable;
        for before in old.prepared.iter().filter(|entry| held(entry.seq)) {
            let kept = new.prepared.iter().any(|entry| {
                entry.seq == before.seq
                    && (entry.view > before.view
                        || entry.view == before.view && entry.digest == before.digest)
            });
            if !kept {
                return Some(format!("promise: replica {replica} takes back that {before:?}"));
            }
        }
        for before in old.pre_prepared.iter().filter(|entry| held(entry.seq)) {
            let same = |entry: &&crate::message::PrePrepared| {
                entry.seq == before.seq && entry.digest == before.digest && entry.view >= before.view
            };
            if !new.pre_prepared.iter().any(|entry| same(&entry)) {
                return Some(format!("promise: replica {replica} takes back that {before:?}"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Digest;
    use crate::message::{PrePrepared, Prepared};
    use crate::types::View;

    fn said(view: u64, stable: u64, prepared: &[(u64, u64)], accepted: &[(u64, u64)]) -> ViewChange {
        let digest = Digest::of(b"batch");
        let (mut p, mut q) = (Vec::new(), Vec::new());
        p.extend(prepared.iter().map(|(seq, view)| Prepared { seq: Seq(*seq), digest, view: View(*view) }));
        q.extend(accepted.iter().map(|(seq, view)| PrePrepared {
            seq: Seq(*seq),
            digest,
            view: View(*view),
        }));
        ViewChange {
            view: View(view),
            stable: Seq(stable),
            checkpoints: Vec::new(),
            prepared: p,
            pre_prepared: q,
            signed_only: Vec::new(),
        }
    }

    /// Whether a replica that said the first may say the second.
    fn may_follow(first: &ViewChange, second: &ViewChange) -> bool {
        let mut promises = Promises::default();
        assert_eq!(promises.on_view_change(ReplicaId(0), first), None);
        promises.on_view_change(ReplicaId(0), second).is_none()
    }

    #[test]
    fn nothing_is_taken_back_but_what_a_checkpoint_covers() {
        let first = said(2, 0, &[(3, 1)], &[(3, 1), (4, 1)]);
        assert!(may_follow(&first, &first));
        assert!(may_follow(&first, &said(3, 0, &[(3, 2)], &[(3, 2), (4, 1)])));
        assert!(may_follow(&first, &said(3, 4, &[], &[])));
        assert!(!may_follow(&first, &said(3, 3, &[], &[])), "accepted at 4");
        assert!(!may_follow(&first, &said(3, 0, &[(3, 0)], &[(3, 1), (4, 1)])), "an earlier view");
        assert!(!may_follow(&first, &said(3, 0, &[], &[(3, 1), (4, 1)])), "not prepared any more");
        assert!(!may_follow(&first, &said(1, 0, &[(3, 1)], &[(3, 1), (4, 1)])), "an earlier view asked for");
    }

    #[test]
    fn a_water_mark_that_goes_down_is_told() {
        let mut promises = Promises::default();
        assert_eq!(promises.on_stable(ReplicaId(1), Seq(8)), None);
        assert!(promises.on_stable(ReplicaId(1), Seq(4)).unwrap().contains("water marks"));
        promises.on_start(ReplicaId(1), true);
        assert_eq!(promises.on_stable(ReplicaId(1), Seq(2)), None);
    }
}
