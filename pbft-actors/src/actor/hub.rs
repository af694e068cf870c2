//! The hub of one replica: the journal actor. Takes each step's whole effect list, in order, lets it
//! out as far as it is durable, and marks the end of a turn.

use actix::prelude::*;

use super::digester::{Digested, Digester};
use super::replica::{Down, Events, Replica};
use super::role_actor::{InFlight, Mails};
use super::transport::Outlet;
use super::writer::{Durable, StateDamaged, StateSaved, Writers};
use crate::message::Peer;
use crate::replica::JournalStage;
use crate::role::{
    BatcherInput, CheckpointerInput, Effect, Event, ExecutorInput, Mail, OrdererInput, Post, To,
    ViewChangerInput,
};
use crate::types::{Quorums, ReplicaId};

/// Steps after which a turn ends although mail is in flight.
const TURN_STEPS_MAX: usize = 256;

/// The effects of one step.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Step {
    pub(super) effects: Vec<Effect>,
}

/// A thread that works for the replica cannot go on: the disk failed, and is not tried again, or the
/// thread panicked.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WorkerFailed(pub(super) String);

/// A role panicked.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct RoleFailed {
    pub(super) role: &'static str,
    pub(super) what: String,
}

/// Everyone the hub tells.
#[derive(Clone)]
pub(super) struct Mailboxes {
    pub(super) batcher: Recipient<Mails<BatcherInput>>,
    pub(super) orderer: Recipient<Mails<OrdererInput>>,
    pub(super) checkpointer: Recipient<Mails<CheckpointerInput>>,
    pub(super) view_changer: Recipient<Mails<ViewChangerInput>>,
    pub(super) executor: Recipient<Mails<ExecutorInput>>,
}

/// Gives the hub the mailboxes, which are made after it, and the way out.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Wire {
    pub(super) mailboxes: Mailboxes,
    pub(super) outlet: Box<dyn Outlet>,
    pub(super) digester: Digester,
    pub(super) writers: Option<Writers>,
    pub(super) first: Vec<Mail>,
}

/// Ends the replica's links.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Close;

/// The journal actor.
pub(super) struct Hub {
    own: ReplicaId,
    quorums: Quorums,
    stage: JournalStage,
    digester: Option<Digester>,
    /// None in memory mode.
    writers: Option<Writers>,
    in_flight: InFlight,
    replica: Addr<Replica>,
    wired: Option<(Mailboxes, Box<dyn Outlet>)>,
    post: Post,
    events: Vec<Event>,
    /// Steps of this turn.
    steps: usize,
    /// Inputs for each role that were released in this step.
    batcher: Vec<BatcherInput>,
    orderer: Vec<OrdererInput>,
    checkpointer: Vec<CheckpointerInput>,
    view_changer: Vec<ViewChangerInput>,
    executor: Vec<ExecutorInput>,
}

impl Hub {
    pub(super) fn new(own: ReplicaId, quorums: Quorums, in_flight: InFlight, replica: Addr<Replica>) -> Self {
        Self {
            own,
            quorums,
            stage: JournalStage::default(),
            digester: None,
            writers: None,
            in_flight,
            replica,
            wired: None,
            post: Post::default(),
            events: Vec::new(),
            steps: 0,
            batcher: Vec::new(),
            orderer: Vec::new(),
            checkpointer: Vec::new(),
            view_changer: Vec::new(),
            executor: Vec::new(),
        }
    }

    fn submit(&mut self, effects: Vec<Effect>) {
        let (mut records, mut released) = (Vec::new(), Vec::new());
        self.stage.submit(effects, &mut records, &mut released);
        if !records.is_empty() {
            match &self.writers {
                Some(writers) => writers.write(records, self.stage.written()),
                // Memory mode: what is in memory is as durable as it gets.
                None => self.stage.on_durable(self.stage.written(), &mut released),
            }
        }
        self.release(released);
    }

