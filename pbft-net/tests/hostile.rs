//! Scenarios 9 to 12 at the socket: what strangers and faulty peers send is refused and counted, and
//! costs nobody else anything.

mod common;

use std::time::Duration;

use common::*;
use pbft_actors::crypto::Identity;
use pbft_actors::message::{ClusterId, HANDSHAKE_BYTES_MAX, HandshakeError, Initiator, Peer, Responder};
use pbft_actors::types::ReplicaId;
use pbft_net::TcpLimits;
use tokio::net::TcpListener;

/// A deadline that a test can wait for, and an honest handshake on a busy machine still meets.
fn impatient() -> TcpLimits {
    TcpLimits { handshake_deadline: Duration::from_millis(700), ..TcpLimits::default() }
}

/// The node still serves an honest client, and has not heard a frame meanwhile.
async fn still_serves(group: &Group, zero: &mut TestNode) {
    let caller = group.start(client(2));
    zero.connected(client(2)).await;
    caller.send(&[replica(0)], vec![42]);
    let frames = zero
        .wait(|event| match event {
            Event::Frames(peer, frames) => Some((peer, frames)),
            _ => None,
        })
        .await;
    assert_eq!((frames.0, &frames.1[0].body[..]), (client(2), &[42][..]));
}

/// 10: what is no handshake message ends the connection at once.
#[actix_rt::test]
async fn garbage_before_the_handshake_is_refused() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let too_long = (HANDSHAKE_BYTES_MAX as u32 + 1).to_be_bytes().to_vec();
    let cases: [(Vec<u8>, &str); 6] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "handshake_length"),
        (vec![0xff; 4], "handshake_length"),
        (vec![0; 4], "handshake_length"),
        (too_long, "handshake_length"),
        (prefixed(&[0x91; 500]), "handshake_malformed"),
        // An array that claims 2^32-1 elements.
        (prefixed(&[0xdd, 0xff, 0xff, 0xff, 0xff]), "handshake_malformed"),
    ];
    for (bytes, reason) in cases {
        let mut raw = Raw::connect(group.addresses[0]).await;
        raw.write(&bytes).await;
        zero.rejected(None, reason).await;
        raw.closed().await;
    }
    still_serves(&group, &mut zero).await;
}

/// 11: neither silence nor a byte at a time holds a connection beyond the deadline.
#[actix_rt::test]
async fn a_slow_handshake_ends_at_the_deadline() {
    let group = Group::of(1).with_limits(impatient());
    let mut zero = group.start(replica(0));
    let mut silent = Raw::connect(group.addresses[0]).await;
    zero.rejected(None, "handshake_deadline").await;
    silent.closed().await;

    let mut slow = Raw::connect(group.addresses[0]).await;
    let (_, hello) = Initiator::start(&group.introduction(client(1)), ReplicaId(0), fresh());
    let mut trickle = tokio::time::interval(Duration::from_millis(20));
    let dripping = async {
        for byte in prefixed(&hello) {
            trickle.tick().await;
            slow.write(&[byte]).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = dripping => unreachable!("it never ends"),
        () = zero.rejected(None, "handshake_deadline") => {}
    }
    still_serves(&group, &mut zero).await;
}

/// 11: nor does a replica that accepts and says nothing hold up the one that calls it.
#[actix_rt::test]
async fn a_silent_replica_is_given_up_and_called_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut group = Group::of(1).with_limits(impatient());
    group.addresses = vec![listener.local_addr().unwrap()];
    let mut caller = group.start(client(1));
    let _silent = listener.accept().await.unwrap();
    caller.rejected(None, "handshake_deadline").await;
    let _again = listener.accept().await.unwrap();
}

/// 11: half-open handshakes take each other's slots, and not those of an honest client.
#[actix_rt::test]
async fn half_open_handshakes_make_room_for_newer_ones() {
    let limits = TcpLimits { unauthenticated_per_address_max: 8, ..TcpLimits::default() };
    let group = Group::of(1).with_limits(limits);
    let mut zero = group.start(replica(0));
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let mut raw = Raw::connect(group.addresses[0]).await;
        raw.write(&[0]).await;
        half_open.push(raw);
    }
    for _ in 0..192 {
        zero.rejected(None, "handshake_evicted").await;
    }
    for raw in &mut half_open[..192] {
        raw.closed().await;
    }
    still_serves(&group, &mut zero).await;
}

