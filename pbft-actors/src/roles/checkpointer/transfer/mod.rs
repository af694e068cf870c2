//! The transfer of a state: only what differs from the own one, from several peers at once, each
//! part checked against the digest that its parent in the tree names (PROTOCOL 8).

mod answer;
mod difference;
mod keep;
mod peers;

use super::*;
use crate::message::{Fetch, NodeData, PageData};
use crate::ports::state::PAGE_LEVEL;
use crate::role::{Divergence, Install, Taken};
use answer::Parts;
use difference::{Difference, ROOT, Wanted};
use peers::{Peers, Standing};

/// Status intervals without an answer after which a peer is slow, while it is not known how long an
/// answer takes.
const PATIENCE_INTERVALS: u64 = 4;

/// A checkpoint that is worth fetching, and who should have it.
#[derive(Clone)]
pub(super) struct Target {
    checkpoint: Checkpoint,
    holders: Vec<ReplicaId>,
}

/// A state on its way here.
#[derive(Clone)]
pub(super) struct Transfer {
    target: Target,
    /// What peers said is stable at them, in answer to a question for what is no longer held. They
    /// keep it for this replica, so going for it ends, however fast the group moves on.
    offers: BTreeMap<ReplicaId, Checkpoint>,
    /// Whose offer was taken last: a liar gets no more than its turn.
    taken_from: ReplicaId,
    difference: Difference,
    peers: Peers,
    pages: u64,
    bytes: u64,
    /// Pages that came since the disk was last asked to keep them.
    unkept: usize,
    /// The executor has it.
    installing: bool,
}

/// Numbers questions, so that an answer is known to be one. They never start over, not even from
/// transfer to transfer.
#[derive(Clone, Default)]
pub(super) struct Tickets(u64);

impl Tickets {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Transfer {
    /// Goes for a checkpoint. What was fetched for another one stays, and is compared with it.
    fn aim(&mut self, now: Now, target: Target, tickets: &mut Tickets, out: &mut Outbox<CheckpointTimer>) {
        self.target = target;
        self.peers.reset();
        self.difference.aim(self.target.checkpoint.digest);
        if !self.difference.is_done() {
            self.probe(now, &self.target.holders.clone(), tickets, out);
        }
    }

    /// Asks peers for the root. Those that have it show that they can be asked for more, and keep
    /// the checkpoint; those that are silent, or lie, cost nothing else.
    fn probe(
        &mut self,
        now: Now,
        peers: &[ReplicaId],
        tickets: &mut Tickets,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let root = (ROOT, self.target.checkpoint.digest);
        for peer in self.peers.to_probe(peers) {
            self.peers.stand(peer, Standing::Probed);
            self.send(now, peer, vec![root], tickets, out);
        }
    }

    fn send(
        &mut self,
        now: Now,
        peer: ReplicaId,
        parts: Vec<Wanted>,
        tickets: &mut Tickets,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let (seq, ticket) = (self.target.checkpoint.seq, tickets.next());
        let places = parts.iter().map(|(place, _)| *place);
        let fetch = if parts.iter().all(|(place, _)| place.0 == PAGE_LEVEL) {
            Fetch::Pages { seq, ticket, pages: places.map(|(_, index)| index).collect() }
        } else {
            Fetch::Nodes { seq, ticket, nodes: places.collect() }
        };
        self.peers.ask(now.monotonic, peer, ticket, parts);
        out.send(To::Replica(peer), Message::Fetch(fetch));
    }

    /// Asks for what is wanted, whoever has room.
    fn ask(&mut self, now: Now, tickets: &mut Tickets, out: &mut Outbox<CheckpointTimer>) {
        while let Some(peer) = self.peers.choose() {
            let Some(parts) = self.difference.take() else { break };
            self.send(now, peer, parts, tickets, out);
        }
        if let Some(due) = self.peers.next_due() {
            out.arm(CheckpointTimer::Fetch, due);
        }
    }

    /// Whether the executor was to have it.
    pub(super) fn installing(&self) -> bool {
        self.installing
    }

    /// As if everything had come.
    #[cfg(test)]
    pub(super) fn hand_over(&mut self) {
        self.installing = true;
    }

