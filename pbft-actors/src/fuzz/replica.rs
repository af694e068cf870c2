//! A whole replica that hears whatever a liar may say, in whatever order.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Target, run, world};
use crate::codec;
use crate::crypto::Digest;
use crate::message::{Kind, Payload, Peer};
use crate::model::{CLIENT, Member, Said};
use crate::role::{Event, Message, ViewChangerInput};
use crate::types::{ReplicaId, Seq, View};

pub(super) const TARGET: Target =
    Target { name: "replica", run, seeds, memory_base: 16 << 20, memory_per_byte: 1 << 10 };

/// Replica 0 is the primary of view 0, replica 1 of view 1.
const OWN: ReplicaId = ReplicaId(1);

/// Messages of one run.
const STEPS_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
enum Step {
    /// A frame's body.
    Frame(Peer, u8, Bytes),
    /// The content of a signed message; the signature is made.
    Signed(ReplicaId, u8, Bytes),
    /// The request timer of this view expires.
    Suspect(View),
}

/// What a correct replica has said, and must not contradict.
#[derive(Default)]
struct Promises {
    votes: BTreeMap<(Kind, View, Seq), Digest>,
    executed: Seq,
}

impl Promises {
    fn note(&mut self, said: Vec<Said>) {
        for said in said {
            let (kind, view, seq, digest) = match said {
                Said::Message(_, message @ (Message::Prepare(vote) | Message::Commit(vote))) => {
                    (message.kind(), vote.view, vote.seq, vote.digest)
                }
                Said::Message(_, Message::PrePrepare(message)) => {
                    (Kind::PrePrepare, message.view, message.seq, message.digest())
                }
                Said::Executed(seq, _) => {
                    assert!(seq > self.executed, "{seq} is executed after {}", self.executed);
                    self.executed = seq;
                    continue;
                }
                Said::Event(Event::Misbehaved { replica, what }) => {
                    assert_ne!(replica, OWN, "it blames itself: {what}");
                    continue;
                }
                Said::Message(..) | Said::Event(_) => continue,
            };
            let first = self.votes.entry((kind, view, seq)).or_insert(digest);
            assert_eq!(*first, digest, "two {kind:?} at {view}/{seq}");
        }
    }
}

fn run(input: &[u8]) {
    let Ok(steps) = codec::decode::<Vec<Step>>(input, usize::MAX) else { return };
    let group = world::group();
    let mut member = Member::new(&group, OWN);
    let mut promises = Promises::default();
    promises.note(member.start(&group));
    for step in steps.into_iter().take(STEPS_MAX) {
        let (from, kind, body) = match step {
            Step::Frame(Peer::Replica(from), _, _) if from == OWN || from.0 >= 4 => continue,
            Step::Frame(from, kind, body) => (from, kind, body),
            Step::Signed(sender, kind, body) => {
                let Some(kind) = Kind::from_number(kind) else { continue };
                let sender = ReplicaId(sender.0 % 4);
                // Nobody else has its key.
                if sender == OWN {
                    continue;
                }
                (Peer::Replica(sender), kind as u8, world::sign(kind, sender, &body).into())
            }
            Step::Suspect(view) => {
                promises.note(member.on_mail(ViewChangerInput::Suspect(view).into()));
                continue;
            }
        };
        let Some(kind) = Kind::from_number(kind) else { continue };
        let from = if matches!(from, Peer::Client(_)) { Peer::Client(CLIENT) } else { from };
        if let Ok(said) = member.on_message(from, kind, body) {
            promises.note(said);
        }
    }
}

/// What replica 1 hears in a real run, and one more with a view that it leaves.
fn seeds() -> Vec<Vec<u8>> {
    let heard = |requests| {
        let to_own = run::said(requests).into_iter().filter(|sent| sent.to == Peer::Replica(OWN));
        to_own.map(|sent| step(sent.from, &sent.payload)).collect::<Vec<Step>>()
    };
    let mut leaves = heard(1);
    let middle = leaves.len() / 2;
    leaves.insert(middle, Step::Suspect(View(0)));
    let kinds: Vec<Step> =
        run::one_of_each().iter().map(|sent| step(Peer::Replica(ReplicaId(2)), &sent.payload)).collect();
    [heard(1), heard(6), leaves, kinds].map(|steps| codec::encode(&steps)).into()
}

fn step(from: Peer, payload: &Payload) -> Step {
    match (from, payload.kind()) {
        (Peer::Replica(sender), kind @ (Kind::Checkpoint | Kind::ViewChange | Kind::NewView)) => {
            Step::Signed(sender, kind as u8, world::signed_part(payload.body()))
        }
        (from, kind) => Step::Frame(from, kind as u8, payload.body().clone()),
    }
}
