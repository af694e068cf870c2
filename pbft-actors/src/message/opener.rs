//! From the bytes of a frame to a message that a role may see.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes as Part;
use thiserror::Error;

use super::*;
use crate::codec::{self, DecodeError};
use crate::crypto::Digest;
use crate::types::{ClientId, ReplicaSet, Seq, View};
use bundle::{decode_replies, decode_requests};
use cover::KnownDigests;

/// A message whose proof was checked, by kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// From a client, or forwarded; its proof is good.
    Request(Verified<Request>),
    /// Those of a client's requests whose proof is good, and why each other one was dropped.
    Requests(Vec<Verified<Request>>, Vec<Reject>),
    /// A replica cannot verify a request.
    NeedSignature(Verified<NeedSignature>),
    /// A proposal; each request says whether its own proof was good here.
    PrePrepare(Verified<PrePrepare>),
    /// A vote.
    Prepare(Verified<Vote>),
    /// A vote.
    Commit(Verified<Vote>),
    /// A decision.
    Decided(Verified<Vote>),
    /// An answer.
    Reply(Verified<Reply>),
    /// Answers.
    Replies(Vec<Verified<Reply>>),
    /// No answer now.
    Busy(Verified<Busy>),
    /// A signed CHECKPOINT.
    Checkpoint(Verified<Signed<Checkpoint>>),
    /// A stable checkpoint with its proof.
    Certificate(Verified<Certificate>),
    /// A signed VIEW-CHANGE that says only what a correct replica could.
    ViewChange(Verified<Signed<ViewChange>>),
    /// A signed NEW-VIEW with its VIEW-CHANGEs, each verified.
    NewView(Verified<ProvenNewView>),
    /// Where a replica stands.
    Status(Verified<Status>),
    /// A question.
    Fetch(Verified<Fetch>),
    /// An answer, to be compared with the digest asked for.
    BatchData(Verified<BatchData>),
    /// An answer, to be compared with the digests that are known.
    NodeData(Verified<NodeData>),
    /// An answer, to be compared with the digests that are known.
    PageData(Verified<PageData>),
    /// A replica starts.
    Recall(Verified<Recall>),
    /// What is known of this replica, with the verified certificate.
    Recollection(Verified<ProvenRecollection>),
}

/// A NEW-VIEW whose signatures all hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenNewView {
    /// The NEW-VIEW.
    pub new_view: Signed<NewView>,
    /// Its V, one per sender.
    pub view_changes: Vec<Signed<ViewChange>>,
}

/// A RECOLLECTION whose signatures all hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenRecollection {
    /// The answer.
    pub recollection: Recollection,
    /// Its certificate; none at seq 0.
    pub certificate: Option<Certificate>,
    /// Its VIEW-CHANGE.
    pub view_change: Option<Signed<ViewChange>>,
}

/// Why a message was dropped: a peer's fault, counted by kind.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Reject {
    /// Not an encoding of this kind of message.
    #[error("{kind:?} cannot be decoded: {error}")]
    Decode {
        /// The frame's kind.
        kind: Kind,
        /// What is wrong.
        error: DecodeError,
    },
    /// A kind that this sort of peer never sends, or not to this node.
    #[error("{0:?} is not for this peer to send here")]
    Kind(Kind),
    /// A signature or MAC that does not hold.
    #[error("{0:?} is not proven")]
    Proof(Kind),
    /// A request under a key epoch that is not known here.
    #[error("a request names an unknown key epoch")]
    UnknownEpoch,
    /// The sender named inside is not the peer.
    #[error("{0:?} names another sender than its link")]
    Sender(Kind),
    /// A message that no correct replica sends.
    #[error("{0:?} breaks a rule that its sender knows")]
    Invalid(Kind),
}

impl Reject {
    /// The word used in logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Decode { .. } => "decode",
            Self::Kind(_) => "kind",
            Self::Proof(_) => "proof",
            Self::UnknownEpoch => "unknown_epoch",
            Self::Sender(_) => "sender",
            Self::Invalid(_) => "invalid",
        }
    }
}

/// What a PRE-PREPARE adds to its entries, bytes, and what an entry adds to its own.
const BATCH_OVERHEAD_BYTES: usize = 256;
const ENTRY_OVERHEAD_BYTES: usize = 5;

#[derive(Serialize, Deserialize)]
struct PrePrepareWire<'w> {
    view: View,
    seq: Seq,
    choice: Option<Choice>,
    #[serde(borrow)]
    entries: Vec<&'w Part>,
}