    /// The offer whose turn it is.
    fn take_offer(&mut self) -> Option<Checkpoint> {
        let mut after = self.offers.keys().copied().filter(|id| *id > self.taken_from);
        let next = after.next().or_else(|| self.offers.keys().next().copied())?;
        self.taken_from = next;
        self.offers.remove(&next)
    }

    fn leave(&mut self, peer: ReplicaId, standing: Standing) {
        let parts = self.peers.leave(peer, standing);
        self.difference.give_back(&parts);
    }

    /// Takes what an answer brings; none if no correct replica gives it.
    fn take_in(&mut self, now: Now, peer: ReplicaId, ticket: u64, parts: Parts<'_>) -> Option<()> {
        let request = self.peers.close(peer, ticket);
        if let Some(request) = &request {
            self.difference.give_back(&request.parts);
        }
        let Some(parts) = parts else {
            if let Some(request) = request {
                self.peers.on_answered(now.monotonic, &request);
                self.leave(peer, Standing::Behind);
            }
            return Some(());
        };
        let right = match &request {
            Some(request) => answer::is_all_of(&parts, &request.parts),
            None => answer::is_none_wrong(&parts, &self.difference),
        };
        if !right {
            return None;
        }
        let used = parts.iter().filter(|part| part.put(&mut self.difference));
        let (pages, bytes, count) = used.fold((0, 0, 0), |(pages, bytes, count), part| {
            (pages + u64::from(part.is_page()), bytes + part.bytes() as u64, count + 1)
        });
        self.pages += pages;
        self.bytes += bytes;
        self.unkept += pages as usize;
        match request {
            Some(request) => self.peers.on_answered(now.monotonic, &request),
            None if count > 0 => self.peers.stand(peer, Standing::Good),
            None => {}
        }
        Some(())
    }
}

impl Checkpointer {
    /// Transfers if a certificate is above what was executed here and weak-many peers no longer
    /// hold the batch that comes next.
    pub(super) fn try_transfer(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        let Some(ahead) = self.ahead.clone().filter(|ahead| ahead.checkpoint.seq > self.executed) else {
            return;
        };
        if !self.is_of_this_life(&ahead) {
            // A log was learned since, and it is not the one that signed.
            self.ahead = None;
            return;
        }
        let next = self.executed.next();
        let without = self.first_held.values().filter(|first| **first > next).count();
        if without >= self.config.quorums.weak() && !self.waiting_for_disk {
            self.start_transfer(now, ahead.checkpoint, self.others(), out);
        }
    }

    /// Fetches a checkpoint, first from those who should have it. A transfer that runs goes on while
    /// anybody serves it, and then follows the group.
    pub(super) fn start_transfer(
        &mut self,
        now: Now,
        checkpoint: Checkpoint,
        holders: Vec<ReplicaId>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        if holders.is_empty() {
            return;
        }
        if self.transfer.is_some() {
            self.go_on(now, out);
            return;
        }
        let target = Target { checkpoint, holders };
        // Before the start there is nothing to go on from.
        let Some((newest_seq, newest)) = self.taken.last_key_value() else { return };
        let interrupted = self.interrupted.take().filter(|(seq, _)| seq > newest_seq);
        let nearest = interrupted.as_ref().map_or(newest, |(_, snapshot)| snapshot);
        let patience = Millis(self.config.tuning.status_interval.0 * PATIENCE_INTERVALS);
        let mut transfer = Transfer {
            target: target.clone(),
            offers: BTreeMap::new(),
            taken_from: self.own(),
            difference: Difference::new(self.config.state_limits, nearest, &self.damaged),
            peers: Peers::new(self.config.quorums.others(self.own()), patience),
            pages: 0,
            bytes: 0,
            unkept: 0,
            installing: false,
        };
        out.event(Event::Behind { target: checkpoint.seq });
        self.tell_transferring(true, out);
        transfer.aim(now, target, &mut self.tickets, out);
        self.transfer = Some(transfer);
        self.go_on(now, out);
    }

