//! Every rule of the cluster file and the keys, by name and all at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pbft_actors::types::{ClientId, ReplicaId};
use pbft_demo::config::{Cluster, ClusterFile, KeyOwner, Member, NewCluster, create, key_path};
use tempfile::TempDir;

fn new() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    create(directory.path(), NewCluster { replicas: 4, clients: 2, base_port: 7_000 }).unwrap();
    let path = directory.path().join("cluster.toml");
    (directory, path)
}

fn edit(path: &Path, change: impl FnOnce(&mut ClusterFile)) {
    let mut file: ClusterFile = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut file);
    fs::write(path, toml::to_string(&file).unwrap()).unwrap();
}

/// The problems of a file, one per line.
fn problems(path: &Path) -> Vec<String> {
    let problems = Cluster::load(path).expect_err("a rule is broken");
    problems.found.iter().map(ToString::to_string).collect()
}

fn assert_only(path: &Path, expected: &str) {
    let found = problems(path);
    assert!(found.len() == 1 && found[0].contains(expected), "{expected:?} in {found:?}");
}

#[test]
fn a_new_cluster_breaks_no_rule_and_its_keys_are_the_owners_alone() {
    let (directory, path) = new();
    let cluster = Cluster::load(&path).unwrap();
    assert_eq!(cluster.addresses()[3], "127.0.0.1:7003");
    assert_eq!(cluster.file.replicas[3].admin, "127.0.0.1:7103");
    for owner in [KeyOwner::Replica(ReplicaId(3)), KeyOwner::Client(ClientId(1))] {
        Member::load(&path, owner).unwrap();
        let mode = fs::metadata(key_path(directory.path(), owner)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn no_two_clusters_share_a_key_or_a_name() {
    let ((_one, one), (_other, other)) = (new(), new());
    let (one, other) = (Cluster::load(&one).unwrap().group, Cluster::load(&other).unwrap().group);
    assert_ne!(one.agreed.cluster, other.agreed.cluster);
    assert_ne!(one.agreed.replicas[0], other.agreed.replicas[0]);
}

#[test]
fn a_cluster_file_is_never_overwritten() {
    let (directory, _) = new();
    let again = create(directory.path(), NewCluster { replicas: 4, clients: 1, base_port: 7_000 });
    let failure = again.unwrap_err();
    assert!(failure.cause.contains("exists already") && failure.cure.contains("--dir"), "{failure}");
}

#[test]
fn too_few_replicas_are_refused_before_anything_is_written() {
    let directory = TempDir::new().unwrap();
    let new = NewCluster { replicas: 3, clients: 1, base_port: 7_000 };
    let failure = create(directory.path(), new).unwrap_err();
    assert!(failure.cause.contains("4 replicas or more"), "{failure}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn each_rule_has_its_name() {
    type Change = fn(&mut ClusterFile);
    let cases: [(&str, Change); 10] = [
        ("replicas: 3 replicas; a group has 4", |file| drop(file.replicas.pop())),
        ("agreed.window: 100 is not a multiple of checkpoint_interval", |file| file.agreed.window = 100),
        ("tuning.timeout_ms_max: is below timeout_ms", |file| file.tuning.timeout_ms_max = 1),
        ("replicas[2].address: 127.0.0.1:7001 is there twice", |file| {
            file.replicas[2].address = "127.0.0.1:7001".to_owned();
        }),
        ("replicas[2].address: 127.0.0.1:7101 is there twice", |file| {
            file.replicas[2].address = "127.0.0.1:7101".to_owned();
        }),
        ("replicas[0].address: \"nowhere\" is not host:port", |file| {
            file.replicas[0].address = "nowhere".to_owned();
        }),
        ("replicas[1].public_key: not an Ed25519 public key", |file| file.replicas[1].public_key.truncate(9)),
        ("clients[1].id: 0 is there twice", |file| file.clients[1].id = 0),
        ("clients[1].id: 4294967295 is a replica's own", |file| file.clients[1].id = u32::MAX),
        ("agreed.cluster: not the cluster's name", |file| file.agreed.cluster.clear()),
    ];
    for (expected, change) in cases {
        let (_directory, path) = new();
        edit(&path, change);
        assert_only(&path, expected);
    }
}

#[test]
fn ids_twice_leave_a_gap_that_is_not_named_beside() {
    let (_directory, path) = new();
    edit(&path, |file| file.replicas[3].id = 2);
    assert_only(&path, "replicas[3].id: 2 is there twice, first in replicas[2]");
    edit(&path, |file| file.replicas[3].id = 9);
    assert_only(&path, "replicas: id 9 of 4 replicas; the ids are 0 to 3");
}

#[test]
fn unknown_keys_are_named_with_what_was_probably_meant() {
    let (_directory, path) = new();
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("window = 512", "windw = 512", 1).replacen("admin = ", "amdin = ", 1);
    fs::write(&path, text + "\n[surprise]\nkey = 1\n").unwrap();
    let found = problems(&path);
    assert!(found[0].contains("agreed.windw: unknown key; did you mean `window`?"), "{found:?}");
    assert!(found[1].contains("unknown key; did you mean `admin`?"), "{found:?}");
    assert!(found[2].contains("surprise: unknown key; known here:"), "{found:?}");
}

#[test]
fn everything_wrong_is_said_at_once_with_the_keys_too() {
    let (directory, path) = new();
    edit(&path, |file| {
        file.agreed.window = 100;
        file.replicas[1].address = file.replicas[0].address.clone();
    });
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("suprise = 1\n{text}")).unwrap();
    fs::remove_file(directory.path().join("keys/replica-0.key")).unwrap();
    let error = Member::load(&path, KeyOwner::Replica(ReplicaId(0))).unwrap_err().to_string();
    for expected in ["suprise: unknown", "agreed.window", "replicas[1].address", "secret key is missing"] {
        assert!(error.contains(expected), "{expected:?} in {error}");
    }
}

#[test]
fn keys_that_others_can_use_or_that_are_none_are_refused_with_the_cure() {
    let (directory, path) = new();
    let owner = KeyOwner::Replica(ReplicaId(0));
    let key = key_path(directory.path(), owner);
    let error = || Member::load(&path, owner).unwrap_err().to_string();

    for mode in [0o604, 0o640, 0o610] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(error().contains(&format!("chmod 600 {}", key.display())), "{mode:o}: {}", error());
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    Member::load(&path, owner).unwrap();

    let good = fs::read_to_string(&key).unwrap();
    for malformed in ["", "hello", &good[..good.len() - 3], &good.replacen("key 1", "key 9", 1)] {
        fs::write(&key, malformed).unwrap();
        assert!(error().contains("not a secret key"), "{malformed:?}: {}", error());
    }
    let secret = good.lines().nth(1).unwrap();
    fs::copy(directory.path().join("keys/replica-1.key"), &key).unwrap();
    assert!(error().contains("does not belong to the public key"), "{}", error());
    assert!(!error().contains(secret), "a secret is never shown");
}

#[test]
fn a_node_that_the_file_does_not_have_is_named() {
    let (_directory, path) = new();
    let error = Member::load(&path, KeyOwner::Replica(ReplicaId(4))).unwrap_err().to_string();
    assert!(error.contains("no replica 4 among 4"), "{error}");
    let error = Member::load(&path, KeyOwner::Client(ClientId(2))).unwrap_err().to_string();
    assert!(error.contains("no client 2"), "{error}");
}
