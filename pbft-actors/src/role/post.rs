//! What one turn sends: requests to one replica, and replies to one client, share frames. Every carrier
//! sends through it.

use std::collections::BTreeMap;

use super::Message;
use crate::message::{
    BUNDLE_BYTES_MAX, BUNDLE_MESSAGES_MAX, Kind, Payload, Peer, Reply, Request, encode_replies,
    encode_requests, go_together, reply_bytes,
};
use crate::types::{ClientId, ReplicaId};

/// A message for one or more peers, encoded once.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The peers; never this node itself.
    pub to: Vec<Peer>,
    /// The message.
    pub payload: Payload,
}

/// Messages that wait for the end of the turn.
#[derive(Default)]
pub(crate) struct Post {
    outbound: Vec<Outbound>,
    requests: BTreeMap<ReplicaId, Vec<Request>>,
    replies: BTreeMap<ClientId, Vec<Reply>>,
}

impl Post {
    /// Whether nothing is to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.outbound.is_empty() && self.requests.is_empty() && self.replies.is_empty()
    }

    /// Adds what a replica sends.
    pub(crate) fn of_replica(&mut self, to: Vec<Peer>, message: Message) {
        match (&to[..], message) {
            ([Peer::Client(to)], Message::Reply(reply)) => self.replies.entry(*to).or_default().push(reply),
            (_, message) => self.add(to, &message),
        }
    }

    /// Adds what a client sends; its requests with MACs share frames, signed ones travel one by one.
    pub(crate) fn of_client(&mut self, to: Vec<Peer>, message: Message) {
        match (&to[..], message) {
            ([Peer::Replica(to)], Message::Request(request)) if !request.is_signed() => {
                self.requests.entry(*to).or_default().push(request);
            }
            (_, message) => self.add(to, &message),
        }
    }

    fn add(&mut self, to: Vec<Peer>, message: &Message) {
        self.outbound.push(Outbound { to, payload: message.payload() });
    }

    /// Takes everything, in as few frames as their limits allow.
    pub(crate) fn take(&mut self) -> Vec<Outbound> {
        let mut outbound = std::mem::take(&mut self.outbound);
        for (to, requests) in std::mem::take(&mut self.requests) {
            let bytes = |request: &Request| request.wire().len();
            for some in bundles(&requests, bytes) {
                let payload = match some {
                    [request] => Message::Request(request.clone()).payload(),
                    some => Payload::of_requests(Kind::Requests, encode_requests(some).into(), some.iter()),
                };
                outbound.push(Outbound { to: vec![Peer::Replica(to)], payload });
            }
        }
        for (to, replies) in std::mem::take(&mut self.replies) {
            for some in replies.chunk_by(go_together).flat_map(|alike| bundles(alike, reply_bytes)) {
                outbound.push(Outbound { to: vec![Peer::Client(to)], payload: payload_of(some) });
            }
        }
        outbound
    }
}

fn payload_of(replies: &[Reply]) -> Payload {
    match replies {
        [reply] => Message::Reply(reply.clone()).payload(),
        several => Payload::new(Kind::Replies, encode_replies(several).into()),
    }
}

/// Cuts messages into runs that one frame may hold; one message of any size always may.
fn bundles<'m, M>(mut messages: &'m [M], bytes: impl Fn(&M) -> usize + 'm) -> impl Iterator<Item = &'m [M]> {
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = |message: &&M| {
            sum += bytes(message);
            sum <= BUNDLE_BYTES_MAX
        };
        let count = messages.iter().take(BUNDLE_MESSAGES_MAX).take_while(fits).count();
        let (some, rest) = messages.split_at(count.max(1).min(messages.len()));
        messages = rest;
        (!some.is_empty()).then_some(some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_a_frame_would_be_too_long_and_every_message_is_in_one() {
        let lengths = |messages: &[usize]| -> Vec<usize> {
            bundles(messages, |bytes| *bytes).map(<[usize]>::len).collect()
        };
        let half = BUNDLE_BYTES_MAX / 2;
        assert!(lengths(&[]).is_empty());
        assert_eq!(lengths(&[2 * BUNDLE_BYTES_MAX, 1, 1]), [1, 2]);
        assert_eq!(lengths(&[half, half, half, 1]), [2, 2]);
        assert_eq!(lengths(&vec![1; BUNDLE_MESSAGES_MAX + 1]), [BUNDLE_MESSAGES_MAX, 1]);
    }
}
