//! What a replica does, read for the marks that it reaches.

use std::collections::BTreeMap;

use super::mark::{Mark, Marks};
use crate::message::{Batch, Fetch, Outcome, Reply, ReplyResult, ViewChange};
use crate::ports::storage::Damage;
use crate::replica::Restored;
use crate::role::{Effect, Event, ExecutorInput, LogStanding, Mail, Message, OrdererInput};
use crate::types::{ReplicaId, Seq, View};

/// What a step was for, as far as marks depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A new primary gathers what it must choose.
    Gather,
    /// A view is entered.
    Enter,
    /// Requests come in.
    Requests,
    Other,
}

impl Step {
    pub(super) fn of(mail: &Mail) -> Self {
        match mail {
            Mail::Orderer(OrdererInput::Gather { .. }) => Self::Gather,
            Mail::Orderer(OrdererInput::Enter(_)) => Self::Enter,
            Mail::Executor(ExecutorInput::Requests(_)) => Self::Requests,
            _ => Self::Other,
        }
    }
}

/// Counts what the effects of one step show.
pub(super) fn on_effects(step: Step, effects: &[Effect], marks: &mut Marks) {
    for effect in effects {
        match effect {
            Effect::Send(_, message) => on_message(step, message, marks),
            Effect::Tell(Mail::Orderer(OrdererInput::Enter(enter))) if !enter.signed_only.is_empty() => {
                marks.reach(Mark::SignedOnly);
            }
            _ => {}
        }
    }
}

fn on_message(step: Step, message: &Message, marks: &mut Marks) {
    match message {
        Message::Fetch(Fetch::Batch { .. }) if step == Step::Gather => {
            marks.reach(Mark::NewViewFetched);
        }
        Message::Fetch(Fetch::Batch { .. }) if step == Step::Enter => {
            marks.reach(Mark::EnteredWithoutBodies);
        }
        Message::ViewChange(signed) => on_view_change(&signed.message, marks),
        Message::NewView(signed) => {
            let null = Batch::null_digest();
            let chosen = &signed.message.chosen;
            marks.reach_if(chosen.iter().any(|(_, digest)| *digest == null), Mark::NullChosen);
            marks.reach_if(chosen.iter().any(|(_, digest)| *digest != null), Mark::BatchChosen);
        }
        Message::PrePrepare(message) if message.choice.is_none() => marks.reach(Mark::NullProposed),
        Message::Reply(reply) => on_reply(step, reply, marks),
        Message::NeedSignature(_) => marks.reach(Mark::NeedSignature),
        Message::Busy(_) => marks.reach(Mark::Busy),
        Message::Decided(_) => marks.reach(Mark::DecisionTold),
        Message::Certificate(_) => marks.reach(Mark::CertificateTold),
        _ => {}
    }
}

fn on_reply(step: Step, reply: &Reply, marks: &mut Marks) {
    if reply.tentative && reply.seq == Seq::ZERO {
        marks.reach(if step == Step::Requests { Mark::ReadAnswered } else { Mark::ReadWaited });
        return;
    }
    marks.reach_if(reply.tentative, Mark::TentativeReply);
    match &reply.result {
        ReplyResult::Full(Outcome::SessionExpired { .. }) => marks.reach(Mark::SessionExpired),
        ReplyResult::Full(Outcome::ResultDropped) => marks.reach(Mark::ResultDropped),
        _ if step == Step::Requests => marks.reach(Mark::DuplicateAnswered),
        ReplyResult::Digest(_) => marks.reach(Mark::DigestReply),
        ReplyResult::Full(_) => {}
    }
}

fn on_view_change(message: &ViewChange, marks: &mut Marks) {
    marks.reach_if(!message.prepared.is_empty(), Mark::PreparedInViewChange);
    let contested = message.pre_prepared.windows(2).any(|pair| pair[0].seq == pair[1].seq);
    marks.reach_if(contested, Mark::ContestedInViewChange);
}

/// What the events of all replicas show together.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) marks: Marks,
    /// The view that each replica asked for and did not enter yet.
    changing: BTreeMap<ReplicaId, View>,
    views: BTreeMap<ReplicaId, View>,
    /// The checkpoint that each replica fetches.
    fetching: BTreeMap<ReplicaId, Seq>,
}

impl Watch {
    pub(super) fn on_event(&mut self, replica: ReplicaId, event: &Event) {
        let marks = &mut self.marks;
        match event {
            Event::ViewChangeStarted { view } => {
                let again = self.changing.insert(replica, *view).is_some();
                marks.reach_if(again, Mark::ViewChangeAgain);
            }
            Event::ViewInstalled { view, .. } => {
                self.changing.remove(&replica);
                let before = self.views.insert(replica, *view).unwrap_or_default();
                marks.reach_if(*view > before.next(), Mark::ViewsSkipped);
            }
            Event::Behind { target } => {
                let before = self.fetching.insert(replica, *target);
                marks.reach_if(before.is_some_and(|before| before < *target), Mark::TransferFollowed);
            }
            Event::Transferred { .. } => {
                self.fetching.remove(&replica);
                marks.reach(Mark::Transferred);
            }
            Event::Rejoining { .. } => marks.reach(Mark::Rejoined),
            Event::Damaged { .. } => marks.reach(Mark::StateDamaged),
            Event::Repaired { .. } => marks.reach(Mark::StateRepaired),
            Event::Misbehaved { .. } => marks.reach(Mark::LieNoticed),
            _ => {}
        }
    }

    /// A replica stops; `reached` is what it counted itself.
    pub(super) fn on_stop(&mut self, replica: ReplicaId, reached: Option<Marks>) {
        if let Some(reached) = reached {
            self.marks.add(&reached);
        }
        self.marks.reach_if(self.changing.remove(&replica).is_some(), Mark::StoppedInViewChange);
        self.marks.reach_if(self.fetching.remove(&replica).is_some(), Mark::TransferInterrupted);
        self.views.remove(&replica);
    }

    /// A replica starts with a journal.
    pub(super) fn on_journal(&mut self, restored: &Restored) {
        let Damage { hidden, bodies, torn, .. } = restored.damage;
        let found = [
            (restored.found && restored.remembered.standing != LogStanding::Lost, Mark::Remembered),
            (torn, Mark::TornTail),
            (hidden, Mark::PromisesLost),
            (bodies > 0, Mark::PromiseCopied),
        ];
        found.into_iter().for_each(|(reached, mark)| self.marks.reach_if(reached, mark));
    }
}
