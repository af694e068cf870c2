use bytes::Bytes;

use super::hello::Hello;
use super::transcript::{Role, Transcript};
use super::wire::Wire;
use super::{Differences, Established, Failure, Fresh, HandshakeError, Introduction};
use crate::crypto::{Ephemeral, PublicKey};
use crate::message::Peer;
use crate::types::ReplicaId;

/// The end that connects, between its HELLO and the responder's.
#[derive(Debug)]
pub struct Initiator<E> {
    introduction: Introduction,
    expected: Peer,
    ephemeral: E,
    hello: Bytes,
}

impl<E: Ephemeral> Initiator<E> {
    /// Starts a handshake with the replica `expected`; the bytes are the first message.
    pub fn start(introduction: &Introduction, expected: ReplicaId, fresh: Fresh<E>) -> (Self, Bytes) {
        let expected = Peer::Replica(expected);
        let hello = Hello::new(introduction, expected, fresh.ephemeral.public(), fresh.nonce).encode();
        let message = Wire::InitiatorHello { hello: hello.clone() }.encode();
        (Self { introduction: introduction.clone(), expected, ephemeral: fresh.ephemeral, hello }, message)
    }

    /// Takes the responder's answer, whose signature must be that of `key`, the expected replica's;
    /// the bytes are the last message.
    pub fn on_hello(self, bytes: &[u8], key: &PublicKey) -> Result<(Established, Bytes), Failure> {
        let Wire::ResponderHello { hello: theirs, signature } = Wire::decode(bytes)? else {
            return Err(HandshakeError::Order.into());
        };
        let hello = Hello::decode(&theirs)?;
        let version = self.check(&hello)?;
        let transcript = Transcript { version, initiator_hello: &self.hello, responder_hello: &theirs };
        let differences = Differences::between(&self.introduction.entries, &hello.entries);
        if !key.verify(&transcript.for_responder().0, &signature) {
            return Err(HandshakeError::Signature { peer: hello.claimed, differences }.into());
        }
        let signed = self.introduction.identity.sign(&transcript.for_initiator(&signature).0);
        let finish = Wire::Finish { signature: Bytes::copy_from_slice(&signed.0) }.encode();
        if !differences.is_empty() {
            // The peer hears FINISH all the same: only then does it believe what it reports.
            let error = HandshakeError::Configuration { peer: hello.claimed, differences };
            return Err(Failure { error, answer: Some(finish) });
        }
        let secret =
            self.ephemeral.agree(&hello.ephemeral).ok_or(HandshakeError::Ephemeral(hello.claimed))?;
        Ok((transcript.established(&signature, &secret, Role::Initiator, &hello), finish))
    }

    fn check(&self, hello: &Hello) -> Result<u16, HandshakeError> {
        let version = hello.check(&self.introduction)?;
        if hello.claimed != self.expected {
            return Err(HandshakeError::WrongPeer { wanted: self.expected, found: hello.claimed });
        }
        if hello.ephemeral == self.ephemeral.public() {
            return Err(HandshakeError::Reflection);
        }
        Ok(version)
    }
}
