//! The view changer, rule by rule.

mod join;
mod new_view;
mod remember;
mod retransmit;
mod suspect;
mod timers;

use super::*;
use crate::crypto::Digest;
use crate::message::{Batch, Checkpoint, PrePrepared, Prepared};
use crate::role::{Effect, TimerChange};
use crate::roles::testing::*;

/// The one who is asked, of a group of `n` in view 0, with L = 16, T = 1 s and at most 60 s.
fn changer(own: u8, n: usize) -> ViewChanger {
    let mut changer = silent(own, n);
    effects(&mut changer, ViewChangerInput::Voting(true));
    changer
}

/// One that may not vote yet.
fn silent(own: u8, n: usize) -> ViewChanger {
    ViewChanger::new(signer(own), quorums(n), 16, Tuning::default())
}

fn genesis() -> Checkpoint {
    Checkpoint { seq: Seq(0), digest: digest(200) }
}

/// A VIEW-CHANGE of a replica that promised nothing.
fn empty(view: u64) -> ViewChange {
    ViewChange {
        view: View(view),
        stable: Seq(0),
        checkpoints: vec![genesis()],
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
        signed_only: Vec::new(),
    }
}

/// A VIEW-CHANGE of a replica that prepared a batch at seq 1 in view 0.
fn prepared(view: u64, digest: Digest) -> ViewChange {
    ViewChange {
        prepared: vec![Prepared { seq: Seq(1), digest, view: View(0) }],
        pre_prepared: vec![PrePrepared { seq: Seq(1), digest, view: View(0) }],
        ..empty(view)
    }
}

fn signed_by(id: u8, message: ViewChange) -> Signed<ViewChange> {
    signer(id).sign(Kind::ViewChange, message)
}

fn asks(id: u8, message: ViewChange) -> ViewChangerInput {
    ViewChangerInput::ViewChange(from(id, signed_by(id, message)))
}

/// What the orderer answers where nothing was promised.
fn frozen(view: u64) -> ViewChangerInput {
    ViewChangerInput::Frozen(frozen_empty(view))
}

fn frozen_empty(view: u64) -> Frozen {
    Frozen {
        view: View(view),
        stable: Seq(0),
        checkpoints: vec![genesis()],
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
        disputed: Vec::new(),
    }
}

/// A NEW-VIEW of the primary of four that starts from these, with this X.
fn claims(view: u64, votes: &[Signed<ViewChange>], chosen: &[(u64, Digest)]) -> ProvenNewView {
    let message = NewView {
        view: View(view),
        view_changes: votes.iter().map(|vote| vote.wire().clone()).collect(),
        checkpoint: genesis(),
        chosen: chosen.iter().map(|(seq, digest)| (Seq(*seq), *digest)).collect(),
    };
    let new_view = signer((view % 4) as u8).sign(Kind::NewView, message);
    ProvenNewView { new_view, view_changes: votes.to_vec() }
}

/// A NEW-VIEW in which nothing was prepared.
fn quiet_start(view: u64) -> ProvenNewView {
    claims(view, &[0, 1, 2].map(|id| signed_by(id, empty(view))), &[])
}

/// A NEW-VIEW that names one batch.
fn busy_start(view: u64) -> ProvenNewView {
    claims(view, &[0, 1, 2].map(|id| signed_by(id, prepared(view, digest(1)))), &[(1, digest(1))])
}

fn brings(proven: &ProvenNewView) -> ViewChangerInput {
    ViewChangerInput::NewView(from(proven.new_view.sender.0, proven.clone()))
}

/// What a replica does that leaves its view for this one.
fn leaves(view: u64) -> [Effect; 3] {
    [
        Effect::Event(Event::ViewChangeStarted { view: View(view) }),
        tell(BatcherInput::Changing(View(view))),
        tell(OrdererInput::Freeze(View(view))),
    ]
}

fn armed(milliseconds: u64) -> [TimerChange<ViewTimer>; 1] {
    [TimerChange::Arm(ViewTimer::NewView, deadline(milliseconds))]
}

const DISARMED: [TimerChange<ViewTimer>; 1] = [TimerChange::Disarm(ViewTimer::NewView)];

/// What the batcher is told about T by these effects.
fn timeout_told(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Tell(crate::role::Mail::Batcher(BatcherInput::Entered(entered))) => Some(entered.timeout.0),
        Effect::Tell(crate::role::Mail::Batcher(BatcherInput::Timeout(timeout))) => Some(timeout.0),
        _ => None,
    })
}
