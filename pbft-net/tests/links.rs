//! What honest nodes rely on.

mod common;

use std::time::Duration;

use common::*;
use pbft_actors::actor::transport::{Gate, Node, Transport};
use pbft_actors::message::BODY_BYTES_MAX;
use pbft_net::{Listen, Tcp, TcpConfig, TcpLimits};

fn numbered(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_be_bytes().to_vec()).collect()
}

fn bodies(frames: Vec<pbft_actors::message::Frame>) -> Vec<Vec<u8>> {
    frames.into_iter().map(|frame| frame.body.to_vec()).collect()
}

#[actix_rt::test]
async fn frames_go_both_ways_and_in_order() {
    const COUNT: u32 = 5_000;
    let group = Group::of(2);
    let (mut zero, mut one, mut caller) =
        (group.start(replica(0)), group.start(replica(1)), group.start(client(1)));
    let pairs = [(replica(1), false), (client(1), true)];
    for (peer, has_request_key) in pairs {
        let connected = zero.connected(peer).await;
        assert_eq!(connected.log, log_of(peer));
        assert_eq!(connected.request_key.is_some(), has_request_key);
    }
    assert_eq!(one.connected(replica(0)).await.log, log_of(replica(0)));
    let key_at_client = caller.connected(replica(0)).await.request_key;
    assert!(key_at_client.is_some());

    let to_both = |body| outbound(&[replica(1), client(1)], body);
    zero.outlet.send(numbered(COUNT).into_iter().map(to_both).collect());
    for body in numbered(COUNT) {
        one.send(&[replica(0)], body.clone());
        caller.send(&[replica(0)], body);
    }
    assert_eq!(bodies(one.frames(replica(0), COUNT as usize).await), numbered(COUNT));
    assert_eq!(bodies(caller.frames(replica(0), COUNT as usize).await), numbered(COUNT));
    let (mut from_one, mut from_caller) = (Vec::new(), Vec::new());
    zero.wait(|event| {
        match event {
            Event::Frames(peer, frames) if peer == replica(1) => from_one.extend(frames),
            Event::Frames(_, frames) => from_caller.extend(frames),
            Event::Rejected(peer, reason) => panic!("{peer:?} {reason}"),
            _ => {}
        }
        (from_one.len() + from_caller.len() >= 2 * COUNT as usize).then_some(())
    })
    .await;
    assert_eq!(bodies(from_one), numbered(COUNT));
    assert_eq!(bodies(from_caller), numbered(COUNT));
}

#[actix_rt::test]
async fn both_ends_have_the_same_request_key() {
    let group = Group::of(1);
    let (mut zero, mut caller) = (group.start(replica(0)), group.start(client(1)));
    let (epoch_here, here) = zero.connected(client(1)).await.request_key.unwrap();
    let (epoch_there, there) = caller.connected(replica(0)).await.request_key.unwrap();
    assert_eq!(epoch_here, epoch_there);
    assert_eq!(here.tag(&[b"x"]), there.tag(&[b"x"]));
}

#[actix_rt::test]
async fn the_longest_message_arrives_and_a_longer_one_is_not_sent() {
    let group = Group::of(1);
    let (mut zero, mut caller) = (group.start(replica(0)), group.start(client(1)));
    zero.connected(client(1)).await;
    caller.connected(replica(0)).await;
    zero.send(&[client(1)], vec![6; BODY_BYTES_MAX + 1]);
    zero.rejected(None, "send_too_long").await;
    zero.send(&[client(1)], vec![7; BODY_BYTES_MAX]);
    zero.send(&[client(1)], vec![8]);
    let frames = caller.frames(replica(0), 2).await;
    assert_eq!(frames[0].body.len(), BODY_BYTES_MAX);
    assert_eq!(frames[1].body[..], [8]);
}

#[actix_rt::test]
async fn a_peer_that_comes_back_is_found_again() {
    let group = Group::of(2);
    let (mut zero, mut one) = (group.start(replica(0)), group.start(replica(1)));
    zero.connected(replica(1)).await;
    one.connected(replica(0)).await;

    zero.outlet.close();
    one.disconnected(replica(0)).await;
    let mut zero = group.start(replica(0));
    one.connected(replica(0)).await;
    zero.connected(replica(1)).await;

    drop(one);
    zero.disconnected(replica(1)).await;
    let mut one = group.start(replica(1));
    one.connected(replica(0)).await;
    one.send(&[replica(0)], vec![1]);
    assert_eq!(zero.frames(replica(1), 1).await[0].body[..], [1]);
}

