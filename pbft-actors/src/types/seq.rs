use std::fmt;

use serde::{Deserialize, Serialize};

/// A view number; the primary of view v is replica `v mod n`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct View(pub u64);

impl View {
    /// The view after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The sequence number of a batch: 1, 2, 3, ... and 0 for the state before the first batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The state before any batch.
    pub const ZERO: Self = Self(0);

    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// This number moved up by `count`.
    pub fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// Whether a checkpoint is taken here, at an interval of `interval` batches.
    pub fn is_checkpoint(self, interval: u64) -> bool {
        self.0.is_multiple_of(interval)
    }

    /// The first checkpoint at or above this number.
    pub fn checkpoint_at_or_above(self, interval: u64) -> Self {
        Self(self.0.div_ceil(interval).saturating_mul(interval))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The sequence numbers between the water marks: `low < seq <= low + length`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    low: Seq,
    length: u64,
}

impl Window {
    /// A window of `length` batches above the stable checkpoint `low`.
    pub fn new(low: Seq, length: u64) -> Self {
        Self { low, length }
    }

    /// The low water mark h.
    pub fn low(self) -> Seq {
        self.low
    }

    /// The high water mark H = h + L.
    pub fn high(self) -> Seq {
        self.low.plus(self.length)
    }

    /// Number of batches that fit, L.
    pub fn length(self) -> u64 {
        self.length
    }

    /// Whether a vote for `seq` may be cast now.
    pub fn contains(self, seq: Seq) -> bool {
        self.low < seq && seq <= self.high()
    }
}
