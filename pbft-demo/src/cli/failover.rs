use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{load, log, replica};
use crate::config::Cluster;
use crate::load::local::{Local, Setup};
use crate::load::{FailOvers, fail_over};
use crate::{Failure, unix};

/// How primaries end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// `kill -9`: their connections break.
    Kill,
    /// They are stopped by SIGSTOP: they take all packets and send none.
    Silence,
}

/// What `fail-over` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct FailOverArgs {
    /// How primaries end
    #[arg(long, value_enum, default_value = "kill")]
    pub how: How,
    /// How many end, one after the other
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub kills: u32,
    /// Replicas of the cluster that is started, a process each
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub replicas: u8,
    /// Keep the state in memory only
    #[arg(long)]
    pub memory: bool,
    /// Clients, each with connections of its own
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub clients: u32,
    /// Additions that each client has outstanding
    #[arg(long, value_name = "W", default_value = "64", value_parser = load::at_least_one)]
    pub outstanding: usize,
    /// Print one JSON line, and nothing else
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(args: FailOverArgs) -> Result<(), Failure> {
    log::start("error");
    actix_rt::System::new().block_on(async move {
        let stop = unix::stop_signal().map_err(replica::no_signals)?;
        tokio::select! {
            result = measure(&args) => result,
            signal = stop => Err(Failure::new(format!("{signal}: it was not finished"), "run it again")),
        }
    })
}

async fn measure(args: &FailOverArgs) -> Result<(), Failure> {
    let FailOverArgs { how, kills, replicas, memory, clients, outstanding, json } = *args;
    let mut local = Local::new(Setup { replicas, clients, outstanding, memory, in_process: false })?;
    local.start_replicas()?;
    let file = Cluster::load(&local.cluster_file())?.file;
    let clients = load::clients(&local.cluster_file(), clients)?;
    let found = fail_over(&mut local, &file, &clients, (how, kills, outstanding)).await?;
    print(&found, json);
    if found.is_exactly_once() {
        return Ok(());
    }
    let FailOvers { value, acknowledged, unknown, .. } = found;
    let cause = format!("{acknowledged} additions acknowledged, {unknown} unknown, but the value is {value}");
    Err(Failure::new(cause, "report this"))
}

fn print(found: &FailOvers, json: bool) {
    if json {
        println!("{}", serde_json::to_string(found).expect("numbers and words"));
        return;
    }
    let FailOvers { how, replicas, clients, outstanding, kills, .. } = found;
    let FailOvers { min_ms, p50_ms, p90_ms, p99_ms, max_ms, .. } = found;
    let FailOvers { needless_views, acknowledged, unknown, value, .. } = found;
    println!("{kills} primaries of {replicas}, {how:?}, under {clients} x {outstanding} additions");
    println!(
        "ms to the next answer: min {min_ms:.0}, p50 {p50_ms:.0}, p90 {p90_ms:.0}, p99 {p99_ms:.0}, max {max_ms:.0}"
    );
    println!(
        "{acknowledged} acknowledged, {unknown} unknown, value {value}; needless views {needless_views}"
    );
}
