use std::collections::BTreeMap;

use crate::types::{Millis, Monotonic, ReplicaId};

/// At most so many answers per peer and interval, so that a question cannot be used to amplify.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateLimit {
    /// When each peer's interval began, and how many answers it had since.
    used: BTreeMap<ReplicaId, (Monotonic, usize)>,
}

impl RateLimit {
    /// Whether the peer may have an answer now; if so, the next one is due an interval later.
    pub(crate) fn admits(&mut self, peer: ReplicaId, now: Monotonic, interval: Millis) -> bool {
        self.admits_up_to(1, peer, now, interval)
    }

    /// Whether the peer may have one more of `count` answers in this interval.
    pub(crate) fn admits_up_to(
        &mut self,
        count: usize,
        peer: ReplicaId,
        now: Monotonic,
        interval: Millis,
    ) -> bool {
        let (since, used) = self.used.entry(peer).or_insert((now, 0));
        if now >= since.plus(interval) {
            (*since, *used) = (now, 0);
        }
        let admitted = *used < count;
        *used += usize::from(admitted);
        admitted
    }

    /// Counts what an answer that was admitted cost beyond one.
    pub(crate) fn spend(&mut self, peer: ReplicaId, cost: usize) {
        if let Some((_, used)) = self.used.get_mut(&peer) {
            *used = used.saturating_add(cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_per_peer_and_interval() {
        let mut limit = RateLimit::default();
        let (a, b) = (ReplicaId(0), ReplicaId(1));
        assert!(limit.admits(a, Monotonic(0), Millis(1)));
        assert!(!limit.admits(a, Monotonic(999), Millis(1)));
        assert!(limit.admits(b, Monotonic(999), Millis(1)));
        assert!(limit.admits(a, Monotonic(1_000), Millis(1)));
    }

    #[test]
    fn or_as_many_as_are_allowed() {
        let mut limit = RateLimit::default();
        let admitted = |limit: &mut RateLimit, at| {
            (0..5).filter(|_| limit.admits_up_to(3, ReplicaId(0), Monotonic(at), Millis(1))).count()
        };
        assert_eq!(admitted(&mut limit, 0), 3);
        assert_eq!(admitted(&mut limit, 999), 0);
        assert_eq!(admitted(&mut limit, 1_000), 3);
    }
}
