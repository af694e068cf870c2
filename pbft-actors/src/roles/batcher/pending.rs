use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::crypto::Digest;
use crate::message::{Peer, Request, Verified};
use crate::types::{ClientId, ReplicaId, RequestId, SessionId, Timestamp};

/// One request that waits.
#[derive(Clone, Debug)]
struct Waiting {
    request: Verified<Request>,
    /// Who sent it first: the queue it is in.
    from: Peer,
    /// Order of arrival.
    arrival: u64,
    /// In a batch of the current view.
    proposed: bool,
}

/// Requests that were not executed yet, one per id.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    waiting: BTreeMap<RequestId, Waiting>,
    /// Only while proofs are disputed: made by the first dispute, and kept until nothing waits.
    by_digest: Option<BTreeMap<Digest, RequestId>>,
    /// Signed requests by arrival: the first is the oldest that holds a timer.
    timed: BTreeMap<u64, RequestId>,
    /// Unproposed requests by source, each in its own order. Ids that are gone are skipped.
    from_replicas: BTreeMap<ReplicaId, VecDeque<RequestId>>,
    from_clients: BTreeMap<ClientId, VecDeque<RequestId>>,
    /// Whose turn was last.
    last_replica: Option<ReplicaId>,
    last_client: Option<ClientId>,
    forwarded: BTreeMap<ReplicaId, usize>,
    by_client: BTreeMap<ClientId, usize>,
    arrivals: u64,
    bytes: usize,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.waiting.contains_key(id)
    }

    /// Signed requests that wait.
    pub(super) fn signed_len(&self) -> usize {
        self.timed.len()
    }

    /// Requests of one client that wait.
    pub(super) fn of_client(&self, client: ClientId) -> usize {
        self.by_client.get(&client).copied().unwrap_or(0)
    }

    /// Openings of sessions up to this one: another one opened above them, so they can no longer.
    pub(super) fn remove_openings(&mut self, client: ClientId, session: SessionId) {
        let id = |session| RequestId { client, session, timestamp: Timestamp::OPENING };
        let openings = self.waiting.range(id(SessionId(0))..=id(session));
        let gone: Vec<RequestId> =
            openings.map(|(id, _)| *id).filter(|id| id.timestamp == Timestamp::OPENING).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    /// Requests that this replica passed on to us and that still wait.
    pub(super) fn forwarded_by(&self, replica: ReplicaId) -> usize {
        self.forwarded.get(&replica).copied().unwrap_or(0)
    }

    pub(super) fn request(&self, id: &RequestId) -> Option<&Request> {
        self.waiting.get(id).map(|waiting| &*waiting.request)
    }

    /// A request by its digest.
    fn named(&mut self, digest: &Digest) -> Option<&Request> {
        let index = || self.waiting.iter().map(|(id, waiting)| (*waiting.request.digest(), *id)).collect();
        let id = self.by_digest.get_or_insert_with(index).get(digest)?;
        self.waiting.get(id).map(|waiting| &*waiting.request)
    }

    /// A request in its signed form.
    pub(super) fn signed(&mut self, digest: &Digest) -> Option<&Request> {
        self.named(digest).filter(|request| request.is_signed())
    }

    /// A request that this replica verified itself.
    pub(super) fn proven(&mut self, digest: &Digest, signed_only: &BTreeSet<ClientId>) -> Option<&Request> {
        let request = self.named(digest)?;
        (request.is_signed() || !signed_only.contains(&request.id().client)).then_some(request)
    }

    /// Gives back everything that waits, in the order of arrival.
    pub(super) fn take_all(&mut self) -> Vec<Verified<Request>> {
        let mut waiting: Vec<Waiting> = std::mem::take(self).waiting.into_values().collect();
        waiting.sort_unstable_by_key(|waiting| waiting.arrival);
        waiting.into_iter().map(|waiting| waiting.request).collect()
    }

    pub(super) fn insert(&mut self, request: Verified<Request>, from: Peer) {
        let id = request.id();
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.bytes += request.wire().len();
        if let Some(index) = &mut self.by_digest {
            index.insert(*request.digest(), id);
        }
        if request.is_signed() {
            self.timed.insert(arrival, id);
        }
        match from {
            Peer::Replica(replica) => {
                self.from_replicas.entry(replica).or_default().push_back(id);
                *self.forwarded.entry(replica).or_default() += 1;
            }
            Peer::Client(client) => self.from_clients.entry(client).or_default().push_back(id),
        }
        *self.by_client.entry(id.client).or_default() += 1;
        self.waiting.insert(id, Waiting { request, from, arrival, proposed: false });
    }

    /// The signed form of a request held by its MACs takes its place: everyone can verify it.
    pub(super) fn replace_if_signed(&mut self, request: Verified<Request>) {
        let Some(waiting) = self.waiting.get_mut(&request.id()) else { return };
        if !request.is_signed() || waiting.request.is_signed() || waiting.request.digest() != request.digest()
        {
            return;
        }
        self.bytes = self.bytes - waiting.request.wire().len() + request.wire().len();
        self.timed.insert(waiting.arrival, request.id());
        waiting.request = request;
    }

    pub(super) fn remove(&mut self, id: &RequestId) {
        let Some(waiting) = self.waiting.remove(id) else { return };
        self.bytes -= waiting.request.wire().len();
        if self.waiting.is_empty() {
            self.by_digest = None;
        } else if let Some(index) = &mut self.by_digest {
            index.remove(waiting.request.digest());
        }
        if waiting.request.is_signed() {
            self.timed.remove(&waiting.arrival);
        }
        if let Some(count) = self.by_client.get_mut(&id.client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&id.client);
            }
        }
        match waiting.from {
            Peer::Replica(replica) => {
                if let Some(count) = self.forwarded.get_mut(&replica) {
                    *count -= 1;
                }
                drop_gone(&mut self.from_replicas, replica, &self.waiting);
            }
            Peer::Client(client) => drop_gone(&mut self.from_clients, client, &self.waiting),
        }
    }

    /// Everything below the floor of a session is answered.
    pub(super) fn remove_below(&mut self, client: ClientId, session: SessionId, floor: Timestamp) {
        let id = |timestamp| RequestId { client, session, timestamp };
        let gone: Vec<RequestId> =
            self.waiting.range(id(Timestamp(0))..id(floor)).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    pub(super) fn remove_session(&mut self, client: ClientId, session: SessionId) {
        let id = |timestamp| RequestId { client, session, timestamp: Timestamp(timestamp) };
        let gone: Vec<RequestId> = self.waiting.range(id(0)..=id(u64::MAX)).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    pub(super) fn retain_signed(&mut self) {
        let unsigned = self.waiting.iter().filter(|(_, waiting)| !waiting.request.is_signed());
        let gone: Vec<RequestId> = unsigned.map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    /// A new view: nothing is proposed in it yet, and every queue starts in the order of arrival.
    pub(super) fn forget_proposals(&mut self) {
        self.from_replicas.clear();
        self.from_clients.clear();
        let mut order: Vec<(u64, RequestId, Peer)> = Vec::with_capacity(self.waiting.len());
        for (id, waiting) in &mut self.waiting {
            waiting.proposed = false;
            order.push((waiting.arrival, *id, waiting.from));
        }
        order.sort_unstable_by_key(|(arrival, ..)| *arrival);
        for (_, id, from) in order {
            match from {
                Peer::Replica(replica) => self.from_replicas.entry(replica).or_default().push_back(id),
                Peer::Client(client) => self.from_clients.entry(client).or_default().push_back(id),
            }
        }
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Request> {
        let mut order: Vec<&Waiting> = self.waiting.values().collect();
        order.sort_unstable_by_key(|waiting| waiting.arrival);
        order.into_iter().map(|waiting| &*waiting.request)
    }

    /// The oldest request that holds a timer.
    pub(super) fn oldest_timed(&self) -> Option<RequestId> {
        self.timed.first_key_value().map(|(_, id)| *id)
    }

    /// The next request to propose: forwarded ones first, round-robin over backups, then clients.
    pub(super) fn next_to_propose(&mut self) -> Option<Request> {
        loop {
            let id = match next_in_turn(&mut self.from_replicas, &mut self.last_replica) {
                Some(id) => id,
                None => next_in_turn(&mut self.from_clients, &mut self.last_client)?,
            };
            // Executed meanwhile, or proposed from another queue.
            let Some(waiting) = self.waiting.get_mut(&id).filter(|waiting| !waiting.proposed) else {
                continue;
            };
            waiting.proposed = true;
            return Some((*waiting.request).clone());
        }
    }

    /// Puts a request back at the head of its queue.
    pub(super) fn put_back(&mut self, id: RequestId) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        waiting.proposed = false;
        match waiting.from {
            Peer::Replica(replica) => self.from_replicas.entry(replica).or_default().push_front(id),
            Peer::Client(client) => self.from_clients.entry(client).or_default().push_front(id),
        }
    }
}

/// Drops ids that no longer wait from the head of a queue: at a backup nothing else empties it.
fn drop_gone<K: Copy + Ord>(
    queues: &mut BTreeMap<K, VecDeque<RequestId>>,
    key: K,
    waiting: &BTreeMap<RequestId, Waiting>,
) {
    let Some(queue) = queues.get_mut(&key) else { return };
    while queue.front().is_some_and(|id| !waiting.contains_key(id)) {
        queue.pop_front();
    }
    if queue.is_empty() {
        queues.remove(&key);
    }
}

/// Takes one id from the queue after the one served last.
fn next_in_turn<K: Copy + Ord>(
    queues: &mut BTreeMap<K, VecDeque<RequestId>>,
    last: &mut Option<K>,
) -> Option<RequestId> {
    use std::ops::Bound::{Excluded, Unbounded};
    let after = last.and_then(|last| queues.range((Excluded(last), Unbounded)).next().map(|(key, _)| *key));
    let key = after.or_else(|| queues.keys().next().copied())?;
    let queue = queues.get_mut(&key)?;
    let id = queue.pop_front();
    if queue.is_empty() {
        queues.remove(&key);
    }
    *last = Some(key);
    id
}
