//! Leaving a view and entering the next (PROTOCOL 7.1, 7.2 and 7.5).

use super::*;
use crate::message::{Entry, PrePrepared, Prepared, ProofState};
use crate::role::{Effect, Enter, ExecutorInput, Frozen, Record, ViewChangerInput};

impl Orderer {
    /// Stops voting and says, as of this instant, what was promised.
    pub(super) fn on_freeze(&mut self, view: View, out: &mut Outbox<OrdererTimer>) {
        assert!(view >= self.view, "a replica does not go back from view {} to {view}", self.view);
        if view == self.view && self.active {
            return;
        }
        if let Some(last) = view.0.checked_sub(1) {
            out.effects.push(Effect::Fence(View(last)));
        }
        self.view = view;
        self.active = false;
        self.ahead = Seq::ZERO;
        out.tell(ExecutorInput::Halt);
        self.granted = None;
        self.gathering = None;
        self.displaced.clear();
        // What only NEW-VIEWs that are over chose, beyond this replica's window, is no promise.
        let kept = self.is_kept_high();
        self.slots.retain(|seq, slot| *seq <= kept || !slot.pre_prepared.is_empty());
        let (low, high) = (self.window.low(), self.window.high());
        let mut frozen = Frozen {
            view,
            stable: low,
            checkpoints: Vec::new(),
            prepared: Vec::new(),
            pre_prepared: Vec::new(),
            disputed: self.disputed(),
        };
        let held = self.checkpoints.iter().filter(|(seq, _)| low <= **seq && **seq <= self.window.high());
        frozen.checkpoints.extend(held.map(|(seq, digest)| Checkpoint { seq: *seq, digest: *digest }));
        // What is stable already and only waits to be executed is no promise any more; what is promised
        // beyond the window is told once the window is there.
        for (seq, slot) in self.slots.range(low.next()..=high) {
            let seq = *seq;
            frozen.prepared.extend(slot.prepared_latest.map(|(digest, view)| Prepared { seq, digest, view }));
            let promised = slot.pre_prepared.iter();
            frozen.pre_prepared.extend(promised.map(|(digest, view)| PrePrepared {
                seq,
                digest: *digest,
                view: *view,
            }));
        }
        out.tell(ViewChangerInput::Frozen(frozen));
    }

    /// Clients whose MACs block a seq, and who did not sign when they were asked to. An honest client
    /// answers that question; one that is listed all the same only has to sign.
    fn disputed(&self) -> Vec<ClientId> {
        let mut disputed = BTreeSet::new();
        for slot in self.slots.values().filter(|slot| slot.accepted.is_none() && slot.asked) {
            for entry in slot.proposal.iter().flat_map(|proposal| &proposal.entries) {
                if let Entry::Inline(request) = entry
                    && !request.is_signed()
                    && request.proof_state() != ProofState::Good
                    && !slot.found.contains_key(request.digest())
                {
                    disputed.insert(request.id().client);
                }
            }
        }
        disputed.into_iter().collect()
    }

    pub(super) fn on_gather(
        &mut self,
        view: View,
        chosen: Vec<(Seq, Digest)>,
        out: &mut Outbox<OrdererTimer>,
    ) {
        if view != self.view || self.active {
            return;
        }
        for (seq, digest) in &chosen {
            if *seq > self.window.low() {
                self.fetch_if_missing(*seq, *digest, out);
            }
        }
        self.gathering = Some((view, chosen));
        self.try_gathered(out);
    }

    pub(super) fn on_enter(&mut self, now: Now, enter: Enter, out: &mut Outbox<OrdererTimer>) {
        if enter.view < self.view || (enter.view == self.view && self.active) {
            return;
        }
        if let Some(last) = enter.view.0.checked_sub(1) {
            out.effects.push(Effect::Fence(View(last)));
        }
        self.view = enter.view;
        self.entered = enter.view;
        if self.active {
            out.tell(ExecutorInput::Halt);
        }
        self.active = true;
        self.ahead = Seq::ZERO;
        self.granted = None;
        self.gathering = None;
        self.displaced.clear();
        self.progress_wanted = true;
        let (kept, checkpoint, chosen) = (self.is_kept_high(), enter.checkpoint, &enter.chosen);
        self.slots.retain(|seq, slot| {
            let promised = *seq > checkpoint && !slot.pre_prepared.is_empty();
            *seq <= kept || promised || chosen.binary_search_by_key(seq, |(seq, _)| *seq).is_ok()
        });
        for slot in self.slots.values_mut() {
            slot.leave_view();
        }
        let last = enter.chosen.last().map_or(enter.checkpoint, |(seq, _)| *seq);
        self.fresh_from = last.next();
        if self.voting {
            self.resume_reads(Seq::ZERO, out);
        }
        self.next_proposal = self.fresh_from.max(self.window.low().next());
        self.contested = enter.contested.into_iter().filter(|seq| *seq >= self.next_proposal).collect();
        self.signed_only = enter.signed_only.into_iter().collect();
        for (seq, digest) in enter.chosen {
            if seq > self.window.low() {
                self.slot(seq).chosen = Some(digest);
                self.try_choose(seq, out);
                if self.window.contains(seq) {
                    self.fetch_if_missing(seq, digest, out);
                }
            }
        }
        self.choose_promised(out);
        self.settling = true;
        self.try_settled(out);
        self.replay_overtaken(now, out);
        self.grant(out);
    }

    /// Accepts what NEW-VIEW chose: no authentication and no clock, a correct replica did both.
    pub(super) fn try_choose(&mut self, seq: Seq, out: &mut Outbox<OrdererTimer>) {
        if !self.active {
            return;
        }
        let Some(slot) = self.slots.get(&seq).filter(|slot| slot.accepted.is_none()) else { return };
        let Some(batch) = slot.chosen.and_then(|digest| slot.body(digest)) else { return };
        if self.window.contains(seq) {
            self.accept(seq, batch, out);
        } else if seq > self.window.high() && self.is_primary() && self.voting {
            self.promise_ahead(seq, batch, out);
        }
    }

    /// The primary's NEW-VIEW counts as its vote for all that it chose, so it promised that, wherever its own
    /// window is: without its entry in Qs, A2 may lack one for ever.
    fn promise_ahead(&mut self, seq: Seq, batch: Arc<Batch>, out: &mut Outbox<OrdererTimer>) {
        let (view, digest) = (self.view, batch.digest());
        let slot = self.slot(seq);
        if slot.pre_prepared.get(&digest) != Some(&view) {
            slot.promise(digest, view);
            slot.bodies.insert(digest, batch.clone());
            out.persist(Record::PrePrepared { view, seq, batch });
        }
    }

    /// Messages of this view that came before its NEW-VIEW.
    fn replay_overtaken(&mut self, now: Now, out: &mut Outbox<OrdererTimer>) {
        for (from, kept) in std::mem::take(&mut self.overtaken) {
            for message in kept {
                match message {
                    message if message.view() < self.view => {}
                    Overtaken::PrePrepare(message) => self.on_pre_prepare(now, from, message, out),
                    Overtaken::Prepare(vote) => self.on_prepare(now, from, vote, out),
                    Overtaken::Commit(vote) => self.on_commit(from, vote, out),
                }
            }
        }
    }
}
