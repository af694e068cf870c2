//! The orderer, rule by rule: a state, one input, and exactly what it asks for.

mod accept;
mod decide;
mod piggyback;
mod propose;
mod remember;
mod retransmit;
mod tentative;
mod view;
mod vote;

use super::*;
use crate::message::{BatchData, Fetch};
use crate::role::{
    BatcherInput, Effect, Enter, ExecutorInput, Grant, Message, Need, Record, To, ViewChangerInput,
};
use crate::roles::testing::{self, *};
use crate::types::ReplicaSet;

/// One input at the start, and its effects but for the records of what was decided, on which nothing
/// waits, how far a journal led, and what the executor is told for reads and tentative execution.
fn effects(orderer: &mut Orderer, input: OrdererInput) -> Vec<Effect> {
    let mut effects = testing::effects(orderer, input);
    let beside = |effect: &Effect| {
        matches!(
            effect,
            Effect::Persist(Record::Decided { .. })
                | Effect::Tell(crate::role::Mail::Checkpointer(crate::role::CheckpointerInput::Replayed(_)))
        )
    };
    effects.retain(|effect| !beside(effect) && !is_for_replies(effect));
    effects
}

fn is_for_replies(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Tell(crate::role::Mail::Executor(
            ExecutorInput::Tentative { .. }
                | ExecutorInput::Prepared(_)
                | ExecutorInput::Halt
                | ExecutorInput::Resume(_)
        ))
    )
}

/// What the executor is told for reads and tentative execution.
fn for_replies(orderer: &mut Orderer, input: OrdererInput) -> Vec<Effect> {
    let mut effects = testing::effects(orderer, input);
    effects.retain(is_for_replies);
    effects
}

/// K = 4, L = 8; the one who is asked, of a group of `n`, in view 0.
fn orderer(own: u8, n: usize) -> Orderer {
    let mut orderer = silent(own, n);
    effects(&mut orderer, OrdererInput::Voting(true));
    orderer
}

/// One that may not vote yet.
fn silent(own: u8, n: usize) -> Orderer {
    Orderer::new(OrdererConfig {
        own: replica(own),
        quorums: quorums(n),
        checkpoint_interval: 4,
        window: 8,
        signed_requests: false,
        tuning: Tuning::default(),
        service: TestService::shared(),
    })
}

fn proposes(from_id: u8, view: u64, seq: u64, batch: &Batch) -> OrdererInput {
    OrdererInput::PrePrepare(from(from_id, pre_prepare(view, seq, batch)))
}

fn prepares(from_id: u8, view: u64, seq: u64, digest: Digest) -> OrdererInput {
    OrdererInput::Prepare(from(from_id, vote(view, seq, digest)))
}

fn commits(from_id: u8, view: u64, seq: u64, digest: Digest) -> OrdererInput {
    OrdererInput::Commit(from(from_id, vote(view, seq, digest)))
}

fn decides(from_id: u8, seq: u64, digest: Digest) -> OrdererInput {
    OrdererInput::Decided(from(from_id, vote(0, seq, digest)))
}

fn brings(from_id: u8, seq: u64, batch: &Arc<Batch>) -> OrdererInput {
    OrdererInput::BatchData(from(from_id, BatchData { seq: Seq(seq), batch: batch.clone() }))
}

fn enters(view: u64, checkpoint: u64, chosen: &[(u64, Digest)]) -> OrdererInput {
    OrdererInput::Enter(Enter {
        view: View(view),
        checkpoint: Seq(checkpoint),
        chosen: chosen.iter().map(|(seq, digest)| (Seq(*seq), *digest)).collect(),
        contested: Vec::new(),
        signed_only: Vec::new(),
    })
}

/// What a backup does that accepts a batch.
fn promise(view: u64, seq: u64, batch: &Arc<Batch>) -> Vec<Effect> {
    let vote = vote(view, seq, batch.digest());
    vec![
        tell(BatcherInput::Accepted(vote.seq)),
        Effect::Persist(Record::PrePrepared { view: vote.view, seq: vote.seq, batch: batch.clone() }),
        Effect::Send(To::Others, Message::Prepare(vote)),
        tell(OrdererInput::OwnPrepare(vote)),
    ]
}

/// What a replica does at which a batch prepared.
fn commit(view: u64, seq: u64, digest: Digest) -> Vec<Effect> {
    let vote = vote(view, seq, digest);
    vec![
        Effect::Persist(Record::Prepared { view: vote.view, seq: vote.seq, digest }),
        Effect::Send(To::Others, Message::Commit(vote)),
        tell(OrdererInput::OwnCommit(vote)),
    ]
}

fn execute(batches: &[(u64, &Arc<Batch>)]) -> Effect {
    let batches = batches.iter().map(|(seq, batch)| (Seq(*seq), (*batch).clone())).collect();
    tell(ExecutorInput::Execute(batches))
}

fn progress(view: u64) -> Effect {
    tell(ViewChangerInput::Progress(View(view)))
}

fn reported(id: u8, what: &'static str) -> Effect {
    Effect::Event(Event::Misbehaved { replica: replica(id), what })
}

/// Takes a batch through all phases at replica 1 of four in view 0.
fn commit_at_backup(orderer: &mut Orderer, seq: u64, batch: &Arc<Batch>) {
    let digest = batch.digest();
    effects(orderer, proposes(0, 0, seq, batch));
    for id in [2, 3] {
        effects(orderer, prepares(id, 0, seq, digest));
    }
    for id in [0, 2, 3] {
        effects(orderer, commits(id, 0, seq, digest));
    }
}
