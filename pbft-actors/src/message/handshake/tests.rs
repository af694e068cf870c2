//! Scenario 12: whatever is changed, replayed or turned back is refused by an end that can see it.

use bytes::Bytes;
use proptest::prelude::*;
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;

use super::hello::Hello;
use super::wire::Wire;
use super::*;
use crate::crypto::{Digest, EPHEMERAL_BYTES, Ephemeral, Identity, MacKey, PublicKey, SharedSecret, Toy};
use crate::message::{ClusterId, Peer};
use crate::types::{ClientId, LogId, ReplicaId};

const CLUSTER: ClusterId = ClusterId([9; 16]);
const REPLICA_0: Peer = Peer::Replica(ReplicaId(0));
const REPLICA_1: Peer = Peer::Replica(ReplicaId(1));
const CLIENT: Peer = Peer::Client(ClientId(7));

struct Real(EphemeralPrivateKey, [u8; EPHEMERAL_BYTES]);

impl Real {
    fn new() -> Self {
        let key = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let public = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
        Self(key, public)
    }
}

impl Ephemeral for Real {
    fn public(&self) -> [u8; EPHEMERAL_BYTES] {
        self.1
    }

    fn agree(self, peer_public: &[u8; EPHEMERAL_BYTES]) -> Option<SharedSecret> {
        agree_ephemeral(self.0, &UnparsedPublicKey::new(&X25519, peer_public), |bytes| {
            SharedSecret::new(bytes.try_into().unwrap())
        })
        .ok()
        .flatten()
    }
}

fn fresh(seed: u8) -> Fresh<Toy> {
    Fresh { ephemeral: Toy([seed; 32]), nonce: [seed.wrapping_add(100); 32] }
}

fn fresh_real(seed: u8) -> Fresh<Real> {
    Fresh { ephemeral: Real::new(), nonce: [seed; 32] }
}

fn seed_of(peer: Peer) -> [u8; 32] {
    match peer {
        Peer::Replica(id) => [id.0 + 1; 32],
        Peer::Client(id) => [(id.0 as u8).wrapping_add(100); 32],
    }
}

fn simulated(peer: Peer) -> Identity {
    Identity::simulated(seed_of(peer))
}

fn entries() -> Vec<(String, String)> {
    vec![("window".to_owned(), "512".to_owned()), ("epoch".to_owned(), "1".to_owned())]
}

fn introduction(own: Peer, identity: Identity) -> Introduction {
    let log = match own {
        Peer::Replica(id) => LogId { number: u64::from(id.0) + 50, salt: 3 },
        Peer::Client(_) => LogId::default(),
    };
    Introduction::new(own, identity, CLUSTER, log, entries()).unwrap()
}

fn simulated_introduction(own: Peer) -> Introduction {
    introduction(own, simulated(own))
}

fn directory(peer: Peer) -> Option<PublicKey> {
    [REPLICA_0, REPLICA_1, CLIENT].contains(&peer).then(|| simulated(peer).public_key())
}

/// One handshake, with each message changed on its way.
struct Run {
    initiator: Introduction,
    responder: Introduction,
    wanted: ReplicaId,
    seeds: (u8, u8),
}

impl Run {
    fn between(initiator: Peer, responder: Peer) -> Self {
        Self {
            initiator: simulated_introduction(initiator),
            responder: simulated_introduction(responder),
            wanted: ReplicaId(0),
            seeds: (1, 2),
        }
    }

    /// What each end has at last: the initiator, then the responder if it got so far.
    fn outcome(
        &self,
        change: impl Fn(usize, Bytes) -> Bytes,
    ) -> (Result<Established, HandshakeError>, Result<Established, HandshakeError>) {
        let (initiator, hello) = Initiator::start(&self.initiator, self.wanted, fresh(self.seeds.0));
        let answered =
            Responder::on_hello(&self.responder, &change(0, hello), directory, || fresh(self.seeds.1));
        let (responder, answer) = match answered {
            Ok((responder, answer)) => (Ok(responder), answer),
            Err(failure) => (Err(failure.error), failure.answer.unwrap()),
        };
        let key = directory(Peer::Replica(self.wanted)).unwrap();
        let (established, finish) = match initiator.on_hello(&change(1, answer), &key) {
            Ok((established, finish)) => (Ok(established), Some(finish)),
            Err(failure) => (Err(failure.error), failure.answer),
        };
        let responded = responder.and_then(|responder| {
            let finish = finish.ok_or(HandshakeError::Order)?;
            responder.on_finish(&change(2, finish))
        });
        (established, responded)
    }

