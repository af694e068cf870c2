//! Many requests of a client, or many replies to one, in one frame: one tag of the link covers what as
//! many frames would say, with every field of theirs. A request keeps its own proof.

use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes as Part;

use super::{
    BODY_BYTES_MAX, BUNDLE_MESSAGES_MAX, Outcome, REFUSAL_DETAIL_BYTES_MAX, Reply, ReplyResult, Request,
};
use crate::codec::{self, DecodeError};
use crate::crypto::Digest;
use crate::types::{ClientId, RequestId, Seq, SessionId, Timestamp, View};

/// What a request adds to its own bytes at most.
const REQUEST_OVERHEAD_BYTES: usize = 5;
/// What the names and numbers of an outcome without a result take at most, bytes.
const OUTCOME_OVERHEAD_BYTES: usize = 64;

/// Encodes requests as they are.
pub(crate) fn encode_requests(requests: &[Request]) -> Vec<u8> {
    let parts: Vec<&Part> = requests.iter().map(|request| Part::new(request.wire())).collect();
    let about = parts.iter().map(|part| part.len() + REQUEST_OVERHEAD_BYTES).sum();
    codec::encode_large(&parts, about)
}

/// The encoded requests, each a slice of the body.
pub(super) fn decode_requests(body: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let parts: Vec<&Part> = codec::decode(body, BODY_BYTES_MAX)?;
    check_count(parts.len())?;
    Ok(parts.into_iter().map(|part| body.slice_ref(part)).collect())
}

/// Replies to one client that differ in nothing else than what each entry says.
///
/// | bytes of an entry | field, big-endian |
/// |---|---|
/// | 0..8 | timestamp of the request |
/// | 8..40 | digest of the request |
/// | 40..48 | seq |
/// | 48 | what the result is: `DONE`, `OUTCOME` or `DIGEST` |
/// | 49..53 | length of the result |
/// | 53.. | the result |
#[derive(Serialize, Deserialize)]
struct RepliesWire<'w> {
    view: View,
    tentative: bool,
    client: ClientId,
    session: SessionId,
    count: usize,
    #[serde(borrow)]
    entries: &'w Part,
}

/// What an entry adds to its result, bytes.
const ENTRY_BYTES: usize = 8 + Digest::BYTES + 8 + 1 + 4;
/// What the other fields take at most, bytes.
const HEAD_BYTES: usize = 64;

/// The bytes of a result are those of [`Outcome::Done`].
const DONE: u8 = 0;
/// They are another outcome, encoded.
const OUTCOME: u8 = 1;
/// They are the digest of an outcome.
const DIGEST: u8 = 2;

/// Whether two replies may share a frame.
pub(crate) fn go_together(one: &Reply, other: &Reply) -> bool {
    let shared = |reply: &Reply| (reply.view, reply.tentative, reply.request.client, reply.request.session);
    shared(one) == shared(other)
}

/// Encodes replies that all go together.
///
/// # Panics
/// If there are none.
pub(crate) fn encode_replies(replies: &[Reply]) -> Vec<u8> {
    let first = replies.first().expect("a frame is made for replies that are there");
    let about = replies.iter().map(reply_bytes).sum();
    let mut entries = Vec::with_capacity(about);
    for reply in replies {
        debug_assert!(go_together(first, reply));
        entries.put_u64(reply.request.timestamp.0);
        entries.put_slice(&reply.request_digest.0);
        entries.put_u64(reply.seq.0);
        match &reply.result {
            ReplyResult::Full(Outcome::Done(result)) => put_result(&mut entries, DONE, result),
            ReplyResult::Full(outcome) => put_result(&mut entries, OUTCOME, &codec::encode(outcome)),
            ReplyResult::Digest(digest) => put_result(&mut entries, DIGEST, &digest.0),
        }
    }
    let RequestId { client, session, .. } = first.request;
    let (count, entries) = (replies.len(), Part::new(&entries));
    let wire = RepliesWire { view: first.view, tentative: first.tentative, client, session, count, entries };
    codec::encode_large(&wire, HEAD_BYTES + about)
}

