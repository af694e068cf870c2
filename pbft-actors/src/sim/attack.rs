//! What a faulty replica does, as a value: drawn by seed, held in a script, turned into an adversary
//! when its time has come.

use std::cell::RefCell;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::plan::Micros;
use super::rng::Rng;
use crate::adversary::{
    Adversary, BadNewView, Conspiracy, Echoes, Face, Forges, Liar, Lie, Mutates, Mutation, Mute, Partial,
    Several, Slow, Stale, TwoFaced, Unfair, ViewClimber,
};
use crate::message::Kind;
use crate::types::{ClientId, Quorums, ReplicaSet};

/// One kind of Byzantine behaviour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Attack {
    Mute,
    /// Talks to `told` only, in these kinds of message or in all.
    Partial {
        told: ReplicaSet,
        kinds: Vec<Kind>,
        answers: bool,
    },
    Lies(Vec<Lie>),
    /// Asks for ever higher views.
    Climbs {
        every: Micros,
    },
    Slow {
        delay: Micros,
        proposals_only: bool,
    },
    /// Says again what it said before.
    Stale {
        every: Micros,
    },
    OmitsChosen,
    InventsChosen,
    Unfair(ClientId),
    TwoFaced,
    /// One field of one in so many messages is another one.
    Mutates {
        seed: u64,
        one_in: u64,
        each_peer: bool,
    },
    /// In some rounds a certain field of one kind of message is another one.
    MutatesInRounds(Vec<Mutation>),
    /// Says what nobody asked for.
    Forges {
        seed: u64,
        every: Micros,
    },
    /// Says again what others signed.
    Echoes {
        seed: u64,
        every: Micros,
    },
    /// A second copy of the replica talks to these.
    Twins(ReplicaSet),
}

/// What two-faced replicas agree on among themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Scheme {
    /// Who is shown the other face.
    pub(super) fooled: ReplicaSet,
    pub(super) face: Face,
    /// Whether VIEW-CHANGEs name the other face too.
    pub(super) lies_in_view_change: bool,
}

impl Scheme {
    pub(super) fn draw(rng: &mut Rng, quorums: Quorums) -> Self {
        let fooled = some_of(rng, quorums);
        let face = if rng.chance(500) { Face::Null } else { Face::OtherChoice };
        Self { fooled, face, lies_in_view_change: rng.chance(600) }
    }
}

impl Attack {
    /// One or two faults for one replica.
    pub(super) fn draw_some(rng: &mut Rng, quorums: Quorums, clients: u64) -> Vec<Self> {
        let count = if rng.chance(300) { 2 } else { 1 };
        (0..count).map(|_| Self::draw(rng, quorums, clients)).collect()
    }

    fn draw(rng: &mut Rng, quorums: Quorums, clients: u64) -> Self {
        match rng.below(22) {
            0 => Self::Mute,
            1..=2 => {
                let told = some_of(rng, quorums);
                let kinds = if rng.chance(400) { Vec::new() } else { vec![*rng.pick(&Kind::ALL)] };
                Self::Partial { told, kinds, answers: rng.chance(700) }
            }
            3..=5 => Self::Lies((0..rng.between(1, 4)).map(|_| *rng.pick(&Lie::ALL)).collect()),
            6 => Self::Climbs { every: rng.between(5_000, 300_000) },
            7 => Self::Slow { delay: rng.between(1_000, 500_000), proposals_only: rng.chance(500) },
            8 => Self::Stale { every: rng.between(1_000, 100_000) },
            9 if rng.chance(500) => Self::OmitsChosen,
            9 => Self::InventsChosen,
            10 => Self::Unfair(ClientId(rng.below(clients) as u32)),
            11..=13 => Self::TwoFaced,
            14..=17 => {
                let one_in = *rng.pick(&[1, 3, 10, 50]);
                Self::Mutates { seed: rng.next(), one_in, each_peer: rng.chance(500) }
            }
            18 => Self::Forges { seed: rng.next(), every: rng.between(1_000, 50_000) },
            19 => Self::Echoes { seed: rng.next(), every: rng.between(1_000, 50_000) },
            _ => Self::Twins(some_of(rng, quorums)),
        }
    }
}

/// Turns attacks into adversaries, and lets those of one run know of each other.
pub(super) struct Villains {
    everyone: ReplicaSet,
    conspiracy: Rc<RefCell<Conspiracy>>,
}

impl Villains {
    pub(super) fn new(scheme: Scheme, quorums: Quorums) -> Self {
        let everyone: ReplicaSet = quorums.replicas().collect();
        let Scheme { fooled, face, lies_in_view_change } = scheme;
        let conspiracy = Conspiracy::new(everyone, fooled, face, lies_in_view_change);
        Self { everyone, conspiracy: Rc::new(RefCell::new(conspiracy)) }
    }

    /// A replica with all of these faults.
    pub(super) fn adversary(&self, attacks: &[Attack]) -> Box<dyn Adversary> {
        Box::new(Several(attacks.iter().map(|attack| self.one(attack)).collect()))
    }

    fn one(&self, attack: &Attack) -> Box<dyn Adversary> {
        match attack {
            Attack::Mute => Box::new(Mute),
            Attack::Partial { told, kinds, answers } => Box::new(Partial {
                everyone: self.everyone,
                told: *told,
                kinds: kinds.clone(),
                answers: *answers,
            }),
            Attack::Lies(lies) => Box::new(Liar(lies.clone())),
            Attack::Climbs { every } => Box::new(ViewClimber::new(*every)),
            Attack::Slow { delay, proposals_only } => Box::new(Slow::new(*delay, *proposals_only)),
            Attack::Stale { every } => Box::new(Stale::new(*every)),
            Attack::OmitsChosen => Box::new(BadNewView::Omits),
            Attack::InventsChosen => Box::new(BadNewView::Invents),
            Attack::Unfair(client) => Box::new(Unfair(*client)),
            Attack::TwoFaced => Box::new(TwoFaced(self.conspiracy.clone())),
            Attack::Mutates { seed, one_in, each_peer } => {
                Box::new(Mutates::new(self.everyone, *seed, *one_in, *each_peer))
            }
            Attack::MutatesInRounds(mutations) => {
                Box::new(Mutates::in_rounds(self.everyone, mutations.clone()))
            }
            Attack::Forges { seed, every } => Box::new(Forges::new(self.everyone, *seed, *every)),
            Attack::Echoes { seed, every } => Box::new(Echoes::new(*seed, *every)),
            // The first copy leaves to the second one what is the second one's.
            Attack::Twins(side) => Box::new(Partial {
                everyone: self.everyone,
                told: self.everyone.iter().filter(|id| !side.contains(*id)).collect(),
                kinds: Vec::new(),
                answers: true,
            }),
        }
    }
}

/// A part of the group, seldom empty and seldom all of it.
pub(super) fn some_of(rng: &mut Rng, quorums: Quorums) -> ReplicaSet {
    let share = rng.between(200, 800);
    quorums.replicas().filter(|_| rng.chance(share)).collect()
}
