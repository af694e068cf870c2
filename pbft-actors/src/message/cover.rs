//! What the tag of a frame covers of its body: a digest in which the core of every large request stands
//! as that request's own digest.
//!
//! Both ends need the request's digest anyway, so the bytes of a large operation are hashed once for both.
//! All that is around the cores, the requests' proofs too, is hashed as it is, each stretch with its
//! length, so the bytes of a frame follow from what is covered as certainly as from a digest of all of them.

use bytes::Bytes;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_bytes::Bytes as Part;

use super::request::{core_of, digest_of};
use super::{BODY_BYTES_MAX, Kind, Request};
use crate::codec;
use crate::crypto::{Digest, Hasher};

/// A core of fewer bytes is hashed as it is: to look for it would cost more.
const CORE_BYTES_MIN: usize = 256;

/// Digests of requests by where their cores are in a body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct KnownDigests {
    /// In the order of the body.
    cores: Vec<Core>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Core {
    start: usize,
    length: usize,
    digest: Digest,
}

impl KnownDigests {
    /// The digest of a request whose core is this part of `body`, computed unless it is known.
    pub(super) fn digest_of(&self, body: &Bytes, core: &[u8]) -> Digest {
        let start = core.as_ptr() as usize - body.as_ptr() as usize;
        let known = self.cores.binary_search_by_key(&start, |core| core.start).ok();
        let known = known.and_then(|at| self.cores.get(at)).filter(|known| known.length == core.len());
        known.map_or_else(|| digest_of(core), |known| known.digest)
    }
}

/// What a tag covers of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cover {
    pub(super) digest: Digest,
    /// Which of two ways it was computed in; a tag covers that, too.
    pub(super) form: u8,
    pub(super) known: KnownDigests,
}

/// The digest of all bytes.
const PLAIN: u8 = 0;
/// The digest with requests in place of their cores.
const OF_REQUESTS: u8 = 1;

impl Cover {
    /// Of a body that came, or of which nothing is known.
    pub(super) fn of(kind: Kind, body: &Bytes) -> Self {
        Self::with(kind, body, digest_of)
    }

    /// Of a body made of these requests, in this order.
    pub(super) fn of_requests<'r>(
        kind: Kind,
        body: &Bytes,
        requests: impl Iterator<Item = &'r Request>,
    ) -> Self {
        let mut large = requests.filter(|request| request.core_bytes() >= CORE_BYTES_MIN);
        Self::with(kind, body, |core| large.next().map_or_else(|| digest_of(core), |r| *r.digest()))
    }

    fn with(kind: Kind, body: &Bytes, mut digest_of: impl FnMut(&[u8]) -> Digest) -> Self {
        let cores = large_cores(kind, body);
        if cores.is_empty() {
            return Self { digest: Digest::of(body), form: PLAIN, known: KnownDigests::default() };
        }
        let mut hasher = Hasher::new("pbft body of requests");
        let (mut known, mut rest) = (KnownDigests::default(), &body[..]);
        for core in cores {
            let start = core.as_ptr() as usize - body.as_ptr() as usize;
            let before = start - (body.len() - rest.len());
            let digest = digest_of(core);
            hasher.part(&rest[..before]).part(&digest.0);
            rest = &rest[before + core.len()..];
            known.cores.push(Core { start, length: core.len(), digest });
        }
        hasher.part(rest);
        Self { digest: hasher.finish(), form: OF_REQUESTS, known }
    }
}

