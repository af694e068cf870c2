use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::keyring::{request_tag, request_tag_is_good};
use super::signed::signed_digest;
use super::{BODY_BYTES_MAX, Binding, Keyring, Kind, OPERATION_BYTES_MAX, Peer, RequestKeys};
use crate::codec::{self, DecodeError};
use crate::crypto::{Digest, Hasher, Identity, TAG_BYTES};
use crate::types::{ClientId, LogId, ReplicaId, RequestId, Seq, SessionId, Timestamp};

/// An authenticator's entry for one replica: the key's epoch, big-endian, then the tag.
const ENTRY_BYTES: usize = 4 + TAG_BYTES;

/// The longest proof: an entry for every replica.
const PROOF_BYTES_MAX: usize = crate::types::REPLICAS_MAX * ENTRY_BYTES;

/// What a request adds to its core and its proof at most, bytes.
const WIRE_OVERHEAD_BYTES: usize = 24;

/// What a client asks for, before it is proven. The request digest covers all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// The client.
    pub client: ClientId,
    /// Its session.
    pub session: SessionId,
    /// The number within the session.
    pub timestamp: Timestamp,
    /// Every timestamp below this one is answered; fixed when first sent.
    pub answered_below: Timestamp,
    /// Whether the state must not change.
    pub read_only: bool,
    /// The service's own bytes.
    pub operation: Bytes,
}

/// What the operation of a replica's own request says: its REJOIN (PROTOCOL 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RejoinOperation {
    /// The new log.
    pub log: LogId,
    /// R: the replica abstains until its stable checkpoint is here.
    pub target: Seq,
}

/// Wishes of the client that are no part of the request's identity. Its proof covers them, or a replica that passes
/// the request on could have answers sent that help nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hints {
    /// The one replica that sends a long result in full, the others its digest; none: all send it.
    pub replier: Option<ReplicaId>,
    /// A read-only request is ordered, like any other, instead of being answered at once.
    pub ordered: bool,
}

/// How a request is proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// One MAC per replica; cannot be shown to a third.
    Macs(Bytes),
    /// The client's signature; everyone can check it.
    Signature(Bytes),
}

/// What this replica found when it checked a request's proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ProofState {
    /// The own MAC, or the signature, is right.
    Good,
    /// The entry names a key epoch that is not known here: nobody's fault.
    UnknownEpoch,
    /// The proof is wrong.
    Bad,
    /// Not looked at: vouched for by others, or by a digest.
    Unchecked,
}

/// A request with its proof. Cheap to clone.
#[derive(Clone)]
pub struct Request(Arc<Parts>);

struct Parts {
    operation: Operation,
    digest: Digest,
    proof: Proof,
    hints: Hints,
    state: ProofState,
    wire: Bytes,
}

/// A request on the wire. Its byte fields are parts of the frame that it came in: nothing is copied.
#[derive(Serialize, Deserialize)]
struct Wire<'w> {
    #[serde(borrow, with = "serde_bytes")]
    core: &'w [u8],
    #[serde(borrow, with = "serde_bytes")]
    macs: &'w [u8],
    #[serde(borrow, with = "serde_bytes")]
    signature: &'w [u8],
    hints: Hints,
}

/// Bytes of what comes before the service's own in `Wire::core`: client, session, timestamp and
/// answered-below, big-endian, then 1 for read-only or 0.
const CORE_BYTES: usize = 4 + 8 + 8 + 8 + 1;

impl Operation {
    fn core(&self) -> Vec<u8> {
        let mut core = Vec::with_capacity(CORE_BYTES + self.operation.len());
        core.put_u32(self.client.0);
        core.put_u64(self.session.0);
        core.put_u64(self.timestamp.0);
        core.put_u64(self.answered_below.0);
        core.put_u8(self.read_only.into());
        core.put_slice(&self.operation);
        core
    }

    /// Decodes what [`Self::core`] made; the service's own bytes stay a part of `wire`.
    fn of_core(mut core: &[u8], wire: &Bytes) -> Result<Self, DecodeError> {
        if core.len() < CORE_BYTES {
            return Err(DecodeError::Malformed("an operation without its head".to_owned()));
        }
        let (client, session) = (ClientId(core.get_u32()), SessionId(core.get_u64()));
        let (timestamp, answered_below) = (Timestamp(core.get_u64()), Timestamp(core.get_u64()));
        let read_only = match core.get_u8() {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Malformed("neither read-only nor not".to_owned())),
        };
        let (length, limit) = (core.len(), OPERATION_BYTES_MAX);
        if length > limit {
            return Err(DecodeError::TooLong { length, limit });
        }
        let operation = wire.slice_ref(core);
        Ok(Self { client, session, timestamp, answered_below, read_only, operation })
    }
}

