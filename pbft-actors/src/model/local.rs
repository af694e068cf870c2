//! The states of each correct replica and the steps between them, each made once by the real roles.
//!
//! A replica's step depends on its own state and on what it hears, so the few thousand states of single
//! replicas make the millions of the group.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

use super::{Group, Member, Said, names};
use crate::crypto::Digest;
use crate::message::{Kind, Payload, Peer, ReplyResult};
use crate::role::{Event, Message, ViewChangerInput};
use crate::types::{ReplicaId, ReplicaSet, Seq, Timestamp, View};

/// A state of one replica, by number.
pub(crate) type LocalId = u32;

/// Something that can happen to a replica, by number.
pub(crate) type InputId = u32;

/// Something that can happen to a replica.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Input {
    /// A message arrives. The set says for whom it is.
    Message { from: Peer, to: u32, kind: Kind, body: bytes::Bytes },
    /// The request timer of view 0 expires.
    Suspect,
}

/// What is to be known of a state of one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    /// How it came about.
    parent: Option<(LocalId, InputId)>,
    /// Messages for other replicas, ascending.
    pub(crate) sent: Vec<InputId>,
    /// Votes by kind and place.
    pub(crate) votes: BTreeMap<(Kind, View, Seq), Digest>,
    pub(crate) executed: BTreeMap<Seq, Digest>,
    /// What the client was told: request, place and outcome by timestamp.
    pub(crate) answers: BTreeMap<Timestamp, (Digest, Seq, Digest)>,
    /// What the replica did that no correct one does.
    pub(crate) wrong: Option<String>,
    suspected: bool,
}

/// Where an input leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) to: LocalId,
    /// Whether anybody else can see it.
    pub(crate) visible: bool,
}

/// All states of the correct replicas that were met.
pub(crate) struct Locals {
    group: Group,
    correct: Vec<ReplicaId>,
    states: Vec<(usize, Local)>,
    /// The replica in each state.
    members: Vec<Member>,
    /// Two hashes of each state.
    prints: Vec<(u64, u64)>,
    known: HashMap<(usize, u64, u64), LocalId>,
    /// Where inputs lead that were tried.
    steps: HashMap<(LocalId, InputId), Step>,
    inputs: Vec<Input>,
    numbers: HashMap<Input, InputId>,
    /// Steps that the real roles made.
    pub(crate) made: u64,
}

impl Locals {
    /// The correct replicas of a group in which everybody executed `requests`.
    pub(crate) fn new(group: &Group, liar: ReplicaId, requests: &[crate::message::Request]) -> Self {
        let correct: Vec<ReplicaId> = group.replicas().filter(|id| *id != liar).collect();
        let mut members = group.started(requests, &mut |_, _, _| {});
        members.retain(|member| member.own() != liar);
        let mut locals = Self {
            group: group.clone(),
            correct,
            states: Vec::new(),
            members: Vec::new(),
            prints: Vec::new(),
            known: HashMap::new(),
            steps: HashMap::new(),
            inputs: Vec::new(),
            numbers: HashMap::new(),
            made: 0,
        };
        for at in 0..locals.correct.len() {
            locals.states.push((at, Local::default()));
            let member = members.remove(0);
            locals.prints.push(locals.fingerprint(&member, &Local::default()));
            locals.members.push(member);
        }
        locals
    }

    pub(crate) fn correct(&self) -> &[ReplicaId] {
        &self.correct
    }

    /// The state in which the model finds a replica.
    pub(crate) fn first(&self, at: usize) -> LocalId {
        at as LocalId
    }

    pub(crate) fn local(&self, id: LocalId) -> &Local {
        &self.states[id as usize].1
    }

