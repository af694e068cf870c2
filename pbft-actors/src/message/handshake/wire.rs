use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Differences, HandshakeError};
use crate::codec;

/// Largest message of a handshake, bytes.
pub const HANDSHAKE_BYTES_MAX: usize = 16 << 10;

/// A message of the handshake. A HELLO stays as the bytes that were signed.
#[derive(Serialize, Deserialize)]
pub(super) enum Wire {
    InitiatorHello { hello: Bytes },
    ResponderHello { hello: Bytes, signature: Bytes },
    Finish { signature: Bytes },
    Refusal { reason: String },
}

impl Wire {
    pub(super) fn encode(&self) -> Bytes {
        codec::encode(self).into()
    }

    /// Decodes a message; a REFUSAL is an error.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        match codec::decode(bytes, HANDSHAKE_BYTES_MAX).map_err(HandshakeError::Malformed)? {
            Self::Refusal { reason } => {
                let reason = known_reason(&reason);
                Err(HandshakeError::Refused { reason, differences: Differences::default() })
            }
            message => Ok(message),
        }
    }

    pub(super) fn refusal(error: &HandshakeError) -> Bytes {
        Self::Refusal { reason: error.reason().to_owned() }.encode()
    }
}

/// One of our own words in place of a text that anybody may have written.
fn known_reason(reason: &str) -> &'static str {
    HandshakeError::REASONS.into_iter().find(|known| *known == reason).unwrap_or("unknown reason")
}