impl Request {
    /// Signs an operation.
    pub fn signed(operation: Operation, identity: &Identity, binding: &Binding, hints: Hints) -> Self {
        let core = operation.core();
        let digest = digest_of(&core);
        let covered = covered(&digest, hints);
        let signature = identity.sign(&signed_digest(Kind::Request, binding, &covered).0);
        Self::assemble(operation, core, digest, Proof::Signature(Bytes::copy_from_slice(&signature.0)), hints)
    }

    /// Proves an operation to every replica by one MAC each. `keys` are in the order of their ids;
    /// where one is missing the entry proves nothing.
    pub fn authenticated<'k>(
        operation: Operation,
        keys: impl Iterator<Item = Option<&'k RequestKeys>>,
        hints: Hints,
    ) -> Self {
        let core = operation.core();
        let digest = digest_of(&core);
        let covered = covered(&digest, hints);
        let mut entries = Vec::with_capacity(keys.size_hint().0 * ENTRY_BYTES);
        for keys in keys {
            match keys.and_then(RequestKeys::newest) {
                Some((epoch, key)) => {
                    entries.put_u32(epoch);
                    entries.put_slice(&request_tag(key, &covered));
                }
                None => entries.put_bytes(0, ENTRY_BYTES),
            }
        }
        Self::assemble(operation, core, digest, Proof::Macs(entries.into()), hints)
    }

    fn assemble(operation: Operation, core: Vec<u8>, digest: Digest, proof: Proof, hints: Hints) -> Self {
        let (macs, signature): (&[u8], &[u8]) = match &proof {
            Proof::Macs(macs) => (macs, &[]),
            Proof::Signature(signature) => (&[], signature),
        };
        let about = core.len() + macs.len() + signature.len() + WIRE_OVERHEAD_BYTES;
        let wire = codec::encode_large(&Wire { core: &core, macs, signature, hints }, about).into();
        Self(Arc::new(Parts { operation, digest, proof, hints, state: ProofState::Good, wire }))
    }

    /// Decodes a request without looking at its proof; the digest of its core may be known.
    pub(super) fn decode(wire: Bytes, digest_of: impl FnOnce(&[u8]) -> Digest) -> Result<Self, DecodeError> {
        let Wire { core, macs, signature, hints } = codec::decode(&wire, BODY_BYTES_MAX)?;
        if !macs.is_empty() && !signature.is_empty() {
            return Err(DecodeError::Malformed("both MACs and a signature".to_owned()));
        }
        // Else one request could make every batch that holds it larger than a batch may be.
        let (length, limit) = (macs.len().max(signature.len()), PROOF_BYTES_MAX);
        if length > limit {
            return Err(DecodeError::TooLong { length, limit });
        }
        let operation = Operation::of_core(core, &wire)?;
        let digest = digest_of(core);
        let proof = match signature {
            [] => Proof::Macs(wire.slice_ref(macs)),
            _ => Proof::Signature(wire.slice_ref(signature)),
        };
        Ok(Self(Arc::new(Parts { operation, digest, proof, hints, state: ProofState::Unchecked, wire })))
    }

    /// A request that was only decoded, with its proof checked as the owner of `keyring`.
    pub(super) fn checked(mut self, keyring: &Keyring) -> Self {
        let state = self.check(keyring);
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.state = state;
        }
        self
    }

    fn check(&self, keyring: &Keyring) -> ProofState {
        let client = self.id().client;
        let covered = covered(self.digest(), self.hints());
        match self.proof() {
            Proof::Signature(signature) => {
                let signed = signed_digest(Kind::Request, &keyring.binding, &covered);
                match keyring.public_key(Peer::Client(client)) {
                    Some(key) if key.verify(&signed.0, signature) => ProofState::Good,
                    Some(_) => ProofState::Bad,
                    None => ProofState::UnknownEpoch,
                }
            }
            // Only a signature opens a session or speaks for a replica.
            Proof::Macs(_) if self.is_opening() || client.replica().is_some() => ProofState::Bad,
            Proof::Macs(macs) => {
                let Peer::Replica(own) = keyring.own else { return ProofState::Bad };
                let start = own.index() * ENTRY_BYTES;
                let Some((epoch, tag)) =
                    macs.get(start..start + ENTRY_BYTES).and_then(|entry| entry.split_first_chunk::<4>())
                else {
                    return ProofState::Bad;
                };
                let epoch = u32::from_be_bytes(*epoch);
                match keyring.request_keys(client).and_then(|keys| keys.of_epoch(epoch)) {
                    Some(key) if request_tag_is_good(key, &covered, tag) => ProofState::Good,
                    Some(_) => ProofState::Bad,
                    None => ProofState::UnknownEpoch,
                }
            }
        }
    }

    /// The name the client calls it by.
    pub fn id(&self) -> RequestId {
        let Operation { client, session, timestamp, .. } = self.0.operation;
        RequestId { client, session, timestamp }
    }

    /// The request's identity through retransmission and any path.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Every timestamp below this one is answered.
    pub fn answered_below(&self) -> Timestamp {
        self.0.operation.answered_below
    }

    /// Whether the state must not change.
    pub fn is_read_only(&self) -> bool {
        self.0.operation.read_only
    }

    /// Whether it opens a session.
    pub fn is_opening(&self) -> bool {
        self.0.operation.timestamp == Timestamp::OPENING
    }

    /// The service's own bytes.
    pub fn operation(&self) -> &Bytes {
        &self.0.operation.operation
    }

    /// How it is proven.
    pub fn proof(&self) -> &Proof {
        &self.0.proof
    }

    /// Whether it carries a signature.
    pub fn is_signed(&self) -> bool {
        matches!(self.0.proof, Proof::Signature(_))
    }

    /// The client's wishes.
    pub fn hints(&self) -> Hints {
        self.0.hints
    }

    /// What this replica found when it checked the proof.
    pub fn proof_state(&self) -> ProofState {
        self.0.state
    }

    /// The encoded request as it arrived.
    pub fn wire(&self) -> &Bytes {
        &self.0.wire
    }

    /// Length of what its digest is of.
    pub(super) fn core_bytes(&self) -> usize {
        CORE_BYTES + self.0.operation.operation.len()
    }

    /// What a client with this id and window may have sent: `answered_below <= t < answered_below + w`.
    pub fn is_within(&self, window: u64) -> bool {
        let below = self.answered_below();
        let timestamp = self.id().timestamp;
        below <= timestamp && timestamp.0 < below.0.saturating_add(window)
    }
}

