use std::fmt::Write;

use super::{StatusArgs, log};
use crate::Failure;
use crate::ask::ask;
use crate::config::Cluster;
use crate::report::{ClusterReport, ReplicaState};

/// Characters of a digest that people compare.
const DIGEST_SHOWN: usize = 16;

pub(super) fn run(args: StatusArgs) -> Result<(), Failure> {
    log::start("warn");
    let cluster = Cluster::load(&args.config)?;
    let report = ask(&cluster.file);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("a report has only types that JSON has"));
    } else {
        print!("{}", table(&report));
    }
    Ok(())
}

fn table(report: &ClusterReport) -> String {
    let mut text = format!(
        "{:>7}  {:>6}  {:>7}  {:<11}  {:>13}  {:>17}  {:<16}  peers\n",
        "replica", "view", "primary", "state", "last executed", "stable checkpoint", "state digest"
    );
    for replica in &report.replicas {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}", line(replica));
    }
    text
}

fn line(replica: &ReplicaState) -> String {
    let Some(report) = &replica.report else {
        let problem = replica.problem.as_deref().unwrap_or("no answer");
        return format!("{:>7}  unreachable: {problem}", replica.id);
    };
    let state = match (report.voting, report.changing) {
        (false, _) => "not voting",
        (true, true) => "view change",
        (true, false) => "voting",
    };
    let stable = report.stable_checkpoint.map_or_else(|| "none".to_owned(), |seq| seq.to_string());
    let digest: String =
        report.state_digest.iter().flat_map(|digest| digest.chars()).take(DIGEST_SHOWN).collect();
    let peers: Vec<String> = report.peers.iter().map(ToString::to_string).collect();
    format!(
        "{:>7}  {:>6}  {:>7}  {state:<11}  {:>13}  {stable:>17}  {digest:<16}  {}",
        replica.id,
        report.view,
        report.primary,
        report.last_executed,
        peers.join(" ")
    )
}
