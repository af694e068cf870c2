//! What a Byzantine replica may say: everything in a set that is chosen so that a lie can matter, to
//! anybody, at any time, in any order, and any number of times.

use super::{Group, Limits, Member};
use crate::codec;
use crate::crypto::Digest;
use crate::message::{
    Batch, Kind, NewView, Opened, Payload, Peer, PrePrepare, PrePrepared, Prepared, Signed, ViewChange, Vote,
    encode_pre_prepare,
};
use crate::role::{Message, ViewChangerInput};
use crate::roles::view_changer::decide;
use crate::types::{ReplicaId, Seq, View};

/// The liar, with all that it can sign.
pub(crate) struct Liar {
    group: Group,
    own: ReplicaId,
    /// What it may propose anywhere.
    batches: Vec<Batch>,
    /// Seqs that it lies about.
    seqs: Vec<Seq>,
    /// Its VIEW-CHANGEs for view 1: no two of them say the same.
    view_changes: Vec<Signed<ViewChange>>,
}

impl Liar {
    /// `first` is the first seq that the model is about; `member` is a correct replica there, which is
    /// used up.
    pub(crate) fn new(
        group: &Group,
        own: ReplicaId,
        limits: &Limits,
        mut member: Member,
        batches: Vec<Batch>,
    ) -> Self {
        let seqs: Vec<Seq> = (2..2 + limits.seqs).map(Seq).collect();
        let said = member.on_mail(ViewChangerInput::Suspect(View(0)).into());
        let honest = said.into_iter().find_map(|said| match said.message() {
            Some((_, Message::ViewChange(signed))) => Some(signed.message),
            _ => None,
        });
        let honest = honest.expect("who suspects its primary leaves the view");
        let mut liar = Self { group: group.clone(), own, batches, seqs, view_changes: Vec::new() };
        liar.view_changes = liar.promises().into_iter().map(|lie| liar.view_change(&honest, &lie)).collect();
        liar
    }

    pub(crate) fn own(&self) -> ReplicaId {
        self.own
    }

    fn digests(&self) -> Vec<Digest> {
        self.batches.iter().map(|batch| batch.digest()).collect()
    }

    /// What it may claim to have prepared: nothing, or one of the batches at one seq.
    fn promises(&self) -> Vec<Option<(Seq, Digest)>> {
        let at =
            |seq: &Seq| self.digests().into_iter().map(|digest| Some((*seq, digest))).collect::<Vec<_>>();
        std::iter::once(None).chain(self.seqs.iter().flat_map(at)).collect()
    }

    fn view_change(&self, honest: &ViewChange, lie: &Option<(Seq, Digest)>) -> Signed<ViewChange> {
        let mut message = honest.clone();
        message.view = View(1);
        if let Some((seq, digest)) = *lie {
            let view = View(0);
            message.prepared.push(Prepared { seq, digest, view });
            message.pre_prepared.push(PrePrepared { seq, digest, view });
        }
        self.group.signer(self.own).sign(Kind::ViewChange, message)
    }

    /// What it can say whatever the others do.
    pub(crate) fn always(&self, views: u64) -> Vec<Payload> {
        let mut said = Vec::new();
        let mut votes: Vec<(View, Digest)> = Vec::new();
        let views: Vec<View> = (0..views).map(View).collect();
        for view in views.iter().copied() {
            votes.extend(self.digests().into_iter().map(|digest| (view, digest)));
            if view > View(0) {
                votes.push((view, Batch::null_digest()));
            }
        }
        for seq in &self.seqs {
            for view in views.iter().copied().filter(|view| self.is_primary(*view)) {
                for batch in &self.batches {
                    let message = PrePrepare::of_batch(view, *seq, batch);
                    said.push(Payload::new(Kind::PrePrepare, encode_pre_prepare(&message).into()));
                }
            }
            for (view, digest) in &votes {
                let vote = codec::encode(&Vote { view: *view, seq: *seq, digest: *digest });
                if !self.is_primary(*view) {
                    said.push(Payload::new(Kind::Prepare, vote.clone().into()));
                }
                said.push(Payload::new(Kind::Commit, vote.into()));
            }
        }
        if views.len() == 1 {
            return said;
        }
        let wires = self.view_changes.iter().map(|signed| signed.wire().clone());
        said.extend(wires.map(|wire| Payload::new(Kind::ViewChange, wire)));
        said
    }

    /// As the primary of view 1: every NEW-VIEW of a quorum of VIEW-CHANGEs, of which `others` are the
    /// correct replicas', with what follows from them and with what does not.
    pub(crate) fn new_views(&self, others: &[Payload]) -> Vec<Payload> {
        if !self.is_primary(View(1)) {
            return Vec::new();
        }
        let opener = self.group.opener(Peer::Replica(self.own));
        let opened: Vec<Signed<ViewChange>> = others
            .iter()
            .filter_map(|payload| {
                match opener.open(Peer::Replica(ReplicaId(3)), Kind::ViewChange, payload.body().clone()) {
                    Ok(Opened::ViewChange(signed)) => Some(signed.into_inner()),
                    _ => None,
                }
            })
            .collect();
        let mut said = Vec::new();
        for own in &self.view_changes {
            for chosen in subsets(&opened).filter(|set| set.len() + 1 >= self.group.quorums().quorum()) {
                let votes: Vec<&Signed<ViewChange>> = std::iter::once(own).chain(chosen).collect();
                said.extend(self.new_view(&votes));
            }
        }
        said
    }

    fn new_view(&self, votes: &[&Signed<ViewChange>]) -> Vec<Payload> {
        let messages: Vec<&ViewChange> = votes.iter().map(|vote| &vote.message).collect();
        let Some(decision) = decide(self.group.quorums(), self.group.window(), &messages) else {
            return Vec::new();
        };
        let last = decision.chosen.clone();
        let mut all = vec![last.clone()];
        // The same with another batch at its end.
        for digest in self.digests().into_iter().chain([Batch::null_digest()]) {
            let mut wrong = last.clone();
            if let Some((seq, chosen)) = wrong.last_mut()
                && *seq >= self.seqs[0]
                && *chosen != digest
            {
                *chosen = digest;
                all.push(wrong);
            }
        }
        let sign = |chosen| {
            let message = NewView {
                view: View(1),
                view_changes: votes.iter().map(|vote| vote.wire().clone()).collect(),
                checkpoint: decision.checkpoint,
                chosen,
            };
            let signed = self.group.signer(self.own).sign(Kind::NewView, message);
            Payload::new(Kind::NewView, signed.wire().clone())
        };
        all.into_iter().map(sign).collect()
    }

    fn is_primary(&self, view: View) -> bool {
        self.group.quorums().primary(view) == self.own
    }
}

/// Every subset, each in the order of the whole.
fn subsets<T>(all: &[T]) -> impl Iterator<Item = Vec<&T>> {
    (0..1_usize << all.len()).map(move |bits| {
        all.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, item)| item).collect()
    })
}
