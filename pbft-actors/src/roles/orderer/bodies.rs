//! Batches and requests that this replica lacks, and those that others ask it for.

use super::*;
use crate::message::{BatchData, Fetch, Request};
use crate::role::{BatcherInput, Message, Need, To, ViewChangerInput};

/// Bytes of batches given to one peer in one status interval; one is always given.
const FETCHED_BYTES_PER_INTERVAL_MAX: usize = 4 << 20;

/// Requests whose signed form is asked for at one time.
const DISPUTED_PER_STATUS_MAX: usize = 256;

impl Orderer {
    /// Asks a peer for a batch, another one each time.
    pub(super) fn fetch_if_missing(&mut self, seq: Seq, digest: Digest, out: &mut Outbox<OrdererTimer>) {
        let own = self.config.own;
        let others: Vec<ReplicaId> = self.config.quorums.others(own).collect();
        let slot = self.slot(seq);
        if slot.body(digest).is_some() {
            return;
        }
        // Who voted for it holds it.
        let voters = slot.prepares.iter().chain(&slot.commits).chain(&slot.claims);
        let mut holders: Vec<ReplicaId> =
            voters.filter(|(id, vote)| **vote == digest && **id != own).map(|(id, _)| *id).collect();
        holders.sort_unstable();
        holders.dedup();
        let asked = if holders.is_empty() { others } else { holders };
        let peer = asked[slot.fetches % asked.len()];
        slot.fetches += 1;
        out.send(To::Replica(peer), Message::Fetch(Fetch::Batch { seq, digest }));
    }

    pub(super) fn on_fetch(&mut self, now: Now, fetch: &Verified<Fetch>, out: &mut Outbox<OrdererTimer>) {
        let (Some(peer), Fetch::Batch { seq, digest }) = (sender(fetch), &**fetch) else { return };
        let interval = self.config.tuning.status_interval;
        if !self.fetched.admits_up_to(FETCHED_BYTES_PER_INTERVAL_MAX, peer, now.monotonic, interval) {
            return;
        }
        let Some(batch) = self.slots.get(seq).and_then(|slot| slot.body(*digest)) else { return };
        self.fetched.spend(peer, batch.requests().iter().map(|request| request.wire().len()).sum());
        out.send(To::Replica(peer), Message::BatchData(BatchData { seq: *seq, batch }));
    }

    pub(super) fn on_batch_data(&mut self, now: Now, data: BatchData, out: &mut Outbox<OrdererTimer>) {
        let (seq, digest) = (data.seq, data.batch.digest());
        let gathered = |gathering: &Option<(View, Vec<(Seq, Digest)>)>| {
            gathering.as_ref().is_some_and(|(_, chosen)| chosen.contains(&(seq, digest)))
        };
        let gathering = gathered(&self.gathering);
        let Some(slot) = self.slots.get_mut(&seq) else { return };
        let wanted = gathering || slot.chosen == Some(digest) || slot.decided == Some(digest);
        if !wanted || slot.bodies.contains_key(&digest) {
            return;
        }
        slot.bodies.insert(digest, data.batch);
        self.try_gathered(out);
        self.try_slot(now, seq, out);
        self.try_deliver(out);
    }

    /// Requests that the batcher holds with a good proof.
    pub(super) fn on_found(&mut self, now: Now, requests: Vec<Request>, out: &mut Outbox<OrdererTimer>) {
        let waiting = self.slots.iter().filter(|(_, slot)| slot.proposal.is_some());
        let seqs: Vec<Seq> = waiting.map(|(seq, _)| *seq).collect();
        for seq in seqs {
            let slot = self.slot(seq);
            let Some(proposal) = &slot.proposal else { continue };
            let named: BTreeSet<Digest> =
                proposal.entries.iter().map(crate::message::Entry::digest).collect();
            for request in requests.iter().filter(|request| named.contains(request.digest())) {
                slot.found.insert(*request.digest(), request.clone());
            }
            self.try_accept(now, seq, out);
        }
    }

    /// Asks again for whatever still blocks a seq.
    pub(super) fn ask_again(&mut self, now: Now, out: &mut Outbox<OrdererTimer>) {
        let seqs: Vec<Seq> = self.slots.keys().copied().collect();
        let mut asked_for = 0;
        for seq in seqs {
            self.try_accept(now, seq, out);
            let slot = self.slot(seq);
            let missing = slot.chosen.filter(|_| slot.accepted.is_none()).or(slot.decided);
            let blocked = slot.asked && slot.accepted.is_none();
            // The lowest seqs first: the others cannot be executed before them.
            if let (true, Some(proposal)) = (blocked && asked_for < DISPUTED_PER_STATUS_MAX, &slot.proposal) {
                let found = &slot.found;
                let lacking = proposal.entries.iter().filter(|entry| !found.contains_key(&entry.digest()));
                let requests = lacking.map(|entry| (entry.digest(), entry.client()));
                let requests: Vec<_> = requests.take(DISPUTED_PER_STATUS_MAX - asked_for).collect();
                asked_for += requests.len();
                out.tell(BatcherInput::Need(Need { requests, again: true }));
            }
            if let Some(digest) = missing {
                self.fetch_if_missing(seq, digest, out);
            }
        }
        if let Some((_, chosen)) = self.gathering.clone() {
            for (seq, digest) in chosen {
                if seq > self.window.low() {
                    self.fetch_if_missing(seq, digest, out);
                }
            }
        }
    }

    /// The new primary sends NEW-VIEW only once it holds what it chose.
    pub(super) fn try_gathered(&mut self, out: &mut Outbox<OrdererTimer>) {
        let Some((view, chosen)) = &self.gathering else { return };
        let held = |(seq, digest): &(Seq, Digest)| {
            *seq <= self.window.low()
                || *digest == Batch::null_digest()
                || self.slots.get(seq).is_some_and(|slot| slot.bodies.contains_key(digest))
        };
        if chosen.iter().all(held) {
            out.tell(ViewChangerInput::Gathered(*view));
            self.gathering = None;
        }
    }
}
