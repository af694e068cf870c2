//! Every decoder of the workspace as a function of any bytes, with what must hold of it and of the
//! memory that it takes.
//!
//! | who runs it | how |
//! |---|---|
//! | `cargo test` | the corpus, and changes of it by chance: `tests/corpus.rs` |
//! | `.ci/fuzz` | libFuzzer, guided by coverage: `fuzz/` |

mod cluster_file;
mod corpus;
mod mutate;
mod stream;

pub use corpus::{corpus, folder};
pub use mutate::Mutator;
pub use pbft_actors::fuzz::Target;

/// Every target.
pub fn targets() -> Vec<Target> {
    pbft_actors::fuzz::TARGETS.into_iter().chain([cluster_file::TARGET, stream::TARGET]).collect()
}

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn target(name: &str) -> Target {
    let named = targets().into_iter().find(|target| target.name == name);
    named.unwrap_or_else(|| panic!("there is no target {name}"))
}

/// Gives an input to a target.
///
/// # Panics
/// Where what must hold does not, and where more memory was taken than the input may cost.
pub fn check(target: &Target, input: &[u8]) {
    let memory = allocation_counter::measure(|| (target.run)(input));
    let (taken, most) = (memory.bytes_max, target.memory_max(input.len()) as u64);
    assert!(taken <= most, "{}: {taken} bytes for an input of {}; at most {most}", target.name, input.len());
}
