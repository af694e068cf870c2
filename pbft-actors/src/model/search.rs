//! Every order of deliveries, breadth first: a state of the group is a state of each correct replica.
//!
//! What was sent stays: it can be delivered to each receiver at any later time, again, or never, so
//! delays, reordering, duplicates and losses need no steps of their own. A step of the group is one that
//! others can see, with the unseen ones of that replica before it that it needs (`unseen`). What is too deep
//! for that is walked through by chance.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::byzantine::Liar;
use super::local::{Input, InputId, LocalId, Locals};
use super::member::NOW;
use super::unseen::{Found, steps_from};
use super::{CLIENT, Group, Limits, Tally};
use crate::crypto::Digest;
use crate::message::{Batch, Choice, Kind, Payload, Peer, Request};
use crate::role::Message;
use crate::types::{ReplicaId, Seq, View};

/// Correct replicas of a group of four.
const CORRECT: usize = 3;

/// K of the group: no checkpoint is reached.
const INTERVAL: u64 = 64;

/// States of single replicas that are held, each with the replica itself: some gigabytes.
const LOCALS_MAX: usize = 300_000;

/// The primary of view 0.
const PRIMARY: ReplicaId = ReplicaId(0);

/// A state of the group.
type State = [LocalId; CORRECT];

/// What was looked at, and what was found.
#[derive(Debug)]
pub(crate) struct Explored {
    /// States of the group.
    pub(crate) states: usize,
    /// Steps between them.
    pub(crate) steps: u64,
    /// States of single replicas.
    pub(crate) locals: usize,
    /// Different messages.
    pub(crate) inputs: usize,
    /// Steps of single replicas that the real roles made.
    pub(crate) made: u64,
    /// Everything up to so many steps was looked at.
    pub(crate) depth: usize,
    /// Whether there was nothing more.
    pub(crate) complete: bool,
    /// Whether a replica could have taken more unseen steps in a row than the limit.
    pub(crate) cut: bool,
    /// Whether a state was met in which some correct replica executed one of the liar's batches.
    pub(crate) executed: bool,
    /// Whether one was met in which some correct replica voted in view 1.
    pub(crate) changed: bool,
    /// What does not hold, and how it came about.
    pub(crate) violation: Option<String>,
}

/// Looks at everything that can happen within the limits.
pub(crate) fn explore(liar: ReplicaId, limits: &Limits) -> Explored {
    let mut search = Search::new(liar, limits);
    search.run(limits)
}

struct Search {
    locals: Locals,
    liar: Liar,
    /// What can always happen.
    always: Vec<InputId>,
    /// NEW-VIEWs by the VIEW-CHANGEs that they are made of.
    new_views: HashMap<Vec<InputId>, Vec<InputId>>,
    /// What can happen to a replica, by number.
    offers: HashMap<Vec<InputId>, usize>,
    /// Where a state of one replica can go, by what can happen.
    onward: HashMap<(LocalId, usize), Rc<[LocalId]>>,
    seen: HashSet<State>,
    quorum: usize,
    cut: bool,
    executed: bool,
    changed: bool,
}

impl Search {
    fn new(liar: ReplicaId, limits: &Limits) -> Self {
        let group = Group::new(INTERVAL, Arc::new(Tally));
        let mut locals = Locals::new(&group, liar, &[group.request(0, b"sixteen bytes...")]);
        // One timestamp, two operations: the client lies, too.
        let requests = [group.request(1, b"a"), group.request(1, b"b")];
        let batches = requests.iter().map(|request| batch_of(&locals, liar, request)).collect();
        let liar = Liar::new(&group, liar, limits, locals.member(0), batches);
        let lies = liar.always(limits.views);
        let mut always: Vec<InputId> = lies.iter().map(|lie| locals.lie(liar.own(), lie)).collect();
        if liar.own() != PRIMARY {
            let from = Peer::Client(CLIENT);
            always.extend(requests.map(|request| {
                let body = request.wire().clone();
                locals.number(Input::Message { from, to: 1 << PRIMARY.0, kind: Kind::Request, body })
            }));
        }
        if limits.views > 1 {
            always.push(locals.number(Input::Suspect));
        }
        // Not `group.quorums()`: what is left out in a test must be missed here.
        Self {
            locals,
            liar,
            always,
            new_views: HashMap::new(),
            offers: HashMap::new(),
            onward: HashMap::new(),
            seen: HashSet::new(),
            quorum: 3,
            cut: false,
            executed: false,
            changed: false,
        }
    }

