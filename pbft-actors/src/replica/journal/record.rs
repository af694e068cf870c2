//! Records as entries of the log, and back.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::crypto::Digest;
use crate::message::{
    Batch, BatchData, Checkpoint, Kind, Opened, Opener, encode_batch_data, encode_certificate,
};
use crate::ports::storage::{COPY_BYTES, Entry, Found};
use crate::role::{LogStanding, Record, Remembered};
use crate::types::{LogId, ReplicaId, Seq, View};

/// A record as it is encoded. Batches, certificates and signed messages are what their senders'
/// frames held, and are opened like frames.
#[derive(Serialize, Deserialize)]
enum Body {
    PrePrepared {
        view: View,
        batch: Bytes,
    },
    Prepared {
        view: View,
        seq: Seq,
        digest: Digest,
    },
    ViewChange(Bytes),
    NewView(Bytes),
    Checkpoint(Checkpoint),
    Stable(Bytes),
    PeerLog {
        replica: ReplicaId,
        log: LogId,
    },
    Decided {
        seq: Seq,
        digest: Digest,
        batch: Option<Bytes>,
    },
    Lost(LogId),
    LetIn(LogId),
    /// What the disk had lost but for its copy, which goes on.
    Promise(Bytes),
}

/// What is left of a record whose body the disk lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Promise {
    PrePrepared(View, Seq, Digest),
    Prepared(View, Seq, Digest),
    ViewChange(View),
    NewView(View),
    Checkpoint(Checkpoint),
    Stable(Checkpoint),
    PeerLog(ReplicaId, LogId),
    Lost(LogId),
    LetIn(LogId),
}

impl Promise {
    fn of(record: &Record) -> Option<Self> {
        match record {
            Record::PrePrepared { view, seq, batch } => Some(Self::PrePrepared(*view, *seq, batch.digest())),
            Record::Prepared { view, seq, digest } => Some(Self::Prepared(*view, *seq, *digest)),
            Record::ViewChange(signed) => Some(Self::ViewChange(signed.message.view)),
            Record::NewView(signed) => Some(Self::NewView(signed.message.view)),
            Record::Checkpoint(checkpoint) => Some(Self::Checkpoint(*checkpoint)),
            Record::Stable(certificate) => Some(Self::Stable(certificate.checkpoint)),
            Record::PeerLog { replica, log } => Some(Self::PeerLog(*replica, *log)),
            Record::Lost(log) => Some(Self::Lost(*log)),
            Record::LetIn(log) => Some(Self::LetIn(*log)),
            Record::Decided { .. } => None,
        }
    }

    fn encode(self) -> [u8; COPY_BYTES] {
        let none = Digest::default();
        let (kind, one, two, digest) = match self {
            Self::PrePrepared(view, seq, digest) => (1, view.0, seq.0, digest),
            Self::Prepared(view, seq, digest) => (2, view.0, seq.0, digest),
            Self::ViewChange(view) => (3, view.0, 0, none),
            Self::NewView(view) => (4, view.0, 0, none),
            Self::Checkpoint(Checkpoint { seq, digest }) => (5, 0, seq.0, digest),
            Self::Stable(Checkpoint { seq, digest }) => (6, 0, seq.0, digest),
            Self::PeerLog(replica, log) => (7 | u32::from(replica.0) << 8, log.number, log.salt, none),
            Self::Lost(log) => (8, log.number, log.salt, none),
            Self::LetIn(log) => (9, log.number, log.salt, none),
        };
        let mut bytes = [0; COPY_BYTES];
        let mut out = &mut bytes[..];
        out.put_u32_le(kind);
        out.put_u64_le(one);
        out.put_u64_le(two);
        out.put_slice(&digest.0);
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (kind, one, two) = (bytes.get_u32_le(), bytes.get_u64_le(), bytes.get_u64_le());
        let digest = Digest(*bytes.first_chunk()?);
        let checkpoint = Checkpoint { seq: Seq(two), digest };
        let log = LogId { number: one, salt: two };
        match kind & 0xff {
            1 => Some(Self::PrePrepared(View(one), Seq(two), digest)),
            2 => Some(Self::Prepared(View(one), Seq(two), digest)),
            3 => Some(Self::ViewChange(View(one))),
            4 => Some(Self::NewView(View(one))),
            5 => Some(Self::Checkpoint(checkpoint)),
            6 => Some(Self::Stable(checkpoint)),
            7 => Some(Self::PeerLog(ReplicaId((kind >> 8) as u8), log)),
            8 => Some(Self::Lost(log)),
            9 => Some(Self::LetIn(log)),
            _ => None,
        }
    }
}

/// A record as an entry. One without a seq is needed as long as the next segment begins with it.
pub(crate) fn entry(record: &Record) -> Entry {
    let batch_data = |seq: Seq, batch: &Arc<Batch>| {
        Bytes::from(encode_batch_data(&BatchData { seq, batch: batch.clone() }))
    };
    let (body, until) = match record {
        Record::PrePrepared { view, seq, batch } => {
            (Body::PrePrepared { view: *view, batch: batch_data(*seq, batch) }, seq.0)
        }
        Record::Prepared { view, seq, digest } => {
            (Body::Prepared { view: *view, seq: *seq, digest: *digest }, seq.0)
        }
        Record::Decided { seq, digest, batch } => {
            let batch = batch.as_ref().map(|batch| batch_data(*seq, batch));
            (Body::Decided { seq: *seq, digest: *digest, batch }, seq.0)
        }
        Record::Checkpoint(checkpoint) => (Body::Checkpoint(*checkpoint), checkpoint.seq.0),
        Record::ViewChange(signed) => (Body::ViewChange(signed.wire().clone()), 0),
        Record::NewView(signed) => (Body::NewView(signed.wire().clone()), 0),
        Record::Stable(certificate) => (Body::Stable(encode_certificate(certificate).into()), 0),
        Record::PeerLog { replica, log } => (Body::PeerLog { replica: *replica, log: *log }, 0),
        Record::Lost(log) => (Body::Lost(*log), 0),
        Record::LetIn(log) => (Body::LetIn(*log), 0),
    };
    Entry { copy: Promise::of(record).map(Promise::encode), body: codec::encode(&body), until }
}

