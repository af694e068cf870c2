use bytes::Bytes;

use super::hello::Hello;
use super::transcript::{Role, Transcript};
use super::wire::Wire;
use super::{Differences, Established, Failure, Fresh, HandshakeError, Introduction};
use crate::crypto::{Ephemeral, PublicKey};
use crate::message::Peer;

/// The end that was called, between its HELLO and the initiator's FINISH.
#[derive(Debug)]
pub struct Responder<E> {
    version: u16,
    ephemeral: E,
    initiator: Hello,
    initiator_key: PublicKey,
    initiator_hello: Bytes,
    responder_hello: Bytes,
    signature: Bytes,
    differences: Differences,
}

impl<E: Ephemeral> Responder<E> {
    /// Takes the initiator's HELLO; the bytes are the answer.
    ///
    /// `key_of` is the directory. `fresh` is called, and a signature made, only for a peer that it
    /// names and that wants this node.
    pub fn on_hello(
        introduction: &Introduction,
        bytes: &[u8],
        key_of: impl FnOnce(Peer) -> Option<PublicKey>,
        fresh: impl FnOnce() -> Fresh<E>,
    ) -> Result<(Self, Bytes), Failure> {
        let Wire::InitiatorHello { hello: initiator_hello } = Wire::decode(bytes)? else {
            return Err(HandshakeError::Order.into());
        };
        let initiator = Hello::decode(&initiator_hello)?;
        let version = initiator.check(introduction)?;
        let initiator_key = known(initiator.claimed, key_of)?;
        let fresh = fresh();
        let own = Hello::new(introduction, initiator.claimed, fresh.ephemeral.public(), fresh.nonce);
        let responder_hello = own.encode();
        let transcript =
            Transcript { version, initiator_hello: &initiator_hello, responder_hello: &responder_hello };
        let signature = introduction.identity.sign(&transcript.for_responder().0);
        let signature = Bytes::copy_from_slice(&signature.0);
        let answer = Wire::ResponderHello { hello: responder_hello.clone(), signature: signature.clone() };
        let differences = Differences::between(&introduction.entries, &initiator.entries);
        let responder = Self {
            version,
            ephemeral: fresh.ephemeral,
            initiator,
            initiator_key,
            initiator_hello,
            responder_hello,
            signature,
            differences,
        };
        Ok((responder, answer.encode()))
    }

    /// Who the initiator claims to be.
    pub fn claimed(&self) -> Peer {
        self.initiator.claimed
    }

    /// Takes the initiator's FINISH. Nothing is answered any more: to the initiator the handshake is over.
    pub fn on_finish(self, bytes: &[u8]) -> Result<Established, HandshakeError> {
        let (peer, differences) = (self.initiator.claimed, self.differences);
        let signature = match Wire::decode(bytes) {
            Ok(Wire::Finish { signature }) => signature,
            Ok(_) => return Err(HandshakeError::Order),
            Err(HandshakeError::Refused { reason, .. }) => {
                return Err(HandshakeError::Refused { reason, differences });
            }
            Err(error) => return Err(error),
        };
        let transcript = Transcript {
            version: self.version,
            initiator_hello: &self.initiator_hello,
            responder_hello: &self.responder_hello,
        };
        if !self.initiator_key.verify(&transcript.for_initiator(&self.signature).0, &signature) {
            return Err(HandshakeError::Signature { peer, differences });
        }
        if !differences.is_empty() {
            return Err(HandshakeError::Configuration { peer, differences });
        }
        let secret =
            self.ephemeral.agree(&self.initiator.ephemeral).ok_or(HandshakeError::Ephemeral(peer))?;
        Ok(transcript.established(&self.signature, &secret, Role::Responder, &self.initiator))
    }
}

/// The key of a peer that may connect. A replica never connects under its client's number.
fn known(peer: Peer, key_of: impl FnOnce(Peer) -> Option<PublicKey>) -> Result<PublicKey, HandshakeError> {
    let disguised = matches!(peer, Peer::Client(id) if id.replica().is_some());
    let key = if disguised { None } else { key_of(peer) };
    key.ok_or(HandshakeError::UnknownIdentity(peer))
}
