//! What takes bytes from outside, each as a function of any bytes at all (feature `fuzz`).
//!
//! A target panics where what must hold does not. Signatures, tags and checksums are put right before
//! the bytes go in: otherwise a fuzzer would never come past them.

mod frame;
mod handshake;
mod journal;
mod log;
mod message;
mod new_view;
mod page_file;
mod replica;
mod run;
mod script;
mod signed;
#[cfg(test)]
mod tests;
mod world;

/// A decoder with what must hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the corpus and the fuzzer call it.
    pub name: &'static str,
    /// Panics where what must hold does not.
    pub run: fn(&[u8]),
    /// Inputs that a correct node makes.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes that may be allocated at a time for no input at all.
    pub memory_base: usize,
    /// And how many more for each byte of input.
    pub memory_per_byte: usize,
}

impl Target {
    /// Most that a run may hold of an input of this length.
    pub fn memory_max(&self, length: usize) -> usize {
        self.memory_base + self.memory_per_byte * length
    }
}

/// Every target of this crate.
pub const TARGETS: [Target; 10] = [
    frame::TARGET,
    handshake::TARGET,
    journal::TARGET,
    log::TARGET,
    message::TARGET,
    new_view::TARGET,
    page_file::TARGET,
    replica::TARGET,
    script::TARGET,
    signed::TARGET,
];
