//! A NEW-VIEW of VIEW-CHANGEs that liars agreed on, all truly signed, and what follows from them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Target, run, world};
use crate::codec;
use crate::crypto::Digest;
use crate::message::{Checkpoint, Kind, NewView, Opened, Peer, ViewChange};
use crate::roles::view_changer::decide;
use crate::types::{LogId, Quorums, ReplicaId, Seq, View};

pub(super) const TARGET: Target =
    Target { name: "new_view", run, seeds, memory_base: 6 << 20, memory_per_byte: 256 };

#[derive(Serialize, Deserialize)]
struct Input {
    view: View,
    /// Who signs each, and what.
    view_changes: Vec<(ReplicaId, Bytes)>,
    checkpoint: Checkpoint,
    chosen: Vec<(Seq, Digest)>,
}

fn run(input: &[u8]) {
    let Ok(input) = codec::decode::<Input>(input, usize::MAX) else { return };
    let quorums = Quorums::new(4).expect("a group size");
    let signed = |(sender, body): &(ReplicaId, Bytes)| {
        world::sign(Kind::ViewChange, ReplicaId(sender.0 % 4), body).into()
    };
    let view_changes: Vec<Bytes> = input.view_changes.iter().take(5).map(signed).collect();
    let message =
        NewView { view: input.view, view_changes, checkpoint: input.checkpoint, chosen: input.chosen };
    let sender = quorums.primary(input.view);
    let body = codec::encode(&(sender, LogId::default(), message));
    let wire = world::sign(Kind::NewView, sender, &body).into();
    let opener = world::group().opener(Peer::Replica(ReplicaId(0)));
    let Ok(Opened::NewView(proven)) = opener.open(Peer::Replica(ReplicaId(3)), Kind::NewView, wire) else {
        return;
    };
    assert!(proven.view_changes.len() >= quorums.quorum());
    let mut votes: Vec<&ViewChange> = proven.view_changes.iter().map(|vote| &vote.message).collect();
    let decision = decide(quorums, opener.window, &votes);
    votes.reverse();
    assert_eq!(decision, decide(quorums, opener.window, &votes), "whatever order they come in");
    let Some(decision) = decision else { return };
    assert!(decision.chosen.len() as u64 <= opener.window);
    for (place, (seq, digest)) in (1..).zip(&decision.chosen) {
        assert_eq!(*seq, decision.checkpoint.seq.plus(place), "without a gap");
        let named = votes.iter().flat_map(|vote| &vote.prepared);
        let named = named.filter(|entry| (entry.seq, entry.digest) == (*seq, *digest)).count();
        assert!(named > 0 || *digest == crate::message::Batch::null_digest(), "invented");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |said: &run::Sent| {
        let opener = world::group().opener(said.to);
        let (kind, body) = (said.payload.kind(), said.payload.body().clone());
        let Ok(Opened::NewView(proven)) = opener.open(said.from, kind, body) else { return None };
        let signed = proven.view_changes.iter();
        let view_changes = signed.map(|vote| (vote.sender, world::signed_part(vote.wire()))).collect();
        let NewView { view, checkpoint, chosen, .. } = proven.into_inner().new_view.message;
        Some(codec::encode(&Input { view, view_changes, checkpoint, chosen }))
    };
    run::one_of_each().iter().filter_map(seed).collect()
}
