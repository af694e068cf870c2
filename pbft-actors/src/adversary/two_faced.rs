use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::*;
use crate::crypto::Digest;
use crate::message::{Choice, Kind, PrePrepare, PrePrepared, ViewChange, Vote};
use crate::types::{Seq, View};

/// Proposals whose other face is remembered.
const FACES_MAX: usize = 1_024;

/// What those who are fooled are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Face {
    /// Null.
    Null,
    /// The same requests with another choice.
    OtherChoice,
}

/// What the faulty replicas of one run know of each other's lies.
pub(crate) struct Conspiracy {
    pub(crate) everyone: ReplicaSet,
    /// Who is shown the other face.
    pub(crate) fooled: ReplicaSet,
    pub(crate) face: Face,
    /// Whether the other face is what a VIEW-CHANGE says was prepared.
    pub(crate) lies_in_view_change: bool,
    /// The real digest and the other one, by place.
    faces: BTreeMap<(View, Seq), (Digest, Digest)>,
}

impl Conspiracy {
    pub(crate) fn new(
        everyone: ReplicaSet,
        fooled: ReplicaSet,
        face: Face,
        lies_in_view_change: bool,
    ) -> Self {
        Self { everyone, fooled, face, lies_in_view_change, faces: BTreeMap::new() }
    }

    fn told(&self) -> ReplicaSet {
        self.everyone.iter().filter(|id| !self.fooled.contains(*id)).collect()
    }

    fn other_face(&mut self, real: &PrePrepare) -> PrePrepare {
        let other = match (&real.choice, self.face) {
            (Some(choice), Face::OtherChoice) => {
                let choice = Choice { seed: Digest::of(&choice.seed.0), ..choice.clone() };
                PrePrepare::new(real.view, real.seq, Some(choice), real.entries.clone())
            }
            _ => PrePrepare::new(real.view, real.seq, None, Vec::new()),
        };
        if self.faces.len() >= FACES_MAX {
            self.faces.pop_first();
        }
        self.faces.insert((real.view, real.seq), (real.digest(), other.digest()));
        other
    }

    /// The same message to both halves, each with the digest that it was shown.
    fn show(&self, to: To, vote: Vote, message: fn(Vote) -> Message) -> Vec<(To, Message)> {
        let Some((real, other)) = self.faces.get(&(vote.view, vote.seq)).copied() else {
            return vec![(to, message(vote))];
        };
        if vote.digest != real && vote.digest != other {
            return vec![(to, message(vote))];
        }
        let halves = [(self.told(), real), (self.fooled, other)];
        let shown = halves.into_iter().filter_map(|(half, digest)| {
            within(to, half, self.everyone).map(|to| (to, message(Vote { digest, ..vote })))
        });
        shown.collect()
    }

    fn lie_in_view_change(&self, mut message: ViewChange) -> ViewChange {
        for entry in &mut message.prepared {
            if let Some((_, other)) = self.faces.get(&(entry.view, entry.seq)) {
                entry.digest = *other;
            }
        }
        let low = message.stable;
        for ((view, seq), (_, other)) in &self.faces {
            let said = message.pre_prepared.iter().any(|q| q.seq == *seq && q.digest == *other);
            let named = message.prepared.iter().any(|p| p.seq == *seq);
            if *view < message.view && *seq > low && !said && named {
                message.pre_prepared.push(PrePrepared { seq: *seq, digest: *other, view: *view });
            }
        }
        message.pre_prepared.sort_unstable_by_key(|q| (q.seq, q.digest));
        message
    }
}

/// As the primary proposes one thing to some and another to the rest, and votes for each where it
/// was told; its accomplices vote for both as well.
pub(crate) struct TwoFaced(pub(crate) Rc<RefCell<Conspiracy>>);

impl Adversary for TwoFaced {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        let mut conspiracy = self.0.borrow_mut();
        match message {
            Message::PrePrepare(real) => {
                let (view, seq, digest) = (real.view, real.seq, real.digest());
                let other = conspiracy.other_face(&real);
                let told = within(to, conspiracy.told(), conspiracy.everyone);
                let fooled = within(to, conspiracy.fooled, conspiracy.everyone);
                let told = told.map(|to| (to, Message::PrePrepare(real)));
                let fooled = fooled.map(|to| (to, Message::PrePrepare(other)));
                let commits = conspiracy.show(to, Vote { view, seq, digest }, Message::Commit);
                told.into_iter().chain(fooled).chain(commits).collect()
            }
            Message::Prepare(vote) => {
                let mut sends = conspiracy.show(to, vote, Message::Prepare);
                // An accomplice does not wait until it has prepared.
                if conspiracy.faces.contains_key(&(vote.view, vote.seq)) {
                    sends.extend(conspiracy.show(to, vote, Message::Commit));
                }
                sends
            }
            Message::Commit(vote) => conspiracy.show(to, vote, Message::Commit),
            Message::ViewChange(vote) if vote.sender == signer.sender && conspiracy.lies_in_view_change => {
                let lie = conspiracy.lie_in_view_change(vote.message);
                vec![(to, Message::ViewChange(signer.sign(Kind::ViewChange, lie)))]
            }
            other => vec![(to, other)],
        }
    }
}
