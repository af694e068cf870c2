//! A whole cluster in one process without sockets, as an application embeds it, under every kind of
//! main.

mod common;

use std::time::Duration;

use common::{BOOM, Cluster, add, value};
use pbft_actors::actor::{Ended, InvokeError, StatusRequest, Stop, WhenEnded};

#[test]
fn an_operation_is_answered_under_a_plain_main() {
    let cluster = Cluster::start(4);
    let reply = actix_rt::System::new().block_on(async move {
        let client = cluster.client(0);
        let first = client.send(add("a", 3)).await.expect("the client lives").expect("a result");
        let second = client.send(add("a", 4)).await.expect("the client lives").expect("a result");
        (value(&first.result), value(&second.result))
    });
    assert_eq!(reply, (3, 7));
}

#[actix::test]
async fn under_actix_main() {
    let cluster = Cluster::start(4);
    let reply = cluster.client(0).send(add("a", 1)).await.expect("the client lives").expect("a result");
    assert_eq!(value(&reply.result), 1);
}

#[actix_web::test]
async fn under_actix_web_main() {
    let cluster = Cluster::start(4);
    let reply = cluster.client(0).send(add("a", 1)).await.expect("the client lives").expect("a result");
    assert_eq!(value(&reply.result), 1);
}

#[tokio::test]
async fn under_tokio_main() {
    let cluster = Cluster::start(4);
    let reply = cluster.client(0).send(add("a", 1)).await.expect("the client lives").expect("a result");
    assert_eq!(value(&reply.result), 1);
}

#[actix::test]
async fn the_group_outlives_its_primary() {
    let cluster = Cluster::start(4);
    let client = cluster.client(0);
    for expected in 1..=20 {
        if expected == 10 {
            cluster.replicas[0].send(Stop).await.expect("it lived until now");
        }
        let reply = client.send(add("a", 1)).await.expect("the client lives").expect("a result");
        assert_eq!(value(&reply.result), expected);
    }
    let status = cluster.replicas[1].send(StatusRequest).await.expect("it lives");
    assert!(status.view.0 >= 1, "the primary of view 0 is gone: {status:?}");
}

#[actix::test]
async fn an_operation_that_panics_is_answered_and_nobody_goes_down() {
    let cluster = Cluster::start(4);
    let client = cluster.client(0);
    let error = client.send(add(BOOM, 1)).await.expect("the client lives").expect_err("it panics");
    assert!(matches!(error, InvokeError::Refused { .. }), "{error}");
    let reply = client.send(add("a", 1)).await.expect("the client lives").expect("a result");
    assert_eq!(value(&reply.result), 1);
    for replica in &cluster.replicas {
        assert!(replica.connected());
    }
}

#[actix::test]
async fn many_outstanding_operations_are_all_executed_once() {
    let cluster = Cluster::start(4);
    let client = cluster.client(0);
    let waiting: Vec<_> = (0..500).map(|_| client.send(add("a", 1))).collect();
    let mut values = Vec::new();
    for reply in waiting {
        values.push(value(&reply.await.expect("the client lives").expect("a result").result));
    }
    values.sort_unstable();
    assert_eq!(values, (1..=500).collect::<Vec<u64>>());
}

#[actix::test]
async fn without_a_quorum_the_outcome_is_unknown_in_finite_time() {
    let cluster = Cluster::start(4);
    let client = cluster.client(0);
    client.send(add("a", 1)).await.expect("the client lives").expect("a result");
    for replica in &cluster.replicas[..2] {
        replica.send(Stop).await.expect("it lived until now");
    }
    let invoke = add("a", 1).timeout(Duration::from_millis(200));
    let error = client.send(invoke).await.expect("the client lives").expect_err("two of four are gone");
    assert!(matches!(error, InvokeError::Unknown { .. }), "{error}");
}

#[actix::test]
async fn whoever_waits_for_the_end_is_told_how_it_came() {
    let cluster = Cluster::start(4);
    let ending = cluster.replicas[1].send(WhenEnded).await.expect("it lives");
    cluster.replicas[1].send(Stop).await.expect("it lived until now");
    assert_eq!(ending.wait().await, Ended::Stopped);
    assert!(!cluster.replicas[1].connected());
}