    pub(super) fn on_node_data(
        &mut self,
        now: Now,
        data: &Verified<NodeData>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let Peer::Replica(peer) = data.from() else { return };
        if self.heeds(peer, data.seq) {
            self.on_answer(now, peer, data.ticket, answer::nodes(data), out);
        }
    }

    pub(super) fn on_page_data(
        &mut self,
        now: Now,
        data: &Verified<PageData>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let Peer::Replica(peer) = data.from() else { return };
        if self.heeds(peer, data.seq) {
            self.on_answer(now, peer, data.ticket, answer::pages(data), out);
        }
    }

    /// Whether an answer of this peer is of use to the transfer that runs.
    fn heeds(&self, peer: ReplicaId, seq: Seq) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| {
            !transfer.installing && transfer.target.checkpoint.seq == seq && transfer.peers.heeds(peer)
        })
    }

    fn on_answer(
        &mut self,
        now: Now,
        peer: ReplicaId,
        ticket: u64,
        parts: Parts<'_>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.take_in(now, peer, ticket, parts).is_none() {
            transfer.leave(peer, Standing::Liar);
            let what = "an answer that does not belong to the checkpoint";
            out.event(Event::Misbehaved { replica: peer, what });
        }
        self.keep(out);
        self.go_on(now, out);
    }

    /// Whoever has not answered in time is left behind.
    pub(super) fn on_fetch_due(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        let Some(transfer) = &mut self.transfer else { return };
        let parts = transfer.peers.leave_slow(now.monotonic);
        transfer.difference.give_back(&parts);
        self.go_on(now, out);
    }

    /// A peer shows what is stable at it.
    pub(super) fn on_offer(
        &mut self,
        now: Now,
        peer: ReplicaId,
        checkpoint: Checkpoint,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        if let Some(transfer) = &mut self.transfer {
            transfer.offers.insert(peer, checkpoint);
            self.go_on(now, out);
        }
    }

    /// The next step of a transfer: follow the group, end, or ask for more.
    pub(super) fn go_on(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        let waits = |transfer: &Transfer| transfer.installing || transfer.peers.has_hope();
        if self.transfer.as_ref().is_none_or(|transfer| transfer.installing) {
            return;
        }
        let next = if self.transfer.as_ref().is_none_or(waits) { None } else { self.next_target() };
        let unkept_max = self.unkept_max();
        let Some(transfer) = &mut self.transfer else { return };
        if let Some(next) = next {
            transfer.aim(now, next, &mut self.tickets, out);
        }
        if !transfer.difference.is_done() {
            // The disk has to catch up; what is on its way already is taken.
            if !self.keeping || transfer.unkept < unkept_max {
                transfer.ask(now, &mut self.tickets, out);
            }
            return;
        }
        transfer.installing = true;
        let Checkpoint { seq, digest } = transfer.target.checkpoint;
        let taken = Taken { seq, snapshot: transfer.difference.snapshot() };
        assert_eq!(taken.snapshot.root(), digest, "a state of checked parts is what the root names");
        let damaged = self.damaged.first().map(|(_, index)| *index);
        let differs = || self.taken.get(&seq).and_then(|own| own.first_difference(&taken.snapshot));
        let repairs = damaged.or_else(differs).map(|page| Divergence { since: self.stable.next(), page });
        let Transfer { pages, bytes, .. } = *transfer;
        out.tell(ExecutorInput::Install(Install { taken, pages, bytes, repairs }));
    }

    /// Another checkpoint that is worth fetching now that nobody serves the one that was: what a peer
    /// offers, each in turn, or else the latest.
    fn next_target(&mut self) -> Option<Target> {
        let others = self.others();
        while let Some(checkpoint) = self.transfer.as_mut().and_then(Transfer::take_offer) {
            if self.is_of_use(checkpoint) {
                return Some(Target { checkpoint, holders: others });
            }
        }
        let running = self.transfer.as_ref()?.target.checkpoint.seq;
        let ahead = self.ahead.as_ref().map(|ahead| Target { checkpoint: ahead.checkpoint, holders: others });
        let latest = ahead.into_iter().chain(self.chosen.clone()).max_by_key(|target| target.checkpoint.seq);
        latest.filter(|latest| latest.checkpoint.seq > running && self.is_of_use(latest.checkpoint))
    }

    /// Whether a checkpoint is another one than the one that is being fetched, and beyond this replica.
    fn is_of_use(&self, checkpoint: Checkpoint) -> bool {
        let Some(target) = self.transfer.as_ref().map(|transfer| transfer.target.checkpoint) else {
            return false;
        };
        // One that repairs itself has executed what it fetches. What it lost may be of any state, of
        // the stable one as well, and that is the oldest that the others still have.
        let least = match target.seq > self.executed {
            true => self.executed.next(),
            false if self.damaged.is_empty() => self.stable.next(),
            false => self.stable,
        };
        checkpoint != target && checkpoint.seq >= least
    }

    /// A view starts from a checkpoint that these list.
    pub(super) fn on_chosen(
        &mut self,
        now: Now,
        checkpoint: Checkpoint,
        holders: ReplicaSet,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let holders = holders.iter().filter(|id| *id != self.own()).collect();
        self.chosen = Some(Target { checkpoint, holders });
        self.try_chosen(now, out);
    }

    /// Fetches what the view starts from, unless it is here; another transfer ends first.
    pub(super) fn try_chosen(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        self.chosen.take_if(|chosen| chosen.checkpoint.seq <= self.executed);
        if let Some(Target { checkpoint, holders }) = self.chosen.clone() {
            self.start_transfer(now, checkpoint, holders, out);
        }
    }

    pub(super) fn on_install_needless(
        &mut self,
        now: Now,
        checkpoint: Checkpoint,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        if self.transfer.take_if(|transfer| transfer.target.checkpoint == checkpoint).is_some() {
            self.tell_transferring(false, out);
            self.try_chosen(now, out);
            self.try_repair(now, out);
        }
    }

    /// Ends a transfer to what was reached by executing meanwhile.
    pub(super) fn try_end_transfer(&mut self, out: &mut Outbox<CheckpointTimer>) {
        let (stable, taken, whole) = (self.stable, &self.taken, self.damaged.is_empty());
        let reached = |target: Checkpoint| {
            let own = taken.get(&target.seq).filter(|_| whole);
            target.seq < stable || own.is_some_and(|own| own.root() == target.digest)
        };
        let ended = |transfer: &mut Transfer| !transfer.installing && reached(transfer.target.checkpoint);
        if self.transfer.take_if(ended).is_some() {
            self.tell_transferring(false, out);
        }
    }

    pub(super) fn on_installed(&mut self, now: Now, taken: Taken, out: &mut Outbox<CheckpointTimer>) {
        // One that was given up for parts that were lost since is built on them, and the one that runs in
        // its place goes on.
        let checkpoint = taken.checkpoint();
        let ends = |transfer: &mut Transfer| transfer.installing && transfer.target.checkpoint == checkpoint;
        if self.transfer.take_if(ends).is_some() {
            self.damaged.clear();
            self.tell_transferring(false, out);
        }
        self.saved = self.saved.min(taken.seq);
        // Down, too: a replica that repairs itself goes back to the checkpoint it fetched.
        self.executed = taken.seq;
        self.transferred = taken.seq;
        self.taken.retain(|seq, _| *seq <= taken.seq);
        let seq = taken.seq;
        self.on_taken(now, taken, out);
        self.save(seq, out);
        // A digest that was under way made a later one stable meanwhile.
        if let Some(certificate) = self.certificate.clone().filter(|stable| stable.checkpoint.seq > seq) {
            self.start_transfer(now, certificate.checkpoint, self.others(), out);
        }
    }

    /// If nobody is left to wait for, asks everyone once more who did not lie, more patiently.
    pub(super) fn retry_transfer(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        self.go_on(now, out);
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| !transfer.installing) else { return };
        if transfer.peers.has_hope() {
            return;
        }
        transfer.peers.double_patience();
        let everyone = transfer.peers.honest();
        transfer.probe(now, &everyone, &mut self.tickets, out);
        transfer.ask(now, &mut self.tickets, out);
    }
}
