//! Faulty replicas drawn by seed: what each of them does, and what they agree on among themselves.

use std::cell::RefCell;
use std::rc::Rc;

use super::rng::Rng;
use crate::adversary::{
    Adversary, BadNewView, Conspiracy, Face, Liar, Lie, Mute, Partial, Several, Slow, Stale, TwoFaced,
    Unfair, ViewClimber,
};
use crate::message::Kind;
use crate::ports::config::Tuning;
use crate::types::{ClientId, Millis, Quorums, ReplicaId, ReplicaSet};

/// Where a run's adversaries come from. Draws from a stream of its own, so that a seed without
/// Byzantine replicas is the run that it was before there were any.
pub(super) struct Villains {
    rng: Rng,
    quorums: Quorums,
    clients: u64,
    conspiracy: Rc<RefCell<Conspiracy>>,
}

impl Villains {
    pub(super) fn new(mut rng: Rng, quorums: Quorums, clients: u64) -> Self {
        let everyone: ReplicaSet = quorums.replicas().collect();
        let fooled = some_of(&mut rng, everyone);
        let face = if rng.chance(500) { Face::Null } else { Face::OtherChoice };
        let lies = rng.chance(600);
        let conspiracy = Rc::new(RefCell::new(Conspiracy::new(everyone, fooled, face, lies)));
        Self { rng, quorums, clients, conspiracy }
    }

    /// How many of a run's replicas turn Byzantine, and when.
    pub(super) fn draw_times(&mut self, faulty_time: u64) -> Vec<u64> {
        let count = if self.rng.chance(600) { self.rng.between(1, self.quorums.f() as u64) } else { 0 };
        (0..count).map(|_| if self.rng.chance(500) { 0 } else { self.rng.below(faulty_time) }).collect()
    }

    /// Replicas whose clocks are a second apart may have to be satisfied with little more.
    pub(super) fn draw_clocks(&mut self, tuning: &mut Tuning) {
        if self.rng.chance(300) {
            tuning.clock_tolerance = Millis(1_200);
        }
    }

    /// Who is next.
    pub(super) fn pick(&mut self, correct: &[ReplicaId]) -> ReplicaId {
        *self.rng.pick(correct)
    }

    /// One or two faults for one replica.
    pub(super) fn adversary(&mut self) -> Box<dyn Adversary> {
        let first = self.one();
        if self.rng.chance(300) { Box::new(Several(vec![first, self.one()])) } else { first }
    }

    fn one(&mut self) -> Box<dyn Adversary> {
        let rng = &mut self.rng;
        match rng.below(14) {
            0 => Box::new(Mute),
            1..=2 => {
                let everyone: ReplicaSet = self.quorums.replicas().collect();
                let told = some_of(rng, everyone);
                let kinds = if rng.chance(400) { Vec::new() } else { vec![*rng.pick(&Kind::ALL)] };
                Box::new(Partial { everyone, told, kinds, answers: rng.chance(700) })
            }
            3..=5 => {
                let lies = (0..rng.between(1, 4)).map(|_| *rng.pick(&Lie::ALL)).collect();
                Box::new(Liar(lies))
            }
            6 => Box::new(ViewClimber::new(rng.between(5_000, 300_000))),
            7 => Box::new(Slow::new(rng.between(1_000, 500_000), rng.chance(500))),
            8 => Box::new(Stale::new(rng.between(1_000, 100_000))),
            9 => Box::new(if rng.chance(500) { BadNewView::Omits } else { BadNewView::Invents }),
            10 => Box::new(Unfair(ClientId(rng.below(self.clients) as u32))),
            _ => Box::new(TwoFaced(self.conspiracy.clone())),
        }
    }
}

/// A part of a set, seldom empty and seldom all of it.
fn some_of(rng: &mut Rng, all: ReplicaSet) -> ReplicaSet {
    let share = rng.between(200, 800);
    all.iter().filter(|_| rng.chance(share)).collect()
}