#[actix_rt::test]
async fn two_connections_of_one_client_both_hear_and_only_the_last_end_counts() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut first = group.start(client(1));
    zero.connected(client(1)).await;
    let mut second = group.start(client(1));
    zero.connected(client(1)).await;
    zero.send(&[client(1)], vec![9]);
    assert_eq!(first.frames(replica(0), 1).await[0].body[..], [9]);
    assert_eq!(second.frames(replica(0), 1).await[0].body[..], [9]);

    first.outlet.close();
    first.disconnected(replica(0)).await;
    // A third party's round trip after the first one's end: nothing was reported for it.
    second.send(&[replica(0)], vec![1]);
    let early = zero
        .wait(|event| match event {
            Event::Frames(..) => Some(false),
            Event::Disconnected(_) => Some(true),
            _ => None,
        })
        .await;
    assert!(!early);
    second.outlet.close();
    zero.disconnected(client(1)).await;
}

#[actix_rt::test]
async fn the_oldest_connection_of_a_client_makes_room() {
    let group = Group::of(1).with_limits(TcpLimits { links_per_client_max: 2, ..TcpLimits::default() });
    let mut zero = group.start(replica(0));
    let mut strangers = Vec::new();
    for _ in 0..3 {
        strangers.push(group.stranger(client(1)).await);
        zero.connected(client(1)).await;
    }
    strangers[0].raw.closed().await;
    zero.send(&[client(1)], vec![4]);
    for stranger in &mut strangers[1..] {
        assert_eq!(stranger.frame().await.body[..], [4]);
    }
}

#[actix_rt::test]
async fn a_new_connection_of_a_replica_replaces_the_old_one() {
    let group = Group::of(2);
    let mut zero = group.start(replica(0));
    let mut old = group.stranger(replica(1)).await;
    zero.connected(replica(1)).await;
    let mut new = group.stranger(replica(1)).await;
    zero.connected(replica(1)).await;
    old.raw.closed().await;
    zero.send(&[replica(1)], vec![5]);
    assert_eq!(new.frame().await.body[..], [5]);
    let frame = new.sealed(&[6]);
    new.raw.write(&frame).await;
    let ended = zero
        .wait(|event| match event {
            Event::Frames(_, frames) => Some(frames[0].body[..] != [6]),
            Event::Disconnected(_) => Some(true),
            _ => None,
        })
        .await;
    assert!(!ended, "the end of the replaced connection is not the end of the peer");
}

#[actix_rt::test]
async fn what_was_sent_before_the_end_still_arrives() {
    const COUNT: u32 = 2_000;
    let group = Group::of(1);
    let (mut zero, mut caller) = (group.start(replica(0)), group.start(client(1)));
    zero.connected(client(1)).await;
    caller.connected(replica(0)).await;
    let message = |mut body: Vec<u8>| {
        body.resize(4_096, 0);
        outbound(&[client(1)], body)
    };
    zero.outlet.send(numbered(COUNT).into_iter().map(message).collect());
    zero.outlet.close();
    let mut heard = 0;
    caller
        .wait(|event| {
            if let Event::Frames(_, frames) = &event {
                heard += frames.len();
            }
            matches!(event, Event::Disconnected(_)).then_some(())
        })
        .await;
    assert_eq!(heard, COUNT as usize);
}

#[actix_rt::test]
async fn a_node_may_send_from_any_thread() {
    let group = Group::of(1);
    let (mut zero, mut caller) = (group.start(replica(0)), group.start(client(1)));
    zero.connected(client(1)).await;
    let outlet = zero.outlet;
    let sending = move || outlet.send(vec![outbound(&[client(1)], vec![3])]);
    std::thread::spawn(sending).join().unwrap();
    assert_eq!(caller.frames(replica(0), 1).await[0].body[..], [3]);
}

