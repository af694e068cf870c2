use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::message::Refusal;
use crate::ports::service::{Execution, Query, Service};
use crate::ports::state::State;
use crate::sim::{FailureKind, Simulation};
use crate::types::Seq;

/// Writes a word to its own place, and, if it is told to lie, a number that no two replicas have.
struct Words {
    lies: bool,
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl Service for Words {
    const NAME: &'static str = "words";
    const VERSION: u32 = 1;

    fn execute(&self, state: &mut State, _: &Execution<'_>, word: &[u8]) -> Result<Bytes, Refusal> {
        state.map_mut("words").insert(word, b"met")?;
        if self.lies && word == b"fox" {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
            state.write(5 * 4_096, &number.to_be_bytes())?;
        }
        Ok(Bytes::copy_from_slice(word))
    }

    fn query(&self, _: &State, _: &Query, _: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::new())
    }
}

fn simulation(lies: bool) -> Simulation {
    let words = ["ape", "bee", "cat", "dog", "eel", "fox"];
    Simulation::new(move || Words { lies }, move |draw| words[draw as usize % words.len()].into())
}

#[test]
fn a_deterministic_service_holds() {
    let report = simulation(false).replicas(5).run(1..=10).unwrap();
    assert!(report.operations > 50 && report.crashes > 0, "{report:?}");
}

#[test]
fn page_and_operations_of_a_service_that_is_not_deterministic_are_named() {
    let finding = simulation(true).run(1..=10).unwrap_err();
    assert_eq!(finding.failure.kind, FailureKind::Safety);
    let divergence = finding.divergence().expect("states differ");
    assert_eq!(divergence.page, Some(5));
    assert!(divergence.since <= divergence.seq && divergence.seq < Seq(20), "{divergence}");
    let operations: Vec<&[u8]> =
        divergence.operations.iter().map(|(_, operation)| operation.as_slice()).collect();
    assert!(operations.contains(&&b"fox"[..]), "{divergence}");
    let text = finding.to_string();
    assert!(text.contains("page 5 of the raw bytes, 20480 to 24575"), "{text}");
    assert!(simulation(true).replay(&finding.script).is_err(), "the script fails again");
    assert!(simulation(false).replay(&finding.script).is_ok(), "and is not to blame");
}
