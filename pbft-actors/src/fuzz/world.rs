//! The group that all targets belong to, and how bytes that nobody signed get a signature.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec;
use crate::crypto::Hasher;
use crate::message::Kind;
use crate::model::{Group, Tally, identity_of};
use crate::types::ReplicaId;

/// K of that group.
pub(super) const INTERVAL: u64 = 4;

pub(super) fn group() -> Group {
    Group::new(INTERVAL, Arc::new(Tally))
}

/// A signed message of these bytes, whatever they are: what `Signed` decodes.
pub(super) fn sign(kind: Kind, sender: ReplicaId, body: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new("pbft signed message");
    group().binding().hash_into(&mut hasher);
    hasher.number(kind as u64).part(body);
    let signature = identity_of(sender).sign(&hasher.finish().0);
    codec::encode(&(Bytes::copy_from_slice(body), Bytes::copy_from_slice(&signature.0)))
}

/// The bytes that a signed message's signature covers, the inverse of [`sign`].
pub(super) fn signed_part(wire: &[u8]) -> Bytes {
    let (body, _): (Bytes, Bytes) = codec::decode(wire, usize::MAX).expect("a signed message");
    body
}
