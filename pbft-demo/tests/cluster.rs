//! What the group promises, shown on real processes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use std::fs;
use std::process::Stdio;

use common::{Adding, Cluster, assert_each_counted_once, demo, terminate, text, until};
use pbft_demo::config::ClientSection;

/// Two clients add while `victim` is killed in the middle.
fn kill_in_the_middle(cluster: &mut Cluster, victim: u8) {
    let before = cluster.value(&["get", "n"]).parse().unwrap();
    let adding = [0, 1].map(|client| Adding::start(cluster, client, "n", 100));
    adding.iter().for_each(|adding| adding.until_acknowledged(20));
    cluster.kill(victim);
    let acknowledged = adding.map(Adding::finish);
    let last = cluster.value(&["get", "n"]).parse().unwrap();
    assert_each_counted_once(&acknowledged, before, last);
}

#[test]
fn whoever_is_killed_under_load_nothing_acknowledged_is_lost_and_it_rejoins() {
    let mut cluster = Cluster::running(4, 2);
    for kills in 0..3 {
        let primary = cluster.primary();
        let victim = if kills == 1 { (primary + 1) % 4 } else { primary };
        kill_in_the_middle(&mut cluster, victim);
        let status = cluster.status();
        assert!(!status.replicas[usize::from(victim)].reachable);
        cluster.start(victim);
        cluster.until_votes(victim);
        cluster.until_all_vote();
    }
}

#[test]
fn two_shells_with_the_same_client_do_not_disturb_each_other() {
    let cluster = Cluster::running(4, 1);
    let acknowledged = std::thread::scope(|scope| {
        let shells = [0, 1].map(|_| {
            scope.spawn(|| (0..15).map(|_| cluster.value(&["add", "n", "1"]).parse().unwrap()).collect())
        });
        shells.map(|shell| shell.join().unwrap())
    });
    let last = cluster.value(&["get", "n"]).parse().unwrap();
    assert_each_counted_once(&acknowledged, 0, last);
}

#[test]
fn the_command_prints_the_value_and_nothing_else() {
    let cluster = Cluster::running(4, 1);
    assert_eq!(cluster.value(&["add", "b", "5"]), "5");
    assert_eq!(cluster.value(&["add", "a", "-7"]), "-7");
    assert_eq!(cluster.value(&["get", "b"]), "5");
    assert_eq!(cluster.value(&["get", "nobody-added"]), "0");
    assert_eq!(cluster.value(&["list"]), "a -7\nb 5");

    let overflow = cluster.counter(&["add", "b", &i64::MAX.to_string()]);
    assert_eq!(overflow.status.code(), Some(1));
    assert!(overflow.stdout.is_empty());
    let said = text(&overflow.stderr);
    assert!(said.contains("stays at 5") && said.contains("cure:"), "{said}");
    let long = cluster.counter(&["get", &"x".repeat(200)]);
    assert!(text(&long.stderr).contains("at most 128"), "{}", text(&long.stderr));
}

#[test]
fn an_operation_that_panics_takes_no_replica_down() {
    let cluster = Cluster::running(4, 1);
    let panicked = cluster.counter(&["panic"]);
    assert_eq!(panicked.status.code(), Some(1));
    assert!(text(&panicked.stderr).contains("panicked"), "{}", text(&panicked.stderr));
    assert_eq!(cluster.value(&["add", "n", "1"]), "1");
    assert!(cluster.status().replicas.iter().all(|replica| replica.reachable));
}

#[test]
fn sigterm_stops_a_replica_cleanly_and_the_rest_goes_on() {
    let mut cluster = Cluster::running(4, 1);
    assert!(terminate(cluster.process(3)).success());
    assert_eq!(cluster.value(&["add", "n", "1"]), "1");
}

#[test]
fn without_a_quorum_the_command_ends_in_its_time_with_cause_and_cure() {
    let mut cluster = Cluster::new(4, 1);
    cluster.start(0);
    let output = cluster.counter(&["--timeout", "0.5", "get", "n"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("fewer than a quorum") && said.contains("pbft-demo status"), "{said}");
}

#[test]
fn replicas_with_another_agreed_configuration_are_refused_and_both_name_the_key() {
    let mut cluster = Cluster::new(4, 1);
    let other = cluster.variant("other.toml", |file| file.agreed.window *= 2);
    (0..3).for_each(|id| cluster.start(id));
    cluster.start_with(3, &other);
    (0..3).for_each(|id| cluster.until_votes(id));
    assert_eq!(cluster.value(&["add", "n", "1"]), "1");
    for id in [0, 3] {
        until(&format!("replica {id} names the key"), || {
            cluster.log(id).lines().any(|line| line.contains("\"window\" is")).then_some(())
        });
    }
    assert!(!cluster.report(3).expect("it runs").voting);
}

#[test]
fn a_client_that_one_replica_knows_already_stops_nothing() {
    let mut cluster = Cluster::new(4, 2);
    let mut added = ClientSection::default();
    cluster.edit(&cluster.config(), |file| added = file.clients.pop().unwrap());
    let ahead = cluster.variant("ahead.toml", |file| file.clients.push(added.clone()));
    cluster.start_with(0, &ahead);
    (1..4).for_each(|id| cluster.start(id));
    cluster.until_all_vote();
    assert_eq!(cluster.value(&["add", "n", "1"]), "1");
    let mut stranger = demo();
    stranger.args(["counter", "--client", "1", "--timeout", "0.5", "--config"]).arg(ahead);
    let output = stranger.args(["add", "n", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "only one replica knows it");
    assert_eq!(cluster.value(&["add", "n", "1"]), "2");
}

#[test]
fn a_port_in_use_and_a_key_that_others_can_read_end_the_start() {
    let mut cluster = Cluster::new(4, 1);
    cluster.start(0);
    until("replica 0 runs", || cluster.report(0));
    let start = |id: &str| {
        let mut command = demo();
        command.args(["replica", "--id", id, "--config"]).arg(cluster.config()).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let said = start("0");
    assert!(said.contains("cannot listen") && said.contains("cure:"), "{said}");
    let key = cluster.directory().join("keys/replica-1.key");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let said = start("1");
    assert!(said.contains("chmod 600"), "{said}");
}
