//! The rules of a cluster file, beyond what its types say.

use std::collections::BTreeMap;

use pbft_actors::actor::GroupConfig;
use pbft_actors::crypto::PublicKey;
use pbft_actors::message::ClusterId;
use pbft_actors::ports::config::{Agreed, Violation};
use pbft_actors::types::{ClientId, REPLICAS_MAX};

use super::{ClusterFile, Problem, from_hex};

/// The group that the file describes; whatever is wrong is added to `problems`.
pub(super) fn group(file: &ClusterFile, problems: &mut Vec<Problem>) -> GroupConfig {
    let cluster = from_hex(&file.agreed.cluster).map(ClusterId).unwrap_or_else(|| {
        problems.push(Problem::new("agreed.cluster", "not the cluster's name of 32 hexadecimal digits"));
        ClusterId::default()
    });
    check_ids(file, problems);
    check_addresses(file, problems);
    let mut replicas: Vec<_> = file.replicas.iter().enumerate().collect();
    replicas.sort_by_key(|(_, replica)| replica.id);
    let keys = replicas
        .into_iter()
        .map(|(at, replica)| {
            let stand_in = PublicKey::Simulated([u8::try_from(at).unwrap_or(u8::MAX); 32]);
            public_key(&replica.public_key, || format!("replicas[{at}].public_key"), problems)
                .unwrap_or(stand_in)
        })
        .collect();
    let agreed = file.agreed.over(Agreed::new(cluster, keys));
    let group = GroupConfig { agreed, tuning: file.tuning.tuning(), clients: clients(file, problems) };
    problems.extend(group.agreed.violations().into_iter().map(|violation| within("agreed", violation)));
    problems.extend(group.tuning.violations().into_iter().map(|violation| within("tuning", violation)));
    group
}

/// The rules of the library name a key without its section.
fn within(section: &str, Violation { key, problem }: Violation) -> Problem {
    let key = if key == "replicas" { key.to_owned() } else { format!("{section}.{key}") };
    Problem::new(key, problem)
}

fn public_key(text: &str, key: impl Fn() -> String, problems: &mut Vec<Problem>) -> Option<PublicKey> {
    let bytes = from_hex(text);
    if bytes.is_none() {
        problems.push(Problem::new(key(), "not an Ed25519 public key of 64 hexadecimal digits"));
    }
    bytes.map(PublicKey::Ed25519)
}

fn clients(file: &ClusterFile, problems: &mut Vec<Problem>) -> BTreeMap<ClientId, PublicKey> {
    let mut clients = BTreeMap::new();
    for (at, client) in file.clients.iter().enumerate() {
        let id = ClientId(client.id);
        if id.replica().is_some() {
            let first = u32::MAX - REPLICAS_MAX as u32;
            problems.push(Problem::new(
                format!("clients[{at}].id"),
                format!("{} is a replica's own; use at most {first}", client.id),
            ));
        }
        if let Some(key) = public_key(&client.public_key, || format!("clients[{at}].public_key"), problems)
            && clients.insert(id, key).is_some()
        {
            problems.push(Problem::new(format!("clients[{at}].id"), format!("{id} is there twice")));
        }
    }
    clients
}

/// Replicas are numbered without a gap.
fn check_ids(file: &ClusterFile, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for (at, replica) in file.replicas.iter().enumerate() {
        if let Some(first) = seen.insert(replica.id, at) {
            problems.push(Problem::new(
                format!("replicas[{at}].id"),
                format!("{} is there twice, first in replicas[{first}]", replica.id),
            ));
        }
    }
    let n = file.replicas.len();
    for id in seen.keys().filter(|id| usize::from(**id) >= n) {
        problems
            .push(Problem::new("replicas", format!("id {id} of {n} replicas; the ids are 0 to {}", n - 1)));
    }
}

/// Every address is `host:port` and of one use.
fn check_addresses(file: &ClusterFile, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (at, replica) in file.replicas.iter().enumerate() {
        let (address, admin) = (format!("replicas[{at}].address"), format!("replicas[{at}].admin"));
        for (key, value, needed) in [(address, &replica.address, true), (admin, &replica.admin, false)] {
            if value.is_empty() && !needed {
                continue;
            }
            if !is_host_and_port(value) {
                problems
                    .push(Problem::new(key, format!("{value:?} is not host:port, as in \"127.0.0.1:7000\"")));
            } else if let Some(first) = seen.insert(value, key.clone()) {
                problems.push(Problem::new(key, format!("{value} is there twice, first in {first}")));
            }
        }
    }
}

fn is_host_and_port(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}
