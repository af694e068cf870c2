//! Instructions of the hot paths, counted by callgrind: the same at every run on any machine, unlike times.
//!
//!     cargo run --release -p benches --example instructions
//!
//! Runs itself under `valgrind --tool=callgrind` twice for each path, with so many rounds and with twice as
//! many; the difference has nothing in it but the rounds. Valgrind knows no SHA instructions, so SHA-256 is the
//! portable code's here, some eight times as many instructions as where the processor has them.

use std::env;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use benches::Nothing;
use bytes::{Bytes, BytesMut};
use pbft_actors::actor::measure::ThreePhases;
use pbft_actors::codec;
use pbft_actors::crypto::{Digest, MacKey};
use pbft_actors::message::{
    Binding, Frame, Hints, Keyring, Kind, Opener, Operation, Payload, Peer, Request, RequestKeys, Vote,
};
use pbft_actors::types::{ClientId, Quorums, ReplicaId, Seq, SessionId, Timestamp, View};

/// A path: its name, what one round of it makes or handles, and how to prepare it.
struct Path {
    name: &'static str,
    per_round: u64,
    prepare: fn() -> Box<dyn FnMut()>,
}

const PATHS: &[Path] = &[
    Path { name: "MAC of 43 bytes", per_round: 1, prepare: mac },
    Path { name: "digest of 64 bytes", per_round: 1, prepare: digest_short },
    Path { name: "digest of 1 KiB", per_round: 1, prepare: digest_long },
    Path { name: "encode a vote", per_round: 1, prepare: encode_vote },
    Path { name: "decode a vote", per_round: 1, prepare: decode_vote },
    Path { name: "seal a vote for one link", per_round: 1, prepare: seal_vote },
    Path { name: "open a vote's frame", per_round: 1, prepare: open_vote },
    Path { name: "request with 4 MACs, 0 bytes", per_round: 1, prepare: || make_request(0) },
    Path { name: "request with 4 MACs, 1 KiB", per_round: 1, prepare: || make_request(1_024) },
    Path { name: "frame of a request, made and sealed, 1 KiB", per_round: 1, prepare: seal_request },
    Path { name: "frame and request opened, 0 bytes", per_round: 1, prepare: || open_request(0) },
    Path { name: "frame and request opened, 1 KiB", per_round: 1, prepare: || open_request(1_024) },
    Path { name: "three phases of 4 replicas, batch of 1", per_round: 1, prepare: || slot(1) },
    Path { name: "the same, batch of 64, per request", per_round: 64, prepare: || slot(64) },
    Path { name: "the same, batch of 512, per request", per_round: 512, prepare: || slot(512) },
];

/// Rounds of the shorter run. Slots go through whole checkpoint intervals in both.
const ROUNDS: u64 = 128;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [path, rounds] = &arguments[..] {
        let (path, rounds): (usize, u64) = (path.parse().expect("a path"), rounds.parse().expect("a number"));
        let mut round = (PATHS[path].prepare)();
        (0..rounds).for_each(|_| round());
        return ExitCode::SUCCESS;
    }
    println!("| path | instructions |\n|---|---|");
    for (number, path) in PATHS.iter().enumerate() {
        let (Some(once), Some(twice)) = (count(number, ROUNDS), count(number, 2 * ROUNDS)) else {
            eprintln!("callgrind did not count; install valgrind");
            return ExitCode::FAILURE;
        };
        println!("| {} | {} |", path.name, (twice - once) / ROUNDS / path.per_round);
    }
    ExitCode::SUCCESS
}

