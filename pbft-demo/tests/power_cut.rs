//! Scenario 22 on real processes: kill -9 of every replica at once under load, again and again, and
//! damaged journals. `PBFT_POWER_CUTS` sets how often; the default is what fits into a test run.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use common::{Adding, Cluster, assert_each_counted_once, terminate};

fn rounds() -> usize {
    std::env::var("PBFT_POWER_CUTS").map_or(4, |rounds| rounds.parse().expect("a number"))
}

/// Two clients add while everything stops in the middle and starts again. Their processes live on, so
/// that what was under way when the power failed is asked for again, too.
#[test]
fn every_acknowledged_addition_is_there_after_each_power_cut_and_none_twice() {
    let mut cluster = Cluster::durable(4, 2);
    for round in 0..rounds() {
        let before = cluster.value(&["get", "n"]).parse().unwrap();
        let adding = [0, 1].map(|client| Adding::start(&cluster, client, "n", 80));
        // Another moment each time, from the first request on.
        adding[0].until_acknowledged(round * 7 % 41);
        cluster.kill_all();
        (0..4).for_each(|id| cluster.start(id));
        let acknowledged = adding.map(Adding::finish);
        let last = cluster.value(&["get", "n"]).parse().unwrap();
        assert_each_counted_once(&acknowledged, before, last);
        cluster.until_all_vote();
    }
}

/// The newest segment of a replica's journal.
fn newest_segment(cluster: &Cluster, id: u8) -> PathBuf {
    let files = fs::read_dir(cluster.data(id)).unwrap().map(|entry| entry.unwrap().path());
    let journal = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("journal-");
    files.filter(journal).max().expect("a durable replica has a journal")
}

fn flip(file: &File, offset: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], offset).unwrap();
}

/// Where the groups of entries begin: behind two headers and the copies, a sixteenth of the segment.
const GROUPS: u64 = 2 * 4096 + (16 << 20) / 16;

#[test]
fn a_replica_whose_journal_is_cut_or_damaged_while_it_is_down_votes_again_and_loses_nothing() {
    let mut cluster = Cluster::durable(4, 1);
    let damages: [fn(&File); 5] = [
        |file| file.set_len(GROUPS + 700).unwrap(),
        |file| file.set_len(3 * 4096).unwrap(),
        |file| flip(file, GROUPS + 60),
        |file| flip(file, 2 * 4096 + 10),
        // Both places of the first promise.
        |file| (flip(file, GROUPS + 60), flip(file, 2 * 4096 + 10)).0,
    ];
    for (round, damage) in damages.iter().enumerate() {
        for _ in 0..20 {
            cluster.value(&["add", "n", "1"]);
        }
        let victim = u8::try_from(round % 4).unwrap();
        let mut child = cluster.take(victim);
        assert!(terminate(&mut child).success());
        let segment = newest_segment(&cluster, victim);
        damage(&OpenOptions::new().read(true).write(true).open(segment).unwrap());
        cluster.start(victim);
        cluster.until_votes(victim);
        assert_eq!(cluster.value(&["get", "n"]), ((round + 1) * 20).to_string());
    }
}

#[test]
fn a_replica_whose_directory_is_gone_fetches_the_state_and_votes_again() {
    let mut cluster = Cluster::durable(4, 1);
    for _ in 0..5 {
        cluster.value(&["add", "n", "1"]);
    }
    let mut child = cluster.take(2);
    assert!(terminate(&mut child).success());
    fs::remove_dir_all(cluster.data(2)).unwrap();
    cluster.start(2);
    cluster.until_votes(2);
    assert_eq!(cluster.value(&["add", "n", "1"]), "6");
}

/// What `state` prints, or says on stderr if it fails.
fn state(arguments: &[&str], data: &[PathBuf]) -> (bool, String) {
    let output = common::demo().arg("state").args(arguments).args(data).output().unwrap();
    (output.status.success(), common::text(&output.stdout) + &common::text(&output.stderr))
}

#[test]
fn stopped_replicas_hold_the_same_state_and_damage_is_named() {
    let mut cluster = Cluster::durable(4, 1);
    // Past two checkpoints, K = 32: each command also opens a session.
    for _ in 0..40 {
        cluster.value(&["add", "n", "1"]);
    }
    for id in [0, 1] {
        common::until("a stable checkpoint", || {
            cluster.report(id).and_then(|report| report.stable_checkpoint).filter(|seq| *seq == 64)
        });
        let mut child = cluster.take(id);
        assert!(terminate(&mut child).success());
    }
    let (one, other) = (cluster.data(0), cluster.data(1));
    let (verified, text) = state(&["verify"], std::slice::from_ref(&one));
    assert!(verified && text.starts_with("seq 64 root "), "{text}");
    let (_, hashes) = state(&["hash"], std::slice::from_ref(&one));
    assert!(hashes.lines().count() > 1 && hashes.contains("page "), "{hashes}");
    let (equal, text) = state(&["diff"], &[one.clone(), other]);
    assert!(equal && text.ends_with("equal\n"), "{text}");
    let file = OpenOptions::new().read(true).write(true).open(one.join("state")).unwrap();
    // Some page or node of the state, which begins behind the root records and the maps of free slots.
    (4..file.metadata().unwrap().len() / 4096).for_each(|slot| flip(&file, slot * 4096 + 8));
    let (verified, text) = state(&["verify"], &[one]);
    assert!(!verified && text.contains("damaged"), "{text}");
}

#[test]
fn two_replicas_cannot_share_a_directory_nor_one_take_over_anothers() {
    let mut cluster = Cluster::durable(4, 1);
    let config = cluster.config();
    let refuse = |id: &str, data: PathBuf| {
        let mut command = common::demo();
        command.args(["replica", "--id", id, "--config"]).arg(&config).arg("--data").arg(data);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        common::text(&output.stderr)
    };
    let in_use = refuse("1", cluster.data(0));
    assert!(in_use.contains("in use by another process"), "{in_use}");
    cluster.kill(0);
    cluster.kill(1);
    let foreign = refuse("1", cluster.data(0));
    assert!(foreign.contains("belongs to replica 0"), "{foreign}");
}
