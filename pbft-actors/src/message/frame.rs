//! A frame on an established link: header, body, tag.
//!
//! | bytes | field |
//! |---|---|
//! | 0 | format version |
//! | 1 | kind |
//! | 2..10 | counter, big-endian; rises by at least one from frame to frame of a link |
//! | 10..len-16 | body |
//! | len-16..len | HMAC-SHA-256, first 16 bytes, over header, digest of the body, and how that was computed (`cover.rs`) |
//!
//! The key belongs to one direction of one connection and is derived from cluster, identities,
//! configuration and key epoch, so the tag binds them all.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::cover::{Cover, KnownDigests};
use super::{BODY_BYTES_MAX, Kind, Request};
#[cfg(any(test, feature = "fuzz"))]
use crate::crypto::Tag;
use crate::crypto::{MacKey, TAG_BYTES};

/// Version of the frame layout and of every message in it.
const FRAME_VERSION: u8 = 2;
/// Length of a frame's header.
pub const HEADER_BYTES: usize = 10;
/// What a frame adds to its body.
pub const FRAME_OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// The keys of one end of a link.
#[derive(Clone, Debug)]
pub struct LinkKeys {
    /// For frames to the peer.
    pub send: MacKey,
    /// For frames from the peer.
    pub receive: MacKey,
}

/// A message encoded and hashed once, for any number of links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    kind: Kind,
    body: Bytes,
    cover: Cover,
}

impl Payload {
    /// A payload of the given kind.
    pub fn new(kind: Kind, body: Bytes) -> Self {
        let cover = Cover::of(kind, &body);
        Self { kind, body, cover }
    }

    /// A payload whose body consists of these requests, in this order: they are not hashed again.
    pub(crate) fn of_requests<'r>(
        kind: Kind,
        body: Bytes,
        requests: impl Iterator<Item = &'r Request>,
    ) -> Self {
        let cover = Cover::of_requests(kind, &body, requests);
        Self { kind, body, cover }
    }

    /// What the body is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The encoded message.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Length of the frame that [`Self::seal_into`] writes.
    pub fn frame_bytes(&self) -> usize {
        self.body.len() + FRAME_OVERHEAD_BYTES
    }

    /// The frame as its receiver opens it, where no link is between.
    pub(crate) fn unsealed(&self) -> Frame {
        let Self { kind, body, cover } = self.clone();
        Frame { kind, counter: 0, body, known: cover.known }
    }

    /// Appends the frame for one link to its write buffer.
    pub fn seal_into(&self, key: &MacKey, counter: u64, buffer: &mut BytesMut) {
        let header = header(self.kind as u8, counter);
        let tag = key.tag(&[&header, &self.cover.digest.0, &[self.cover.form]]);
        buffer.reserve(self.frame_bytes());
        buffer.put_slice(&header);
        buffer.put_slice(&self.body);
        buffer.put_slice(&tag);
    }
}

/// Why a frame was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// Shorter than header and tag.
    #[error("a frame of {0} bytes is too short")]
    Short(usize),
    /// Longer than any message.
    #[error("a frame of {0} bytes is too long")]
    Long(usize),
    /// Another format.
    #[error("unknown frame version {0}")]
    Version(u8),
    /// Not from the peer of this link, or changed on its way.
    #[error("wrong tag")]
    Tag,
    /// A kind that this release does not know.
    #[error("unknown kind {0}")]
    Kind(u8),
}

/// A frame whose tag was right: its peer sent these bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What the body is.
    pub kind: Kind,
    /// The sender's counter.
    pub counter: u64,
    /// The encoded message.
    pub body: Bytes,
    /// What was hashed of it to check the tag.
    pub(super) known: KnownDigests,
}

impl Frame {
    /// Checks a frame's tag and takes it apart without copying.
    pub fn open(key: &MacKey, mut bytes: Bytes) -> Result<Self, FrameError> {
        let length = bytes.len();
        if length < FRAME_OVERHEAD_BYTES {
            return Err(FrameError::Short(length));
        }
        if length > BODY_BYTES_MAX + FRAME_OVERHEAD_BYTES {
            return Err(FrameError::Long(length));
        }
        let tag = bytes.split_off(length - TAG_BYTES);
        let mut header = bytes.split_to(HEADER_BYTES);
        let [version, number, ..] = header[..] else { return Err(FrameError::Short(length)) };
        let kind = Kind::from_number(number);
        // Of a kind that is not known all bytes are covered as they are.
        let Cover { digest, form, known } = Cover::of(kind.unwrap_or(Kind::Status), &bytes);
        if !key.verify(&[&header, &digest.0, &[form]], &tag) {
            return Err(FrameError::Tag);
        }
        if version != FRAME_VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = kind.ok_or(FrameError::Kind(number))?;
        header.advance(2);
        Ok(Self { kind, counter: header.get_u64(), body: bytes, known })
    }
}

/// The tag with which a frame of this header and body opens as far as tags go.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn tag_of(key: &MacKey, header: &[u8], body: &Bytes) -> Tag {
    let kind = header.get(1).and_then(|number| Kind::from_number(*number));
    let Cover { digest, form, .. } = Cover::of(kind.unwrap_or(Kind::Status), body);
    key.tag(&[header, &digest.0, &[form]])
}

fn header(kind: u8, counter: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = FRAME_VERSION;
    header[1] = kind;
    header[2..].copy_from_slice(&counter.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &MacKey) -> Bytes {
        let mut buffer = BytesMut::new();
        Payload::new(Kind::Prepare, Bytes::from_static(b"body")).seal_into(key, 9, &mut buffer);
        buffer.freeze()
    }

    #[test]
    fn a_frame_opens_with_its_own_key_only() {
        let key = MacKey::new([1; 32]);
        let frame = Frame::open(&key, sealed(&key)).unwrap();
        let (kind, body, known) = (Kind::Prepare, Bytes::from_static(b"body"), KnownDigests::default());
        assert_eq!(frame, Frame { kind, counter: 9, body, known });
        assert_eq!(Frame::open(&MacKey::new([2; 32]), sealed(&key)), Err(FrameError::Tag));
    }

    #[test]
    fn every_bit_of_a_frame_is_covered() {
        let key = MacKey::new([1; 32]);
        let good = sealed(&key);
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::open(&key, bad.into()), Err(FrameError::Tag), "bit {bit}");
        }
    }

    #[test]
    fn lengths_no_frame_has_are_refused() {
        let key = MacKey::new([1; 32]);
        assert_eq!(Frame::open(&key, Bytes::from_static(&[0; 25])), Err(FrameError::Short(25)));
        let long = BODY_BYTES_MAX + FRAME_OVERHEAD_BYTES + 1;
        assert_eq!(Frame::open(&key, vec![0; long].into()), Err(FrameError::Long(long)));
    }
}