/// 12: each message of the handshake, cut short or with one bit of it flipped.
#[actix_rt::test]
async fn a_damaged_handshake_is_refused() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let introduction = group.introduction(client(1));

    let mut raw = Raw::connect(group.addresses[0]).await;
    let (_, hello) = Initiator::start(&introduction, ReplicaId(0), fresh());
    raw.write(&prefixed(&hello)[..hello.len() / 2]).await;
    drop(raw);
    zero.rejected(None, "handshake_closed").await;

    // One bit of every seventh byte; the unit tests of the handshake flip them all.
    let length = hello.len();
    for position in (0..length).step_by(7) {
        let mut raw = Raw::connect(group.addresses[0]).await;
        let (initiator, hello) = Initiator::start(&introduction, ReplicaId(0), fresh());
        let mut flipped = hello.to_vec();
        flipped[position % hello.len()] ^= 1 << (position % 8);
        raw.say(&flipped).await;
        if let Some(answer) = raw.hear().await {
            let key = identity(replica(0)).public_key();
            assert!(initiator.on_hello(&answer, &key).is_err(), "byte {position}");
        }
    }

    // A good HELLO and a bad FINISH.
    for position in [0, 10, 30, 70] {
        let mut raw = Raw::connect(group.addresses[0]).await;
        let (initiator, hello) = Initiator::start(&introduction, ReplicaId(0), fresh());
        raw.say(&hello).await;
        let answer = raw.hear().await.unwrap();
        let key = identity(replica(0)).public_key();
        let (_, finish) = initiator.on_hello(&answer, &key).unwrap();
        let mut flipped = finish.to_vec();
        flipped[position] ^= 1;
        raw.say(&flipped).await;
        raw.closed().await;
        let connected = zero
            .wait(|event| match event {
                Event::Rejected(None, "handshake_signature" | "handshake_malformed") => Some(false),
                Event::Connected(_) => Some(true),
                _ => None,
            })
            .await;
        assert!(!connected, "byte {position}");
    }
    still_serves(&group, &mut zero).await;
}

/// 12: a recorded handshake proves nothing, whether HELLO alone or all of it.
#[actix_rt::test]
async fn a_recorded_handshake_is_refused() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut raw = Raw::connect(group.addresses[0]).await;
    let (initiator, hello) = Initiator::start(&group.introduction(client(1)), ReplicaId(0), fresh());
    raw.say(&hello).await;
    let answer = raw.hear().await.unwrap();
    let (_, finish) = initiator.on_hello(&answer, &identity(replica(0)).public_key()).unwrap();
    raw.say(&finish).await;
    zero.connected(client(1)).await;

    let mut replay = Raw::connect(group.addresses[0]).await;
    replay.say(&hello).await;
    replay.hear().await.unwrap();
    replay.say(&finish).await;
    zero.rejected(None, "handshake_signature").await;
    replay.closed().await;
}

/// 12: a handshake without proof, from another cluster, of an unknown or a wrong identity.
#[actix_rt::test]
async fn strangers_are_refused_and_told() {
    let group = Group::of(2);
    let mut zero = group.start(replica(0));
    let mut elsewhere = group.agreed.clone();
    elsewhere.cluster = ClusterId([4; 16]);
    let cases = [
        (introduction(client(1), identity(client(1)), &elsewhere), "handshake_cluster"),
        (group.introduction(client(77)), "handshake_unknown_identity"),
        (group.introduction(replica(0)), "handshake_reflection"),
    ];
    for (introduction, expected) in cases {
        let mut raw = Raw::connect(group.addresses[0]).await;
        let error = raw.introduce(&introduction, ReplicaId(0)).await.unwrap_err();
        assert!(matches!(error, HandshakeError::Refused { reason, .. } if reason == expected), "{error}");
        zero.rejected(None, expected).await;
        raw.closed().await;
    }

    // Calls the right socket for the wrong replica.
    let mut raw = Raw::connect(group.addresses[0]).await;
    let error = raw.introduce(&group.introduction(client(1)), ReplicaId(1)).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Refused { reason: "handshake_wrong_peer", .. }));
    zero.rejected(None, "handshake_wrong_peer").await;

    // Knows a client's name, not its key.
    let mut raw = Raw::connect(group.addresses[0]).await;
    let impostor = introduction(client(1), Identity::ed25519(&[200; 32]).unwrap(), &group.agreed);
    raw.introduce(&impostor, ReplicaId(0)).await.unwrap();
    zero.rejected(None, "handshake_signature").await;
    raw.closed().await;

    // Frames without a handshake.
    let mut stranger = group.stranger(client(1)).await;
    zero.connected(client(1)).await;
    let frame = stranger.sealed(&[1]);
    let mut raw = Raw::connect(group.addresses[0]).await;
    raw.write(&frame).await;
    zero.rejected(None, "handshake_malformed").await;
    still_serves(&group, &mut zero).await;
}