#[derive(Serialize, Deserialize)]
struct BatchDataWire<'w> {
    seq: Seq,
    choice: Option<Choice>,
    #[serde(borrow)]
    requests: Vec<&'w Part>,
}

/// Encodes a proposal.
pub(crate) fn encode_pre_prepare(message: &PrePrepare) -> Vec<u8> {
    let entries: Vec<&Part> = message.entries.iter().map(|entry| Part::new(entry.wire())).collect();
    let (choice, about) = (message.choice.clone(), batch_bytes(message.choice.as_ref(), &entries));
    codec::encode_large(&PrePrepareWire { view: message.view, seq: message.seq, choice, entries }, about)
}

/// Encodes a batch that was asked for.
pub(crate) fn encode_batch_data(message: &BatchData) -> Vec<u8> {
    let requests = message.batch.requests().iter();
    let requests: Vec<&Part> = requests.map(|request| Part::new(request.wire())).collect();
    let choice = message.batch.choice().cloned();
    let about = batch_bytes(choice.as_ref(), &requests);
    codec::encode_large(&BatchDataWire { seq: message.seq, choice, requests }, about)
}

/// About how long a batch is on the wire, bytes.
fn batch_bytes(choice: Option<&Choice>, requests: &[&Part]) -> usize {
    let extra = choice.map_or(0, |choice| choice.extra.len());
    let requests = requests.iter().map(|request| request.len() + ENTRY_OVERHEAD_BYTES).sum::<usize>();
    BATCH_OVERHEAD_BYTES + extra + requests
}

/// Encodes a certificate.
pub(crate) fn encode_certificate(certificate: &Certificate) -> Vec<u8> {
    codec::encode(&certificate.wire())
}

/// Opens what peers send: decodes with limits and checks every proof.
#[derive(Clone, Debug)]
pub struct Opener {
    /// By what others are recognised.
    pub keyring: Keyring,
    /// K.
    pub interval: u64,
    /// L.
    pub window: u64,
}

impl Opener {
    /// Opens a frame whose tag was right.
    pub fn open_frame(&self, from: Peer, frame: Frame) -> Result<Opened, Reject> {
        self.open_known(from, frame.kind, frame.body, &frame.known)
    }

    /// Opens the body of a frame whose tag was right.
    pub fn open(&self, from: Peer, kind: Kind, body: Bytes) -> Result<Opened, Reject> {
        self.open_known(from, kind, body, &KnownDigests::default())
    }

    fn open_known(
        &self,
        from: Peer,
        kind: Kind,
        body: Bytes,
        known: &KnownDigests,
    ) -> Result<Opened, Reject> {
        match (self.keyring.own, from) {
            (Peer::Replica(_), Peer::Replica(_)) => self.open_between_replicas(from, kind, body, known),
            (Peer::Replica(_), Peer::Client(client)) => match kind {
                Kind::Request => own(client, self.request(body, known)?).map(Opened::Request),
                Kind::Requests => self.requests_of(client, &body, known),
                _ => Err(Reject::Kind(kind)),
            },
            (Peer::Client(_), Peer::Replica(_)) => match kind {
                Kind::Reply => plain(from, kind, &body).map(Opened::Reply),
                Kind::Replies => {
                    let replies = decode_replies(&body).map_err(|error| Reject::Decode { kind, error })?;
                    Ok(Opened::Replies(replies.into_iter().map(|reply| Verified::new(from, reply)).collect()))
                }
                Kind::Busy => plain(from, kind, &body).map(Opened::Busy),
                Kind::NeedSignature => plain(from, kind, &body).map(Opened::NeedSignature),
                _ => Err(Reject::Kind(kind)),
            },
            (Peer::Client(_), Peer::Client(_)) => Err(Reject::Kind(kind)),
        }
    }

