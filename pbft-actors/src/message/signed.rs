use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Binding, Kind};
use crate::codec::{self, DecodeError};
use crate::crypto::{Digest, Hasher, Identity, PublicKey, SIGNATURE_BYTES};
use crate::types::{LogId, ReplicaId};

/// A replica's signed message, with the exact bytes that were signed so that it can be passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed<M> {
    /// Who signed.
    pub sender: ReplicaId,
    /// The log it was signed under (PROTOCOL 11).
    pub log: LogId,
    /// What was signed.
    pub message: M,
    wire: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    body: Bytes,
    signature: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Body<M> {
    sender: ReplicaId,
    log: LogId,
    message: M,
}

impl<M> Signed<M> {
    /// The encoded message with its signature.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }
}

impl<M: Serialize + DeserializeOwned> Signed<M> {
    /// Decodes and checks a signed message of at most `limit` bytes; `None` in place of an error's
    /// details where the signature is wrong.
    pub(super) fn open(
        wire: Bytes,
        limit: usize,
        kind: Kind,
        binding: &Binding,
        key_of: impl Fn(ReplicaId) -> Option<PublicKey>,
    ) -> Result<Option<Self>, DecodeError> {
        let envelope: Envelope = codec::decode(&wire, limit)?;
        let body: Body<M> = codec::decode(&envelope.body, limit)?;
        let Some(key) = key_of(body.sender) else { return Ok(None) };
        if !key.verify(&signed_digest(kind, binding, &envelope.body).0, &envelope.signature) {
            return Ok(None);
        }
        Ok(Some(Self { sender: body.sender, log: body.log, message: body.message, wire }))
    }
}

/// What a replica signs with: its identity, under its current log.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Who signs.
    pub sender: ReplicaId,
    /// The current log.
    pub log: LogId,
    /// The secret key.
    pub identity: Identity,
    /// What every proof binds.
    pub binding: Binding,
}

impl Signer {
    /// Signs a message of the given kind.
    pub fn sign<M: Serialize>(&self, kind: Kind, message: M) -> Signed<M> {
        let body = codec::encode(&Body { sender: self.sender, log: self.log, message: &message });
        let signature = self.identity.sign(&signed_digest(kind, &self.binding, &body).0);
        debug_assert_eq!(signature.0.len(), SIGNATURE_BYTES);
        let envelope = Envelope { body: body.into(), signature: Bytes::copy_from_slice(&signature.0) };
        let wire = codec::encode(&envelope).into();
        Signed { sender: self.sender, log: self.log, message, wire }
    }
}

/// What a signature of any kind covers.
pub(super) fn signed_digest(kind: Kind, binding: &Binding, body: &[u8]) -> Digest {
    let mut hasher = Hasher::new("pbft signed message");
    binding.hash_into(&mut hasher);
    hasher.number(kind as u64).part(body);
    hasher.finish()
}
