//! The checkpointer, rule by rule.

mod certificate;
mod durable;
mod fetch;
mod keep;
mod memory;
mod save;
mod serve;
mod transfer;
mod wire;

use super::*;
use crate::message::{Fetch, ProvenRecollection, SeqBitmap};
use crate::ports::state::{PAGE_BYTES, StateBuilder};
use crate::role::{Effect, Rejoined, TimerChange};
use crate::roles::testing::*;
use crate::types::View;

/// One that may vote, of a group of `n`, with K = 4 and L = 8.
fn checkpointer(own: u8, n: usize) -> Checkpointer {
    let mut checkpointer = silent(own, n);
    for id in quorums(n).others(replica(own)).take(quorums(n).quorum() - 1) {
        effects(&mut checkpointer, recalls(id.0, n, &[]));
    }
    assert!(checkpointer.memory.votes());
    checkpointer
}

/// One that just started.
fn silent(own: u8, n: usize) -> Checkpointer {
    let mut checkpointer = Checkpointer::new(CheckpointerConfig {
        signer: signer(own),
        quorums: quorums(n),
        checkpoint_interval: 4,
        window: 8,
        state_limits: LIMITS,
        heap_pages_max: usize::MAX,
        tuning: Tuning::default(),
    });
    effects(&mut checkpointer, CheckpointerInput::Start(state(0)));
    checkpointer
}

const LIMITS: StateLimits = StateLimits { raw_pages: 1 << 20, named_pages: 1 << 20, reserved_pages: 1 << 18 };

/// A state whose pages of these numbers begin with these bytes.
fn snapshot_of(pages: impl IntoIterator<Item = (u64, u8)>) -> Snapshot {
    let mut builder = StateBuilder::new(LIMITS);
    for (index, content) in pages {
        let mut page = [0; PAGE_BYTES];
        page[0] = content;
        builder.put(index, &page).unwrap();
    }
    builder.snapshot()
}

/// The state that correct replicas have at this seq: page 5 is another one at each.
fn state(seq: u64) -> Taken {
    Taken { seq: Seq(seq), snapshot: snapshot_of([(0, 1), (5, 1 + seq as u8), (300, 1)]) }
}

/// Another one at this seq, in which page 300 is wrong.
fn wrong_state(seq: u64) -> Taken {
    Taken { seq: Seq(seq), snapshot: snapshot_of([(0, 1), (5, 1 + seq as u8), (300, 9)]) }
}

/// The checkpoint that correct replicas take at this seq.
fn checkpoint(seq: u64) -> Checkpoint {
    state(seq).checkpoint()
}

/// Another one at this seq.
fn wrong(seq: u64) -> Checkpoint {
    wrong_state(seq).checkpoint()
}

fn signed_by(id: u8, checkpoint: Checkpoint) -> Signed<Checkpoint> {
    signer(id).sign(Kind::Checkpoint, checkpoint)
}

fn says(id: u8, checkpoint: Checkpoint) -> CheckpointerInput {
    CheckpointerInput::Checkpoint(from(id, signed_by(id, checkpoint)))
}

fn own(id: u8, checkpoint: Checkpoint) -> CheckpointerInput {
    CheckpointerInput::OwnCheckpoint(signed_by(id, checkpoint))
}

fn certificate(checkpoint: Checkpoint, by: &[u8]) -> Certificate {
    Certificate { checkpoint, votes: by.iter().map(|id| signed_by(*id, checkpoint)).collect() }
}

fn brings(checkpoint: Checkpoint, by: &[u8]) -> CheckpointerInput {
    CheckpointerInput::Certificate(from(by[0], certificate(checkpoint, by)))
}

/// Replica `id` answers to replica 3, and knows these logs.
fn recalls(id: u8, n: usize, known: &[(u8, LogId)]) -> CheckpointerInput {
    recalls_with(id, n, known, None)
}

fn recalls_with(
    id: u8,
    n: usize,
    known: &[(u8, LogId)],
    certificate: Option<Certificate>,
) -> CheckpointerInput {
    let mut logs = vec![LogId::default(); n];
    for (replica, log) in known {
        logs[usize::from(*replica)] = *log;
    }
    let recollection = Recollection {
        log: log_of(3),
        known: logs,
        certificate: Vec::new(),
        votes: Vec::new(),
        view_change: None,
    };
    let proven = ProvenRecollection { recollection, certificate, view_change: None };
    CheckpointerInput::Recollection(Box::new(from(id, proven)))
}

fn status(id: u8, stable: u64, first_held: u64) -> CheckpointerInput {
    CheckpointerInput::Status(from(
        id,
        Status {
            view: View(0),
            changing: false,
            stable: Seq(stable),
            executed: Seq(stable),
            first_held: Seq(first_held),
            prepared: SeqBitmap::default(),
            decided: SeqBitmap::default(),
            view_changes: ReplicaSet::EMPTY,
        },
    ))
}

/// What a replica does with a checkpoint that it took, that is not stable, and that it may speak of.
fn claims(id: u8, checkpoint: Checkpoint) -> Vec<Effect> {
    let signed = signed_by(id, checkpoint);
    vec![
        tell(OrdererInput::OwnCheckpoint(checkpoint)),
        Effect::Persist(Record::Checkpoint(checkpoint)),
        Effect::Send(To::Others, Message::Checkpoint(signed.clone())),
        tell(CheckpointerInput::OwnCheckpoint(signed)),
    ]
}

/// What a replica does with a checkpoint that it takes while it is stable already: it says nothing of it.
fn reaches(checkpoint: Checkpoint, by: &[u8]) -> Vec<Effect> {
    [vec![tell(OrdererInput::OwnCheckpoint(checkpoint))], advances(checkpoint, by)].concat()
}

/// What a replica does whose stable checkpoint advances while no other one is being saved.
fn advances(checkpoint: Checkpoint, by: &[u8]) -> Vec<Effect> {
    let seq = checkpoint.seq;
    let saves = Effect::Save(Save::Checkpoint { seq, snapshot: state(seq.0).snapshot });
    [advances_unsaved(checkpoint, by), vec![saves]].concat()
}

/// What it does while another one is.
fn advances_unsaved(checkpoint: Checkpoint, by: &[u8]) -> Vec<Effect> {
    vec![
        Effect::Persist(Record::Stable(Arc::new(certificate(checkpoint, by)))),
        Effect::Event(Event::StableCheckpoint { checkpoint }),
        tell(OrdererInput::Stable(checkpoint.seq)),
        tell(ExecutorInput::Stable(checkpoint.seq)),
        tell(ViewChangerInput::Stable(checkpoint.seq)),
    ]
}

fn send(to: u8, message: Message) -> Effect {
    Effect::Send(To::Replica(replica(to)), message)
}

/// A question for the root of a checkpoint.
fn probe(to: u8, seq: u64, ticket: u64) -> Effect {
    send(to, Message::Fetch(Fetch::Nodes { seq: Seq(seq), ticket, nodes: vec![(5, 0)] }))
}