    /// Does what may be done now.
    fn release(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist(_) | Effect::Fence(_) | Effect::StepEnd => {}
                Effect::Release(seq) => {
                    if let Some(writers) = &self.writers {
                        writers.release(seq);
                    }
                }
                Effect::Digest { generation, taken } => {
                    if let Some(digester) = &self.digester {
                        digester.digest(generation, taken);
                    }
                }
                Effect::Save(save) => match &self.writers {
                    Some(writers) => writers.save(save),
                    None => self.sort(save.done(None)),
                },
                Effect::Event(event) => self.events.push(event),
                Effect::Tell(mail) => self.sort(mail),
                Effect::Send(to, message) => {
                    let to = self.peers(to);
                    self.post.of_replica(to, message);
                }
            }
        }
        self.deliver();
    }

    fn sort(&mut self, mail: Mail) {
        match mail {
            Mail::Batcher(input) => self.batcher.push(input),
            Mail::Orderer(input) => self.orderer.push(input),
            Mail::Checkpointer(input) => self.checkpointer.push(input),
            Mail::ViewChanger(input) => self.view_changer.push(input),
            Mail::Executor(input) => self.executor.push(input),
        }
    }

    /// One mail per role for all that a step told it.
    fn deliver(&mut self) {
        let Some((to, _)) = &self.wired else { return };
        post(&to.orderer, &mut self.orderer, &self.in_flight);
        post(&to.executor, &mut self.executor, &self.in_flight);
        post(&to.batcher, &mut self.batcher, &self.in_flight);
        post(&to.checkpointer, &mut self.checkpointer, &self.in_flight);
        post(&to.view_changer, &mut self.view_changer, &self.in_flight);
    }

    fn peers(&self, to: To) -> Vec<Peer> {
        match to {
            To::Replica(id) => vec![Peer::Replica(id)],
            To::Others => self.quorums.others(self.own).map(Peer::Replica).collect(),
            To::Replicas(set) => set.iter().filter(|id| *id != self.own).map(Peer::Replica).collect(),
            To::Client(id) => vec![Peer::Client(id)],
        }
    }

    /// Something came from outside the roles: what it leads to is a turn, too.
    fn arrive(&mut self, work: impl FnOnce(&mut Self)) {
        self.in_flight.raise();
        work(self);
        if self.in_flight.lower() {
            self.end_turn();
        }
    }

    /// Ends the links, and the threads once they have done what was ordered.
    fn end(&mut self, context: &mut Context<Self>) {
        if let Some((_, outlet)) = self.wired.take() {
            outlet.close();
        }
        (self.digester, self.writers) = (None, None);
        context.stop();
    }

    /// No mail is in flight: the batcher may propose, and what is to be sent leaves in one go.
    fn end_turn(&mut self) {
        self.steps = 0;
        if let Some((to, outlet)) = &self.wired {
            if !self.post.is_empty() {
                outlet.send(self.post.take());
            }
            self.in_flight.raise();
            to.batcher.do_send(Mails { inputs: vec![BatcherInput::TurnEnd], turn_end: true });
        }
        if !self.events.is_empty() {
            self.replica.do_send(Events(std::mem::take(&mut self.events)));
        }
    }
}

fn post<I: Send + 'static>(to: &Recipient<Mails<I>>, inputs: &mut Vec<I>, in_flight: &InFlight) {
    if !inputs.is_empty() {
        in_flight.raise();
        to.do_send(Mails { inputs: std::mem::take(inputs), turn_end: false });
    }
}

impl Actor for Hub {
    type Context = Context<Self>;
}

impl Handler<Wire> for Hub {
    type Result = ();

    fn handle(&mut self, wire: Wire, _context: &mut Self::Context) {
        self.wired = Some((wire.mailboxes, wire.outlet));
        self.digester = Some(wire.digester);
        self.writers = wire.writers;
        wire.first.into_iter().for_each(|mail| self.sort(mail));
        self.deliver();
    }
}

impl Handler<Step> for Hub {
    type Result = ();

    fn handle(&mut self, step: Step, _context: &mut Self::Context) {
        self.submit(step.effects);
        self.steps += 1;
        // Under a flood there is always mail in flight: a turn ends all the same.
        if self.in_flight.lower() || self.steps >= TURN_STEPS_MAX {
            self.end_turn();
        }
    }
}

impl Handler<RoleFailed> for Hub {
    type Result = ();

    fn handle(&mut self, failed: RoleFailed, context: &mut Self::Context) {
        self.end(context);
        let why = format!("the {} panicked: {}", failed.role, failed.what);
        self.replica.do_send(Down { why });
    }
}

impl Handler<Durable> for Hub {
    type Result = ();

    fn handle(&mut self, Durable(mark): Durable, _context: &mut Self::Context) {
        self.arrive(|hub| {
            let mut released = Vec::new();
            hub.stage.on_durable(mark, &mut released);
            hub.release(released);
        });
    }
}

impl Handler<Digested> for Hub {
    type Result = ();

    fn handle(&mut self, Digested { generation, taken }: Digested, _context: &mut Self::Context) {
        self.arrive(|hub| {
            hub.executor.push(ExecutorInput::Digested { generation, taken });
            hub.deliver();
        });
    }
}

impl Handler<StateSaved> for Hub {
    type Result = ();

    fn handle(&mut self, StateSaved(mail): StateSaved, _context: &mut Self::Context) {
        self.arrive(|hub| {
            hub.sort(mail);
            hub.deliver();
        });
    }
}

impl Handler<StateDamaged> for Hub {
    type Result = ();

    fn handle(&mut self, StateDamaged(parts): StateDamaged, _context: &mut Self::Context) {
        self.arrive(|hub| {
            hub.checkpointer.push(CheckpointerInput::Damaged(parts));
            hub.deliver();
        });
    }
}

/// Nothing that waits for the disk leaves any more.
impl Handler<WorkerFailed> for Hub {
    type Result = ();

    fn handle(&mut self, WorkerFailed(why): WorkerFailed, context: &mut Self::Context) {
        self.end(context);
        self.replica.do_send(Down { why });
    }
}

impl Handler<Close> for Hub {
    type Result = ();

    fn handle(&mut self, _close: Close, context: &mut Self::Context) {
        self.end_turn();
        self.end(context);
    }
}