    fn open_between_replicas(
        &self,
        from: Peer,
        kind: Kind,
        body: Bytes,
        known: &KnownDigests,
    ) -> Result<Opened, Reject> {
        match kind {
            Kind::Request => Ok(Opened::Request(Verified::new(from, self.request(body, known)?))),
            Kind::NeedSignature => plain(from, kind, &body).map(Opened::NeedSignature),
            Kind::PrePrepare => {
                self.pre_prepare(body, known).map(|message| Opened::PrePrepare(Verified::new(from, message)))
            }
            Kind::Prepare => plain(from, kind, &body).map(Opened::Prepare),
            Kind::Commit => plain(from, kind, &body).map(Opened::Commit),
            Kind::Decided => plain(from, kind, &body).map(Opened::Decided),
            Kind::Checkpoint => {
                let signed = self.checkpoint(body)?;
                Ok(Opened::Checkpoint(Verified::new(Peer::Replica(signed.sender), signed)))
            }
            Kind::Certificate => {
                let votes: Vec<Bytes> = decoded(kind, &body)?;
                let certificate = self.certificate(votes)?.ok_or(Reject::Invalid(kind))?;
                Ok(Opened::Certificate(Verified::new(from, certificate)))
            }
            Kind::ViewChange => {
                let signed = self.view_change(body)?;
                Ok(Opened::ViewChange(Verified::new(Peer::Replica(signed.sender), signed)))
            }
            Kind::NewView => {
                let proven = self.new_view(body)?;
                Ok(Opened::NewView(Verified::new(Peer::Replica(proven.new_view.sender), proven)))
            }
            Kind::Status => {
                let status: Verified<Status> = plain(from, kind, &body)?;
                let bitmap_bytes_max = (WINDOW_MAX as usize).div_ceil(8);
                let bitmaps_ok = [&status.prepared, &status.decided]
                    .iter()
                    .all(|bitmap| bitmap.bytes() <= bitmap_bytes_max);
                if bitmaps_ok { Ok(Opened::Status(status)) } else { Err(Reject::Invalid(kind)) }
            }
            Kind::Fetch => {
                let fetch: Verified<Fetch> = plain(from, kind, &body)?;
                let valid = match &*fetch {
                    Fetch::Batch { .. } => true,
                    Fetch::Nodes { nodes, .. } => nodes.len() <= NODES_PER_DATA_MAX,
                    Fetch::Pages { pages, .. } => pages.len() <= PAGES_PER_DATA_MAX,
                };
                if valid { Ok(Opened::Fetch(fetch)) } else { Err(Reject::Invalid(kind)) }
            }
            Kind::BatchData => {
                self.batch_data(body, known).map(|message| Opened::BatchData(Verified::new(from, message)))
            }
            Kind::PageData => {
                let data: Verified<PageData> = plain(from, kind, &body)?;
                let valid = data.pages.as_ref().is_none_or(|pages| pages.len() <= PAGES_PER_DATA_MAX);
                if valid { Ok(Opened::PageData(data)) } else { Err(Reject::Invalid(kind)) }
            }
            Kind::NodeData => {
                let data: Verified<NodeData> = plain(from, kind, &body)?;
                let valid = data.nodes.as_ref().is_none_or(|nodes| {
                    nodes.len() <= NODES_PER_DATA_MAX
                        && nodes.iter().all(|node| node.children.len() <= NODE_CHILDREN_MAX)
                });
                if valid { Ok(Opened::NodeData(data)) } else { Err(Reject::Invalid(kind)) }
            }
            Kind::Recall => plain(from, kind, &body).map(Opened::Recall),
            Kind::Recollection => {
                let recollection: Recollection = decoded(kind, &body)?;
                let votes_max = 2 * (self.window + self.interval) as usize;
                if recollection.known.len() != self.keyring.quorums.n()
                    || recollection.votes.len() > votes_max
                {
                    return Err(Reject::Invalid(kind));
                }
                let certificate = self.certificate(recollection.certificate.clone())?;
                let view_change =
                    recollection.view_change.clone().map(|wire| self.view_change(wire)).transpose()?;
                let proven = ProvenRecollection { recollection, certificate, view_change };
                Ok(Opened::Recollection(Verified::new(from, proven)))
            }
            Kind::Reply | Kind::Busy | Kind::Requests | Kind::Replies => Err(Reject::Kind(kind)),
        }
    }

    fn requests_of(&self, client: ClientId, body: &Bytes, known: &KnownDigests) -> Result<Opened, Reject> {
        let kind = Kind::Requests;
        let wires = decode_requests(body).map_err(|error| Reject::Decode { kind, error })?;
        let (mut good, mut dropped) = (Vec::with_capacity(wires.len()), Vec::new());
        for wire in wires {
            match self.request_among(client, wire, |core| known.digest_of(body, core)) {
                Ok(request) => good.push(request),
                Err(reject) => dropped.push(reject),
            }
        }
        Ok(Opened::Requests(good, dropped))
    }