    fn run(&mut self, limits: &Limits) -> Explored {
        let deadline = Instant::now() + limits.time;
        let first = [0, 1, 2].map(|at| self.locals.first(at));
        let mut frontier = VecDeque::from([(first, 0)]);
        self.seen.insert(first);
        let (mut steps, mut depth) = (0, 0);
        let mut complete = true;
        while let Some((state, at)) = frontier.pop_front() {
            depth = at;
            let full = self.seen.len() >= limits.states || self.locals.counts().0 >= LOCALS_MAX;
            if full || Instant::now() >= deadline {
                complete = false;
                break;
            }
            for next in self.successors(state, limits) {
                steps += 1;
                if !self.seen.insert(next) {
                    continue;
                }
                if let Some(what) = self.look_at(&next, limits) {
                    return self.explored(steps, depth, false, Some(what));
                }
                frontier.push_back((next, at + 1));
            }
        }
        for walk in (0..limits.walks).take_while(|_| !complete) {
            if Instant::now() >= deadline {
                break;
            }
            let (taken, violation) = self.walk(first, walk, limits);
            steps += taken;
            if violation.is_some() {
                return self.explored(steps, depth, false, violation);
            }
        }
        self.explored(steps, depth, complete, None)
    }

    /// One way through the model to where nothing more can happen, by chance.
    fn walk(&mut self, first: State, seed: u64, limits: &Limits) -> (u64, Option<String>) {
        let (mut state, mut steps) = (first, 0);
        loop {
            let next = self.successors(state, limits);
            let Some(count) = NonZeroUsize::new(next.len()) else { return (steps, None) };
            let mut hasher = DefaultHasher::new();
            (seed, steps).hash(&mut hasher);
            state = next[hasher.finish() as usize % count];
            steps += 1;
            if self.seen.insert(state)
                && let Some(what) = self.look_at(&state, limits)
            {
                return (steps, Some(what));
            }
        }
    }

    /// Notes what a new state shows, and says what does not hold in it.
    fn look_at(&mut self, state: &State, limits: &Limits) -> Option<String> {
        self.executed |= self.executes(state);
        self.changed |= self.votes_in_view_1(state);
        let what = self.violation(state, limits)?;
        Some(format!("{what}\n{}", self.story(state)))
    }

    fn explored(&self, steps: u64, depth: usize, complete: bool, violation: Option<String>) -> Explored {
        let (locals, inputs) = self.locals.counts();
        Explored {
            states: self.seen.len(),
            steps,
            locals,
            inputs,
            made: self.locals.made,
            depth,
            complete,
            cut: self.cut,
            executed: self.executed,
            changed: self.changed,
            violation,
        }
    }

    /// What can be next.
    fn successors(&mut self, state: State, limits: &Limits) -> Vec<State> {
        let mut offered = self.always.clone();
        for local in state {
            offered.extend(&self.locals.local(local).sent);
        }
        offered.extend(self.new_views(state));
        let mut found = Vec::new();
        for (at, local) in state.into_iter().enumerate() {
            for next in self.onward(local, &offered, limits).iter() {
                let mut state = state;
                state[at] = *next;
                found.push(state);
            }
        }
        found
    }

    /// Where one replica can go.
    fn onward(&mut self, local: LocalId, offered: &[InputId], limits: &Limits) -> Rc<[LocalId]> {
        let mut inputs: Vec<InputId> = offered.to_vec();
        inputs.retain(|input| self.locals.is_for(*input, local));
        inputs.sort_unstable();
        inputs.dedup();
        let count = self.offers.len();
        let offer = *self.offers.entry(inputs.clone()).or_insert(count);
        match self.onward.entry((local, offer)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => {
                let Found { next, cut } = steps_from(&mut self.locals, local, &inputs, limits.unseen);
                self.cut |= cut;
                new.insert(next.into()).clone()
            }
        }
    }

