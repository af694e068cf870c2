//! The corpus in the repository: a folder per target, a file per input.

use std::fs;
use std::path::PathBuf;

/// Where the inputs of a target are.
pub fn folder(target: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus")).join(target)
}

/// The inputs of a target, in the order of their names.
///
/// # Panics
/// If there is no such folder, or it cannot be read.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries =
        fs::read_dir(folder(target)).unwrap_or_else(|error| panic!("no corpus of {target}: {error}"));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a folder that can be read").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file that can be read")).collect()
}
