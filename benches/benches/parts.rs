//! What the building blocks of a request cost, one at a time.

use std::hint::black_box;

use benches::Nothing;
use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pbft_actors::actor::measure::ThreePhases;
use pbft_actors::codec;
use pbft_actors::crypto::{Digest, Identity, MacKey};
use pbft_actors::message::{
    Binding, ClusterId, Frame, Hints, Keyring, Kind, Opener, Operation, Payload, Peer, Request, RequestKeys,
    Vote,
};
use pbft_actors::types::{ClientId, Quorums, ReplicaId, Seq, SessionId, Timestamp, View};

fn operation() -> Operation {
    Operation {
        client: ClientId(1),
        session: SessionId(1),
        timestamp: Timestamp(7),
        answered_below: Timestamp(5),
        read_only: false,
        operation: Bytes::new(),
    }
}

fn parts(criterion: &mut Criterion) {
    let key = MacKey::new([1; 32]);
    let digest = Digest::of(b"a batch");
    let vote = Vote { view: View(3), seq: Seq(1_000), digest };
    let body = codec::encode(&vote);
    let payload = Payload::new(Kind::Prepare, body.clone().into());
    let mut sealed = BytesMut::new();
    payload.seal_into(&key, 1, &mut sealed);
    let sealed = sealed.freeze();
    let hints = Hints::default();
    let mut keys = RequestKeys::default();
    keys.insert(1, key.clone());
    let identity = Identity::ed25519(&[5; 32]).expect("32 bytes");
    let binding = Binding { cluster: ClusterId([1; 16]), epoch: 1 };

    criterion.bench_function("MAC over header and digest", |b| {
        b.iter(|| key.tag(&[&[0; 10], black_box(&digest.0)]))
    });
    criterion.bench_function("digest of 64 bytes", |b| b.iter(|| Digest::of(black_box(&[0; 64]))));
    criterion.bench_function("encode a vote", |b| b.iter(|| codec::encode(black_box(&vote))));
    criterion.bench_function("decode a vote", |b| b.iter(|| codec::decode::<Vote>(black_box(&body), 1_000)));
    criterion.bench_function("seal a vote for one link", |b| {
        let mut buffer = BytesMut::new();
        b.iter(|| {
            buffer.clear();
            payload.seal_into(&key, 1, &mut buffer);
        });
    });
    criterion
        .bench_function("open a vote's frame", |b| b.iter(|| Frame::open(&key, black_box(sealed.clone()))));
    criterion.bench_function("request with 4 MACs", |b| {
        b.iter(|| Request::authenticated(operation(), (0..4).map(|_| Some(&keys)), hints));
    });
    let mut keyring = Keyring::new(
        Peer::Replica(ReplicaId(0)),
        Quorums::new(4).expect("four are a group"),
        Binding::default(),
        (0..4).map(|id| Identity::ed25519(&[id; 32]).expect("32 bytes").public_key()).collect(),
    );
    keyring.insert_request_key(ClientId(1), 1, key.clone());
    let opener = Opener { keyring, interval: 128, window: 512 };
    let request = Request::authenticated(operation(), (0..4).map(|_| Some(&keys)), hints);
    criterion.bench_function("open a request with 4 MACs", |b| {
        let from = Peer::Client(ClientId(1));
        b.iter(|| opener.open(from, Kind::Request, black_box(request.wire().clone())).expect("it is good"));
    });
    criterion.bench_function("request with a signature", |b| {
        b.iter(|| Request::signed(operation(), &identity, &binding, hints));
    });
}

/// A batch through the three phases at four replicas in one thread; per request where there are many.
fn slots(criterion: &mut Criterion) {
    let mut family = criterion.benchmark_group("a batch through three phases, four replicas, no sockets");
    for requests in [1, 64, 512] {
        let mut group = ThreePhases::new(Nothing { reply_bytes: 0 }, requests);
        family.throughput(Throughput::Elements(requests as u64));
        family.bench_function(BenchmarkId::new("requests", requests), |b| b.iter(|| group.slot()));
    }
}

criterion_group!(benches, parts, slots);
criterion_main!(benches);
