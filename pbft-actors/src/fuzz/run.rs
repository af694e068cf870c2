//! What a real group says: the seeds of all targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::world;
use crate::codec;
use crate::message::{
    Batch, BatchData, Busy, Certificate, Fetch, Kind, NeedSignature, NodeData, Opened, PageData, Payload,
    Peer, Recollection, Reply, SeqBitmap, Status, TreeNode, Vote, VoteKind, encode_batch_data,
    encode_certificate, encode_replies, encode_requests,
};
use crate::model::{CLIENT, Member};
use crate::role::ViewChangerInput;
use crate::types::{ReplicaId, ReplicaSet, Seq, View};

/// Messages of one kind that are kept.
const PER_KIND_MAX: usize = 3;

/// A message with its way.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) from: Peer,
    pub(super) to: Peer,
    pub(super) payload: Payload,
}

/// All that a group says which starts, executes `requests` and then leaves its view.
pub(super) fn said(requests: u64) -> Vec<Sent> {
    let group = world::group();
    let mut sent = Vec::new();
    let mut seen = |from, to, payload: &Payload| sent.push(Sent { from, to, payload: payload.clone() });
    let requests: Vec<_> = (0..=requests).map(|at| group.request(at, b"sixteen bytes...")).collect();
    let mut members = group.started(&requests, &mut seen);
    let leave =
        |member: &mut Member| (member.own(), member.on_mail(ViewChangerInput::Suspect(View(0)).into()));
    let said = members.iter_mut().map(leave).collect();
    group.settle(&mut members, said, &mut seen);
    sent
}

/// Messages of every kind, each as a correct node sends it.
pub(super) fn one_of_each() -> Vec<Sent> {
    let mut kept: BTreeMap<Kind, Vec<Sent>> = BTreeMap::new();
    let all = said(6);
    for sent in rare(&all).into_iter().chain(all) {
        let known = kept.entry(sent.payload.kind()).or_default();
        if known.len() < PER_KIND_MAX && known.iter().all(|other| other.payload.body() != sent.payload.body())
        {
            known.push(sent);
        }
    }
    assert_eq!(kept.len(), Kind::ALL.len(), "a seed of every kind");
    kept.into_values().flatten().collect()
}

/// What the run has no reason to say, made of what it said.
fn rare(all: &[Sent]) -> Vec<Sent> {
    let (own, other) = (Peer::Replica(ReplicaId(0)), Peer::Replica(ReplicaId(1)));
    let (client, group) = (Peer::Client(CLIENT), world::group());
    let sent = |from, to, kind, body: Vec<u8>| Sent { from, to, payload: Payload::new(kind, body.into()) };
    let between = |kind, body| sent(other, own, kind, body);

    let certificate = certificate(all);
    let reply: Reply = decoded(all, Kind::Reply);
    let digest = reply.request_digest;
    let batch = |seq| BatchData {
        seq: Seq(seq),
        batch: Arc::new(match all.iter().find_map(pre_prepared) {
            Some(batch) if seq > 1 => batch,
            _ => Batch::null(),
        }),
    };
    let vote = Vote { view: View(0), seq: Seq(5), digest };
    let bitmap = |seq| SeqBitmap::new(Seq(4), 8, [Seq(seq)]);
    let status = Status {
        view: View(1),
        changing: true,
        stable: Seq(4),
        executed: Seq(5),
        first_held: Seq(5),
        prepared: bitmap(5),
        decided: bitmap(6),
        view_changes: ReplicaSet::from_iter([ReplicaId(0)]),
    };
    let maced = [1, 2].map(|timestamp| group.maced_request(timestamp, b"op"));
    let tree = TreeNode { level: 1, index: 0, children: vec![(0, digest), (5, digest)] };
    let (seq, ticket) = (Seq(4), 1);
    let wires: Vec<Bytes> = certificate.votes.iter().map(|vote| vote.wire().clone()).collect();
    let view_change = all.iter().find(|sent| sent.payload.kind() == Kind::ViewChange);
    let recollection = Recollection {
        log: group.signer(ReplicaId(0)).log,
        known: group.replicas().map(|id| group.signer(id).log).collect(),
        certificate: wires,
        votes: vec![(VoteKind::PrePrepared, vote), (VoteKind::Prepared, vote)],
        view_change: view_change.map(|sent| sent.payload.body().clone()),
    };
    let page = (5, Bytes::from(vec![1; crate::ports::state::PAGE_BYTES]));
    let fetch = |fetch: Fetch| between(Kind::Fetch, codec::encode(&fetch));
    vec![
        between(Kind::NeedSignature, codec::encode(&NeedSignature { client: CLIENT, digest })),
        between(Kind::Decided, codec::encode(&vote)),
        between(Kind::Certificate, encode_certificate(&certificate)),
        between(Kind::Status, codec::encode(&status)),
        fetch(Fetch::Batch { seq, digest }),
        fetch(Fetch::Nodes { seq, ticket, nodes: vec![(5, 0), (1, 3)] }),
        fetch(Fetch::Pages { seq, ticket, pages: vec![0, 5] }),
        between(Kind::BatchData, encode_batch_data(&batch(1))),
        between(Kind::BatchData, encode_batch_data(&batch(2))),
        between(Kind::NodeData, codec::encode(&NodeData { seq, ticket, nodes: Some(vec![tree]) })),
        between(Kind::PageData, codec::encode(&PageData { seq, ticket, pages: Some(vec![page]) })),
        between(Kind::PageData, codec::encode(&PageData { seq, ticket, pages: None })),
        between(Kind::Recollection, codec::encode(&recollection)),
        sent(client, own, Kind::Request, maced[0].wire().to_vec()),
        sent(client, own, Kind::Requests, encode_requests(&maced)),
        sent(own, client, Kind::Replies, encode_replies(&[reply.clone(), reply.clone()])),
        sent(own, client, Kind::Busy, codec::encode(&Busy { request: reply.request, retry_after_ms: 9 })),
    ]
}

pub(super) fn pre_prepared(sent: &Sent) -> Option<Batch> {
    let opener = world::group().opener(sent.to);
    let body = sent.payload.body().clone();
    let Ok(Opened::PrePrepare(message)) = opener.open(sent.from, sent.payload.kind(), body) else {
        return None;
    };
    let inline = |entry: &crate::message::Entry| match entry {
        crate::message::Entry::Inline(request) => Some(request.clone()),
        crate::message::Entry::Digest(_) => None,
    };
    let requests: Option<Vec<_>> = message.entries.iter().map(inline).collect();
    message.batch_of(requests?)
}

/// The CHECKPOINTs of a quorum, as one.
fn certificate(all: &[Sent]) -> Certificate {
    let mut votes = BTreeMap::new();
    for sent in all {
        let opener = world::group().opener(sent.to);
        let body = sent.payload.body().clone();
        if let Ok(Opened::Checkpoint(vote)) = opener.open(sent.from, sent.payload.kind(), body) {
            votes.insert(vote.sender, vote.into_inner());
        }
    }
    let votes: Vec<_> = votes.into_values().take(3).collect();
    Certificate { checkpoint: votes.first().expect("the run reaches a checkpoint").message, votes }
}

fn decoded<T: serde::de::DeserializeOwned>(all: &[Sent], kind: Kind) -> T {
    let sent = all.iter().find(|sent| sent.payload.kind() == kind).expect("the run has one");
    codec::decode(sent.payload.body(), usize::MAX).expect("a correct node sent it")
}
