use std::io;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio_util::codec::Decoder;

/// Length of the prefix: a big-endian `u32` that counts the bytes after it.
pub(crate) const PREFIX_BYTES: usize = 4;

/// Cuts a stream into length-prefixed frames without copying.
///
/// The prefix is compared with the limit as soon as it is there, and nothing is ever reserved for a
/// claimed length: `tokio_util`'s own codec does so, up to its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameCodec {
    length_max: usize,
}

/// A stream that is no sequence of frames.
#[derive(Debug, Error)]
pub(crate) enum CodecError {
    #[error("a frame of {length} bytes where 1 to {length_max} are allowed")]
    Length { length: usize, length_max: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FrameCodec {
    pub(crate) fn new(length_max: usize) -> Self {
        Self { length_max }
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        let length_max = self.length_max;
        if length == 0 || length > length_max {
            return Err(CodecError::Length { length, length_max });
        }
        if buffer.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        buffer.advance(PREFIX_BYTES);
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_frames(
            pieces in prop::collection::vec(prop::collection::vec(0..8_u8, 0..9), 0..40),
        ) {
            let of = |pieces: &[Vec<u8>]| crate::fuzz::frames(pieces.iter().map(Vec::as_slice), 1 << 20);
            prop_assert_eq!(of(&pieces), of(&[pieces.concat()]));
        }
    }

    #[test]
    fn frames_come_out_whole_however_their_bytes_come_in() {
        let mut codec = FrameCodec::new(5);
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in [0, 0, 0, 1, 7, 0, 0, 0, 5, 1, 2, 3, 4, 5] {
            buffer.extend_from_slice(&[byte]);
            frames.extend(codec.decode(&mut buffer).unwrap());
        }
        assert_eq!(frames, [vec![7], vec![1, 2, 3, 4, 5]]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_length_out_of_range_is_refused_before_anything_is_reserved() {
        for prefix in [[0, 0, 0, 0], [0, 0, 0, 6], [0xff; 4]] {
            let mut buffer = BytesMut::from(&prefix[..]);
            let capacity = buffer.capacity();
            assert!(matches!(FrameCodec::new(5).decode(&mut buffer), Err(CodecError::Length { .. })));
            assert_eq!(buffer.capacity(), capacity);
        }
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let mut buffer = BytesMut::from(&[0, 0x10, 0, 0, 1][..]);
        let capacity = buffer.capacity();
        assert!(FrameCodec::new(4 << 20).decode(&mut buffer).unwrap().is_none());
        assert_eq!(buffer.capacity(), capacity);
    }
}
