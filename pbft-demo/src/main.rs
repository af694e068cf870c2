//! `pbft-demo`: see `pbft-demo --help`.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use pbft_demo::cli::Cli;

/// Every request is a handful of small allocations.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
