use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ReplicaId, View};

/// The smallest group that survives one faulty replica.
pub const REPLICAS_MIN: usize = 4;
/// The largest group: a set of replicas is a 32-bit map.
pub const REPLICAS_MAX: usize = 31;

/// A group size outside `REPLICAS_MIN..=REPLICAS_MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a group has {REPLICAS_MIN} to {REPLICAS_MAX} replicas, not {0}")]
pub struct GroupSizeError(pub usize);

/// The group's counting rules (PROTOCOL 1).
///
/// `quorum` is `ceil((n+f+1)/2)`: two quorums share at least `f+1` replicas at every n. `2f+1` does
/// so only where n = 3f+1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub struct Quorums {
    n: usize,
}

impl Quorums {
    /// The rules for a group of `n` replicas.
    pub fn new(n: usize) -> Result<Self, GroupSizeError> {
        if (REPLICAS_MIN..=REPLICAS_MAX).contains(&n) { Ok(Self { n }) } else { Err(GroupSizeError(n)) }
    }

    /// Number of replicas.
    pub fn n(self) -> usize {
        self.n
    }

    /// Number of replicas that may be faulty.
    pub fn f(self) -> usize {
        (self.n - 1) / 3
    }

    /// Any two sets of this size share a correct replica.
    pub fn quorum(self) -> usize {
        let quorum = (self.n + self.f() + 1).div_ceil(2);
        #[cfg(test)]
        let quorum = quorum - usize::from(super::is_left_out(super::LeftOut::OneOfAQuorum));
        quorum
    }

    /// Any set of this size holds a correct replica.
    pub fn weak(self) -> usize {
        self.f() + 1
    }

    /// The primary of a view.
    pub fn primary(self, view: View) -> ReplicaId {
        ReplicaId((view.0 % self.n as u64) as u8)
    }

    /// Every replica of the group.
    pub fn replicas(self) -> impl Iterator<Item = ReplicaId> {
        (0..self.n as u8).map(ReplicaId)
    }

    /// Every replica but one.
    pub fn others(self, own: ReplicaId) -> impl Iterator<Item = ReplicaId> {
        self.replicas().filter(move |id| *id != own)
    }

    /// Whether the id names a member.
    pub fn contains(self, id: ReplicaId) -> bool {
        id.index() < self.n
    }
}

impl TryFrom<usize> for Quorums {
    type Error = GroupSizeError;

    fn try_from(n: usize) -> Result<Self, GroupSizeError> {
        Self::new(n)
    }
}

impl From<Quorums> for usize {
    fn from(quorums: Quorums) -> Self {
        quorums.n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_quorums_share_a_correct_replica_and_one_can_always_answer() {
        for n in REPLICAS_MIN..=REPLICAS_MAX {
            let q = Quorums::new(n).unwrap();
            assert!(2 * q.quorum() - n > q.f(), "n={n}");
            assert!(q.quorum() <= n - q.f(), "n={n}");
            assert!(2 * (q.quorum() - 1) - n <= q.f(), "n={n}: a smaller quorum would do");
        }
    }

    #[test]
    fn five_and_six_need_more_than_two_f_plus_one() {
        assert_eq!(Quorums::new(5).unwrap().quorum(), 4);
        assert_eq!(Quorums::new(6).unwrap().quorum(), 4);
    }

    #[test]
    fn groups_that_are_too_small_or_too_large_are_refused() {
        assert_eq!(Quorums::new(3), Err(GroupSizeError(3)));
        assert_eq!(Quorums::new(32), Err(GroupSizeError(32)));
    }
}