    fn errors(&self) -> (HandshakeError, HandshakeError) {
        let (initiator, responder) = self.outcome(|_, message| message);
        (initiator.unwrap_err(), responder.unwrap_err())
    }
}

fn keys_match(a: &MacKey, b: &MacKey) -> bool {
    a.tag(&[b"x"]) == b.tag(&[b"x"])
}

fn assert_matching(initiator: &Established, responder: &Established) {
    assert!(keys_match(&initiator.keys.send, &responder.keys.receive));
    assert!(keys_match(&initiator.keys.receive, &responder.keys.send));
    assert!(!keys_match(&initiator.keys.send, &initiator.keys.receive));
    match (&initiator.request_key, &responder.request_key) {
        (Some((epoch_a, a)), Some((epoch_b, b))) => {
            assert_eq!(epoch_a, epoch_b);
            assert!(keys_match(a, b));
            assert!(!keys_match(a, &initiator.keys.send) && !keys_match(a, &initiator.keys.receive));
        }
        (None, None) => {}
        _ => panic!("one end has a request key and the other has none"),
    }
}

#[test]
fn both_ends_agree_on_peers_logs_and_keys() {
    for initiator in [REPLICA_1, CLIENT] {
        let (a, b) = Run::between(initiator, REPLICA_0).outcome(|_, message| message);
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_matching(&a, &b);
        assert_eq!((a.peer, b.peer), (REPLICA_0, initiator));
        assert_eq!((a.version, b.version), (1, 1));
        assert_eq!(a.log, LogId { number: 50, salt: 3 });
        assert_eq!(b.log, simulated_introduction(initiator).log);
        assert_eq!(a.request_key.is_some(), initiator == CLIENT);
    }
}

#[test]
fn real_keys_agree_too_and_differ_from_connection_to_connection() {
    let identity = |peer| Identity::ed25519(&seed_of(peer)).unwrap();
    let connect = || {
        let client = introduction(CLIENT, identity(CLIENT));
        let replica = introduction(REPLICA_0, identity(REPLICA_0));
        let (initiator, hello) = Initiator::start(&client, ReplicaId(0), fresh_real(1));
        let key_of = |peer| Some(identity(peer).public_key());
        let (responder, answer) = Responder::on_hello(&replica, &hello, key_of, || fresh_real(2)).unwrap();
        let (a, finish) = initiator.on_hello(&answer, &identity(REPLICA_0).public_key()).unwrap();
        let b = responder.on_finish(&finish).unwrap();
        assert_matching(&a, &b);
        a
    };
    let (first, second) = (connect(), connect());
    assert!(!keys_match(&first.keys.send, &second.keys.send));
    assert!(!keys_match(&first.keys.receive, &second.keys.receive));
    assert_ne!(first.request_key.unwrap().0, second.request_key.unwrap().0);
}

#[test]
fn keys_differ_when_only_a_nonce_or_an_ephemeral_key_does() {
    let of = |seeds| {
        let run = Run { seeds, ..Run::between(REPLICA_1, REPLICA_0) };
        run.outcome(|_, message| message).1.unwrap().keys.receive
    };
    assert!(keys_match(&of((1, 2)), &of((1, 2))));
    assert!(!keys_match(&of((1, 2)), &of((3, 2))));
    assert!(!keys_match(&of((1, 2)), &of((1, 3))));
}

