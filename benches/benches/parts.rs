//! What the building blocks of a request cost, one at a time.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use pbft_actors::codec;
use pbft_actors::crypto::{Digest, Identity, MacKey};
use pbft_actors::message::{
    Binding, ClusterId, Frame, Hints, Kind, Operation, Payload, Request, RequestKeys, Vote,
};
use pbft_actors::types::{ClientId, ReplicaId, Seq, SessionId, Timestamp, View};

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
    let hints = Hints { full_reply: true, replier: ReplicaId(0) };
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
    criterion.bench_function("request with a signature", |b| {
        b.iter(|| Request::signed(operation(), &identity, &binding, hints));
    });
}

criterion_group!(benches, parts);
criterion_main!(benches);