/// The core of an encoded request; none if it is no request.
pub(super) fn core_of(wire: &[u8]) -> Option<&[u8]> {
    codec::decode::<Wire<'_>>(wire, BODY_BYTES_MAX).ok().map(|wire| wire.core)
}

/// The digest of a request with this core.
pub(super) fn digest_of(core: &[u8]) -> Digest {
    let mut hasher = Hasher::new("pbft request");
    hasher.part(core);
    hasher.finish()
}

/// What a proof covers: the request, and what the client wishes for it.
fn covered(digest: &Digest, hints: Hints) -> [u8; Digest::BYTES + 2] {
    let mut covered = [0; Digest::BYTES + 2];
    covered[..Digest::BYTES].copy_from_slice(&digest.0);
    // No replica has this number.
    covered[Digest::BYTES] = hints.replier.map_or(u8::MAX, |replier| replier.0);
    covered[Digest::BYTES + 1] = hints.ordered.into();
    covered
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest && self.0.proof == other.0.proof
    }
}

impl Eq for Request {}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proof = if self.is_signed() { "signed" } else { "MACs" };
        write!(f, "Request({} {} {proof} {:?})", self.id(), self.digest(), self.proof_state())
    }
}

/// A replica could not verify a request: the receiver sends it signed if it holds it so, and a
/// client of whom it is sends it signed to all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NeedSignature {
    /// Whose request.
    pub client: ClientId,
    /// Which one.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::MacKey;
    use crate::types::Quorums;

    #[test]
    fn a_proof_covers_what_the_client_wishes() {
        let (identity, binding) = (Identity::simulated([9; 32]), Binding::default());
        let replicas = (0..4).map(|id| Identity::simulated([id; 32]).public_key()).collect();
        let quorums = Quorums::new(4).expect("a group of four");
        let mut keyring = Keyring::new(Peer::Replica(ReplicaId(1)), quorums, binding, replicas);
        keyring.insert_client(ClientId(1), identity.public_key());
        keyring.insert_request_key(ClientId(1), 1, MacKey::new([7; 32]));
        let mut keys = RequestKeys::default();
        keys.insert(1, MacKey::new([7; 32]));
        let operation = Operation {
            client: ClientId(1),
            session: SessionId(1),
            timestamp: Timestamp(1),
            answered_below: Timestamp(1),
            read_only: true,
            operation: Bytes::from_static(b"read"),
        };
        let wished = Hints { replier: Some(ReplicaId(2)), ordered: false };
        let by_macs = Request::authenticated(operation.clone(), (0..4).map(|_| Some(&keys)), wished);
        let signed = Request::signed(operation.clone(), &identity, &binding, wished);
        for request in [by_macs, signed] {
            assert_eq!(request.check(&keyring), ProofState::Good);
            for hints in [Hints { replier: None, ..wished }, Hints { ordered: true, ..wished }] {
                let (proof, core) = (request.proof().clone(), operation.core());
                let changed = Request::assemble(operation.clone(), core, *request.digest(), proof, hints);
                assert_eq!(changed.check(&keyring), ProofState::Bad, "{hints:?}");
            }
        }
    }
}
