//! Model check of the real roles: exits with 1 and the story of what does not hold.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pbft_actors::model::{Limits, explore};
use pbft_actors::types::ReplicaId;

/// Tries every order in which three correct replicas of four can hear each other and a liar.
#[derive(Parser)]
struct Arguments {
    /// Who lies: 0 is the primary of view 0, 1 of view 1.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1, 3])]
    liars: Vec<u8>,
    /// 1 or 2.
    #[arg(long, default_value_t = 2)]
    views: u64,
    /// Seqs that the liar lies about.
    #[arg(long, default_value_t = 1)]
    seqs: u64,
    /// Steps that nobody else sees which a replica takes in a row.
    #[arg(long, default_value_t = 4)]
    unseen: usize,
    /// Minutes for each liar.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// States of the group for each liar that are looked at one after the other; the rest of the time goes to
    /// ways through the model by chance.
    #[arg(long, default_value_t = 20_000_000)]
    states: usize,
    /// Such ways.
    #[arg(long, default_value_t = u64::MAX)]
    walks: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let limits = Limits {
        views: arguments.views,
        seqs: arguments.seqs,
        unseen: arguments.unseen,
        states: arguments.states,
        walks: arguments.walks,
        time: Duration::from_secs_f64(arguments.minutes * 60.0),
        agreement_only: false,
    };
    for liar in arguments.liars {
        match explore(ReplicaId(liar), &limits) {
            Ok(report) => println!("{report}"),
            Err(violation) => {
                eprintln!("replica {liar} lies: {violation}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
