//! Small scopes, searched case by case instead of drawn: twins over partitions, and changed fields over
//! rounds. Every case is a script with a number, so that a commit can run its own part of them.

use super::attack::{Attack, Scheme};
use super::fault::{Fault, TimedFault};
use super::plan::{LinkPlan, Micros, Plan};
use super::script::Script;
use crate::adversary::{Change, Face, Mutation};
use crate::message::Kind;
use crate::ports::config::Tuning;
use crate::types::{Millis, Quorums, ReplicaId, ReplicaSet};

/// Replicas of every case.
const REPLICAS: u64 = 4;

/// Rounds of a case of twins; in each of them the copies and the others fall into other parts.
const TWIN_ROUNDS: u64 = 3;
/// How four replicas and a second copy can fall into parts.
const PARTITIONS: u64 = 52;

/// Rounds of a case of mutations.
const MUTATION_ROUNDS: u64 = 5;
/// Kinds of message of which a field is changed.
const KINDS: [Kind; 8] = [
    Kind::PrePrepare,
    Kind::Prepare,
    Kind::Commit,
    Kind::Decided,
    Kind::Checkpoint,
    Kind::ViewChange,
    Kind::NewView,
    Kind::Status,
];
/// Fields of a message; where it has fewer, counting begins anew.
const LEAVES: u64 = 8;
const CHANGES: [Change; 3] = [Change::More, Change::Less, Change::Older];
/// How a group of four can be cut in two.
const CUTS: u64 = 7;

/// Longer than the time-out and a view change.
const ROUND: Micros = 300_000;

/// Neighbours in the numbering differ in everything: a slice of it is a sample. A prime.
const STRIDE: u128 = 2_654_435_761;

/// A space of cases that is searched systematically.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Systematic {
    /// One replica runs twice under one identity. Which one it is says which views it leads; in each round
    /// the four and the second copy fall into parts, in every possible way.
    Twins,
    /// One replica changes a field of one kind of message in up to two rounds, and in up to two rounds the
    /// group is cut in two.
    Mutations,
}

impl Systematic {
    /// How many cases there are.
    pub fn cases(self) -> u64 {
        match self {
            Self::Twins => REPLICAS * PARTITIONS.pow(TWIN_ROUNDS as u32),
            Self::Mutations => REPLICAS * mutations().pow(2) * cuts().pow(2),
        }
    }

    /// One of them; the number counts modulo their number.
    pub fn script(self, number: u64) -> Script {
        let cases = u128::from(self.cases());
        let case = (u128::from(number) % cases * STRIDE % cases) as u64;
        let mut digits = Digits(case);
        let replica = ReplicaId(digits.take(REPLICAS) as u8);
        let (rounds, faults) = match self {
            Self::Twins => (TWIN_ROUNDS, twins(&mut digits, replica)),
            Self::Mutations => (MUTATION_ROUNDS, mutated(&mut digits, replica)),
        };
        let nobody = ReplicaSet::EMPTY;
        let scheme = Scheme { fooled: nobody, face: Face::Null, lies_in_view_change: false };
        Script { seed: case, plan: plan(rounds), scheme, faults }.fitting()
    }
}

/// A number taken apart, lowest digit first.
struct Digits(u64);

impl Digits {
    fn take(&mut self, base: u64) -> u64 {
        let digit = self.0 % base;
        self.0 /= base;
        digit
    }
}

fn twins(digits: &mut Digits, twin: ReplicaId) -> Vec<TimedFault> {
    let turned = Fault::Corrupt { replica: twin, attacks: vec![Attack::Twins(ReplicaSet::EMPTY)] };
    let mut faults = vec![TimedFault { at: 0, fault: turned }];
    faults.extend((0..TWIN_ROUNDS).map(|round| {
        let parts = partition(digits.take(PARTITIONS));
        TimedFault { at: round * ROUND, fault: Fault::Split { twin, parts } }
    }));
    faults
}

