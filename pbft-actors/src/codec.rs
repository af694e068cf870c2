//! MessagePack through rmp-serde, with limits. What is signed or MACed is always the bytes as they
//! were received, never a second encoding.

use std::io::ErrorKind;

use rmp_serde::decode::Error;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes that are no value of the expected kind.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// More bytes than this kind may have.
    #[error("{length} bytes where at most {limit} are allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
        /// The named limit.
        limit: usize,
    },
    /// Not MessagePack, or not of the expected shape.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A whole value and then more.
    #[error("{0} bytes after the value")]
    Trailing(usize),
}

/// Deepest nesting of any message, with room to spare.
const DEPTH_MAX: usize = 16;

/// Encodes a value of the protocol's own types.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("the protocol's types have no map keys or lengths that MessagePack lacks")
}

/// As [`encode`], for a value of about this many bytes: it is not moved while it grows.
pub(crate) fn encode_large<T: Serialize + ?Sized>(value: &T, about: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(about);
    rmp_serde::encode::write(&mut bytes, value).expect("as `encode`, and a Vec takes all");
    bytes
}

/// Decodes a value of at most `limit` bytes that fills the input.
///
/// A claimed length allocates nothing by itself: serde reserves at most 1 MiB ahead of the elements
/// it has read, byte strings are copied or borrowed from the input, and nesting is limited.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { length: bytes.len(), limit });
    }
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
    decoder.set_max_depth(DEPTH_MAX);
    let value = T::deserialize(&mut decoder).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    // A decoder that lends does not tell what is left of its input: only at the end is there no marker.
    match u8::deserialize(&mut decoder) {
        Err(Error::InvalidMarkerRead(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(value),
        _ => Err(DecodeError::Trailing(length_after_first(bytes))),
    }
}

/// What is left after the first value.
fn length_after_first(mut bytes: &[u8]) -> usize {
    let whole = bytes.len();
    let skipped = IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut bytes));
    skipped.map_or(whole, |_| bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_nothing_else_does() {
        let bytes = encode(&(1_u64, "two"));
        assert_eq!(decode::<(u64, String)>(&bytes, 100).unwrap(), (1, "two".to_owned()));
        assert_eq!(
            decode::<(u64, String)>(&bytes, 2),
            Err(DecodeError::TooLong { length: bytes.len(), limit: 2 })
        );
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode::<(u64, String)>(&longer, 100), Err(DecodeError::Trailing(1)));
        assert!(matches!(decode::<(u64, String)>(&bytes[..3], 100), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn whatever_follows_a_value_is_refused() {
        for byte in 0..=u8::MAX {
            for tail in [&[byte][..], &[byte, 0x91], &[byte, 1, 1, 1, 1, 1, 1, 1, 1, 1]] {
                let bytes = [&[7], tail].concat();
                assert_eq!(decode::<u8>(&bytes, 100), Err(DecodeError::Trailing(tail.len())), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn bytes_are_lent_not_copied() {
        let bytes = encode(&serde_bytes::Bytes::new(b"long"));
        let lent: &[u8] = decode(&bytes, 100).unwrap();
        assert!(std::ptr::eq(lent, &bytes[2..]));
    }

    #[test]
    fn a_claimed_count_of_four_billion_allocates_nothing() {
        // Array of 2^32-1 elements, then nothing.
        assert!(matches!(
            decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff], 100),
            Err(DecodeError::Malformed(_))
        ));
        assert!(matches!(
            decode::<serde_bytes::ByteBuf>(&[0xc6, 0xff, 0xff, 0xff, 0xff], 100),
            Err(DecodeError::Malformed(_))
        ));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(decode::<serde_bytes::ByteBuf>(&[0x91; 90], 100).is_err());
    }
}
