use pbft_actors::crypto::{EPHEMERAL_BYTES, Ephemeral, SharedSecret};
use pbft_actors::message::Fresh;
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::{SecureRandom, SystemRandom};

/// An X25519 key pair for one connection.
pub(crate) struct X25519Ephemeral {
    private: EphemeralPrivateKey,
    public: [u8; EPHEMERAL_BYTES],
}

/// What a handshake needs new, from the system's random source.
///
/// # Panics
/// If the system has no random source: nothing could be kept secret then.
pub(crate) fn fresh() -> Fresh<X25519Ephemeral> {
    const WHY: &str = "the kernel's random source does not fail once it is seeded";
    let random = SystemRandom::new();
    let mut nonce = [0; 32];
    random.fill(&mut nonce).expect(WHY);
    let private = EphemeralPrivateKey::generate(&X25519, &random).expect(WHY);
    let mut public = [0; EPHEMERAL_BYTES];
    let computed = private.compute_public_key().expect("an X25519 private key has a public one");
    public.copy_from_slice(computed.as_ref());
    Fresh { ephemeral: X25519Ephemeral { private, public }, nonce }
}

impl Ephemeral for X25519Ephemeral {
    fn public(&self) -> [u8; EPHEMERAL_BYTES] {
        self.public
    }

    fn agree(self, peer_public: &[u8; EPHEMERAL_BYTES]) -> Option<SharedSecret> {
        let peer = UnparsedPublicKey::new(&X25519, peer_public);
        let agreed = agree_ephemeral(self.private, &peer, |secret| <[u8; 32]>::try_from(secret).ok());
        SharedSecret::new(agreed.ok().flatten()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_low_order_are_refused() {
        // 0, 1, p-1, p and p+1 of Curve25519; RFC 7748, 6.1.
        let mut p = [0xff_u8; 32];
        (p[0], p[31]) = (0xed, 0x7f);
        let near = |add: i8| {
            let mut point = p;
            point[0] = point[0].wrapping_add_signed(add);
            point
        };
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one, near(-1), near(0), near(1)] {
            assert!(fresh().ephemeral.agree(&point).is_none(), "{point:x?}");
        }
        let (a, b) = (fresh(), fresh());
        let public = b.ephemeral.public();
        assert!(a.ephemeral.agree(&public).is_some());
    }
}