fn put_result(entries: &mut Vec<u8>, form: u8, result: &[u8]) {
    entries.put_u8(form);
    entries.put_u32(result.len() as u32);
    entries.put_slice(result);
}

/// About how long a reply among others is, bytes.
pub(crate) fn reply_bytes(reply: &Reply) -> usize {
    let result = match &reply.result {
        ReplyResult::Full(Outcome::Done(result)) => result.len(),
        ReplyResult::Full(Outcome::Refused(_)) => REFUSAL_DETAIL_BYTES_MAX + OUTCOME_OVERHEAD_BYTES,
        ReplyResult::Full(_) => OUTCOME_OVERHEAD_BYTES,
        ReplyResult::Digest(_) => Digest::BYTES,
    };
    result + ENTRY_BYTES
}

pub(super) fn decode_replies(body: &Bytes) -> Result<Vec<Reply>, DecodeError> {
    let wire: RepliesWire<'_> = codec::decode(body, BODY_BYTES_MAX)?;
    check_count(wire.count)?;
    let mut rest: &[u8] = wire.entries;
    // No more than what is there can hold.
    let mut replies = Vec::with_capacity(wire.count.min(rest.len() / ENTRY_BYTES));
    for _ in 0..wire.count {
        let (entry, result);
        (entry, rest) = rest.split_at_checked(ENTRY_BYTES).ok_or_else(cut)?;
        let entry = Entry::of(entry);
        (result, rest) = rest.split_at_checked(entry.length).ok_or_else(cut)?;
        replies.push(entry.reply(&wire, result)?);
    }
    if rest.is_empty() { Ok(replies) } else { Err(DecodeError::Trailing(rest.len())) }
}

/// The fields of an entry that have a fixed length.
struct Entry {
    timestamp: Timestamp,
    request_digest: Digest,
    seq: Seq,
    form: u8,
    length: usize,
}

impl Entry {
    /// From [`ENTRY_BYTES`] bytes.
    fn of(mut bytes: &[u8]) -> Self {
        let timestamp = Timestamp(bytes.get_u64());
        let mut request_digest = Digest::default();
        bytes.copy_to_slice(&mut request_digest.0);
        let (seq, form, length) = (Seq(bytes.get_u64()), bytes.get_u8(), bytes.get_u32() as usize);
        Self { timestamp, request_digest, seq, form, length }
    }

    fn reply(self, wire: &RepliesWire<'_>, bytes: &[u8]) -> Result<Reply, DecodeError> {
        let RepliesWire { view, tentative, client, session, .. } = *wire;
        let Self { timestamp, request_digest, seq, form, .. } = self;
        let result = match form {
            // Copied: whoever keeps a small result must not keep a whole read of a socket.
            DONE => ReplyResult::Full(Outcome::Done(Bytes::copy_from_slice(bytes))),
            OUTCOME => ReplyResult::Full(codec::decode(bytes, BODY_BYTES_MAX)?),
            DIGEST => {
                let digest = bytes.try_into().map(Digest);
                ReplyResult::Digest(digest.map_err(|_| malformed("a digest of another length"))?)
            }
            _ => return Err(malformed("a result of unknown form")),
        };
        let request = RequestId { client, session, timestamp };
        Ok(Reply { view, tentative, request, request_digest, seq, result })
    }
}

fn cut() -> DecodeError {
    malformed("an entry that is cut off")
}

fn check_count(count: usize) -> Result<(), DecodeError> {
    match count {
        0 => Err(malformed("nothing in it")),
        1..=BUNDLE_MESSAGES_MAX => Ok(()),
        length => Err(DecodeError::TooLong { length, limit: BUNDLE_MESSAGES_MAX }),
    }
}

