//! What a faulty client does to its requests, with its own keys only.

use serde::{Deserialize, Serialize};

use super::rng::Rng;
use crate::crypto::Identity;
use crate::message::{Binding, Hints, Operation, Request, RequestKeys};
use crate::types::{Quorums, ReplicaId, ReplicaSet, Timestamp};

/// One kind of Byzantine client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum ClientAttack {
    /// Every second replica gets another operation under the same timestamp.
    TwoOperations,
    /// Authenticators that are good for these replicas only, and never a signature.
    SomeMacs(ReplicaSet),
    /// Each request so many times, under rising timestamps, also beyond its window.
    Floods { copies: u64 },
}

impl ClientAttack {
    pub(super) fn draw(rng: &mut Rng, quorums: Quorums) -> Self {
        match rng.below(3) {
            0 => Self::TwoOperations,
            1 => Self::SomeMacs(super::attack::some_of(rng, quorums)),
            _ => Self::Floods { copies: rng.between(2, 40) },
        }
    }
}

/// Whoever it is that attacks.
pub(super) struct ClientKeys<'a> {
    pub(super) identity: &'a Identity,
    pub(super) binding: &'a Binding,
    pub(super) request_keys: &'a [Option<RequestKeys>],
}

impl ClientAttack {
    /// What goes to a replica in place of an honest request.
    pub(super) fn twist(self, to: ReplicaId, honest: &Request, keys: &ClientKeys<'_>) -> Vec<Request> {
        let hints = honest.hints();
        if honest.is_opening() {
            return vec![honest.clone()];
        }
        match self {
            Self::TwoOperations if to.0 % 2 == 1 => {
                let mut other = operation_of(honest);
                other.operation = other.operation.iter().rev().copied().collect();
                vec![keys.sign(other, hints)]
            }
            Self::TwoOperations => vec![honest.clone()],
            Self::SomeMacs(good) => {
                let entry = |(id, keys): (usize, &'_ Option<RequestKeys>)| {
                    keys.clone().filter(|_| good.contains(ReplicaId(id as u8)))
                };
                let entries: Vec<Option<RequestKeys>> =
                    keys.request_keys.iter().enumerate().map(entry).collect();
                let macs = entries.iter().map(Option::as_ref);
                vec![Request::authenticated(operation_of(honest), macs, hints)]
            }
            Self::Floods { copies } => (0..copies)
                .map(|step| {
                    let mut operation = operation_of(honest);
                    operation.timestamp = Timestamp(operation.timestamp.0.saturating_add(step));
                    keys.sign(operation, hints)
                })
                .collect(),
        }
    }
}

impl ClientKeys<'_> {
    fn sign(&self, operation: Operation, hints: Hints) -> Request {
        Request::signed(operation, self.identity, self.binding, hints)
    }
}

fn operation_of(request: &Request) -> Operation {
    let id = request.id();
    Operation {
        client: id.client,
        session: id.session,
        timestamp: id.timestamp,
        answered_below: request.answered_below(),
        read_only: request.is_read_only(),
        operation: request.operation().clone(),
    }
}
