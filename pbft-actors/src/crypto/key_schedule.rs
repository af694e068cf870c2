use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroize;

use super::{Digest, MacKey, SharedSecret};

/// HKDF-SHA-256 (RFC 5869): any number of independent keys from one shared secret.
pub struct KeySchedule(Prk);

impl KeySchedule {
    /// Extracts from `secret`, salted with the digest of everything both ends said.
    pub fn new(salt: &Digest, secret: &SharedSecret) -> Self {
        Self(Salt::new(HKDF_SHA256, &salt.0).extract(secret.bytes()))
    }

    /// The key for one purpose; different labels give unrelated keys.
    pub fn key(&self, label: &str) -> MacKey {
        let mut bytes = [0; KeyLength::BYTES];
        self.0
            .expand(&[label.as_bytes()], KeyLength)
            .and_then(|okm| okm.fill(&mut bytes))
            .expect("HKDF-SHA-256 gives up to 8,160 bytes");
        let key = MacKey::new(bytes);
        bytes.zeroize();
        key
    }
}

struct KeyLength;

impl KeyLength {
    const BYTES: usize = 32;
}

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        Self::BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(salt: &[u8], secret: u8) -> KeySchedule {
        KeySchedule::new(&Digest::of(salt), &SharedSecret::new([secret; 32]).unwrap())
    }

    #[test]
    fn a_key_depends_on_salt_secret_and_label() {
        let tag = schedule(b"salt", 1).key("label").tag(&[b"m"]);
        assert_eq!(tag, schedule(b"salt", 1).key("label").tag(&[b"m"]));
        assert_ne!(tag, schedule(b"salt", 1).key("other").tag(&[b"m"]));
        assert_ne!(tag, schedule(b"salt", 2).key("label").tag(&[b"m"]));
        assert_ne!(tag, schedule(b"pepper", 1).key("label").tag(&[b"m"]));
    }

    #[test]
    fn the_all_zero_secret_is_refused() {
        assert!(SharedSecret::new([0; 32]).is_none());
    }
}