/// 12: a client refuses whoever answers in place of the replica it wanted.
#[actix_rt::test]
async fn a_client_refuses_an_impostor_and_its_own_echo() {
    let agreed = Group::of(1).agreed;
    for (answer, reason) in [(Answer::WrongKey, "handshake_signature"), (Answer::Echo, "handshake_order")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut group = Group::of(1);
        group.addresses = vec![listener.local_addr().unwrap()];
        let mut caller = group.start(client(1));
        let (stream, _) = listener.accept().await.unwrap();
        let mut raw = Raw { stream };
        let hello = raw.hear().await.unwrap();
        match answer {
            Answer::Echo => raw.say(&hello).await,
            Answer::WrongKey => {
                let impostor = introduction(replica(0), Identity::ed25519(&[200; 32]).unwrap(), &agreed);
                let key_of = |peer: Peer| Some(identity(peer).public_key());
                let (_, answer) = Responder::on_hello(&impostor, &hello, key_of, fresh).unwrap();
                raw.say(&answer).await;
            }
        }
        caller.rejected(None, reason).await;
    }
}

#[derive(Clone, Copy)]
enum Answer {
    WrongKey,
    Echo,
}

/// A configuration that differs is refused by both ends, and both name the key with both values.
#[actix_rt::test]
async fn both_ends_name_the_key_that_differs() {
    let (logged, _guard) = Logged::here();
    let group = Group::of(2);
    let mut other = group.agreed.clone();
    other.window = 1_024;
    let mut zero = group.start(replica(0));
    let mut one = group.start_with(replica(1), other);
    zero.rejected(Some(replica(1)), "handshake_configuration").await;
    one.rejected(Some(replica(0)), "handshake_configuration").await;
    let text = logged.text();
    let seen_by_zero = r#"replica 1 has another configuration: "window" is "512" here and "1024" there"#;
    let seen_by_one = r#"replica 0 has another configuration: "window" is "1024" here and "512" there"#;
    assert!(text.contains(seen_by_zero), "{text}");
    assert!(text.contains(seen_by_one), "{text}");
    assert!(!text.contains("connected"), "{text}");
}

/// 10: a peer that proved itself and then sends what no frame is.
#[actix_rt::test]
async fn lengths_that_no_frame_has_end_the_link() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let short = prefixed(&[1; 25]);
    for bytes in [vec![0xff; 4], vec![0; 4], short] {
        let mut stranger = group.stranger(client(1)).await;
        zero.connected(client(1)).await;
        stranger.raw.write(&bytes).await;
        zero.rejected(Some(client(1)), "frame_length").await;
        zero.disconnected(client(1)).await;
        stranger.raw.closed().await;
    }
    still_serves(&group, &mut zero).await;
}

/// 9: good frames before a bad one are still heard; the bad one and what follows are not.
#[actix_rt::test]
async fn a_frame_that_was_changed_ends_the_link() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut stranger = group.stranger(client(1)).await;
    let good = stranger.sealed(&[1]);
    let mut bad = stranger.sealed(&[2]).to_vec();
    bad[20] ^= 1;
    let after = stranger.sealed(&[3]);
    stranger.raw.write(&[&good[..], &bad, &after].concat()).await;
    let frames = zero.frames(client(1), 1).await;
    assert_eq!((frames.len(), &frames[0].body[..]), (1, &[1][..]));
    zero.rejected(Some(client(1)), "frame_tag").await;
    zero.disconnected(client(1)).await;
}

