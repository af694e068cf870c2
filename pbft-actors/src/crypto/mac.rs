use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of a tag on the wire.
pub const TAG_BYTES: usize = 16;

/// A truncated HMAC-SHA-256 tag.
pub type Tag = [u8; TAG_BYTES];

/// A symmetric key whose HMAC key blocks are hashed once, when it is made.
#[derive(Clone)]
pub struct MacKey {
    // The keyed state is as good as the key: `hmac` zeroes it when dropped (feature `zeroize`).
    keyed: Hmac<Sha256>,
}

/// Bytes of a key on their way into a [`MacKey`]; zeroed when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
struct KeyBytes([u8; 32]);

impl MacKey {
    /// A key from 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = KeyBytes(bytes);
        Self { keyed: Hmac::new_from_slice(&bytes.0).expect("HMAC takes keys of every length") }
    }

    /// The tag over the parts, one after the other. Callers pass parts of fixed length only.
    pub fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut mac = self.keyed.clone();
        for part in parts {
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&full[..TAG_BYTES]);
        tag
    }

    /// Whether `tag` is the one over the parts; takes the same time whatever the answer.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.tag(parts).ct_eq(tag).into()
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_verifies_under_its_own_key_and_bytes_only() {
        let key = MacKey::new([7; 32]);
        let tag = key.tag(&[b"header", b"digest"]);
        assert!(key.verify(&[b"header", b"digest"], &tag));
        assert!(!key.verify(&[b"header", b"digesu"], &tag));
        assert!(!MacKey::new([8; 32]).verify(&[b"header", b"digest"], &tag));
        assert!(!key.verify(&[b"header", b"digest"], &tag[..15]));
    }
}
