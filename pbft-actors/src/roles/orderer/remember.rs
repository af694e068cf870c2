//! What survives a stop: taken up again from the journal, and told to others who lost theirs
//! (PROTOCOL 11).

use super::*;
use crate::message::{Recall, VoteKind};
use crate::role::{CheckpointerInput, Recalled, Record, RememberedSlot, ViewChangerInput};
use crate::types::{LogId, Millis};

impl Orderer {
    /// Takes up what the journal holds; `executed` is the last batch in the state on disk, and `stable`
    /// the last stable checkpoint, which may be above it.
    pub(crate) fn remember(
        &mut self,
        executed: Seq,
        stable: Seq,
        slots: BTreeMap<Seq, RememberedSlot>,
        logs: impl Iterator<Item = ReplicaId>,
    ) {
        // A state above it is one whose certificate is lost: the others bring it as long as this says so.
        self.window = Window::new(stable, self.window.length());
        self.delivered = executed;
        self.next_proposal = stable.max(executed).next();
        self.logs = logs.collect();
        for (seq, remembered) in slots.into_iter().filter(|(seq, _)| *seq > executed.min(stable)) {
            let slot = self.slot(seq);
            for (view, digest) in remembered.pre_prepared {
                slot.promise(digest, view);
                // Whether it came fresh is not kept; to accept too little is safe.
                if digest != Batch::null_digest() {
                    slot.fresh.insert(digest);
                }
            }
            slot.prepared_latest = remembered.prepared.last().map(|(view, digest)| (*digest, *view));
            slot.bodies = remembered.bodies;
            slot.decided = remembered.decided;
        }
    }

    /// Executes what is known to be decided, and stands by its promises of the current view.
    pub(super) fn on_start(&mut self, out: &mut Outbox<OrdererTimer>) {
        self.choose_promised(out);
        self.try_deliver(out);
        out.tell(CheckpointerInput::Replayed(self.delivered));
    }

    /// What this replica accepted in its view before it stopped is the only batch that it accepts at
    /// that seq in this view.
    pub(super) fn choose_promised(&mut self, out: &mut Outbox<OrdererTimer>) {
        let view = self.view;
        let promised = self.slots.iter().filter_map(|(seq, slot)| {
            let digest = slot.pre_prepared.iter().find(|(_, latest)| **latest == view)?.0;
            slot.accepted.is_none().then_some((*seq, *digest))
        });
        let promised: Vec<(Seq, Digest)> = promised.collect();
        for (seq, digest) in promised {
            self.slot(seq).chosen = Some(digest);
            self.try_choose(seq, out);
            if self.window.contains(seq) {
                self.fetch_if_missing(seq, digest, out);
            }
        }
    }

    /// The first log seen of a peer is kept before anything of that peer counts; later ones come by
    /// REJOIN only.
    pub(super) fn on_peer_log(&mut self, replica: ReplicaId, log: LogId, out: &mut Outbox<OrdererTimer>) {
        if replica != self.config.own && self.logs.insert(replica) {
            out.persist(Record::PeerLog { replica, log });
            out.tell(CheckpointerInput::PeerLog { replica, log });
        }
    }

    /// A replica that starts asks for its votes.
    pub(super) fn on_recall(
        &mut self,
        now: Now,
        peer: ReplicaId,
        recall: Recall,
        out: &mut Outbox<OrdererTimer>,
    ) {
        self.on_peer_log(peer, recall.log, out);
        let half = Millis(self.config.tuning.status_interval.0 / 2);
        if !self.recalled.admits(peer, now.monotonic, half) {
            return;
        }
        let view = self.entered;
        let primary = self.config.quorums.primary(view);
        let mut votes = Vec::new();
        for (seq, slot) in &self.slots {
            // What NEW-VIEW chose is no vote of the primary's.
            let proposed = slot.accepted.filter(|_| peer == primary && *seq >= self.fresh_from);
            let accepted = slot.prepares.get(&peer).copied().or(proposed);
            let prepared = slot.commits.get(&peer).copied();
            let vote = |digest| Vote { view, seq: *seq, digest };
            votes.extend(accepted.map(|digest| (VoteKind::PrePrepared, vote(digest))));
            votes.extend(prepared.map(|digest| (VoteKind::Prepared, vote(digest))));
        }
        out.tell(ViewChangerInput::Recall(Recalled { peer, recall, votes, view_change: None }));
    }
}