#[actix_rt::test]
async fn a_closed_node_is_not_there_any_more() {
    let mut group = Group::of(1);
    let zero = group.start(replica(0));
    group.forget_listeners();
    let _half_open = Raw::connect(group.addresses[0]).await;
    zero.outlet.close();
    let gone = async {
        while tokio::net::TcpStream::connect(group.addresses[0]).await.is_ok() {
            actix_rt::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it still listens");
}

#[actix_rt::test]
async fn a_peer_that_never_reads_harms_nobody_else() {
    let limits = TcpLimits {
        client_queue_bytes: 1 << 20,
        write_stall: Duration::from_millis(300),
        ..TcpLimits::default()
    };
    let group = Group::of(1).with_limits(limits);
    let mut zero = group.start(replica(0));
    let _deaf = group.stranger(client(1)).await;
    zero.connected(client(1)).await;
    let mut other = group.start(client(2));
    zero.connected(client(2)).await;

    // More than sockets and queue can hold.
    for _ in 0..64 {
        zero.send(&[client(1)], vec![0; 1 << 19]);
        actix_rt::task::yield_now().await;
    }
    zero.rejected(Some(client(1)), "send_queue_full").await;
    zero.send(&[client(2)], vec![1]);
    assert_eq!(other.frames(replica(0), 1).await[0].body[..], [1]);
    zero.rejected(Some(client(1)), "link_stalled").await;
    zero.disconnected(client(1)).await;
}

#[actix_rt::test]
async fn a_node_that_is_busy_stops_its_peers_writers() {
    let limits = TcpLimits { replica_queue_bytes: 1 << 20, ..TcpLimits::default() };
    let group = Group::of(1).with_limits(limits);
    let (mut zero, mut caller) = (group.start(replica(0)), group.start(client(1)));
    zero.connected(client(1)).await;
    caller.connected(replica(0)).await;
    zero.reads.forget_permits(usize::MAX);
    let mut sent = 0;
    loop {
        caller.send(&[replica(0)], vec![0; 1 << 18]);
        match caller.seen.try_recv() {
            Ok(Event::Rejected(_, "send_queue_full")) => break,
            _ => sent += 1,
        }
        assert!(sent < 4_096, "a gigabyte vanished into a node that reads nothing");
        actix_rt::task::yield_now().await;
    }
    zero.reads.add_permits(1 << 20);
    zero.frames(client(1), sent).await;
}

#[actix_rt::test]
async fn a_transport_that_cannot_work_says_why_at_once() {
    let group = Group::of(2);
    let taken = group.addresses[0].to_string();
    let both: Vec<String> = group.addresses.iter().map(ToString::to_string).collect();
    let cases = [
        (replica(0), TcpConfig::replica(Listen::At(taken), both.clone()), "cannot listen at"),
        (replica(0), TcpConfig::client(both.clone()), "a replica is called by others"),
        (
            client(1),
            TcpConfig::replica(Listen::At("127.0.0.1:0".to_owned()), both.clone()),
            "a client is not called",
        ),
        (client(1), TcpConfig::client(both[..1].to_vec()), "1 addresses for 2 replicas"),
    ];
    for (own, config, expected) in cases {
        let error = start(&group, own, config).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let config = TcpConfig::client(both);
    let elsewhere = std::thread::spawn(move || start(&group, client(1), config)).join().unwrap();
    assert!(elsewhere.unwrap_err().contains("no actix system"));
}

fn start(group: &Group, own: pbft_actors::message::Peer, config: TcpConfig) -> Result<(), String> {
    let agreed = std::sync::Arc::new(group.agreed.clone());
    let node = Node { own, identity: identity(own), agreed, log: log_of(own) };
    let outlet = Box::new(Tcp::new(config)).start(node, std::sync::Arc::new(Nobody));
    outlet.map(drop).map_err(|error| error.to_string())
}

struct Nobody;

impl Gate for Nobody {
    fn connected(&self, _: pbft_actors::actor::transport::Connected) {}
    fn disconnected(&self, _: pbft_actors::message::Peer) {}
    fn receive(
        &self,
        _: pbft_actors::message::Peer,
        _: Vec<pbft_actors::message::Frame>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
    fn rejected(&self, _: Option<pbft_actors::message::Peer>, _: &'static str) {}
    fn public_key(&self, _: pbft_actors::message::Peer) -> Option<pbft_actors::crypto::PublicKey> {
        None
    }
}
