use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use pbft_actors::actor::transport::{Gate, Outbound};
use pbft_actors::message::{BODY_BYTES_MAX, Peer};

use crate::link::Link;

/// The authenticated connections by peer. Only the Network actor changes it; whoever sends reads it.
#[derive(Debug, Default)]
pub(crate) struct Links {
    // Oldest first. Shared, so that no guard is held while messages are queued.
    by_peer: DashMap<Peer, Arc<[Arc<Link>]>>,
    count: AtomicUsize,
}

/// What is left of a peer's connections when one ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Remaining {
    /// The peer is gone.
    None,
    /// There are others, or the one that ended had been replaced before.
    Some,
}

impl Links {
    /// Number of connections.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds a connection; of more than `per_peer_max` to its peer the oldest leave, and are returned.
    pub(crate) fn add(&self, link: Arc<Link>, per_peer_max: usize) -> Vec<Arc<Link>> {
        let peer = link.peer();
        let mut links = self.of(peer).map_or_else(Vec::new, |links| links.to_vec());
        links.push(link);
        let surplus = links.len().saturating_sub(per_peer_max.max(1));
        let replaced: Vec<_> = links.drain(..surplus).collect();
        self.by_peer.insert(peer, links.into());
        self.count.fetch_add(1, Ordering::Relaxed);
        self.count.fetch_sub(replaced.len(), Ordering::Relaxed);
        replaced
    }

    /// Removes a connection that ended.
    pub(crate) fn remove(&self, ended: &Arc<Link>) -> Remaining {
        let peer = ended.peer();
        let Some(links) = self.of(peer) else { return Remaining::Some };
        let left: Vec<_> = links.iter().filter(|link| !Arc::ptr_eq(link, ended)).cloned().collect();
        if left.len() == links.len() {
            return Remaining::Some;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        if left.is_empty() {
            self.by_peer.remove(&peer);
            return Remaining::None;
        }
        self.by_peer.insert(peer, left.into());
        Remaining::Some
    }

    /// Every connection.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.by_peer.iter().flat_map(|links| links.value().to_vec()).collect()
    }

    /// Queues messages with every connection of the peers they are for.
    pub(crate) fn send(&self, messages: Vec<Outbound>, gate: &dyn Gate) {
        for Outbound { to, payload } in messages {
            if payload.body().len() > BODY_BYTES_MAX {
                tracing::error!(
                    kind = payload.kind().name(),
                    bytes = payload.body().len(),
                    "too long to be sent"
                );
                gate.rejected(None, "send_too_long");
                continue;
            }
            for peer in to {
                let Some(links) = self.of(peer) else { continue };
                for link in links.iter() {
                    if link.send(payload.clone()).is_err() {
                        gate.rejected(Some(peer), "send_queue_full");
                    }
                }
            }
        }
    }

    fn of(&self, peer: Peer) -> Option<Arc<[Arc<Link>]>> {
        self.by_peer.get(&peer).map(|links| Arc::clone(links.value()))
    }
}

#[cfg(test)]
mod tests {
    use pbft_actors::types::{ClientId, ReplicaId};

    use super::*;

    fn link(peer: Peer) -> Arc<Link> {
        Arc::new(Link::new(peer, 1_000))
    }

    #[test]
    fn a_new_connection_of_a_replica_replaces_the_old_one() {
        let (links, peer) = (Links::default(), Peer::Replica(ReplicaId(1)));
        let (old, new) = (link(peer), link(peer));
        assert!(links.add(Arc::clone(&old), 1).is_empty());
        let replaced = links.add(Arc::clone(&new), 1);
        assert!(replaced.len() == 1 && Arc::ptr_eq(&replaced[0], &old));
        assert_eq!(links.remove(&old), Remaining::Some, "the end of the replaced one means nothing");
        assert_eq!(links.remove(&new), Remaining::None);
        assert_eq!(links.remove(&new), Remaining::Some, "and nothing ends twice");
        assert_eq!(links.count(), 0);
    }

    #[test]
    fn a_client_keeps_its_newest_connections() {
        let (links, peer) = (Links::default(), Peer::Client(ClientId(1)));
        let made: Vec<_> = (0..3).map(|_| link(peer)).collect();
        let replaced: Vec<_> = made.iter().flat_map(|link| links.add(Arc::clone(link), 2)).collect();
        assert!(replaced.len() == 1 && Arc::ptr_eq(&replaced[0], &made[0]));
        assert_eq!((links.count(), links.all().len()), (2, 2));
        assert_eq!(links.remove(&made[1]), Remaining::Some);
        assert_eq!(links.remove(&made[2]), Remaining::None);
    }
}