    /// States of single replicas, and different inputs.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.states.len(), self.inputs.len())
    }

    pub(crate) fn input(&self, id: InputId) -> &Input {
        &self.inputs[id as usize]
    }

    /// The number of an input.
    pub(crate) fn number(&mut self, input: Input) -> InputId {
        match self.numbers.entry(input) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let id = self.inputs.len() as InputId;
                self.inputs.push(new.key().clone());
                *new.insert(id)
            }
        }
    }

    /// A message of the liar, for everybody.
    pub(crate) fn lie(&mut self, liar: ReplicaId, payload: &Payload) -> InputId {
        let (kind, body) = (payload.kind(), payload.body().clone());
        self.number(Input::Message { from: Peer::Replica(liar), to: u32::MAX, kind, body })
    }

    /// Whether an input can happen to the replica of this state.
    pub(crate) fn is_for(&self, input: InputId, local: LocalId) -> bool {
        let (at, local) = &self.states[local as usize];
        match &self.inputs[input as usize] {
            Input::Message { from, to, .. } => {
                let own = self.correct[*at];
                *from != Peer::Replica(own) && to >> own.0 & 1 == 1
            }
            Input::Suspect => !local.suspected,
        }
    }

    /// Where an input leads from a state; none if it changes nothing.
    pub(crate) fn step(&mut self, from: LocalId, input: InputId) -> Option<Step> {
        let step = match self.steps.get(&(from, input)) {
            Some(step) => *step,
            None => {
                let step = self.make(from, input);
                self.steps.insert((from, input), step);
                step
            }
        };
        (step.to != from).then_some(step)
    }

    /// What a replica heard on its way to a state, from the first one on.
    pub(crate) fn history(&self, id: LocalId) -> Vec<InputId> {
        let mut history = Vec::new();
        let mut at = id;
        while let Some((parent, input)) = self.local(at).parent {
            history.push(input);
            at = parent;
        }
        history.reverse();
        history
    }

    /// A replica in its first state.
    pub(crate) fn member(&self, at: usize) -> Member {
        self.members[at].clone()
    }

    fn make(&mut self, from: LocalId, input: InputId) -> Step {
        self.made += 1;
        let at = self.states[from as usize].0;
        let mut member = self.members[from as usize].clone();
        let said = give(&mut member, self.input(input));
        let mut local = Local { parent: Some((from, input)), ..self.local(from).clone() };
        local.suspected |= *self.input(input) == Input::Suspect;
        let visible = said.iter().any(|said| !matches!(said, Said::Event(_)));
        for said in said {
            self.note(at, said, &mut local);
        }
        let after = self.fingerprint(&member, &local);
        if self.prints[from as usize] == after {
            return Step { to: from, visible: false };
        }
        let to = match self.known.entry((at, after.0, after.1)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let id = self.states.len() as LocalId;
                self.states.push((at, local));
                self.members.push(member);
                self.prints.push(after);
                *new.insert(id)
            }
        };
        Step { to, visible }
    }

    fn note(&mut self, at: usize, said: Said, local: &mut Local) {
        let own = self.correct[at];
        match said {
            Said::Message(to, message) => {
                let from = Peer::Replica(own);
                local.note_vote(&message);
                local.note_answer(&message);
                let hears = |id: &ReplicaId| names(to, from, *id);
                let set: ReplicaSet = self.group.replicas().filter(hears).collect();
                let to = set.iter().fold(0, |bits, id| bits | 1 << id.0);
                if to != 0 {
                    let payload = message.payload();
                    let (kind, body) = (payload.kind(), payload.body().clone());
                    let number = self.number(Input::Message { from, to, kind, body });
                    let sent: BTreeSet<InputId> = local.sent.iter().copied().chain([number]).collect();
                    local.sent = sent.into_iter().collect();
                }
            }
            Said::Executed(seq, digest) => {
                if local.executed.insert(seq, digest).is_some() {
                    local.wrong = Some(format!("it executes {seq} again"));
                }
            }
            Said::Event(Event::Misbehaved { replica, what }) if self.correct.contains(&replica) => {
                local.wrong = Some(format!("it blames replica {replica}: {what}"));
            }
            Said::Event(Event::Fatal { why }) => local.wrong = Some(format!("it stops: {why}")),
            Said::Event(_) => {}
        }
    }

    /// Two hashes of all that a state is.
    fn fingerprint(&self, member: &Member, local: &Local) -> (u64, u64) {
        let mut text = Hashed::default();
        let Local { sent, executed, answers, wrong, suspected, .. } = local;
        member
            .describe(&mut text)
            .and_then(|()| write!(text, "{sent:?}{executed:?}{answers:?}{wrong:?}{suspected}"))
            .expect("a hasher takes all");
        (text.one.finish(), text.two.finish())
    }
}

impl Local {
    fn note_vote(&mut self, message: &Message) {
        let (view, seq, digest) = match message {
            Message::PrePrepare(message) => (message.view, message.seq, message.digest()),
            Message::Prepare(vote) | Message::Commit(vote) => (vote.view, vote.seq, vote.digest),
            _ => return,
        };
        let first = *self.votes.entry((message.kind(), view, seq)).or_insert(digest);
        if first != digest {
            self.wrong =
                Some(format!("it sends two {:?} at {view}/{seq}: {first} and {digest}", message.kind()));
        }
    }

    fn note_answer(&mut self, message: &Message) {
        let Message::Reply(reply) = message else { return };
        let ReplyResult::Full(outcome) = &reply.result else { return };
        let answer = (reply.request_digest, reply.seq, outcome.digest(reply.request_digest));
        let first = self.answers.entry(reply.request.timestamp).or_insert(answer);
        if *first != answer {
            self.wrong = Some(format!("it answers {:?} in two ways", reply.request));
        }
    }
}

fn give(member: &mut Member, input: &Input) -> Vec<Said> {
    match input {
        // What does not open is dropped: nothing changes.
        Input::Message { from, kind, body, .. } => {
            member.on_message(*from, *kind, body.clone()).unwrap_or_default()
        }
        Input::Suspect => member.on_mail(ViewChangerInput::Suspect(View(0)).into()),
    }
}

#[derive(Default)]
struct Hashed {
    one: DefaultHasher,
    two: DefaultHasher,
}

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.one.write(text.as_bytes());
        // Another one of the same text: each part is followed by its length.
        self.two.write(text.as_bytes());
        self.two.write_usize(text.len());
        Ok(())
    }
}
