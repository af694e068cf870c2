//! The corpus and changes of it by chance, through the functions that the fuzzer calls.
//!
//! `PBFT_MUTATIONS` says how many changes there are of each target's corpus.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pbft_fuzz::{Mutator, Target, check, corpus, targets};

/// So that the tests take seconds.
const MUTATIONS: usize = 1_500;

fn mutations() -> usize {
    std::env::var("PBFT_MUTATIONS").map_or(MUTATIONS, |count| count.parse().expect("a number"))
}

/// Fails with the input in its message.
fn holds(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| check(target, input))).is_err() {
        panic!("{}: {}", target.name, input.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
}

#[test]
fn whatever_was_found_before_holds() {
    for target in targets() {
        let inputs = corpus(target.name);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        inputs.iter().for_each(|input| holds(&target, input));
    }
}

#[test]
fn what_a_correct_node_makes_holds() {
    for target in targets() {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        seeds.iter().for_each(|input| holds(&target, input));
    }
}

#[test]
fn changes_by_chance_hold() {
    for (seed, target) in (1..).zip(targets()) {
        let mut mutator = Mutator::new(seed);
        let mut inputs = corpus(target.name);
        inputs.extend((target.seeds)());
        for _ in 0..mutations() {
            holds(&target, &mutator.mutate(&inputs));
        }
    }
}
