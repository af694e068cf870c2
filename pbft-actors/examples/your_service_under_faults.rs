//! Your service under Byzantine faults: `cargo run --release --features sim --example your_service_under_faults`.
//!
//! The service below is not deterministic: it joins what it collected in the order of a `HashMap`, which
//! differs from process to process. The simulator names the page and the operations where replicas part.

use std::collections::HashMap;

use bytes::Bytes;
use pbft_actors::message::Refusal;
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::State;
use pbft_actors::sim::Simulation;

/// Counts words, and keeps a list of those that it met.
struct Words;

impl Service for Words {
    const NAME: &'static str = "words";
    const VERSION: u32 = 1;

    fn execute(&self, state: &mut State, _: &Execution<'_>, word: &[u8]) -> Result<Bytes, Refusal> {
        let mut counts: HashMap<Vec<u8>, u64> = state.value("counts").get()?.unwrap_or_default();
        *counts.entry(word.to_vec()).or_default() += 1;
        // Wrong: no two maps need to be written in the same order.
        state.value_mut("counts").set(&counts)?;
        Ok(Bytes::copy_from_slice(&counts[word].to_be_bytes()))
    }

    fn query(&self, _: &State, _: &Query, _: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::new())
    }
}

fn main() {
    let words = ["ape", "bee", "cat", "dog", "eel", "fox"];
    let simulation = Simulation::new(|| Words, move |draw| words[draw as usize % words.len()].into());
    match simulation.run(1..=100) {
        Ok(report) => println!("{} operations held", report.operations),
        Err(finding) => println!("{finding}\n\n{}", finding.chart.text()),
    }
}