/// 9 and 12: a recorded frame, on the connection it was made for and on another of the same peer.
#[actix_rt::test]
async fn a_recorded_frame_is_refused() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut first = group.stranger(client(1)).await;
    zero.connected(client(1)).await;
    let mut second = group.stranger(client(1)).await;
    zero.connected(client(1)).await;

    let frame = first.sealed(&[1]);
    first.raw.write(&frame).await;
    zero.frames(client(1), 1).await;
    second.raw.write(&frame).await;
    zero.rejected(Some(client(1)), "frame_tag").await;
    second.raw.closed().await;
    first.raw.write(&frame).await;
    zero.rejected(Some(client(1)), "frame_counter").await;
    first.raw.closed().await;
}

/// A counter may leave numbers out, but never go back.
#[actix_rt::test]
async fn a_counter_only_rises() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut stranger = group.stranger(client(1)).await;
    let bytes =
        [stranger.sealed_as(5, &[1]), stranger.sealed_as(9, &[2]), stranger.sealed_as(8, &[3])].concat();
    stranger.raw.write(&bytes).await;
    assert_eq!(zero.frames(client(1), 2).await.len(), 2);
    zero.rejected(Some(client(1)), "frame_counter").await;

    let mut stranger = group.stranger(client(1)).await;
    let zeroth = stranger.sealed_as(0, &[1]);
    stranger.raw.write(&zeroth).await;
    zero.rejected(Some(client(1)), "frame_counter").await;
}

/// A frame of a kind from the future is counted, and the link goes on.
#[actix_rt::test]
async fn an_unknown_kind_is_counted_and_ignored() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut stranger = group.stranger(client(1)).await;
    let unknown = of_kind(&stranger, 200, 1);
    let known = stranger.sealed_as(2, &[7]);
    stranger.raw.write(&[unknown, known.to_vec()].concat()).await;
    zero.rejected(Some(client(1)), "frame_kind").await;
    assert_eq!(zero.frames(client(1), 1).await[0].body[..], [7]);

    let another_version = {
        let mut bytes = header(3, 1, 3);
        seal(&stranger, &mut bytes);
        prefixed(&bytes)
    };
    stranger.raw.write(&another_version).await;
    zero.rejected(Some(client(1)), "frame_version").await;
    stranger.raw.closed().await;
}

fn of_kind(stranger: &Stranger, kind: u8, counter: u64) -> Vec<u8> {
    let mut bytes = header(2, kind, counter);
    seal(stranger, &mut bytes);
    prefixed(&bytes)
}

fn header(version: u8, kind: u8, counter: u64) -> Vec<u8> {
    [&[version, kind][..], &counter.to_be_bytes()].concat()
}

/// Adds the tag over a header and an empty body.
fn seal(stranger: &Stranger, bytes: &mut Vec<u8>) {
    let digest = pbft_actors::crypto::Digest::of(&[]);
    // All bytes of the body are hashed as they are: form 0.
    let tag = stranger.established.keys.send.tag(&[bytes, &digest.0, &[0]]);
    bytes.extend_from_slice(&tag);
}

/// 9: frames sent right behind FINISH, in one write, are heard after the connection is reported.
#[actix_rt::test]
async fn frames_right_behind_the_handshake_are_not_lost() {
    let group = Group::of(1);
    let mut zero = group.start(replica(0));
    let mut raw = Raw::connect(group.addresses[0]).await;
    let (initiator, hello) = Initiator::start(&group.introduction(client(1)), ReplicaId(0), fresh());
    raw.say(&hello).await;
    let answer = raw.hear().await.unwrap();
    let (established, finish) = initiator.on_hello(&answer, &identity(replica(0)).public_key()).unwrap();
    let payload = outbound(&[], vec![8]).payload;
    let mut sealed = bytes::BytesMut::new();
    payload.seal_into(&established.keys.send, 1, &mut sealed);
    raw.write(&[prefixed(&finish), prefixed(&sealed)].concat()).await;
    let first = zero
        .wait(|event| match event {
            Event::Connected(_) => Some("connected"),
            Event::Frames(..) => Some("frames"),
            _ => None,
        })
        .await;
    assert_eq!(first, "connected");
    assert_eq!(zero.frames(client(1), 1).await[0].body[..], [8]);
}
