//! What takes bytes from outside, for fuzzers and tests (feature `fuzz`).

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

use crate::codec::FrameCodec;

/// The frames of a stream that comes in these pieces, and whether it was one to the end.
pub fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, length_max: usize) -> (Vec<Bytes>, bool) {
    let (mut codec, mut buffer, mut frames) = (FrameCodec::new(length_max), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, true)
}
