//! Targets that would not see what they are for would find nothing.

use super::*;
use crate::message::{Kind, Opened, Peer};
use crate::types::ReplicaId;

#[test]
fn what_correct_nodes_make_holds() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        seeds.iter().for_each(|seed| (target.run)(seed));
    }
}

#[test]
fn the_signature_that_is_made_is_good() {
    let mut opened = 0;
    for seed in (signed::TARGET.seeds)() {
        let ([sender, kind], body) = seed.split_first_chunk::<2>().expect("who signs, and what");
        let kind = [Kind::Checkpoint, Kind::ViewChange, Kind::NewView][usize::from(*kind)];
        let wire = world::sign(kind, ReplicaId(*sender), body).into();
        let opener = world::group().opener(Peer::Replica(ReplicaId(0)));
        match opener.open(Peer::Replica(ReplicaId(2)), kind, wire) {
            Ok(Opened::Checkpoint(_) | Opened::ViewChange(_) | Opened::NewView(_)) => opened += 1,
            other => panic!("{kind:?}: {other:?}"),
        }
    }
    assert!(opened >= 3, "one of each");
}
