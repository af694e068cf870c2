//! The body of a frame of any kind, from any sort of peer to any sort of node.

use bytes::Bytes;

use super::{Target, run, world};
use crate::codec;
use crate::message::{
    Kind, Opened, Peer, encode_batch_data, encode_certificate, encode_pre_prepare, encode_replies,
    encode_requests,
};
use crate::model::CLIENT;
use crate::types::ReplicaId;

pub(super) const TARGET: Target =
    Target { name: "message", run, seeds, memory_base: 4 << 20, memory_per_byte: 128 };

const REPLICA: Peer = Peer::Replica(ReplicaId(0));
const OTHER: Peer = Peer::Replica(ReplicaId(1));

/// Who hears it from whom.
const LINKS: [(Peer, Peer); 4] = [
    (REPLICA, OTHER),
    (REPLICA, Peer::Client(CLIENT)),
    (Peer::Client(CLIENT), REPLICA),
    (Peer::Client(CLIENT), Peer::Client(CLIENT)),
];

/// The first byte says who hears it from whom, the second one the kind.
fn run(input: &[u8]) {
    let Some(([link, kind], body)) = input.split_first_chunk::<2>() else { return };
    let (own, from) = LINKS[usize::from(*link) % LINKS.len()];
    let Some(kind) = Kind::from_number(*kind) else { return };
    let opener = world::group().opener(own);
    let Ok(opened) = opener.open(from, kind, Bytes::copy_from_slice(body)) else { return };
    let Some(again) = encode(&opened) else { return };
    match opener.open(from, kind, again) {
        // Those that were dropped are not passed on.
        Ok(Opened::Requests(requests, dropped)) => {
            let Opened::Requests(first, _) = opened else { panic!("{kind:?} opens as requests") };
            assert_eq!((requests, dropped), (first, Vec::new()));
        }
        again => assert_eq!(again, Ok(opened), "what was accepted is the same once it is passed on"),
    }
}

/// The message once more; none where nothing was accepted.
fn encode(opened: &Opened) -> Option<Bytes> {
    let bytes = match opened {
        Opened::Request(request) => request.wire().to_vec(),
        Opened::Requests(requests, _) if requests.is_empty() => return None,
        Opened::Requests(requests, _) => {
            encode_requests(&requests.iter().map(|request| (**request).clone()).collect::<Vec<_>>())
        }
        Opened::NeedSignature(message) => codec::encode(&**message),
        Opened::PrePrepare(message) => encode_pre_prepare(message),
        Opened::Prepare(vote) | Opened::Commit(vote) | Opened::Decided(vote) => codec::encode(&**vote),
        Opened::Reply(reply) => codec::encode(&**reply),
        Opened::Replies(replies) => {
            encode_replies(&replies.iter().map(|reply| (**reply).clone()).collect::<Vec<_>>())
        }
        Opened::Busy(message) => codec::encode(&**message),
        Opened::Checkpoint(signed) => signed.wire().to_vec(),
        Opened::Certificate(certificate) => encode_certificate(certificate),
        Opened::ViewChange(signed) => signed.wire().to_vec(),
        Opened::NewView(proven) => proven.new_view.wire().to_vec(),
        Opened::Status(message) => codec::encode(&**message),
        Opened::Fetch(message) => codec::encode(&**message),
        Opened::BatchData(message) => encode_batch_data(message),
        Opened::NodeData(message) => codec::encode(&**message),
        Opened::PageData(message) => codec::encode(&**message),
        Opened::Recall(message) => codec::encode(&**message),
        Opened::Recollection(proven) => codec::encode(&proven.recollection),
    };
    Some(bytes.into())
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |said: &run::Sent| {
        let between = |(own, from): &(Peer, Peer)| match (own, from, said.from, said.to) {
            (Peer::Replica(_), Peer::Replica(_), Peer::Replica(_), Peer::Replica(_)) => true,
            (own, from, sender, receiver) => (*from, *own) == (sender, receiver),
        };
        let link = LINKS.iter().position(between).expect("somebody hears it") as u8;
        [&[link, said.payload.kind() as u8], &said.payload.body()[..]].concat()
    };
    run::one_of_each().iter().map(seed).collect()
}