    /// A request of a client that shares a frame. Signed ones never do: thousands of signatures at once
    /// would keep this replica from everything else.
    fn request_among(
        &self,
        client: ClientId,
        wire: Bytes,
        digest_of: impl FnOnce(&[u8]) -> Digest,
    ) -> Result<Verified<Request>, Reject> {
        let kind = Kind::Requests;
        let request = Request::decode(wire, digest_of).map_err(|error| Reject::Decode { kind, error })?;
        if request.is_signed() {
            return Err(Reject::Invalid(kind));
        }
        own(client, proven(request.checked(&self.keyring))?)
    }

    /// A request whose proof is good.
    fn request(&self, body: Bytes, known: &KnownDigests) -> Result<Request, Reject> {
        let kind = Kind::Request;
        let request = Request::decode(body.clone(), |core| known.digest_of(&body, core));
        proven(request.map_err(|error| Reject::Decode { kind, error })?.checked(&self.keyring))
    }

    fn pre_prepare(&self, body: Bytes, known: &KnownDigests) -> Result<PrePrepare, Reject> {
        let kind = Kind::PrePrepare;
        let wire: PrePrepareWire<'_> = decoded(kind, &body)?;
        check_batch_shape(kind, wire.choice.as_ref(), &wire.entries)?;
        let entry = |bytes: &Part| match <[u8; Digest::BYTES]>::try_from(&bytes[..]) {
            Ok(digest) => Ok(Entry::Digest(Digest(digest))),
            Err(_) => Request::decode(body.slice_ref(bytes), |core| known.digest_of(&body, core))
                .map(|request| Entry::Inline(request.checked(&self.keyring)))
                .map_err(|error| Reject::Decode { kind, error }),
        };
        let entries = wire.entries.into_iter().map(entry).collect::<Result<Vec<Entry>, _>>()?;
        let mut digests: Vec<Digest> = entries.iter().map(Entry::digest).collect();
        digests.sort_unstable();
        if digests.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Reject::Invalid(kind));
        }
        Ok(PrePrepare::new(wire.view, wire.seq, wire.choice, entries))
    }

    fn batch_data(&self, body: Bytes, known: &KnownDigests) -> Result<BatchData, Reject> {
        let kind = Kind::BatchData;
        let wire: BatchDataWire<'_> = decoded(kind, &body)?;
        check_batch_shape(kind, wire.choice.as_ref(), &wire.requests)?;
        let decode =
            |bytes: &&Part| Request::decode(body.slice_ref(bytes), |core| known.digest_of(&body, core));
        let requests = wire.requests.iter().map(decode).collect::<Result<_, _>>();
        let requests = requests.map_err(|error| Reject::Decode { kind, error })?;
        let batch = Batch::from_parts(wire.choice, requests).ok_or(Reject::Invalid(kind))?;
        Ok(BatchData { seq: wire.seq, batch: Arc::new(batch) })
    }

    fn signed<M: Serialize + DeserializeOwned>(
        &self,
        kind: Kind,
        wire: Bytes,
        limit: usize,
    ) -> Result<Signed<M>, Reject> {
        let key_of = |id| self.keyring.replica_key(id);
        Signed::open(wire, limit, kind, &self.keyring.binding, key_of)
            .map_err(|error| Reject::Decode { kind, error })?
            .ok_or(Reject::Proof(kind))
    }

    fn checkpoint(&self, wire: Bytes) -> Result<Signed<Checkpoint>, Reject> {
        let signed: Signed<Checkpoint> = self.signed(Kind::Checkpoint, wire, BODY_BYTES_MAX)?;
        let valid = signed.message.seq.is_checkpoint(self.interval);
        if valid { Ok(signed) } else { Err(Reject::Invalid(Kind::Checkpoint)) }
    }

    /// A certificate from its votes; none if there are none.
    fn certificate(&self, votes: Vec<Bytes>) -> Result<Option<Certificate>, Reject> {
        if votes.is_empty() {
            return Ok(None);
        }
        let kind = Kind::Certificate;
        if votes.len() > self.keyring.quorums.n() {
            return Err(Reject::Invalid(kind));
        }
        let votes = votes.into_iter().map(|vote| self.checkpoint(vote)).collect::<Result<Vec<_>, _>>()?;
        let Some(checkpoint) = votes.first().map(|vote| vote.message) else { return Ok(None) };
        let senders: ReplicaSet = votes.iter().map(|vote| vote.sender).collect();
        let one = votes.iter().all(|vote| vote.message == checkpoint);
        if !one || senders.len() != votes.len() || senders.len() < self.keyring.quorums.quorum() {
            return Err(Reject::Invalid(kind));
        }
        Ok(Some(Certificate { checkpoint, votes }))
    }

    fn view_change(&self, wire: Bytes) -> Result<Signed<ViewChange>, Reject> {
        let signed: Signed<ViewChange> = self.signed(Kind::ViewChange, wire, VIEW_CHANGE_BYTES_MAX)?;
        let valid = signed.message.is_valid(self.interval, self.window);
        if valid { Ok(signed) } else { Err(Reject::Invalid(Kind::ViewChange)) }
    }

    fn new_view(&self, wire: Bytes) -> Result<ProvenNewView, Reject> {
        let kind = Kind::NewView;
        let new_view: Signed<NewView> = self.signed(kind, wire, BODY_BYTES_MAX)?;
        let quorums = self.keyring.quorums;
        let view = new_view.message.view;
        if new_view.sender != quorums.primary(view) || new_view.message.view_changes.len() > quorums.n() {
            return Err(Reject::Invalid(kind));
        }
        let view_changes = new_view.message.view_changes.iter();
        let view_changes =
            view_changes.map(|wire| self.view_change(wire.clone())).collect::<Result<Vec<_>, _>>()?;
        let senders: ReplicaSet = view_changes.iter().map(|vote| vote.sender).collect();
        let valid = senders.len() == view_changes.len()
            && senders.len() >= quorums.quorum()
            && senders.contains(new_view.sender)
            && view_changes.iter().all(|vote| vote.message.view == view);
        if valid { Ok(ProvenNewView { new_view, view_changes }) } else { Err(Reject::Invalid(kind)) }
    }
}

