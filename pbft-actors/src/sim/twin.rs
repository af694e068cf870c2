//! Twins: a second copy of a replica with the same identity, which talks to some of the others while
//! the first one talks to the rest. Both hear all replicas; each has its own clients.

use std::cell::RefCell;
use std::rc::Rc;

use super::node::{Node, Turn};
use crate::adversary::{Adversary, within};
use crate::message::{Peer, Signer};
use crate::role::{ExecutorInput, Message, To};
use crate::types::{Now, ReplicaSet};

/// The second copy.
pub(super) struct Twin {
    pub(super) node: Box<Node>,
    /// Whom it talks to; the first copy talks to the others.
    side: ReplicaSet,
    /// Whom it hears.
    heard: ReplicaSet,
    everyone: ReplicaSet,
    said: Rc<RefCell<Vec<(To, Message)>>>,
}

impl Twin {
    /// A copy that started from nothing, as the first one did.
    pub(super) fn new(mut node: Node, side: ReplicaSet, everyone: ReplicaSet) -> Self {
        let said = Rc::new(RefCell::new(Vec::new()));
        node.adversary = Some(Box::new(Overheard(said.clone())));
        Self { node: Box::new(node), side, heard: everyone, everyone, said }
    }

    /// From here on it talks to these only, and hears no others.
    pub(super) fn keep_to(&mut self, side: ReplicaSet) {
        (self.side, self.heard) = (side, side);
    }

    /// Whether it, too, gets what this peer says.
    pub(super) fn hears(&self, from: Peer) -> bool {
        match from {
            Peer::Replica(id) => self.heard.contains(id),
            Peer::Client(id) => id.0 % 2 == 1,
        }
    }

    /// Runs it; what it says to its side.
    pub(super) fn run(&mut self, now: Now) -> Vec<(To, Message)> {
        // Nobody checks what it does, and it keeps nothing.
        loop {
            let mut turn = Turn::default();
            self.node.run(now, &mut turn);
            if turn.digests.is_empty() {
                break;
            }
            for (generation, taken) in turn.digests {
                self.node.post(ExecutorInput::Digested { generation, taken }.into());
            }
        }
        let said = std::mem::take(&mut *self.said.borrow_mut());
        let to_side = |(to, message)| match to {
            To::Client(_) => Some((to, message)),
            _ => within(to, self.side, self.everyone).map(|to| (to, message)),
        };
        said.into_iter().filter_map(to_side).collect()
    }
}

/// Takes down what a copy says: the links are the first one's.
struct Overheard(Rc<RefCell<Vec<(To, Message)>>>);

impl Adversary for Overheard {
    fn on_send(&mut self, to: To, message: Message, _signer: &Signer) -> Vec<(To, Message)> {
        self.0.borrow_mut().push((to, message));
        Vec::new()
    }
}
