use super::*;
use crate::message::Kind;

/// Says nothing.
pub(crate) struct Mute;

impl Adversary for Mute {
    fn on_send(&mut self, _to: To, _message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        Vec::new()
    }
}

/// Serves everyone but one client, neither directly nor when another replica forwards it.
pub(crate) struct Unfair(pub(crate) ClientId);

impl Adversary for Unfair {
    fn admits(&mut self, client: ClientId) -> bool {
        client != self.0
    }
}

/// Talks to some peers only, in some kinds of message or in all; clients are answered or not.
///
/// For those left out it is as if its MACs were wrong.
pub(crate) struct Partial {
    pub(crate) everyone: ReplicaSet,
    /// Whom it talks to.
    pub(crate) told: ReplicaSet,
    /// What the others do not get; nothing at all of it if empty.
    pub(crate) kinds: Vec<Kind>,
    /// Whether clients hear of it.
    pub(crate) answers: bool,
}

impl Adversary for Partial {
    fn on_send(&mut self, to: To, message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        match to {
            To::Client(_) if !self.answers => Vec::new(),
            To::Client(_) => vec![(to, message)],
            _ if !self.kinds.is_empty() && !self.kinds.contains(&message.kind()) => vec![(to, message)],
            _ => within(to, self.told, self.everyone).map(|to| (to, message)).into_iter().collect(),
        }
    }
}