/// The large cores of a body, in its order; none if it is no body of its kind.
fn large_cores(kind: Kind, body: &Bytes) -> Vec<&[u8]> {
    if body.len() < CORE_BYTES_MIN {
        return Vec::new();
    }
    let cores = match kind {
        Kind::Request => Ok(Cores(large_core(body).into_iter().collect())),
        Kind::Requests => codec::decode(body, BODY_BYTES_MAX),
        Kind::PrePrepare => {
            let fields = codec::decode(body, BODY_BYTES_MAX);
            fields.map(|(_, _, _, cores): (IgnoredAny, IgnoredAny, IgnoredAny, Cores<'_>)| cores)
        }
        Kind::BatchData => {
            let fields = codec::decode(body, BODY_BYTES_MAX);
            fields.map(|(_, _, cores): (IgnoredAny, IgnoredAny, Cores<'_>)| cores)
        }
        _ => return Vec::new(),
    };
    cores.map(|cores| cores.0).unwrap_or_default()
}

fn large_core(request: &[u8]) -> Option<&[u8]> {
    if request.len() < CORE_BYTES_MIN {
        return None;
    }
    core_of(request).filter(|core| core.len() >= CORE_BYTES_MIN)
}

/// The large cores of a list of requests. Others are passed over, so that no list of tiny entries takes memory
/// before its frame's tag is checked.
struct Cores<'w>(Vec<&'w [u8]>);

impl<'de> Deserialize<'de> for Cores<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CoresVisitor;
        impl<'de> Visitor<'de> for CoresVisitor {
            type Value = Cores<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of requests")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cores<'de>, A::Error> {
                let mut cores = Vec::new();
                while let Some(entry) = list.next_element::<&'de Part>()? {
                    cores.extend(large_core(entry));
                }
                Ok(Cores(cores))
            }
        }
        deserializer.deserialize_seq(CoresVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Batch, Choice};
    use crate::message::{
        BatchData, Hints, Operation, PrePrepare, RequestKeys, encode_batch_data, encode_pre_prepare,
        encode_requests,
    };
    use crate::types::{ClientId, Seq, SessionId, Timestamp, View, Wall};

    fn request(timestamp: u64, length: usize) -> Request {
        let operation = Operation {
            client: ClientId(1),
            session: SessionId(1),
            timestamp: Timestamp(timestamp),
            answered_below: Timestamp(1),
            read_only: false,
            operation: vec![timestamp as u8; length].into(),
        };
        let hints = Hints::default();
        Request::authenticated(operation, [None::<&RequestKeys>; 4].into_iter(), hints)
    }

    fn bodies() -> Vec<(Kind, Bytes, Vec<Request>)> {
        let requests =
            vec![request(1, 10), request(2, 400), request(3, 227), request(4, 226), request(5, 999)];
        let choice = Choice { time: Wall(1), seed: Digest::default(), extra: Bytes::from_static(&[7; 300]) };
        let batch = Batch::new(choice, requests.clone());
        let proposal = PrePrepare::of_batch(View(1), Seq(2), &batch);
        let data = BatchData { seq: Seq(2), batch: batch.into() };
        vec![
            (Kind::PrePrepare, encode_pre_prepare(&proposal).into(), requests.clone()),
            (Kind::BatchData, encode_batch_data(&data).into(), requests.clone()),
            (Kind::Requests, encode_requests(&requests).into(), requests.clone()),
            (Kind::Request, requests[1].wire().clone(), vec![requests[1].clone()]),
        ]
    }

    #[test]
    fn both_ends_find_the_same_and_the_requests_digests() {
        for (kind, body, requests) in bodies() {
            let sent = Cover::of_requests(kind, &body, requests.iter());
            let came = Cover::of(kind, &body);
            assert_eq!(sent, came, "{kind:?}");
            assert_eq!(came.form, OF_REQUESTS);
            let large = requests.iter().filter(|request| request.operation().len() >= 227);
            let found = came.known.cores.iter().map(|core| core.digest);
            assert!(found.eq(large.map(|request| *request.digest())), "{kind:?}");
        }
    }

    #[test]
    fn every_bit_of_a_body_is_covered() {
        for (kind, body, _) in bodies() {
            let good = Cover::of(kind, &body);
            for bit in 0..body.len() * 8 {
                let mut bad = body.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                let bad = Cover::of(kind, &bad.into());
                assert_ne!((good.digest, good.form), (bad.digest, bad.form), "{kind:?}, bit {bit}");
            }
        }
    }

    #[test]
    fn small_requests_other_kinds_and_what_is_no_body_are_hashed_as_they_are() {
        let small: Bytes = encode_requests(&[request(1, 200), request(2, 226)]).into();
        let (_, large, _) = bodies().swap_remove(2);
        let cut = large.slice(..large.len() - 1);
        for (kind, body) in [(Kind::Requests, small), (Kind::Replies, large), (Kind::Requests, cut)] {
            let cover = Cover::of(kind, &body);
            assert_eq!((cover.digest, cover.form), (Digest::of(&body), PLAIN));
            assert_eq!(cover.known, KnownDigests::default());
        }
    }

    #[test]
    fn only_a_whole_core_has_the_digest_that_is_known_there() {
        let (kind, body, requests) = bodies().swap_remove(2);
        let known = Cover::of(kind, &body).known;
        let core = known.cores[0];
        let part = &body[core.start..core.start + core.length];
        assert_eq!(known.digest_of(&body, part), *requests[1].digest());
        let less = &part[..part.len() - 1];
        assert_eq!(known.digest_of(&body, less), digest_of(less));
    }
}
