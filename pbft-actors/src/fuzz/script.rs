//! Scripts of the simulator, as people change them by hand.

use super::Target;
use crate::sim::Script;

pub(super) const TARGET: Target =
    Target { name: "script", run, seeds, memory_base: 64 << 10, memory_per_byte: 256 };

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(script) = Script::from_json(text) else { return };
    assert_eq!(Script::from_json(&script.to_json()), Ok(script), "what is written is what is read");
}

fn seeds() -> Vec<Vec<u8>> {
    let shorter = |text: String| text.lines().map(str::trim_start).collect::<String>();
    [(1, 4), (2, 5), (3, 7)].map(|(seed, n)| shorter(Script::draw(seed, n).to_json()).into_bytes()).into()
}