/// A promise whose record is lost as an entry.
pub(super) fn promise_entry(promise: Promise) -> Entry {
    let copy = promise.encode();
    Entry { copy: Some(copy), body: codec::encode(&Body::Promise(Bytes::copy_from_slice(&copy))), until: 0 }
}

/// Adds what an entry says to what is remembered; false if it says nothing that this program
/// understands, or of another log.
pub(super) fn remember(remembered: &mut Remembered, opener: &Opener, log: LogId, found: &Found) -> bool {
    let understood = found.body.as_ref().is_some_and(|body| remember_body(remembered, opener, log, body));
    let promise = found.copy.as_ref().and_then(|copy| Promise::decode(copy));
    if let Some(promise) = promise.filter(|_| !understood) {
        remember_promise(remembered, promise);
        return true;
    }
    understood
}

fn remember_body(remembered: &mut Remembered, opener: &Opener, log: LogId, body: &[u8]) -> bool {
    let own = opener.keyring.own;
    let open = |kind, wire: Bytes| opener.open(own, kind, wire).ok();
    let Ok(body) = codec::decode(body, usize::MAX) else { return false };
    match body {
        Body::PrePrepared { view, batch } => {
            let Some(Opened::BatchData(data)) = open(Kind::BatchData, batch) else { return false };
            let slot = remembered.slots.entry(data.seq).or_default();
            slot.pre_prepared.insert((view, data.batch.digest()));
            slot.bodies.insert(data.batch.digest(), data.batch.clone());
        }
        Body::Prepared { view, seq, digest } => {
            remember_promise(remembered, Promise::Prepared(view, seq, digest));
        }
        Body::Decided { seq, digest, batch } => {
            let slot = remembered.slots.entry(seq).or_default();
            slot.decided = Some(digest);
            if let Some(batch) = batch {
                let Some(Opened::BatchData(data)) = open(Kind::BatchData, batch) else { return false };
                slot.bodies.insert(data.batch.digest(), data.batch.clone());
            }
        }
        Body::ViewChange(wire) => {
            let Some(Opened::ViewChange(signed)) = open(Kind::ViewChange, wire) else { return false };
            let (view, own) = (signed.message.view, signed.from() == own && signed.log == log);
            if own && remembered.asked.as_ref().is_none_or(|(asked, _)| *asked <= view) {
                remembered.asked = Some((view, Some(signed.into_inner())));
            }
        }
        Body::NewView(wire) => {
            let Some(Opened::NewView(proven)) = open(Kind::NewView, wire) else { return false };
            let view = proven.new_view.message.view;
            if remembered.entered.as_ref().is_none_or(|(entered, _)| *entered <= view) {
                remembered.entered = Some((view, Some(proven.into_inner())));
            }
        }
        Body::Checkpoint(checkpoint) => remember_promise(remembered, Promise::Checkpoint(checkpoint)),
        Body::Stable(votes) => {
            let Some(Opened::Certificate(certificate)) = open(Kind::Certificate, votes) else { return false };
            let certificate = certificate.into_inner();
            remember_promise(remembered, Promise::Stable(certificate.checkpoint));
            if remembered.stable == Some(certificate.checkpoint) {
                remembered.certificate = Some(Arc::new(certificate));
            }
        }
        Body::PeerLog { replica, log } => remember_promise(remembered, Promise::PeerLog(replica, log)),
        Body::Lost(log) => remember_promise(remembered, Promise::Lost(log)),
        Body::LetIn(log) => remember_promise(remembered, Promise::LetIn(log)),
        Body::Promise(bytes) => {
            let promise = (bytes.len() == COPY_BYTES).then(|| Promise::decode(&bytes)).flatten();
            let Some(promise) = promise else { return false };
            remember_promise(remembered, promise);
        }
    }
    true
}

fn remember_promise(remembered: &mut Remembered, promise: Promise) {
    match promise {
        Promise::PrePrepared(view, seq, digest) => {
            remembered.slots.entry(seq).or_default().pre_prepared.insert((view, digest));
        }
        Promise::Prepared(view, seq, digest) => {
            remembered.slots.entry(seq).or_default().prepared.insert((view, digest));
        }
        Promise::ViewChange(view) => {
            if remembered.asked.as_ref().is_none_or(|(asked, _)| *asked < view) {
                remembered.asked = Some((view, None));
            }
        }
        Promise::NewView(view) => {
            if remembered.entered.as_ref().is_none_or(|(entered, _)| *entered < view) {
                remembered.entered = Some((view, None));
            }
        }
        Promise::Checkpoint(Checkpoint { seq, digest }) => {
            remembered.claimed.insert(seq, digest);
        }
        Promise::Stable(checkpoint) => {
            if remembered.stable.is_none_or(|stable| stable.seq < checkpoint.seq) {
                remembered.stable = Some(checkpoint);
                remembered.certificate = None;
            }
        }
        Promise::PeerLog(replica, log) => {
            // What was learned of the peer since corrects what was seen of it first.
            remembered.peer_logs.insert(replica, log);
        }
        // A journal holds what was written under one log only.
        Promise::Lost(_) => remembered.standing = LogStanding::Lost,
        Promise::LetIn(_) => remembered.standing = LogStanding::LetIn,
    }
}
