//! Byzantine behaviour, at the outbox of a replica and with its own keys only. Protocol code has no
//! test mode: everything here happens to messages that a correct replica asked to send.

use crate::message::Signer;
use crate::role::{Message, To};
use crate::types::{Now, ReplicaId, View};

/// What a faulty replica does to its messages. The defaults are honest.
pub(crate) trait Adversary {
    /// Called with every message that the replica would send; what comes back is sent.
    fn on_send(&mut self, to: To, message: Message) -> Vec<(To, Message)> {
        vec![(to, message)]
    }

    /// Whether a message from this client may reach the replica's roles.
    fn admits(&mut self, _client: crate::types::ClientId) -> bool {
        true
    }

    /// Called now and then; what comes back is sent too.
    fn on_tick(&mut self, _now: Now, _signer: &Signer) -> Vec<(To, Message)> {
        Vec::new()
    }
}

/// Says nothing.
pub(crate) struct Mute;

impl Adversary for Mute {
    fn on_send(&mut self, _to: To, _message: Message) -> Vec<(To, Message)> {
        Vec::new()
    }
}

/// Serves everyone but one client, neither directly nor when another replica forwards it.
pub(crate) struct Unfair(pub(crate) crate::types::ClientId);

impl Adversary for Unfair {
    fn admits(&mut self, client: crate::types::ClientId) -> bool {
        client != self.0
    }
}

/// Asks for ever higher views.
#[derive(Default)]
pub(crate) struct ViewClimber {
    view: u64,
}

impl Adversary for ViewClimber {
    fn on_tick(&mut self, _now: Now, signer: &Signer) -> Vec<(To, Message)> {
        use crate::message::{Kind, ViewChange};
        use crate::types::Seq;
        self.view += 1;
        let message = ViewChange {
            view: View(self.view),
            stable: Seq::ZERO,
            checkpoints: Vec::new(),
            prepared: Vec::new(),
            pre_prepared: Vec::new(),
            signed_only: Vec::new(),
        };
        vec![(To::Others, Message::ViewChange(signer.sign(Kind::ViewChange, message)))]
    }
}

/// As the primary, proposes one thing to some replicas and null to the others.
pub(crate) struct Equivocator {
    /// Who gets what the replica really proposed.
    pub(crate) told: Vec<ReplicaId>,
    /// Everyone else.
    pub(crate) fooled: Vec<ReplicaId>,
}

impl Adversary for Equivocator {
    fn on_send(&mut self, to: To, message: Message) -> Vec<(To, Message)> {
        use crate::message::PrePrepare;
        match (to, message) {
            (To::Others, Message::PrePrepare(real)) => {
                let null = PrePrepare::new(real.view, real.seq, None, Vec::new());
                let told = self.told.iter().copied().collect();
                let fooled = self.fooled.iter().copied().collect();
                vec![
                    (To::Replicas(told), Message::PrePrepare(real)),
                    (To::Replicas(fooled), Message::PrePrepare(null)),
                ]
            }
            other => vec![other],
        }
    }
}
