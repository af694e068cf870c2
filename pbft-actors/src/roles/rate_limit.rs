use std::collections::BTreeMap;

use crate::types::{Millis, Monotonic, ReplicaId};

/// At most one answer per peer and interval, so that a question cannot be used to amplify.
#[derive(Debug, Default)]
pub(crate) struct RateLimit {
    last: BTreeMap<ReplicaId, Monotonic>,
}

impl RateLimit {
    /// Whether the peer may have an answer now; if so, the next one is due an interval later.
    pub(crate) fn admits(&mut self, peer: ReplicaId, now: Monotonic, interval: Millis) -> bool {
        let due = self.last.get(&peer).is_none_or(|last| now >= last.plus(interval));
        if due {
            self.last.insert(peer, now);
        }
        due
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
}
