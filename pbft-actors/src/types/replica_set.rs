use serde::{Deserialize, Serialize};

use super::ReplicaId;

/// A set of replicas: counts each at most once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaSet(u32);

impl ReplicaSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Adds a replica; false if it was in already.
    pub fn insert(&mut self, id: ReplicaId) -> bool {
        let bit = 1_u32.checked_shl(u32::from(id.0)).unwrap_or(0);
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Removes a replica.
    pub fn remove(&mut self, id: ReplicaId) {
        self.0 &= !1_u32.checked_shl(u32::from(id.0)).unwrap_or(0);
    }

    /// Whether the replica is in the set.
    pub fn contains(self, id: ReplicaId) -> bool {
        self.0 & 1_u32.checked_shl(u32::from(id.0)).unwrap_or(0) != 0
    }

    /// Number of replicas in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = ReplicaId> {
        (0..32).map(ReplicaId).filter(move |id| self.contains(*id))
    }
}

impl FromIterator<ReplicaId> for ReplicaSet {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(ids: I) -> Self {
        let mut set = Self::EMPTY;
        for id in ids {
            set.insert(id);
        }
        set
    }
}