/// The partitions of five: each is in a part of those before it, or in a new one.
fn partition(number: u64) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = vec![vec![0]];
    for _ in 0..REPLICAS {
        let longer = |parts: Vec<u8>| {
            let new = parts.iter().max().map_or(0, |last| last + 1);
            (0..=new).map(move |part| [&parts[..], &[part]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all.swap_remove(number as usize % all.len())
}

/// Mutations of one round, and none.
fn mutations() -> u64 {
    MUTATION_ROUNDS * KINDS.len() as u64 * LEAVES * CHANGES.len() as u64 + 1
}

/// Cuts of one round, and none.
fn cuts() -> u64 {
    MUTATION_ROUNDS * CUTS + 1
}

fn mutated(digits: &mut Digits, replica: ReplicaId) -> Vec<TimedFault> {
    let changes = [(); 2].into_iter().filter_map(|()| mutation(digits.take(mutations())));
    let attacks = vec![Attack::MutatesInRounds(changes.collect())];
    let mut faults = vec![TimedFault { at: 0, fault: Fault::Corrupt { replica, attacks } }];
    for _ in 0..2 {
        let Some(number) = digits.take(cuts()).checked_sub(1) else { continue };
        let mut digits = Digits(number);
        let at = digits.take(MUTATION_ROUNDS) * ROUND;
        // The last replica is always on the other side.
        let side = digits.take(CUTS) + 1;
        let side = (0..REPLICAS as u8).filter(|id| side >> id & 1 == 1).map(ReplicaId).collect();
        faults.push(TimedFault { at, fault: Fault::Partition(side) });
        faults.push(TimedFault { at: at + ROUND, fault: Fault::Mend });
    }
    // What ends with a round ends before the next one begins.
    faults.sort_by_key(|timed| (timed.at, timed.fault != Fault::Mend));
    faults
}

fn mutation(number: u64) -> Option<Mutation> {
    let mut digits = Digits(number.checked_sub(1)?);
    let from = digits.take(MUTATION_ROUNDS) * ROUND;
    Some(Mutation {
        from,
        until: from + ROUND,
        kind: KINDS[digits.take(KINDS.len() as u64) as usize],
        leaf: digits.take(LEAVES),
        change: CHANGES[digits.take(CHANGES.len() as u64) as usize],
    })
}

/// A small group that works all the time: links so slow that an operation takes a part of a round.
fn plan(rounds: u64) -> Plan {
    Plan {
        quorums: Quorums::new(REPLICAS as usize).expect("a group size"),
        checkpoint_interval: 2,
        window: 4,
        client_window: 8,
        sessions_per_client: 2,
        sessions_total: 8,
        result_bytes_per_client: 4_096,
        tuning: Tuning {
            timeout: Millis(100),
            timeout_max: Millis(400),
            status_interval: Millis(25),
            pipeline: 2,
            batch_requests: 2,
            rejoin_interval: Millis(200),
            ..Tuning::default()
        },
        clients: 2,
        operations_per_client: 12,
        outstanding: 2,
        sign_all: false,
        digest_replies: true,
        one_round_reads: true,
        links: LinkPlan { loss_per_mille: 0, duplicate_per_mille: 0, delay_min: 2_000, delay_max: 10_000 },
        faulty_time: rounds * ROUND,
        crashes: 0,
        partitions: 0,
        client_restarts: 0,
        durable: false,
        sync_max: 0,
        digest_max: 1_000,
        real_signatures: false,
        stay_dead: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_partition_has_a_number() {
        let all: BTreeSet<Vec<u8>> = (0..PARTITIONS).map(partition).collect();
        assert_eq!(all.len() as u64, PARTITIONS);
        assert!(all.contains(&vec![0, 1, 2, 3, 4]) && all.contains(&vec![0, 0, 0, 0, 0]));
    }

    #[test]
    fn neighbours_are_different_cases_and_no_case_is_left_out() {
        let small: BTreeSet<u64> =
            (0..1_000).map(|number| Systematic::Mutations.script(number).seed).collect();
        assert_eq!(small.len(), 1_000);
        for space in [Systematic::Twins, Systematic::Mutations] {
            assert_ne!(u128::from(space.cases()) % STRIDE, 0, "the stride is a prime");
        }
    }

    #[test]
    fn some_cases_of_each_space_hold() {
        for space in [Systematic::Twins, Systematic::Mutations] {
            for number in 0..60 {
                let case = space.script(number);
                case.run().unwrap_or_else(|failure| panic!("{space:?} {number}: {failure}"));
            }
        }
    }

    #[test]
    fn a_case_is_a_script_that_can_be_kept() {
        for space in [Systematic::Twins, Systematic::Mutations] {
            let case = space.script(7);
            assert_eq!(Script::from_json(&case.to_json()), Ok(case));
        }
    }
}