/// Instructions of a whole run.
fn count(path: usize, rounds: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().ok()?)
        .args([path.to_string(), rounds.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    let collected = text.lines().find_map(|line| line.split_once("Collected :"))?;
    collected.1.trim().parse().ok()
}

fn key() -> MacKey {
    MacKey::new([1; 32])
}

fn vote() -> Vote {
    Vote { view: View(3), seq: Seq(1_000), digest: Digest::of(b"a batch") }
}

fn mac() -> Box<dyn FnMut()> {
    let (key, bytes) = (key(), [7; 43]);
    Box::new(move || {
        black_box(key.tag(&[black_box(&bytes)]));
    })
}

fn digest_short() -> Box<dyn FnMut()> {
    Box::new(|| {
        black_box(Digest::of(black_box(&[0; 64])));
    })
}

fn digest_long() -> Box<dyn FnMut()> {
    Box::new(|| {
        black_box(Digest::of(black_box(&[0; 1_024])));
    })
}

fn encode_vote() -> Box<dyn FnMut()> {
    let vote = vote();
    Box::new(move || {
        black_box(codec::encode(black_box(&vote)));
    })
}

fn decode_vote() -> Box<dyn FnMut()> {
    let body = codec::encode(&vote());
    Box::new(move || {
        black_box(codec::decode::<Vote>(black_box(&body), 1_000).expect("a vote"));
    })
}

fn seal_vote() -> Box<dyn FnMut()> {
    let (key, payload) = (key(), Payload::new(Kind::Prepare, codec::encode(&vote()).into()));
    let mut buffer = BytesMut::new();
    Box::new(move || {
        buffer.clear();
        payload.seal_into(&key, 1, &mut buffer);
    })
}

fn open_vote() -> Box<dyn FnMut()> {
    let (key, mut sealed) = (key(), BytesMut::new());
    Payload::new(Kind::Prepare, codec::encode(&vote()).into()).seal_into(&key, 1, &mut sealed);
    let sealed = sealed.freeze();
    Box::new(move || {
        black_box(Frame::open(&key, black_box(sealed.clone())).expect("it was sealed"));
    })
}

fn request(length: usize) -> Request {
    let mut keys = RequestKeys::default();
    keys.insert(1, key());
    let operation = Operation {
        client: ClientId(1),
        session: SessionId(1),
        timestamp: Timestamp(7),
        answered_below: Timestamp(5),
        read_only: false,
        operation: Bytes::from(vec![7; length]),
    };
    let hints = Hints::default();
    Request::authenticated(operation, (0..4).map(|_| Some(&keys)), hints)
}

fn make_request(length: usize) -> Box<dyn FnMut()> {
    Box::new(move || {
        black_box(request(black_box(length)));
    })
}

fn seal_request() -> Box<dyn FnMut()> {
    let (key, request, mut buffer) = (key(), request(1_024), BytesMut::new());
    Box::new(move || {
        buffer.clear();
        Payload::new(Kind::Request, request.wire().clone()).seal_into(&key, 1, &mut buffer);
    })
}

fn open_request(length: usize) -> Box<dyn FnMut()> {
    let quorums = Quorums::new(4).expect("four are a group");
    let public = (0..4).map(|id| pbft_actors::crypto::Identity::ed25519(&[id; 32]).expect("32 bytes"));
    let public = public.map(|identity| identity.public_key()).collect();
    let mut keyring = Keyring::new(Peer::Replica(ReplicaId(0)), quorums, Binding::default(), public);
    keyring.insert_request_key(ClientId(1), 1, key());
    let opener = Opener { keyring, interval: 128, window: 512 };
    let (key, mut sealed) = (key(), BytesMut::new());
    Payload::new(Kind::Request, request(length).wire().clone()).seal_into(&key, 1, &mut sealed);
    let sealed = sealed.freeze();
    Box::new(move || {
        let frame = Frame::open(&key, black_box(sealed.clone())).expect("it was sealed");
        black_box(opener.open_frame(Peer::Client(ClientId(1)), frame).expect("its MAC is good"));
    })
}

fn slot(requests: usize) -> Box<dyn FnMut()> {
    let mut group = ThreePhases::new(Nothing { reply_bytes: 0 }, requests);
    Box::new(move || group.slot())
}
