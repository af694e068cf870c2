//! Durable mode beside memory mode, and checkpoints beside none, in one run: operations per second,
//! latencies, and what the disk did.
//!
//! ```text
//! cargo run --release -p benches --example durable -- [DIRECTORY [SECONDS]]
//! ```

use std::path::PathBuf;
use std::time::Duration;

use benches::{Group, Setup, Work};

/// Rounds of each set-up, in turn, so that what else the machine does meets all alike.
const ROUNDS: usize = 3;

struct Row {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    syncs_per_second: f64,
    operations_per_sync: f64,
    sync: f64,
}

fn measure(setup: &Setup, outstanding: u64, seconds: f64) -> Row {
    let group = Group::start(setup);
    let warm = 500 + 20 * outstanding;
    let work = Work { outstanding, ..Work::default() };
    let rate = warm as f64 / group.run(warm, work).as_secs_f64();
    let operations = ((rate * seconds) as u64).max(200);
    let before = group.disk().unwrap_or_default();
    let (took, mut all) = group.run_each(operations, work);
    let took = took.as_secs_f64();
    let after = group.disk().unwrap_or_default();
    group.stop();
    all.sort_unstable();
    let syncs = (after.syncs - before.syncs) as f64;
    Row {
        per_second: operations as f64 / took,
        p50: all[all.len() / 2],
        p99: all[all.len() * 99 / 100],
        syncs_per_second: syncs / took,
        operations_per_sync: operations as f64 / syncs,
        sync: (after.sync_micros - before.sync_micros) as f64 / syncs,
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: f64 = arguments.next().map_or(4.0, |seconds| seconds.parse().expect("seconds"));
    let setups = [
        ("memory", Setup::default()),
        ("memory, K = 4,096", Setup { checkpoint_interval: 4_096, ..Setup::default() }),
        ("durable", Setup { directory: Some(directory.clone()), ..Setup::default() }),
    ];
    println!(
        "| set-up | outstanding | op/s | p50 us | p99 us | syncs/s of one replica | op per sync | us per sync |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for outstanding in [1, 64, 256] {
        let mut rows: Vec<Vec<Row>> = setups.iter().map(|_| Vec::new()).collect();
        for round in 0..ROUNDS {
            for ((_, setup), rows) in setups.iter().zip(&mut rows) {
                let mut setup = setup.clone();
                let own =
                    directory.join(format!("pbft-durable-{}-{outstanding}-{round}", std::process::id()));
                setup.directory = setup.directory.map(|_| own.clone());
                rows.push(measure(&setup, outstanding, seconds));
                if setup.directory.is_some() {
                    std::fs::remove_dir_all(own).expect("what was made here");
                }
            }
        }
        for ((name, _), mut rows) in setups.iter().zip(rows) {
            rows.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
            let Row { per_second, p50, p99, syncs_per_second, operations_per_sync, sync } = &rows[ROUNDS / 2];
            let (p50, p99) = (p50.as_micros(), p99.as_micros());
            let disk = match *syncs_per_second > 0.0 {
                true => format!("{syncs_per_second:.0} | {operations_per_sync:.1} | {sync:.0}"),
                false => " | | ".to_owned(),
            };
            println!("| {name} | {outstanding} | {per_second:.0} | {p50} | {p99} | {disk} |");
        }
    }
}
