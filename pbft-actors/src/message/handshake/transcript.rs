use super::hello::Hello;
use crate::crypto::{Digest, Hasher, KeySchedule, MacKey, SharedSecret};
use crate::message::{LinkKeys, Peer};
use crate::types::LogId;

/// What a handshake that ended well gives to one end.
#[derive(Clone, Debug)]
pub struct Established {
    /// The peer, who proved itself.
    pub peer: Peer,
    /// The peer's log; the default for a client.
    pub log: LogId,
    /// The protocol version that both speak.
    pub version: u16,
    /// This end's keys for the frames of this connection.
    pub keys: LinkKeys,
    /// The key for requests between a client and this replica with its epoch; none between replicas.
    pub request_key: Option<(u32, MacKey)>,
}

/// Who started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Initiator,
    Responder,
}

/// Everything said, as the bytes that went over the wire.
pub(super) struct Transcript<'a> {
    pub(super) version: u16,
    pub(super) initiator_hello: &'a [u8],
    pub(super) responder_hello: &'a [u8],
}

impl Transcript<'_> {
    /// What the responder signs.
    pub(super) fn for_responder(&self) -> Digest {
        self.hasher("pbft handshake: responder").finish()
    }

    /// What the initiator signs.
    pub(super) fn for_initiator(&self, responder_signature: &[u8]) -> Digest {
        let mut hasher = self.hasher("pbft handshake: initiator");
        hasher.part(responder_signature);
        hasher.finish()
    }

    /// The keys of the end that is `role` and that heard `peer`.
    pub(super) fn established(
        &self,
        responder_signature: &[u8],
        secret: &SharedSecret,
        role: Role,
        peer: &Hello,
    ) -> Established {
        let mut hasher = self.hasher("pbft handshake: keys");
        hasher.part(responder_signature);
        let salt = hasher.finish();
        let schedule = KeySchedule::new(&salt, secret);
        let from_initiator = schedule.key("pbft link: initiator to responder");
        let from_responder = schedule.key("pbft link: responder to initiator");
        let keys = match role {
            Role::Initiator => LinkKeys { send: from_initiator, receive: from_responder },
            Role::Responder => LinkKeys { send: from_responder, receive: from_initiator },
        };
        let with_client = matches!(peer.claimed, Peer::Client(_)) || matches!(peer.expected, Peer::Client(_));
        let request_key = with_client.then(|| (epoch(&salt), schedule.key("pbft request key")));
        Established { peer: peer.claimed, log: peer.log, version: self.version, keys, request_key }
    }

    fn hasher(&self, domain: &str) -> Hasher {
        let mut hasher = Hasher::new(domain);
        hasher.number(u64::from(self.version)).part(self.initiator_hello).part(self.responder_hello);
        hasher
    }
}

/// The request key's number: authenticators name it.
fn epoch(salt: &Digest) -> u32 {
    let mut hasher = Hasher::new("pbft request key epoch");
    hasher.part(&salt.0);
    let [a, b, c, d, ..] = hasher.finish().0;
    u32::from_be_bytes([a, b, c, d])
}
