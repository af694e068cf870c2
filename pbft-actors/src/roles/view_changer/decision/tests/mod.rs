//! The decision of a new view, held against the rules one by one, against a second implementation,
//! and against histories.

mod arbitrary;
mod history;
mod naive;
mod rules;

use super::*;
use crate::message::{PrePrepared, Prepared};
use crate::roles::testing::digest;

/// The group sizes at which everything is tried: 5 and 6 are where 2f+1 is no quorum.
const SIZES: [usize; 5] = [4, 5, 6, 7, 10];

/// The view that every VIEW-CHANGE of these tests asks for.
const NEXT: View = View(9);

/// A VIEW-CHANGE in the making.
#[derive(Clone)]
struct Said(ViewChange);

/// A replica whose stable checkpoint is `stable`, with the honest digest, and which promised nothing.
fn said(stable: u64) -> Said {
    let message = ViewChange {
        view: NEXT,
        stable: Seq(stable),
        checkpoints: Vec::new(),
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
        signed_only: Vec::new(),
    };
    Said(message).checkpoint(stable, state(stable))
}

/// The state that a correct replica has at a checkpoint.
fn state(seq: u64) -> Digest {
    digest(200 + seq as u8)
}

impl Said {
    fn checkpoint(mut self, seq: u64, digest: Digest) -> Self {
        self.0.checkpoints.push(Checkpoint { seq: Seq(seq), digest });
        self.0.checkpoints.sort();
        self
    }

    fn without_checkpoints(mut self) -> Self {
        self.0.checkpoints.clear();
        self
    }

    /// P alone.
    fn p(mut self, seq: u64, digest: Digest, view: u64) -> Self {
        self.0.prepared.push(Prepared { seq: Seq(seq), digest, view: View(view) });
        self.0.prepared.sort();
        self
    }

    /// Qs alone.
    fn q(mut self, seq: u64, digest: Digest, view: u64) -> Self {
        self.0.pre_prepared.push(PrePrepared { seq: Seq(seq), digest, view: View(view) });
        self.0.pre_prepared.sort();
        self
    }

    /// P and Qs, as whoever prepared something has.
    fn prepared(self, seq: u64, digest: Digest, view: u64) -> Self {
        self.p(seq, digest, view).q(seq, digest, view)
    }
}

/// The decision of a group of `n` with L = 16; every VIEW-CHANGE must be one that is let in.
fn decision(n: usize, votes: &[Said]) -> Option<Decision> {
    assert!(votes.iter().all(|said| said.0.is_valid(4, 16)), "{:?}", votes.len());
    let votes: Vec<&ViewChange> = votes.iter().map(|said| &said.0).collect();
    decide(Quorums::new(n).unwrap(), 16, &votes)
}

/// A decision, briefly.
fn starts(checkpoint: u64, state: Digest, chosen: &[(u64, Digest)]) -> Option<Decision> {
    let chosen = chosen.iter().map(|(seq, digest)| (Seq(*seq), *digest)).collect();
    Some(Decision { checkpoint: Checkpoint { seq: Seq(checkpoint), digest: state }, chosen })
}
