//! `pbft-demo load`: what it prints, against a cluster of its own and one that runs.

mod common;

use common::{Cluster, demo, text};
use serde_json::Value;

/// The JSON lines that a load prints.
fn load(arguments: &[&str]) -> Vec<Value> {
    let output = demo().arg("load").args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn assert_it_worked(figures: &Value, target: &str, clients: u64, outstanding: u64) {
    let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("{key} in {figures}"));
    assert_eq!(figures["target"], target, "{figures}");
    assert_eq!((&figures["clients"], &figures["outstanding"]), (&clients.into(), &outstanding.into()));
    assert!(number("ops") > 0.0 && number("ops_per_s") > 0.0, "{figures}");
    assert_eq!(figures["errors"], 0, "{figures}");
    assert!(number("p50_us") <= number("p99_us") && number("p99_us") <= number("p999_us"), "{figures}");
}

#[test]
fn a_cluster_of_its_own_is_compared_with_the_unreplicated_server() {
    let sizes = ["--op-bytes", "100", "--reply-bytes", "50"];
    for threads in [&["--in-process"][..], &[]] {
        let short = ["--local", "--memory", "--compare", "--json", "--seconds", "0.3", "--warm-up", "0.1"];
        let figures =
            load(&[&short[..], &["--clients", "2", "--outstanding", "1,8"], &sizes, threads].concat());
        assert_eq!(figures.len(), 4);
        for (pair, outstanding) in figures.chunks(2).zip([1, 8]) {
            assert_it_worked(&pair[0], "unreplicated", 2, outstanding);
            assert_it_worked(&pair[1], "cluster", 2, outstanding);
            assert_eq!((&pair[1]["op_bytes"], &pair[1]["reply_bytes"]), (&100.into(), &50.into()));
            assert!(
                pair[1]["cpu_us_per_op"].as_f64() > pair[1]["client_cpu_us_per_op"].as_f64()
                    || !threads.is_empty()
            );
        }
    }
}

#[test]
fn a_cluster_that_runs_is_loaded_with_the_clients_it_knows() {
    let cluster = Cluster::running(4, 2);
    let config = cluster.config();
    let config = config.to_str().expect("a readable path");
    let short = ["--config", config, "--json", "--seconds", "0.2", "--warm-up", "0", "--read-only"];
    let figures = load(&[&short[..], &["--clients", "2"]].concat());
    assert_it_worked(&figures[0], "cluster", 2, 1);
    assert_eq!(figures[0]["cpu_us_per_op"], Value::Null, "whose processes these are is not known");

    let output = demo().arg("load").args(short).args(["--clients", "3"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("names 2"), "{}", text(&output.stderr));
}

#[test]
fn the_durable_default_and_the_table() {
    let arguments = ["load", "--local", "--compare", "--seconds", "0.2", "--warm-up", "0"];
    let output = demo().args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert_eq!(table.lines().filter(|line| line.starts_with("| cluster | 1 x 1 |")).count(), 1, "{table}");
}

#[test]
fn one_cluster_must_be_named_and_only_one() {
    for arguments in [&[][..], &["--local", "--config", "c"], &["--config", "c", "--compare"]] {
        assert_eq!(demo().arg("load").args(arguments).output().expect("it runs").status.code(), Some(2));
    }
}

#[test]
fn a_primary_that_ends_under_load_costs_no_operation() {
    for how in ["kill", "silence"] {
        let arguments =
            ["fail-over", "--memory", "--kills", "1", "--outstanding", "4", "--json", "--how", how];
        let output = demo().args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{how}: {}", text(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&found["how"], &found["kills"]), (&how.into(), &1.into()), "{found}");
        assert!(found["acknowledged"].as_u64() > Some(0) && found["p50_ms"].as_f64() > Some(0.0), "{found}");
    }
}