/// A request whose proof was found to be good.
fn proven(request: Request) -> Result<Request, Reject> {
    match request.proof_state() {
        ProofState::Good => Ok(request),
        ProofState::UnknownEpoch => Err(Reject::UnknownEpoch),
        ProofState::Bad | ProofState::Unchecked => Err(Reject::Proof(Kind::Request)),
    }
}

/// A request of the client at the other end of the link.
fn own(client: ClientId, request: Request) -> Result<Verified<Request>, Reject> {
    let own = request.id().client == client;
    if own { Ok(Verified::new(Peer::Client(client), request)) } else { Err(Reject::Sender(Kind::Request)) }
}

fn check_batch_shape(kind: Kind, choice: Option<&Choice>, requests: &[&Part]) -> Result<(), Reject> {
    let extra = choice.map_or(0, |choice| choice.extra.len());
    let valid = requests.len() <= BATCH_REQUESTS_MAX
        && requests.iter().map(|request| request.len()).sum::<usize>() <= BATCH_BYTES_MAX
        && extra <= CHOICE_EXTRA_BYTES_MAX
        && choice.is_none() == requests.is_empty();
    if valid { Ok(()) } else { Err(Reject::Invalid(kind)) }
}

fn decoded<'b, T: Deserialize<'b>>(kind: Kind, body: &'b Bytes) -> Result<T, Reject> {
    codec::decode(body, BODY_BYTES_MAX).map_err(|error| Reject::Decode { kind, error })
}

