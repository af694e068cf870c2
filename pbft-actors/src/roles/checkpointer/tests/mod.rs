//! The checkpointer, rule by rule.

mod certificate;
mod durable;
mod memory;
mod transfer;

use super::*;
use crate::message::{Fetch, PageData, ProvenRecollection, SeqBitmap};
use crate::role::{Effect, Rejoined, TimerChange};
use crate::roles::testing::*;
use crate::types::{ReplicaSet, View};

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
        pages_max: 100,
        tuning: Tuning::default(),
    });
    effects(&mut checkpointer, CheckpointerInput::Start(genesis()));
    checkpointer
}

fn genesis() -> Checkpoint {
    checkpoint(0)
}

/// The checkpoint that correct replicas take at this seq.
fn checkpoint(seq: u64) -> Checkpoint {
    Checkpoint { seq: Seq(seq), digest: digest(100 + seq as u8) }
}

/// Another one at this seq.
fn wrong(seq: u64) -> Checkpoint {
    Checkpoint { seq: Seq(seq), digest: digest(9) }
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
    CheckpointerInput::Recollection(from(
        id,
        ProvenRecollection { recollection, certificate, view_change: None },
    ))
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

/// What a replica does whose stable checkpoint advances.
fn advances(checkpoint: Checkpoint, by: &[u8]) -> Vec<Effect> {
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

fn fetch(to: u8, seq: u64, page: u64) -> Effect {
    send(to, Message::Fetch(Fetch::Pages { seq: Seq(seq), from: page }))
}
