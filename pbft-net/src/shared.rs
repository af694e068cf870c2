use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pbft_actors::actor::transport::Gate;
use pbft_actors::message::{Introduction, Peer};

use crate::TcpLimits;
use crate::admission::Admission;
use crate::links::Links;

/// What every task of one transport uses.
pub(crate) struct Shared {
    pub(crate) introduction: Introduction,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) limits: TcpLimits,
    pub(crate) links: Arc<Links>,
    pub(crate) admission: Admission,
    pub(crate) refused: Refused,
}

/// Why a proven peer was refused last: said once, not at every attempt. Only peers that the
/// configuration names prove themselves, so it stays small.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<BTreeMap<Peer, String>>);

impl Refused {
    /// Notes a refusal; whether it is another one than the last.
    pub(crate) fn is_news(&self, peer: Peer, why: String) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&peer) != Some(&why) && {
            last.insert(peer, why);
            true
        }
    }

    /// The peer was let in: its next refusal is news.
    pub(crate) fn forget(&self, peer: Peer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use pbft_actors::types::ReplicaId;

    use super::*;

    #[test]
    fn the_same_refusal_is_news_once_until_the_peer_was_let_in() {
        let (refused, peer) = (Refused::default(), Peer::Replica(ReplicaId(1)));
        let said = |why: &str| refused.is_news(peer, why.to_owned());
        assert_eq!([said("a"), said("a"), said("b"), said("a")], [true, false, true, true]);
        refused.forget(peer);
        assert!(refused.is_news(peer, "a".to_owned()));
        assert!(refused.is_news(Peer::Replica(ReplicaId(2)), "a".to_owned()));
    }
}