    /// What the liar can make of the VIEW-CHANGEs that were sent.
    fn new_views(&mut self, state: State) -> Vec<InputId> {
        let sent = state.iter().flat_map(|local| &self.locals.local(*local).sent);
        let view_changes: Vec<InputId> = sent.copied().filter(|id| self.is_view_change(*id)).collect();
        if view_changes.is_empty() {
            return Vec::new();
        }
        if let Some(known) = self.new_views.get(&view_changes) {
            return known.clone();
        }
        let payload = |id: &InputId| match self.locals.input(*id) {
            Input::Message { kind, body, .. } => Payload::new(*kind, body.clone()),
            Input::Suspect => unreachable!("a VIEW-CHANGE is a message"),
        };
        let others: Vec<Payload> = view_changes.iter().map(payload).collect();
        let lies = self.liar.new_views(&others);
        let made: Vec<InputId> = lies.iter().map(|lie| self.locals.lie(self.liar.own(), lie)).collect();
        self.new_views.insert(view_changes, made.clone());
        made
    }

    fn is_view_change(&self, id: InputId) -> bool {
        matches!(self.locals.input(id), Input::Message { kind: Kind::ViewChange, .. })
    }

    fn executes(&self, state: &State) -> bool {
        state.iter().any(|local| self.locals.local(*local).executed.keys().any(|seq| *seq > Seq(1)))
    }

    fn votes_in_view_1(&self, state: &State) -> bool {
        let votes =
            |local: &LocalId| self.locals.local(*local).votes.keys().any(|(_, view, _)| *view > View(0));
        state.iter().any(votes)
    }

    /// What does not hold in a state.
    fn violation(&self, state: &State, limits: &Limits) -> Option<String> {
        let locals = state.map(|id| self.locals.local(id));
        for (replica, local) in self.locals.correct().iter().zip(locals) {
            if let Some(wrong) = &local.wrong {
                return Some(format!("replica {replica}: {wrong}"));
            }
            for (seq, digest) in local.executed.iter().filter(|_| !limits.agreement_only) {
                if !self.is_certified(state, *seq, *digest) {
                    return Some(format!(
                        "replica {replica} executes {digest} at {seq} without a certificate"
                    ));
                }
            }
        }
        for (at, one) in locals.iter().enumerate() {
            for other in &locals[..at] {
                for (seq, digest) in &one.executed {
                    if let Some(theirs) = other.executed.get(seq).filter(|theirs| *theirs != digest) {
                        return Some(format!("agreement: {digest} and {theirs} are executed at {seq}"));
                    }
                }
                for (timestamp, answer) in &one.answers {
                    if other.answers.get(timestamp).is_some_and(|theirs| theirs != answer) {
                        return Some(format!("two answers to the request of timestamp {timestamp:?}"));
                    }
                }
            }
        }
        None
    }

    /// Whether a quorum can have sent COMMIT for it in one view. The liar says whatever it likes.
    fn is_certified(&self, state: &State, seq: Seq, digest: Digest) -> bool {
        [View(0), View(1)].iter().any(|view| {
            let committed = |local: &&LocalId| {
                self.locals.local(**local).votes.get(&(Kind::Commit, *view, seq)) == Some(&digest)
            };
            state.iter().filter(committed).count() + 1 >= self.quorum
        })
    }

    /// What each replica heard on its way to a state.
    fn story(&self, state: &State) -> String {
        let mut lines = Vec::new();
        for (replica, local) in self.locals.correct().iter().zip(state) {
            lines.push(format!("replica {replica} takes, in this order:"));
            let history = self.locals.history(*local);
            lines.extend(history.iter().map(|input| format!("    {}", shown(self.locals.input(*input)))));
        }
        lines.join("\n")
    }
}

/// The batch of a request: what a correct primary makes of it, or what the liar could.
fn batch_of(locals: &Locals, liar: ReplicaId, request: &Request) -> Batch {
    if liar == PRIMARY {
        let seed = Digest::of(b"seed");
        return Batch::new(Choice { time: NOW.wall, seed, extra: Bytes::new() }, vec![request.clone()]);
    }
    let mut primary = locals.member(0);
    let said = primary.on_message(Peer::Client(CLIENT), Kind::Request, request.wire().clone());
    let proposal = said.expect("a signed request").into_iter().find_map(|said| match said.message() {
        Some((_, Message::PrePrepare(message))) => message.batch_of(vec![request.clone()]),
        _ => None,
    });
    proposal.expect("a primary proposes what it is asked for")
}

fn shown(input: &Input) -> String {
    match input {
        Input::Message { from: Peer::Replica(from), kind, body, .. } => {
            format!("{kind:?} {} of replica {from}", Digest::of(body))
        }
        Input::Message { from, kind, .. } => format!("{kind:?} of {from}"),
        Input::Suspect => "its timer's expiry".to_owned(),
    }
}