fn malformed(what: &str) -> DecodeError {
    DecodeError::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Refusal;

    fn answer(timestamp: u64, result: ReplyResult) -> Reply {
        let request =
            RequestId { client: ClientId(1), session: SessionId(2), timestamp: Timestamp(timestamp) };
        let request_digest = Digest::of(&timestamp.to_be_bytes());
        Reply { view: View(3), tentative: true, request, request_digest, seq: Seq(timestamp + 9), result }
    }

    fn replies() -> Vec<Reply> {
        let full = ReplyResult::Full;
        let results = [
            full(Outcome::Done(Bytes::from_static(b"result"))),
            full(Outcome::Done(Bytes::new())),
            full(Outcome::Refused(Refusal::new(7, "n".repeat(REFUSAL_DETAIL_BYTES_MAX)))),
            full(Outcome::SessionExpired { highest: SessionId(u64::MAX) }),
            full(Outcome::ResultDropped),
            ReplyResult::Digest(Digest::of(b"outcome")),
        ];
        (1..).zip(results).map(|(at, result)| answer(at, result)).collect()
    }

    fn encoded(count: usize, entries: &[u8]) -> Bytes {
        let (client, session) = (ClientId(1), SessionId(2));
        let entries = Part::new(entries);
        let wire = RepliesWire { view: View(3), tentative: true, client, session, count, entries };
        codec::encode(&wire).into()
    }

    #[test]
    fn replies_come_back_whatever_they_say() {
        let replies = replies();
        let body: Bytes = encode_replies(&replies).into();
        assert!(body.len() <= HEAD_BYTES + replies.iter().map(reply_bytes).sum::<usize>());
        assert_eq!(decode_replies(&body), Ok(replies));
    }

    #[test]
    fn what_differs_in_view_or_session_does_not_go_together() {
        let one = answer(1, ReplyResult::Digest(Digest::of(b"")));
        let with = |change: fn(&mut Reply)| {
            let mut other = one.clone();
            change(&mut other);
            go_together(&one, &other)
        };
        assert!(with(|other| other.request.timestamp = Timestamp(8)) && with(|other| other.seq = Seq(8)));
        assert!(!with(|other| other.view = View(8)) && !with(|other| other.tentative = false));
        assert!(!with(|other| other.request.session = SessionId(8)));
        assert!(!with(|other| other.request.client = ClientId(8)));
    }

    #[test]
    fn entries_that_are_cut_off_followed_or_miscounted_are_refused() {
        let replies = replies();
        let body: Bytes = encode_replies(&replies).into();
        let wire: RepliesWire<'_> = codec::decode(&body, BODY_BYTES_MAX).unwrap();
        let (count, entries) = (wire.count, &wire.entries[..]);
        for length in 0..entries.len() {
            assert!(decode_replies(&encoded(count, &entries[..length])).is_err(), "{length}");
        }
        assert_eq!(decode_replies(&encoded(count, &[entries, &[0]].concat())), Err(DecodeError::Trailing(1)));
        for wrong in [0, count - 1, count + 1, BUNDLE_MESSAGES_MAX + 1, usize::MAX] {
            assert!(decode_replies(&encoded(wrong, entries)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_form_that_is_none_is_refused() {
        for (form, result) in [(3, &[][..]), (DIGEST, &[0; 31]), (OUTCOME, &[0xc1])] {
            let mut entry = vec![0; ENTRY_BYTES - 5];
            put_result(&mut entry, form, result);
            assert!(decode_replies(&encoded(1, &entry)).is_err());
        }
    }

    #[test]
    fn requests_none_and_too_many_are_refused() {
        let parts = |count| -> Bytes { codec::encode(&vec![Part::new(b""); count]).into() };
        assert!(decode_requests(&parts(0)).is_err());
        assert_eq!(
            decode_requests(&parts(BUNDLE_MESSAGES_MAX)).map(|wires| wires.len()),
            Ok(BUNDLE_MESSAGES_MAX)
        );
        assert!(decode_requests(&parts(BUNDLE_MESSAGES_MAX + 1)).is_err());
    }
}
