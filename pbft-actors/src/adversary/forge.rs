use std::collections::VecDeque;

use bytes::Bytes;

use super::*;
use crate::message::{
    Checkpoint, Fetch, Kind, NodeData, Opened, PageData, Prepared, SeqBitmap, Status, TreeNode, ViewChange,
    Vote,
};
use crate::types::{Monotonic, Seq, View};

/// Says what nobody asked for: STATUSes that are not so, questions about everything, answers to
/// nothing, VIEW-CHANGEs and CHECKPOINTs out of the air.
pub(crate) struct Forges {
    everyone: ReplicaSet,
    every: u64,
    next: Monotonic,
    draws: Draws,
    /// About where the group is.
    view: View,
    seq: Seq,
}

impl Forges {
    /// One message every so many microseconds.
    pub(crate) fn new(everyone: ReplicaSet, seed: u64, every: u64) -> Self {
        let draws = Draws::new(seed);
        Self { everyone, every, next: Monotonic::default(), draws, view: View(0), seq: Seq(1) }
    }

    /// A number around another one, now and then far above it.
    fn near(&mut self, number: u64) -> u64 {
        match self.draws.below(8) {
            0 => number.saturating_add(1 << 40),
            1 => 0,
            _ => (number + self.draws.below(9)).saturating_sub(4),
        }
    }

    fn near_seq(&mut self) -> Seq {
        Seq(self.near(self.seq.0))
    }

    fn near_view(&mut self) -> View {
        View(self.near(self.view.0))
    }

    fn status(&mut self) -> Status {
        let (base, length) = (self.near_seq(), self.draws.below(20));
        let bits = |draws: &mut Draws| {
            let seqs: Vec<Seq> = (0..length).map(|_| base.plus(1 + draws.below(16))).collect();
            SeqBitmap::new(base, 16, seqs)
        };
        Status {
            view: self.near_view(),
            changing: self.draws.below(2) == 0,
            stable: base,
            executed: self.near_seq(),
            first_held: self.near_seq(),
            prepared: bits(&mut self.draws),
            decided: bits(&mut self.draws),
            view_changes: self.everyone.iter().filter(|_| self.draws.below(2) == 0).collect(),
        }
    }

    fn fetch(&mut self) -> Fetch {
        let (seq, ticket) = (self.near_seq(), self.draws.below(4));
        match self.draws.below(3) {
            0 => Fetch::Batch { seq, digest: garbage() },
            1 => {
                let level = self.draws.below(6) as u8;
                Fetch::Nodes { seq, ticket, nodes: vec![(level, self.draws.below(300))] }
            }
            _ => Fetch::Pages { seq, ticket, pages: vec![self.draws.below(1 << 34), u64::MAX] },
        }
    }

    fn answer(&mut self) -> Message {
        let (seq, ticket) = (self.near_seq(), self.draws.below(16));
        if self.draws.below(2) == 0 {
            let children = vec![(0, garbage()), (255, garbage())];
            let node = TreeNode { level: self.draws.below(6) as u8, index: 0, children };
            return Message::NodeData(NodeData { seq, ticket, nodes: Some(vec![node]) });
        }
        let page = Bytes::from_static(&[9; crate::ports::state::PAGE_BYTES]);
        Message::PageData(PageData { seq, ticket, pages: Some(vec![(self.draws.below(9), page)]) })
    }

    fn view_change(&mut self) -> ViewChange {
        let stable = Seq(0);
        let prepared = Prepared { seq: Seq(1 + self.draws.below(4)), digest: garbage(), view: View(0) };
        ViewChange {
            view: View(self.near(self.view.0 + 1).max(1)),
            stable,
            checkpoints: Vec::new(),
            prepared: vec![prepared],
            pre_prepared: Vec::new(),
            signed_only: Vec::new(),
        }
    }

    fn one(&mut self, signer: &Signer) -> Message {
        match self.draws.below(7) {
            0..=1 => Message::Status(self.status()),
            2 => Message::Fetch(self.fetch()),
            3 => self.answer(),
            4 => Message::ViewChange(signer.sign(Kind::ViewChange, self.view_change())),
            5 => {
                let seq = self.near_seq();
                let lie = Checkpoint { seq, digest: garbage() };
                Message::Checkpoint(signer.sign(Kind::Checkpoint, lie))
            }
            _ => {
                let (view, seq) = (self.near_view(), self.near_seq());
                Message::Decided(Vote { view, seq, digest: garbage() })
            }
        }
    }
}

impl Adversary for Forges {
    fn on_send(&mut self, to: To, message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        if let Message::Prepare(vote) | Message::Commit(vote) = &message {
            (self.view, self.seq) = (vote.view, vote.seq);
        }
        vec![(to, message)]
    }

    fn on_tick(&mut self, now: Now, signer: &Signer) -> Vec<(To, Message)> {
        if now.monotonic < self.next {
            return Vec::new();
        }
        self.next = now.monotonic.plus_micros(self.every);
        vec![(To::Others, self.one(signer))]
    }
}

/// Messages of others that an echo keeps.
const HEARD_MAX: usize = 64;

/// Says again what others signed, long after it was true.
pub(crate) struct Echoes {
    every: u64,
    next: Monotonic,
    draws: Draws,
    heard: VecDeque<Message>,
}

impl Echoes {
    /// One message every so many microseconds.
    pub(crate) fn new(seed: u64, every: u64) -> Self {
        let (next, heard) = (Monotonic::default(), VecDeque::new());
        Self { every, next, draws: Draws::new(seed), heard }
    }
}

impl Adversary for Echoes {
    fn on_hear(&mut self, opened: &Opened) {
        let message = match opened {
            Opened::Request(request) => Message::Request((**request).clone()),
            Opened::Checkpoint(vote) => Message::Checkpoint((**vote).clone()),
            Opened::Certificate(held) => Message::Certificate((**held).clone().into()),
            Opened::ViewChange(vote) => Message::ViewChange((**vote).clone()),
            Opened::NewView(proven) => Message::NewView(proven.new_view.clone()),
            _ => return,
        };
        if self.heard.len() >= HEARD_MAX {
            let gone = self.draws.below(HEARD_MAX as u64) as usize;
            self.heard.remove(gone);
        }
        self.heard.push_back(message);
    }

    fn on_tick(&mut self, now: Now, _signer: &Signer) -> Vec<(To, Message)> {
        if now.monotonic < self.next || self.heard.is_empty() {
            return Vec::new();
        }
        self.next = now.monotonic.plus_micros(self.every);
        let index = self.draws.below(self.heard.len() as u64) as usize;
        self.heard.get(index).map(|message| (To::Others, message.clone())).into_iter().collect()
    }
}
