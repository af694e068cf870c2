//! What became of the operations that came over HTTP, by the key that the caller gave and by the id
//! that the group gave. Both are bounded: the oldest are forgotten.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pbft_actors::types::{ClientId, RequestId, SessionId, Timestamp};
use tokio::sync::watch;

use super::answer::{Answer, Known};
use super::bounded::Bounded;

/// Most `Idempotency-Key`s that are remembered.
pub(super) const KEYS_MAX: usize = 16_384;
/// Longest `Idempotency-Key`, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 256;
/// Most outcomes that are remembered.
const OUTCOMES_MAX: usize = 16_384;

/// An answer that may still be on its way.
pub(super) type Pending = watch::Receiver<Option<Answer>>;

/// What a key stands for.
pub(super) enum Claim {
    /// Nothing yet: whoever got this sends the operation, and the answer here.
    New(watch::Sender<Option<Answer>>),
    /// This operation was sent already.
    Sent(Pending),
    /// Another operation.
    Other,
}

/// All that is remembered.
#[derive(Debug)]
pub(super) struct Outcomes {
    keys: Mutex<Bounded<String, (Bytes, Pending)>>,
    by_id: Mutex<Bounded<RequestId, Answer>>,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self { keys: Mutex::new(Bounded::new(KEYS_MAX)), by_id: Mutex::new(Bounded::new(OUTCOMES_MAX)) }
    }
}

impl Outcomes {
    /// Looks up a key, or takes it for this operation.
    pub(super) fn claim(&self, key: &str, operation: &Bytes) -> Claim {
        let mut keys = lock(&self.keys);
        let key = key.to_owned();
        match keys.get(&key) {
            Some((same, pending)) if same == operation => Claim::Sent(pending.clone()),
            Some(_) => Claim::Other,
            None => {
                let (sender, pending) = watch::channel(None);
                keys.insert(key, (operation.clone(), pending));
                Claim::New(sender)
            }
        }
    }

    /// The operation under this key was never sent: the key may be used again.
    pub(super) fn forget(&self, key: &str) {
        lock(&self.keys).remove(&key.to_owned());
    }

    /// Remembers an answer under its id; what is final stays so.
    pub(super) fn note(&self, answer: &Answer) {
        let Some(id) = answer.id else { return };
        let mut by_id = lock(&self.by_id);
        if by_id.get(&id).is_none_or(|known| known.outcome == Known::Unknown) {
            by_id.insert(id, answer.clone());
        }
    }

    /// What is known of a request.
    pub(super) fn known(&self, id: RequestId) -> Option<Answer> {
        lock(&self.by_id).get(&id).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request's name as it is shown.
pub(super) fn parse_id(text: &str) -> Option<RequestId> {
    let mut parts = text.split('-');
    let id = RequestId {
        client: ClientId(parts.next()?.parse().ok()?),
        session: SessionId(parts.next()?.parse().ok()?),
        timestamp: Timestamp(parts.next()?.parse().ok()?),
    };
    parts.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_id_is_read_back() {
        let id = RequestId { client: ClientId(3), session: SessionId(17), timestamp: Timestamp(5) };
        assert_eq!(parse_id(&id.to_string()), Some(id));
        for wrong in ["", "1-2", "1-2-3-4", "a-2-3", "replica-0-1-2"] {
            assert_eq!(parse_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_stands_for_one_operation() {
        let outcomes = Outcomes::default();
        let (one, other) = (Bytes::from_static(b"1"), Bytes::from_static(b"2"));
        assert!(matches!(outcomes.claim("k", &one), Claim::New(_)));
        assert!(matches!(outcomes.claim("k", &one), Claim::Sent(_)));
        assert!(matches!(outcomes.claim("k", &other), Claim::Other));
        outcomes.forget("k");
        assert!(matches!(outcomes.claim("k", &other), Claim::New(_)));
    }
}