#[test]
fn no_bit_of_any_message_can_be_flipped() {
    let run = Run::between(CLIENT, REPLICA_0);
    let lengths = std::cell::RefCell::new([0; 3]);
    let _ = run.outcome(|index, message| {
        lengths.borrow_mut()[index] = message.len();
        message
    });
    for (changed, length) in lengths.into_inner().into_iter().enumerate() {
        for bit in 0..length * 8 {
            let (_, responder) = run.outcome(|index, message| {
                let mut bytes = message.to_vec();
                if index == changed {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                bytes.into()
            });
            assert!(responder.is_err(), "message {changed}, bit {bit}");
        }
    }
}

#[test]
fn a_truncated_or_longer_message_is_refused() {
    let run = Run::between(CLIENT, REPLICA_0);
    for changed in 0..3 {
        let cut = |index, message: Bytes| if index == changed { message.slice(1..) } else { message };
        assert!(run.outcome(cut).1.is_err());
        let longer = |index, message: Bytes| {
            let extra: &[u8] = if index == changed { &[0] } else { &[] };
            [&message, extra].concat().into()
        };
        assert!(run.outcome(longer).1.is_err());
    }
}

/// Each field of a HELLO, changed to something that is a fine value in itself.
const CHANGES: [fn(&mut Hello); 9] = [
    |hello| hello.magic[0] ^= 1,
    |hello| hello.versions.max += 1,
    |hello| hello.cluster = ClusterId([1; 16]),
    |hello| hello.claimed = if hello.claimed == REPLICA_1 { REPLICA_0 } else { REPLICA_1 },
    |hello| hello.expected = if hello.expected == REPLICA_1 { REPLICA_0 } else { REPLICA_1 },
    |hello| hello.ephemeral = [77; 32],
    |hello| hello.nonce = [78; 32],
    |hello| hello.log.number += 1,
    |hello| hello.entries[0].1 = "513".to_owned(),
];

#[test]
fn no_field_of_the_initiators_hello_can_be_changed() {
    for (field, change) in CHANGES.into_iter().enumerate() {
        let (initiator, responder) =
            Run::between(CLIENT, REPLICA_0).outcome(|index, message| match Wire::decode(&message) {
                Ok(Wire::InitiatorHello { hello }) if index == 0 => {
                    Wire::InitiatorHello { hello: changed(&hello, change) }.encode()
                }
                _ => message,
            });
        assert!(initiator.is_err(), "field {field}");
        assert!(responder.is_err(), "field {field}");
    }
}

#[test]
fn no_field_of_the_responders_hello_can_be_changed() {
    for (field, change) in CHANGES.into_iter().enumerate() {
        let (initiator, responder) =
            Run::between(CLIENT, REPLICA_0).outcome(|index, message| match Wire::decode(&message) {
                Ok(Wire::ResponderHello { hello, signature }) if index == 1 => {
                    Wire::ResponderHello { hello: changed(&hello, change), signature }.encode()
                }
                _ => message,
            });
        assert!(initiator.is_err(), "field {field}");
        assert!(responder.is_err(), "field {field}");
    }
}

fn changed(hello: &[u8], change: fn(&mut Hello)) -> Bytes {
    let mut hello = Hello::decode(hello).unwrap();
    change(&mut hello);
    hello.encode()
}

#[test]
fn another_cluster_is_refused_and_both_ends_know_why() {
    let mut run = Run::between(CLIENT, REPLICA_0);
    run.initiator.cluster = ClusterId([1; 16]);
    let (initiator, responder) = run.errors();
    assert_eq!(responder, HandshakeError::Cluster { ours: CLUSTER, theirs: ClusterId([1; 16]) });
    assert!(matches!(initiator, HandshakeError::Refused { reason: "handshake_cluster", .. }));
}

#[test]
fn an_unknown_identity_costs_no_key_and_no_signature() {
    for stranger in [Peer::Client(ClientId(8)), Peer::Client(ClientId::of_replica(ReplicaId(1)))] {
        let introduction = simulated_introduction(stranger);
        let (_, hello) = Initiator::start(&introduction, ReplicaId(0), fresh(1));
        let refused = Responder::<Toy>::on_hello(
            &simulated_introduction(REPLICA_0),
            &hello,
            |peer| if peer == stranger { None } else { directory(peer) },
            || panic!("no key is made for a stranger"),
        );
        assert_eq!(refused.unwrap_err().error, HandshakeError::UnknownIdentity(stranger));
    }
}

#[test]
fn a_replica_never_connects_under_its_clients_number() {
    let disguised = Peer::Client(ClientId::of_replica(ReplicaId(1)));
    let introduction = introduction(disguised, simulated(REPLICA_1));
    let (_, hello) = Initiator::start(&introduction, ReplicaId(0), fresh(1));
    let key_of = |_| Some(simulated(REPLICA_1).public_key());
    let refused =
        Responder::on_hello(&simulated_introduction(REPLICA_0), &hello, key_of, || fresh(2)).unwrap_err();
    assert_eq!(refused.error, HandshakeError::UnknownIdentity(disguised));
}

#[test]
fn a_known_name_with_another_key_is_refused_by_either_end() {
    let mut run = Run::between(CLIENT, REPLICA_0);
    run.initiator.identity = Identity::simulated([200; 32]);
    let (_, responder) = run.outcome(|_, message| message);
    assert!(matches!(responder, Err(HandshakeError::Signature { peer: CLIENT, .. })));

    let mut run = Run::between(CLIENT, REPLICA_0);
    run.responder.identity = Identity::simulated([200; 32]);
    run.responder.entries[0].1 = "7".to_owned();
    let (initiator, responder) = run.errors();
    let HandshakeError::Signature { peer: REPLICA_0, differences } = initiator else { panic!("{initiator}") };
    assert_eq!(differences.0[0].key, "window");
    let HandshakeError::Refused { reason, differences } = responder else { panic!("{responder}") };
    assert_eq!((reason, differences.0[0].key.as_str()), ("handshake_signature", "window"));
}

#[test]
fn another_configuration_is_refused_by_both_ends_and_both_name_the_keys() {
    let mut run = Run::between(REPLICA_1, REPLICA_0);
    run.responder.entries[0].1 = "256".to_owned();
    run.initiator.entries.push(("service".to_owned(), "counter".to_owned()));
    let (initiator, responder) = run.errors();
    let difference = |key: &str, ours: Option<&str>, theirs: Option<&str>| Difference {
        key: key.to_owned(),
        ours: ours.map(str::to_owned),
        theirs: theirs.map(str::to_owned),
    };
    let seen_by_initiator = Differences(vec![
        difference("service", Some("counter"), None),
        difference("window", Some("512"), Some("256")),
    ]);
    let seen_by_responder = Differences(vec![
        difference("service", None, Some("counter")),
        difference("window", Some("256"), Some("512")),
    ]);
    assert_eq!(initiator, HandshakeError::Configuration { peer: REPLICA_0, differences: seen_by_initiator });
    assert_eq!(responder, HandshakeError::Configuration { peer: REPLICA_1, differences: seen_by_responder });
}

#[test]
fn an_impostor_cannot_make_a_replica_report_a_configuration() {
    let mut run = Run::between(REPLICA_1, REPLICA_0);
    run.initiator.identity = Identity::simulated([200; 32]);
    run.initiator.entries.clear();
    assert!(matches!(run.errors().1, HandshakeError::Signature { .. }));
}

#[test]
fn the_newest_common_version_is_chosen() {
    let range = |min, max| VersionRange { min, max };
    assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
    assert_eq!(range(2, 5).common(range(1, 2)), Some(2));
    assert_eq!(range(1, 1).common(range(2, 2)), None);
    assert_eq!(range(5, 1).common(range(1, 9)), None);
    assert_eq!(range(1, 9).common(range(5, 1)), None);

    let mut run = Run::between(REPLICA_1, REPLICA_0);
    run.initiator.versions = range(1, 3);
    run.responder.versions = range(2, 9);
    let (a, b) = run.outcome(|_, message| message);
    assert_eq!((a.unwrap().version, b.unwrap().version), (3, 3));

    run.responder.versions = range(4, 9);
    let (initiator, responder) = run.errors();
    assert_eq!(responder, HandshakeError::Version { ours: range(4, 9), theirs: range(1, 3) });
    assert!(matches!(initiator, HandshakeError::Refused { reason: "handshake_version", .. }));
}

#[test]
fn a_range_of_versions_cannot_be_narrowed_on_its_way() {
    let mut run = Run::between(REPLICA_1, REPLICA_0);
    run.initiator.versions = VersionRange { min: 1, max: 3 };
    run.responder.versions = VersionRange { min: 1, max: 3 };
    let (initiator, responder) = run.outcome(|index, message| match Wire::decode(&message) {
        Ok(Wire::InitiatorHello { hello }) if index == 0 => {
            Wire::InitiatorHello { hello: changed(&hello, |hello| hello.versions.max = 1) }.encode()
        }
        _ => message,
    });
    assert!(matches!(initiator, Err(HandshakeError::Signature { .. })));
    assert!(responder.is_err());
}

#[test]
fn a_node_that_calls_itself_or_hears_its_own_words_refuses() {
    let run = Run::between(REPLICA_0, REPLICA_0);
    assert_eq!(run.errors().1, HandshakeError::Reflection);

    let introduction = simulated_introduction(REPLICA_1);
    let key = directory(REPLICA_0).unwrap();
    let (initiator, hello) = Initiator::start(&introduction, ReplicaId(0), fresh(1));
    assert_eq!(initiator.on_hello(&hello, &key).unwrap_err().error, HandshakeError::Order);

    let (initiator, hello) = Initiator::start(&introduction, ReplicaId(0), fresh(1));
    let Ok(Wire::InitiatorHello { hello }) = Wire::decode(&hello) else { panic!("made above") };
    let mirrored = Wire::ResponderHello { hello, signature: vec![0; 64].into() }.encode();
    assert_eq!(initiator.on_hello(&mirrored, &key).unwrap_err().error, HandshakeError::Reflection);
}

#[test]
fn our_own_ephemeral_key_is_refused_whoever_signs_for_it() {
    let run = Run { seeds: (1, 1), ..Run::between(CLIENT, REPLICA_0) };
    assert_eq!(run.outcome(|_, message| message).0.unwrap_err(), HandshakeError::Reflection);
}

#[test]
fn only_the_replica_that_was_wanted_may_answer() {
    let mut run = Run::between(CLIENT, REPLICA_0);
    run.wanted = ReplicaId(1);
    assert_eq!(run.errors().1, HandshakeError::WrongPeer { wanted: REPLICA_1, found: REPLICA_0 });

    // A replica that answers although another one was wanted.
    let client = simulated_introduction(CLIENT);
    let (initiator, _) = Initiator::start(&client, ReplicaId(1), fresh(1));
    let (_, hello) = Initiator::start(&client, ReplicaId(0), fresh(1));
    let (_, answer) =
        Responder::on_hello(&simulated_introduction(REPLICA_0), &hello, directory, || fresh(2)).unwrap();
    let error = initiator.on_hello(&answer, &directory(REPLICA_1).unwrap()).unwrap_err().error;
    assert_eq!(error, HandshakeError::WrongPeer { wanted: REPLICA_1, found: REPLICA_0 });
}

#[test]
fn an_old_hello_or_finish_proves_nothing_in_another_handshake() {
    let recorded = std::cell::RefCell::new(Vec::new());
    let run = Run::between(CLIENT, REPLICA_0);
    let _ = run.outcome(|_, message| {
        recorded.borrow_mut().push(message.clone());
        message
    });
    let recorded = recorded.into_inner();

    // The initiator's messages again, to a responder with new keys.
    let replica = simulated_introduction(REPLICA_0);
    let (responder, _) = Responder::on_hello(&replica, &recorded[0], directory, || fresh(3)).unwrap();
    assert!(matches!(responder.on_finish(&recorded[2]), Err(HandshakeError::Signature { .. })));

    // The old FINISH after a new HELLO, and the old answer to it.
    let later = Run { seeds: (5, 6), ..Run::between(CLIENT, REPLICA_0) };
    let replay = |replayed: usize| {
        let recorded = &recorded;
        later.outcome(move |index, message| if index == replayed { recorded[index].clone() } else { message })
    };
    assert!(replay(2).1.is_err());
    assert!(matches!(replay(1).0, Err(HandshakeError::Signature { .. })));
}

#[test]
fn a_low_order_ephemeral_key_is_refused_by_both_ends() {
    let low = |seed| Fresh { ephemeral: Fixed([0; 32]), nonce: [seed; 32] };
    let (client, replica) = (simulated_introduction(CLIENT), simulated_introduction(REPLICA_0));
    let (initiator, hello) = Initiator::start(&client, ReplicaId(0), fresh_real(1));
    let (_, answer) = Responder::on_hello(&replica, &hello, directory, || low(2)).unwrap();
    let error = initiator.on_hello(&answer, &directory(REPLICA_0).unwrap()).unwrap_err().error;
    assert_eq!(error, HandshakeError::Ephemeral(REPLICA_0));

    let (initiator, hello) = Initiator::start(&client, ReplicaId(0), low(1));
    let (responder, answer) = Responder::on_hello(&replica, &hello, directory, || fresh_real(2)).unwrap();
    let (_, finish) = initiator.on_hello(&answer, &directory(REPLICA_0).unwrap()).unwrap();
    assert_eq!(responder.on_finish(&finish).unwrap_err(), HandshakeError::Ephemeral(CLIENT));
}

/// An attacker's key, which "agrees" with anything.
#[derive(Debug)]
struct Fixed([u8; EPHEMERAL_BYTES]);

impl Ephemeral for Fixed {
    fn public(&self) -> [u8; EPHEMERAL_BYTES] {
        self.0
    }

    fn agree(self, _: &[u8; EPHEMERAL_BYTES]) -> Option<SharedSecret> {
        SharedSecret::new(Digest::of(b"guess").0)
    }
}

#[test]
fn a_refusal_in_words_we_do_not_know_is_not_repeated() {
    let (initiator, _) = Initiator::start(&simulated_introduction(CLIENT), ReplicaId(0), fresh(1));
    let refusal = Wire::Refusal { reason: "\u{1b}[31mgotcha".to_owned() }.encode();
    let error = initiator.on_hello(&refusal, &directory(REPLICA_0).unwrap()).unwrap_err();
    assert!(matches!(error.error, HandshakeError::Refused { reason: "unknown reason", .. }));
    assert_eq!(error.answer, None, "a refusal is not answered");
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_at_the_start() {
    let entries = vec![("service".to_owned(), "x".repeat(20_000))];
    let refused =
        Introduction::new(REPLICA_0, simulated(REPLICA_0), CLUSTER, LogId::default(), entries).unwrap_err();
    assert!(refused.length > 20_000);
}

#[test]
fn more_bytes_than_a_handshake_message_has_are_refused_unread() {
    let (initiator, _) = Initiator::start(&simulated_introduction(CLIENT), ReplicaId(0), fresh(1));
    let error = initiator.on_hello(&vec![0; HANDSHAKE_BYTES_MAX + 1], &directory(REPLICA_0).unwrap());
    assert!(matches!(
        error.unwrap_err().error,
        HandshakeError::Malformed(crate::codec::DecodeError::TooLong { .. })
    ));
}

proptest! {
    /// Scenario 10: whatever comes in, the answer is an error and no panic.
    #[test]
    fn no_bytes_make_an_end_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..2_usize) {
        let run = Run::between(CLIENT, REPLICA_0);
        // Raw, and as the inner part of a well-formed message.
        let inner = Bytes::from(bytes.clone());
        let signature = Bytes::from_static(&[0; 64]);
        let wrapped = match at {
            0 => Wire::InitiatorHello { hello: inner },
            _ => Wire::ResponderHello { hello: inner, signature },
        };
        for message in [Bytes::from(bytes), wrapped.encode()] {
            let (initiator, responder) =
                run.outcome(|index, honest| if index == at { message.clone() } else { honest });
            prop_assert!(initiator.is_err() && responder.is_err());
        }
    }
}
