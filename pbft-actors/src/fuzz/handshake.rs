//! The messages of a handshake, and two whole ones between nodes whose configurations a peer chose.

use bytes::Bytes;

use super::Target;
use crate::crypto::{EPHEMERAL_BYTES, Identity, PublicKey, Toy};
use crate::message::{
    ClusterId, Fresh, HANDSHAKE_BYTES_MAX, HandshakeError, Initiator, Introduction, Peer, Responder,
};
use crate::types::{ClientId, LogId, ReplicaId};

pub(super) const TARGET: Target =
    Target { name: "handshake", run, seeds, memory_base: 3 << 20, memory_per_byte: 64 };

const INITIATOR: Peer = Peer::Client(ClientId(1));
const RESPONDER: ReplicaId = ReplicaId(0);

fn fresh(seed: u8) -> Fresh<Toy> {
    Fresh { ephemeral: Toy([seed; EPHEMERAL_BYTES]), nonce: [seed; 32] }
}

fn identity_of(peer: Peer) -> Identity {
    let seed = if peer == INITIATOR { 1 } else { 2 };
    Identity::simulated([seed; 32])
}

fn introduction(own: Peer, entries: Vec<(String, String)>) -> Option<Introduction> {
    Introduction::new(own, identity_of(own), ClusterId([7; 16]), LogId::default(), entries).ok()
}

fn directory(peer: Peer) -> Option<PublicKey> {
    [INITIATOR, Peer::Replica(RESPONDER)].contains(&peer).then(|| identity_of(peer).public_key())
}

fn entries() -> Vec<(String, String)> {
    vec![("window".to_owned(), "512".to_owned()), ("service".to_owned(), "tally".to_owned())]
}

/// The two ends, the initiator's HELLO, and what is answered.
fn ends(theirs: Vec<(String, String)>) -> Option<(Initiator<Toy>, Bytes, Responder<Toy>, Bytes)> {
    let (initiator, hello) = Initiator::start(&introduction(INITIATOR, theirs)?, RESPONDER, fresh(1));
    let responder = introduction(Peer::Replica(RESPONDER), entries())?;
    let (responder, answer) =
        Responder::on_hello(&responder, &hello, directory, || fresh(2)).expect("the directory names it");
    assert!(answer.len() <= HANDSHAKE_BYTES_MAX);
    Some((initiator, hello, responder, answer))
}

/// The first byte says which message the others are.
fn run(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else { return };
    let (initiator, _, responder, _) = ends(entries()).expect("short entries");
    match which % 4 {
        0 => {
            let own = introduction(Peer::Replica(RESPONDER), entries()).expect("short entries");
            match Responder::on_hello(&own, bytes, directory, || fresh(2)) {
                Ok((responder, answer)) => {
                    assert_eq!(responder.claimed(), INITIATOR, "the only other one that is known");
                    assert!(answer.len() <= HANDSHAKE_BYTES_MAX);
                }
                Err(failure) => assert!(failure.error.to_string().len() < 16 << 10, "a report is short"),
            }
        }
        1 => {
            let key = identity_of(Peer::Replica(RESPONDER)).public_key();
            match initiator.on_hello(bytes, &key) {
                Ok((established, _)) => assert_eq!(established.peer, Peer::Replica(RESPONDER)),
                Err(failure) => assert!(failure.error.to_string().len() < 16 << 10, "a report is short"),
            }
        }
        2 => match responder.on_finish(bytes) {
            Ok(established) => assert_eq!(established.peer, INITIATOR),
            Err(error) => assert!(error.to_string().len() < 16 << 10, "a report is short"),
        },
        _ => between(bytes),
    }
}

/// A whole handshake with a node whose configuration these bytes say, as lines of key and value.
fn between(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let entry = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let theirs: Vec<(String, String)> = text.lines().filter_map(entry).collect();
    let sorted = |mut entries: Vec<(String, String)>| {
        entries.sort();
        entries.dedup();
        entries
    };
    let equal = sorted(theirs.clone()) == sorted(entries());
    let Some((initiator, _, responder, answer)) = ends(theirs) else { return };
    let key = identity_of(Peer::Replica(RESPONDER)).public_key();
    match initiator.on_hello(&answer, &key) {
        Ok((initiator, finish)) => {
            let responder = responder.on_finish(&finish).expect("the other end accepted");
            let tags = [&initiator.keys.send, &responder.keys.receive].map(|key| key.tag(&[b"x"]));
            assert_eq!(tags[0], tags[1], "both ends have the same keys");
        }
        Err(failure) => {
            assert!(!equal, "equal configurations go together");
            let HandshakeError::Configuration { differences: ours, .. } = failure.error else {
                panic!("{}: only the configurations differ", failure.error)
            };
            let finish = failure.answer.expect("the peer hears FINISH all the same");
            let Err(HandshakeError::Configuration { differences: theirs, .. }) = responder.on_finish(&finish)
            else {
                panic!("both ends know")
            };
            let mirrored = theirs.0.iter().map(|d| (&d.key, &d.theirs, &d.ours));
            assert!(ours.0.iter().map(|d| (&d.key, &d.ours, &d.theirs)).eq(mirrored));
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let (initiator, hello, _, answer) = ends(entries()).expect("short entries");
    let key = identity_of(Peer::Replica(RESPONDER)).public_key();
    let Ok((_, finish)) = initiator.on_hello(&answer, &key) else { unreachable!("a whole handshake") };
    let with = |which: u8, bytes: &[u8]| [&[which], bytes].concat();
    vec![
        with(0, &hello),
        with(1, &answer),
        with(2, &finish),
        with(3, b"window=512\nservice=tally"),
        with(3, b"window=256\nepoch=1"),
    ]
}
