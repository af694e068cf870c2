use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use crate::crypto::Digest;
use crate::types::{LogId, Monotonic, Now, Wall};

/// Both clocks.
pub(super) fn now() -> Now {
    Now { monotonic: monotonic(), wall: wall() }
}

/// Microseconds since this process first asked.
pub(super) fn monotonic() -> Monotonic {
    static START: OnceLock<Instant> = OnceLock::new();
    Monotonic(START.get_or_init(Instant::now).elapsed().as_micros() as u64)
}

pub(super) fn wall() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(since_epoch.as_micros() as u64)
}

/// 32 random bytes.
pub(super) fn entropy() -> Digest {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    Digest(bytes)
}

/// The id of a log that is created now.
pub(super) fn log_id() -> LogId {
    let Digest(random) = entropy();
    let mut salt = [0; 8];
    salt.copy_from_slice(&random[..8]);
    LogId { number: wall().0, salt: u64::from_be_bytes(salt) }
}
