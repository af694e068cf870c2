//! `pbft-demo`: see `pbft-demo --help`.

use std::process::ExitCode;

use clap::Parser;
use pbft_demo::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
