//! The transfer of a whole state, page by page from one peer at a time. The pages are believed only
//! once their root is the digest that a certificate, or a NEW-VIEW's V, names.

use bytes::Bytes;

use super::*;
use crate::message::{Fetch, PAGES_PER_DATA_MAX, PageData};
use crate::ports::state::PAGE_BYTES;

/// Retries without an answer after which another peer is asked.
const PATIENCE: u32 = 4;

/// A state on its way here.
pub(super) struct Transfer {
    target: Checkpoint,
    peers: Vec<ReplicaId>,
    /// Which of them is asked; rises with every change.
    turn: usize,
    pages: Vec<(u64, Bytes)>,
    /// The index asked for.
    next: u64,
    silent: u32,
    /// The last peer was no help: it is silent, lied, or has the checkpoint no longer.
    failed: bool,
    /// All pages are with the executor.
    installing: bool,
}

impl Transfer {
    fn peer(&self) -> Option<ReplicaId> {
        self.peers.get(self.turn % self.peers.len().max(1)).copied()
    }

    fn ask(&self, out: &mut Outbox<CheckpointTimer>) {
        if let Some(peer) = self.peer() {
            let fetch = Fetch::Pages { seq: self.target.seq, from: self.next };
            out.send(To::Replica(peer), Message::Fetch(fetch));
        }
    }

    /// Leaves the peer; the next one is asked, from the start, when the retry timer comes.
    fn leave_peer(&mut self) {
        self.turn += 1;
        self.pages.clear();
        self.next = 0;
        self.silent = 0;
        self.failed = true;
        self.installing = false;
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
        if without >= self.config.quorums.weak() {
            self.start_transfer(now, ahead.checkpoint, self.holders(&ahead), out);
        }
    }

    pub(super) fn start_transfer(
        &mut self,
        _now: Now,
        target: Checkpoint,
        peers: Vec<ReplicaId>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let better = self.transfer.as_ref().is_none_or(|running| {
            // A running transfer goes on until a peer is no help; then it follows the group.
            running.target.seq < target.seq && running.failed
        });
        if !better || peers.is_empty() {
            return;
        }
        let first = self.transfer.is_none();
        let turn = self.own().index();
        let transfer = Transfer {
            target,
            peers,
            turn,
            pages: Vec::new(),
            next: 0,
            silent: 0,
            failed: false,
            installing: false,
        };
        transfer.ask(out);
        self.transfer = Some(transfer);
        if first {
            out.event(Event::Behind { target: target.seq });
            self.tell_transferring(true, out);
        }
    }

    pub(super) fn on_page_data(
        &mut self,
        _now: Now,
        data: &Verified<PageData>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let limit = self.config.pages_max;
        let Some(transfer) = &mut self.transfer else { return };
        let expected = data.from() == transfer.peer().map_or(data.from(), Peer::Replica)
            && data.seq == transfer.target.seq
            && data.from == transfer.next
            && !transfer.installing;
        if !expected {
            return;
        }
        transfer.silent = 0;
        let mut next = transfer.next;
        for (index, page) in &data.pages {
            let total = transfer.pages.len() as u64;
            if *index < next || page.len() != PAGE_BYTES || total >= limit || *index == u64::MAX {
                transfer.leave_peer();
                return;
            }
            next = index + 1;
            transfer.pages.push((*index, page.clone()));
        }
        match data.next {
            // It no longer has this checkpoint, or says less than it could.
            Some(from) if from < next || data.pages.len() < PAGES_PER_DATA_MAX => transfer.leave_peer(),
            Some(from) => {
                transfer.next = from;
                transfer.ask(out);
            }
            None => {
                transfer.installing = true;
                let pages = std::mem::take(&mut transfer.pages);
                out.tell(ExecutorInput::Install { checkpoint: transfer.target, pages });
            }
        }
    }

    pub(super) fn on_install_failed(
        &mut self,
        _now: Now,
        checkpoint: Checkpoint,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.target == checkpoint) else {
            return;
        };
        if let Some(replica) = transfer.peer() {
            out.event(Event::Misbehaved { replica, what: "pages that do not belong to the checkpoint" });
        }
        transfer.leave_peer();
    }

    pub(super) fn on_install_needless(&mut self, checkpoint: Checkpoint, out: &mut Outbox<CheckpointTimer>) {
        if self.transfer.take_if(|transfer| transfer.target == checkpoint).is_some() {
            self.tell_transferring(false, out);
        }
    }

    /// Ends a transfer to what was reached by executing meanwhile.
    pub(super) fn try_end_transfer(&mut self, out: &mut Outbox<CheckpointTimer>) {
        let (stable, taken) = (self.stable, &self.taken);
        let reached = |target: Checkpoint| {
            target.seq < stable || taken.get(&target.seq).is_some_and(|own| *own == target.digest)
        };
        if self.transfer.take_if(|transfer| !transfer.installing && reached(transfer.target)).is_some() {
            self.tell_transferring(false, out);
        }
    }

    pub(super) fn on_installed(
        &mut self,
        now: Now,
        checkpoint: Checkpoint,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        self.transfer = None;
        // Down, too: a replica that repairs itself goes back to the checkpoint it fetched.
        self.executed = checkpoint.seq;
        self.transferred = checkpoint.seq;
        self.taken.retain(|seq, _| *seq <= checkpoint.seq);
        self.tell_transferring(false, out);
        self.on_taken(now, checkpoint, out);
    }

    /// Asks again, then another peer, then for the checkpoint to which the group has moved.
    pub(super) fn retry_transfer(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.installing {
            return;
        }
        transfer.silent += 1;
        if transfer.silent >= PATIENCE {
            transfer.leave_peer();
        }
        let (target, failed) = (transfer.target, transfer.failed);
        match self.ahead.clone().filter(|ahead| failed && ahead.checkpoint.seq > target.seq) {
            Some(ahead) => self.start_transfer(now, ahead.checkpoint, self.holders(&ahead), out),
            None => transfer.ask(out),
        }
    }
}
