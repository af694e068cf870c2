//! One replica: its roles, the route of a message to them, and the journal stage of memory mode. Its
//! mail is handled in the order in which it was sent; time stands still.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;

use bytes::Bytes;

use super::Group;
use crate::crypto::Digest;
use crate::message::{Kind, Opener, Peer, Reject};
use crate::replica::{Inbound, JournalStage, Roles, route};
use crate::role::{BatcherInput, Effect, Event, ExecutorInput, Mail, Message, OrdererInput, Remembered, To};
use crate::types::{Monotonic, Now, ReplicaId, Seq, Wall};

/// Where the clock stands.
pub(super) const NOW: Now = Now { monotonic: Monotonic(1_000_000), wall: Wall(1_700_000_000_000_000) };

/// What others can see of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// It left for these.
    Message(To, Message),
    /// A batch was handed to the executor.
    Executed(Seq, Digest),
    Event(Event),
}

impl Said {
    pub(crate) fn message(self) -> Option<(To, Message)> {
        match self {
            Self::Message(to, message) => Some((to, message)),
            Self::Executed(..) | Self::Event(_) => None,
        }
    }
}

/// A replica in memory mode.
#[derive(Clone)]
pub(crate) struct Member {
    own: ReplicaId,
    roles: Roles,
    stage: JournalStage,
    mail: VecDeque<Mail>,
    opener: Arc<Opener>,
}

impl Member {
    pub(crate) fn new(group: &Group, own: ReplicaId) -> Self {
        let (roles, start) = Roles::new(&group.config(own), Remembered::default(), None);
        let opener = Arc::new(group.opener(Peer::Replica(own)));
        Self { own, roles, stage: JournalStage::default(), mail: start.into(), opener }
    }

    pub(crate) fn own(&self) -> ReplicaId {
        self.own
    }

    /// Meets the others, and asks them what they know of it.
    pub(crate) fn start(&mut self, group: &Group) -> Vec<Said> {
        let mut said = self.run();
        let own = self.own;
        for replica in group.replicas().filter(|id| *id != own) {
            let log = group.signer(replica).log;
            said.extend(self.on_mail(OrdererInput::PeerLog { replica, log }.into()));
        }
        said
    }

    /// Takes the body of a frame.
    ///
    /// # Errors
    /// Why it was dropped.
    pub(crate) fn on_message(&mut self, from: Peer, kind: Kind, body: Bytes) -> Result<Vec<Said>, Reject> {
        let mut inbound = Inbound::default();
        route(self.opener.open(from, kind, body)?, &mut inbound);
        self.mail.extend(inbound.into_mail());
        Ok(self.run())
    }

    /// Takes what a carrier or another role would send.
    pub(crate) fn on_mail(&mut self, mail: Mail) -> Vec<Said> {
        self.mail.push_back(mail);
        self.run()
    }

    /// What it holds that its answers depend on, as text. What it executed, and the state that follows from
    /// that, is left out: those who want to know have seen it.
    pub(crate) fn describe(&self, text: &mut impl Write) -> fmt::Result {
        let Roles { batcher, orderer, view_changer, .. } = &self.roles;
        write!(text, "{:?}{:?}{:?}", batcher.role(), orderer.role(), view_changer.role())
    }

    /// Runs until nothing is in flight, and then until the end of a turn changes nothing more.
    fn run(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        let effects = self.roles.on_wake(NOW);
        self.submit(effects, &mut said);
        let mut ended = false;
        while !ended {
            while let Some(mail) = self.mail.pop_front() {
                let effects = self.roles.deliver(NOW, mail);
                self.submit(effects, &mut said);
            }
            let effects = self.roles.deliver(NOW, BatcherInput::TurnEnd.into());
            ended = effects.is_empty();
            self.submit(effects, &mut said);
        }
        said
    }

    fn submit(&mut self, effects: Vec<Effect>, said: &mut Vec<Said>) {
        let (mut records, mut released) = (Vec::new(), Vec::new());
        self.stage.submit(effects, &mut records, &mut released);
        let mark = self.stage.written();
        self.stage.on_durable(mark, &mut released);
        for effect in released {
            match effect {
                Effect::Persist(_) | Effect::Fence(_) | Effect::StepEnd | Effect::Release(_) => {}
                Effect::Digest { generation, taken } => {
                    self.mail.push_back(ExecutorInput::Digested { generation, taken }.into());
                }
                Effect::Save(save) => self.mail.push_back(save.done(None)),
                Effect::Event(event) => said.push(Said::Event(event)),
                Effect::Tell(mail) => {
                    if let Mail::Executor(ExecutorInput::Execute(batches)) = &mail {
                        said.extend(batches.iter().map(|(seq, batch)| Said::Executed(*seq, batch.digest())));
                    }
                    self.mail.push_back(mail);
                }
                Effect::Send(to, message) => said.push(Said::Message(to, message)),
            }
        }
    }
}
