//! Asks the replicas of a cluster where they stand, each at its admin endpoint.

use std::thread;
use std::time::Duration;

use ureq::Agent;

use crate::config::{ClusterFile, ReplicaSection};
use crate::report::{ClusterReport, ReplicaReport, ReplicaState};

/// Longest time that a replica may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks all at once, so that those who do not answer cost their time once.
pub fn ask(file: &ClusterFile) -> ClusterReport {
    let agent: Agent =
        Agent::config_builder().timeout_global(Some(ANSWER_TIMEOUT)).proxy(None).build().into();
    let replicas = thread::scope(|scope| {
        let asking: Vec<_> =
            file.replicas.iter().map(|replica| scope.spawn(|| ask_one(&agent, replica))).collect();
        asking.into_iter().map(|asked| asked.join().expect("asking does not panic")).collect()
    });
    ClusterReport { replicas }
}

fn ask_one(agent: &Agent, replica: &ReplicaSection) -> ReplicaState {
    let ReplicaSection { id, address, admin, .. } = replica.clone();
    if admin.is_empty() {
        let problem = Some("it has no admin address in the cluster file".to_owned());
        return ReplicaState { id, address, reachable: false, problem, report: None };
    }
    let answer = agent
        .get(format!("http://{admin}/status"))
        .call()
        .and_then(|mut answer| answer.body_mut().read_json::<ReplicaReport>());
    match answer {
        Ok(report) => ReplicaState { id, address, reachable: true, problem: None, report: Some(report) },
        Err(error) => {
            let problem = Some(format!("no answer at {admin}: {error}"));
            ReplicaState { id, address, reachable: false, problem, report: None }
        }
    }
}
