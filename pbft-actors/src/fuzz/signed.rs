//! CHECKPOINT, VIEW-CHANGE and NEW-VIEW with whatever content, truly signed.

use bytes::Bytes;

use super::{Target, run, world};
use crate::message::{Kind, Opened, Peer};
use crate::types::ReplicaId;

pub(super) const TARGET: Target =
    Target { name: "signed", run, seeds, memory_base: 4 << 20, memory_per_byte: 128 };

const KINDS: [Kind; 3] = [Kind::Checkpoint, Kind::ViewChange, Kind::NewView];

/// The first byte says who signs, the second one what, the others what was signed.
fn run(input: &[u8]) {
    let Some(([sender, kind], body)) = input.split_first_chunk::<2>() else { return };
    let sender = ReplicaId(sender % 4);
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let wire = Bytes::from(world::sign(kind, sender, body));
    let opener = world::group().opener(Peer::Replica(ReplicaId(0)));
    let Ok(opened) = opener.open(Peer::Replica(ReplicaId(3)), kind, wire.clone()) else { return };
    let (from, passed_on) = match &opened {
        Opened::Checkpoint(signed) => {
            assert!(signed.message.seq.is_checkpoint(opener.interval));
            (signed.sender, signed.wire())
        }
        Opened::ViewChange(signed) => {
            assert!(signed.message.is_valid(opener.interval, opener.window));
            (signed.sender, signed.wire())
        }
        Opened::NewView(proven) => (proven.new_view.sender, proven.new_view.wire()),
        other => panic!("{kind:?} opens as {other:?}"),
    };
    assert_eq!(from, sender, "nobody else's signature counts");
    assert_eq!(*passed_on, wire, "it is passed on as it was signed");
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |said: &run::Sent| {
        let kind = KINDS.iter().position(|kind| *kind == said.payload.kind())?;
        let Peer::Replica(sender) = said.from else { return None };
        Some([&[sender.0, kind as u8], &world::signed_part(said.payload.body())[..]].concat())
    };
    run::one_of_each().iter().filter_map(seed).collect()
}
