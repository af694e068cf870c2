//! MessagePack through rmp-serde, with limits. What is signed or MACed is always the bytes as they
//! were received, never a second encoding.

use serde::Serialize;
use serde::de::DeserializeOwned;
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

/// Decodes a value of at most `limit` bytes that fills the input.
///
/// A claimed length allocates nothing by itself: serde reserves at most 1 MiB ahead of the elements
/// it has read, byte strings are copied from the input, and nesting is limited.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { length: bytes.len(), limit });
    }
    let mut rest = bytes;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(DEPTH_MAX);
    let value = T::deserialize(&mut decoder).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
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
