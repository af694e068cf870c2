use std::fmt;

use serde::{Deserialize, Serialize};

/// A duration in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// In microseconds.
    pub fn micros(self) -> u64 {
        self.0.saturating_mul(1_000)
    }
}

/// Microseconds on a clock that never goes back; only differences mean anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This instant moved on by `micros`.
    pub fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This instant moved on by a duration.
    pub fn plus(self, duration: Millis) -> Self {
        self.plus_micros(duration.micros())
    }

    /// Microseconds since an earlier instant, 0 if it is not earlier.
    pub fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall time, microseconds since 1970-01-01 UTC. May jump.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub u64);

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Both clocks, read once per input by whoever carries the roles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For timers.
    pub monotonic: Monotonic,
    /// For proposals and their check (PROTOCOL 9).
    pub wall: Wall,
}