fn plain<T: DeserializeOwned>(from: Peer, kind: Kind, body: &Bytes) -> Result<Verified<T>, Reject> {
    decoded(kind, body).map(|message| Verified::new(from, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Identity, MacKey};
    use crate::types::{Quorums, ReplicaId, SessionId, Timestamp};

    fn opens<M: Serialize>(kind: Kind, message: &M) -> bool {
        let own = Peer::Replica(ReplicaId(0));
        let quorums = Quorums::new(4).unwrap();
        let keys = (0..4).map(|id| Identity::simulated([id; 32]).public_key()).collect();
        let opener =
            Opener { keyring: Keyring::new(own, quorums, Binding::default(), keys), interval: 4, window: 8 };
        let body = codec::encode(message);
        assert!(body.len() < BODY_BYTES_MAX, "what is within its limits fits a frame");
        match opener.open(Peer::Replica(ReplicaId(1)), kind, body.into()) {
            Ok(_) => true,
            Err(Reject::Invalid(invalid)) if invalid == kind => false,
            Err(other) => unreachable!("{other}"),
        }
    }

    #[test]
    fn of_requests_in_one_frame_each_stands_for_itself() {
        let (own, client) = (Peer::Replica(ReplicaId(0)), ClientId(9));
        let keys = (0..4).map(|id| Identity::simulated([id; 32]).public_key()).collect();
        let mut keyring = Keyring::new(own, Quorums::new(4).unwrap(), Binding::default(), keys);
        keyring.insert_client(client, Identity::simulated([9; 32]).public_key());
        keyring.insert_request_key(client, 1, MacKey::new([1; 32]));
        keyring.insert_request_key(ClientId(8), 1, MacKey::new([1; 32]));
        let opener = Opener { keyring, interval: 4, window: 8 };
        let request = |client, timestamp, key| {
            let mut keys = RequestKeys::default();
            keys.insert(1, MacKey::new([key; 32]));
            let (session, answered_below) = (SessionId(1), Timestamp(1));
            let (timestamp, read_only, operation) = (Timestamp(timestamp), false, Bytes::from_static(b"op"));
            let operation = Operation { client, session, timestamp, answered_below, read_only, operation };
            let hints = Hints::default();
            Request::authenticated(operation, (0..4).map(|_| Some(&keys)), hints)
        };
        let good = [request(client, 1, 1), request(client, 4, 1)];
        let identity = Identity::simulated([9; 32]);
        let signed = Operation {
            client,
            session: SessionId(1),
            timestamp: Timestamp(5),
            answered_below: Timestamp(1),
            read_only: false,
            operation: Bytes::new(),
        };
        let hints = Hints::default();
        let signed = Request::signed(signed, &identity, &Binding::default(), hints);
        let of_another = request(ClientId(8), 3, 1);
        let all = [good[0].clone(), request(client, 2, 2), of_another, signed.clone(), good[1].clone()];
        let body: Bytes = encode_requests(&all).into();
        let opened = opener.open(Peer::Client(client), Kind::Requests, body.clone()).unwrap();
        let Opened::Requests(requests, dropped) = opened else { panic!("{opened:?}") };
        assert!(requests.iter().map(|request| &**request).eq(&good));
        assert!(requests.iter().all(|request| request.from() == Peer::Client(client)));
        let bad = [Reject::Proof(Kind::Request), Reject::Sender(Kind::Request)];
        assert_eq!(dropped[..2], bad);
        assert_eq!(dropped[2..], [Reject::Invalid(Kind::Requests)], "signed ones come one by one");
        assert!(opener.open(Peer::Client(client), Kind::Request, signed.wire().clone()).is_ok());
        let start = body.as_ptr() as usize;
        let within = start..start + body.len();
        assert!(requests.iter().all(|request| within.contains(&(request.operation().as_ptr() as usize))));
        let from_replica = opener.open(Peer::Replica(ReplicaId(1)), Kind::Requests, body);
        assert_eq!(
            from_replica,
            Err(Reject::Kind(Kind::Requests)),
            "a replica passes requests on one by one"
        );
    }

    #[test]
    fn what_is_asked_for_and_given_in_one_message_is_limited() {
        let (seq, ticket) = (Seq(u64::MAX), u64::MAX);
        let pages = |count| Fetch::Pages { seq, ticket, pages: vec![u64::MAX; count] };
        let nodes = |count| Fetch::Nodes { seq, ticket, nodes: vec![(u8::MAX, u64::MAX); count] };
        assert!(
            opens(Kind::Fetch, &pages(PAGES_PER_DATA_MAX)) && opens(Kind::Fetch, &nodes(NODES_PER_DATA_MAX))
        );
        assert!(!opens(Kind::Fetch, &pages(PAGES_PER_DATA_MAX + 1)));
        assert!(!opens(Kind::Fetch, &nodes(NODES_PER_DATA_MAX + 1)));

        let page = (u64::MAX, Bytes::from(vec![255; 4_096]));
        let data = |count| PageData { seq, ticket, pages: Some(vec![page.clone(); count]) };
        assert!(opens(Kind::PageData, &data(PAGES_PER_DATA_MAX)));
        assert!(!opens(Kind::PageData, &data(PAGES_PER_DATA_MAX + 1)));

        let node = |children| TreeNode {
            level: 1,
            index: u64::MAX,
            children: vec![(u8::MAX, Digest([255; Digest::BYTES])); children],
        };
        let data = |count, children| NodeData { seq, ticket, nodes: Some(vec![node(children); count]) };
        assert!(opens(Kind::NodeData, &data(NODES_PER_DATA_MAX, NODE_CHILDREN_MAX)));
        assert!(!opens(Kind::NodeData, &data(NODES_PER_DATA_MAX + 1, 1)));
        assert!(!opens(Kind::NodeData, &data(1, NODE_CHILDREN_MAX + 1)));
    }
}
