//! Durable, then sent (PROTOCOL 11). Every step's effects pass through here in order; what is sent
//! after a record of the same step, and the own vote on its way back, waits until the record is
//! durable. Mail between roles does not wait: whatever it leads to has records of its own, which
//! become durable later than this one. In memory mode everything is durable at once.

use std::collections::VecDeque;

use crate::role::{CheckpointerInput, Effect, Mail, OrdererInput, Record, ViewChangerInput};
use crate::types::View;

/// Counts records; what waits for a mark may leave once the record with this number is durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Mark(pub(crate) u64);

/// Effects on their way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct JournalStage {
    waiting: VecDeque<(Mark, Effect)>,
    written: Mark,
    durable: Mark,
}

impl JournalStage {
    /// Takes a step's effects: appends its records to `records` and what may leave now to `released`.
    pub(crate) fn submit(
        &mut self,
        effects: Vec<Effect>,
        records: &mut Vec<Record>,
        released: &mut Vec<Effect>,
    ) {
        let mut after = Mark::default();
        for effect in effects {
            match effect {
                Effect::Persist(record) => {
                    self.written.0 += 1;
                    after = self.written;
                    records.push(record);
                }
                Effect::StepEnd => after = Mark::default(),
                Effect::Fence(view) => self.waiting.retain(|(_, effect)| !is_vote(effect, view)),
                effect if after <= self.durable || !waits(&effect) => released.push(effect),
                effect => self.waiting.push_back((after, effect)),
            }
        }
    }

    /// The mark of the last record submitted.
    pub(crate) fn written(&self) -> Mark {
        self.written
    }

    /// Records up to `mark` are durable: appends what may leave now to `released`.
    pub(crate) fn on_durable(&mut self, mark: Mark, released: &mut Vec<Effect>) {
        self.durable = self.durable.max(mark);
        while self.waiting.front().is_some_and(|(mark, _)| *mark <= self.durable) {
            released.extend(self.waiting.pop_front().map(|(_, effect)| effect));
        }
    }
}

/// Whether an effect shows others, or counts, what a record promises.
fn waits(effect: &Effect) -> bool {
    match effect {
        Effect::Send(..) | Effect::Release(_) => true,
        Effect::Tell(mail) => matches!(
            mail,
            Mail::Orderer(
                OrdererInput::OwnPrePrepare(_) | OrdererInput::OwnPrepare(_) | OrdererInput::OwnCommit(_)
            ) | Mail::Checkpointer(CheckpointerInput::OwnCheckpoint(_))
                | Mail::ViewChanger(ViewChangerInput::OwnViewChange(_) | ViewChangerInput::OwnNewView(_))
        ),
        Effect::Persist(_)
        | Effect::Fence(_)
        | Effect::StepEnd
        | Effect::Digest { .. }
        | Effect::Save(_)
        | Effect::Event(_) => false,
    }
}

/// Whether an effect is a vote of `view` or a lower one, on its way to others or to ourselves.
fn is_vote(effect: &Effect, view: View) -> bool {
    match effect {
        Effect::Send(_, message) => message.vote_view().is_some_and(|voted| voted <= view),
        Effect::Tell(Mail::Orderer(
            OrdererInput::OwnPrePrepare(vote)
            | OrdererInput::OwnPrepare(vote)
            | OrdererInput::OwnCommit(vote),
        )) => vote.view <= view,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Digest;
    use crate::message::Vote;
    use crate::role::{Message, To};
    use crate::types::Seq;

    fn vote(view: u64) -> Vote {
        Vote { view: View(view), seq: Seq(1), digest: Digest::of(b"d") }
    }

    fn record(view: u64) -> Effect {
        let Vote { view, seq, digest } = vote(view);
        Effect::Persist(Record::Prepared { view, seq, digest })
    }

    fn commit(view: u64) -> Effect {
        Effect::Send(To::Others, Message::Commit(vote(view)))
    }

    fn own_commit(view: u64) -> Effect {
        Effect::Tell(Mail::Orderer(OrdererInput::OwnCommit(vote(view))))
    }

    #[test]
    fn nothing_after_a_record_of_its_step_leaves_before_it_is_durable() {
        let (mut stage, mut records, mut released) = (JournalStage::default(), Vec::new(), Vec::new());
        let step = vec![commit(0), record(1), commit(1), own_commit(1), Effect::StepEnd, commit(2)];
        stage.submit(step, &mut records, &mut released);
        stage.submit(vec![commit(3)], &mut records, &mut released);
        assert_eq!(records.len(), 1);
        assert_eq!(released, [commit(0), commit(2), commit(3)], "what does not depend on the record");
        stage.on_durable(Mark(1), &mut released);
        assert_eq!(released, [commit(0), commit(2), commit(3), commit(1), own_commit(1)]);
    }

    #[test]
    fn steps_leave_in_the_order_of_their_records() {
        let (mut stage, mut records, mut released) = (JournalStage::default(), Vec::new(), Vec::new());
        stage.submit(vec![record(1), commit(1)], &mut records, &mut released);
        stage.submit(vec![record(2), commit(2)], &mut records, &mut released);
        stage.on_durable(Mark(1), &mut released);
        assert_eq!(released, [commit(1)]);
        stage.on_durable(stage.written(), &mut released);
        assert_eq!(released, [commit(1), commit(2)]);
    }

    #[test]
    fn a_fence_stops_votes_of_left_views_that_still_wait_and_nothing_else() {
        let (mut stage, mut records, mut released) = (JournalStage::default(), Vec::new(), Vec::new());
        stage.submit(vec![record(1), commit(1), own_commit(1), commit(2)], &mut records, &mut released);
        stage.submit(vec![Effect::Fence(View(1))], &mut records, &mut released);
        stage.on_durable(Mark(1), &mut released);
        assert_eq!(released, [commit(2)]);
    }
}
