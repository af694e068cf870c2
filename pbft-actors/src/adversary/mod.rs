//! Byzantine behaviour, at the outbox of a replica and with its own keys only. Protocol code has no
//! test mode: everything here happens to messages that a correct replica asked to send.

mod delay;
mod forge;
mod liar;
mod mutate;
mod partial;
mod two_faced;
mod views;

use crate::message::{Opened, Signer};
use crate::role::{Message, To};
use crate::types::{ClientId, Now, ReplicaSet};

pub(crate) use delay::{Slow, Stale};
pub(crate) use forge::{Echoes, Forges};
pub(crate) use liar::{Liar, Lie};
pub(crate) use mutate::{Change, Mutates, Mutation};
pub(crate) use partial::{Mute, Partial, Unfair};
pub(crate) use two_faced::{Conspiracy, Face, TwoFaced};
pub(crate) use views::{BadNewView, ViewClimber};

/// What a faulty replica does to its messages. The defaults are honest.
pub(crate) trait Adversary {
    /// Called with every message that the replica would send; what comes back is sent.
    fn on_send(&mut self, to: To, message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        vec![(to, message)]
    }

    /// Whether a message from this client may reach the replica's roles.
    fn admits(&mut self, _client: ClientId) -> bool {
        true
    }

    /// Called with every message that reaches the replica.
    fn on_hear(&mut self, _opened: &Opened) {}

    /// Called now and then; what comes back is sent too.
    fn on_tick(&mut self, _now: Now, _signer: &Signer) -> Vec<(To, Message)> {
        Vec::new()
    }
}

/// One replica with several faults: each sees what the one before it would send.
pub(crate) struct Several(pub(crate) Vec<Box<dyn Adversary>>);

impl Adversary for Several {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        let mut sends = vec![(to, message)];
        for adversary in &mut self.0 {
            sends =
                sends.into_iter().flat_map(|(to, message)| adversary.on_send(to, message, signer)).collect();
        }
        sends
    }

    fn admits(&mut self, client: ClientId) -> bool {
        self.0.iter_mut().all(|adversary| adversary.admits(client))
    }

    fn on_hear(&mut self, opened: &Opened) {
        self.0.iter_mut().for_each(|adversary| adversary.on_hear(opened));
    }

    fn on_tick(&mut self, now: Now, signer: &Signer) -> Vec<(To, Message)> {
        self.0.iter_mut().flat_map(|adversary| adversary.on_tick(now, signer)).collect()
    }
}

/// The part of an address that lies within a set; `everyone` are the replicas of the group. Clients
/// are in no set.
pub(crate) fn within(to: To, set: ReplicaSet, everyone: ReplicaSet) -> Option<To> {
    let named = match to {
        To::Replica(id) => std::iter::once(id).collect(),
        To::Others => everyone,
        To::Replicas(named) => named,
        To::Client(_) => return None,
    };
    let both: ReplicaSet = named.iter().filter(|id| set.contains(*id)).collect();
    (!both.is_empty()).then_some(To::Replicas(both))
}

/// Where an adversary's choices come from: the same seed, the same choices.
struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// Below `bound`, which is at least 1.
    fn below(&mut self, bound: u64) -> u64 {
        self.count += 1;
        let mut bits = self.seed ^ self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (bits ^ (bits >> 32)) % bound
    }
}

/// A digest that nothing has.
fn garbage() -> crate::crypto::Digest {
    crate::crypto::Digest::of(b"a digest that nothing has")
}
