use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Checkpoint, Signed};
use crate::crypto::Digest;
use crate::types::{ClientId, Seq, View};

/// An entry of P: what a replica prepared at a seq, in the latest view in which it did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// The batch's place.
    pub seq: Seq,
    /// The batch.
    pub digest: Digest,
    /// The latest view it prepared in.
    pub view: View,
}

/// An entry of Qs: a batch that a replica pre-prepared at a seq, with the latest view in which it did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct PrePrepared {
    /// The batch's place.
    pub seq: Seq,
    /// The batch.
    pub digest: Digest,
    /// The latest view it was pre-prepared in.
    pub view: View,
}

/// A replica leaves its view and says what it has promised (PROTOCOL 7.2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewChange {
    /// The view asked for.
    pub view: View,
    /// The stable checkpoint h.
    pub stable: Seq,
    /// C: checkpoints at or above h whose pages the replica can serve, ascending.
    pub checkpoints: Vec<Checkpoint>,
    /// P, ascending by seq.
    pub prepared: Vec<Prepared>,
    /// Qs, ascending by (seq, digest).
    pub pre_prepared: Vec<PrePrepared>,
    /// Clients whose MACs this replica could not verify, ascending: they must sign from now on.
    pub signed_only: Vec<ClientId>,
}

impl ViewChange {
    /// Whether the message says only what a correct replica could say (PROTOCOL 7.2).
    ///
    /// `interval` is K and `window` L.
    pub fn is_valid(&self, interval: u64, window: u64) -> bool {
        let low = self.stable;
        let high = low.plus(window);
        let checkpoints_ok = strictly_ascending(self.checkpoints.iter().map(|c| c.seq))
            && self
                .checkpoints
                .iter()
                .all(|c| c.seq.is_checkpoint(interval) && low <= c.seq && c.seq <= high);
        let prepared_ok = strictly_ascending(self.prepared.iter().map(|p| p.seq))
            && self.prepared.iter().all(|p| low < p.seq && p.seq <= high && p.view < self.view);
        let pre_prepared_ok = strictly_ascending(self.pre_prepared.iter().map(|q| (q.seq, q.digest)))
            && self.pre_prepared.iter().all(|q| low < q.seq && q.seq <= high && q.view < self.view);
        let signed_only_ok = strictly_ascending(self.signed_only.iter().copied())
            && self.signed_only.len() <= super::SIGNED_ONLY_MAX;
        low.is_checkpoint(interval) && checkpoints_ok && prepared_ok && pre_prepared_ok && signed_only_ok
    }
}

fn strictly_ascending<T: PartialOrd>(items: impl Iterator<Item = T>) -> bool {
    let mut last = None;
    for item in items {
        if last.as_ref().is_some_and(|last| *last >= item) {
            return false;
        }
        last = Some(item);
    }
    true
}

/// The new primary starts its view (PROTOCOL 7.4).
///
/// On the wire the VIEW-CHANGEs are the bytes their senders signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewView {
    /// The view that starts.
    pub view: View,
    /// V: signed VIEW-CHANGEs of at least Q distinct replicas, as they were received.
    pub view_changes: Vec<Bytes>,
    /// The checkpoint chosen from V.
    pub checkpoint: Checkpoint,
    /// X: the batch chosen from V for each seq above the checkpoint.
    pub chosen: Vec<(Seq, Digest)>,
}

impl Signed<NewView> {
    /// The message's view.
    pub fn view(&self) -> View {
        self.message.view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> ViewChange {
        let digest = Digest::of(b"d");
        ViewChange {
            view: View(3),
            stable: Seq(8),
            checkpoints: vec![Checkpoint { seq: Seq(8), digest }, Checkpoint { seq: Seq(12), digest }],
            prepared: vec![Prepared { seq: Seq(9), digest, view: View(2) }],
            pre_prepared: vec![PrePrepared { seq: Seq(9), digest, view: View(2) }],
            signed_only: vec![ClientId(1), ClientId(4)],
        }
    }

    #[test]
    fn a_correct_message_is_valid_and_each_broken_rule_is_not() {
        assert!(valid().is_valid(4, 16));
        let broken: [fn(&mut ViewChange); 12] = [
            |m| m.stable = Seq(9),
            |m| m.checkpoints.reverse(),
            |m| m.checkpoints[1].seq = Seq(13),
            |m| m.checkpoints[1].seq = Seq(28),
            |m| m.checkpoints[0].seq = Seq(4),
            |m| m.prepared[0].seq = Seq(8),
            |m| m.prepared[0].seq = Seq(25),
            |m| m.prepared[0].view = View(3),
            |m| m.prepared.push(m.prepared[0]),
            |m| m.pre_prepared.push(m.pre_prepared[0]),
            |m| m.pre_prepared[0].view = View(3),
            |m| m.signed_only.reverse(),
        ];
        for (rule, break_it) in broken.iter().enumerate() {
            let mut message = valid();
            break_it(&mut message);
            assert!(!message.is_valid(4, 16), "rule {rule}");
        }
    }
}
