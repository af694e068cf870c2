//! What must hold whatever happens. A violation ends the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::client::Record;
use super::divergence::Divergence;
use super::plan::{Micros, Plan};
use super::promises::Promises;
use super::replay::Replay;
use super::service::{Behaviour, REFUSED_ON_PURPOSE, TWICE};
use crate::crypto::Digest;
use crate::message::{Batch, Kind, Refusal};
use crate::ports::state::{DamagedPart, Snapshot};
use crate::role::{Event, Message};
use crate::roles::client::InvokeError;
use crate::roles::executor::ExecutorConfig;
use crate::types::{ClientId, ReplicaId, ReplicaSet, Seq, View};

/// Checkpoints whose state is kept to be compared with that of others.
const SNAPSHOTS_MAX: usize = 64;

/// Safety, step by step.
#[derive(Default)]
pub(super) struct Checker {
    /// What was executed at each seq, by whoever was first.
    executed: BTreeMap<Seq, Arc<Batch>>,
    /// How many COMMITs a certificate has; none where an own one may count before it is sent.
    certificate: Option<usize>,
    /// Replicas that ever lost their memory: whatever they committed before may be forgotten here, too.
    pub(super) forgetful: BTreeSet<ReplicaId>,
    /// The latest checkpoints as the first replica took them that did.
    snapshots: BTreeMap<Seq, (ReplicaId, Snapshot)>,
    promises: Promises,
    pub(super) divergence: Option<Divergence>,
    /// The view each replica is in, since it started.
    views: BTreeMap<ReplicaId, View>,
    stable: BTreeMap<Seq, Digest>,
    /// What each correct replica voted for, over all its lives.
    votes: BTreeMap<(ReplicaId, Kind, View, Seq), Digest>,
    /// Correct replicas that sent COMMIT.
    commits: BTreeMap<(Seq, Digest, View), ReplicaSet>,
    pub(super) violation: Option<String>,
    pub(super) view_changes: u64,
    pub(super) views_installed: u64,
    pub(super) transfers: u64,
    pub(super) stable_checkpoints: u64,
    pub(super) rejoins: u64,
    /// Replicas whose memory was damaged, which they must notice.
    pub(super) damaged: Vec<ReplicaId>,
}

impl Checker {
    pub(super) fn new(plan: &Plan) -> Self {
        let certificate = (!plan.tuning.piggyback_commits).then(|| plan.quorums.quorum());
        Self { certificate, ..Self::default() }
    }

    fn fail(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// A replica starts, with its memory or without.
    pub(super) fn on_start(&mut self, replica: ReplicaId, remembers: bool) {
        self.views.remove(&replica);
        self.promises.on_start(replica, remembers);
    }

    /// Where a replica stands after a turn.
    pub(super) fn on_turn(&mut self, replica: ReplicaId, stable: Seq) {
        if let Some(what) = self.promises.on_stable(replica, stable) {
            self.fail(what);
        }
    }

    /// A replica took a checkpoint: its state is that of everyone who took it.
    pub(super) fn on_taken(&mut self, replica: ReplicaId, seq: Seq, snapshot: &Snapshot) {
        if self.damaged.contains(&replica) {
            return;
        }
        let Some((other, first)) = self.snapshots.get(&seq) else {
            self.snapshots.insert(seq, (replica, snapshot.clone()));
            if self.snapshots.len() > SNAPSHOTS_MAX {
                self.snapshots.pop_first();
            }
            return;
        };
        if first.root() == snapshot.root() {
            return;
        }
        let page = DamagedPart::catch(|| first.first_difference(snapshot)).ok().flatten();
        let since = self.snapshots.range(..seq).next_back().map_or(Seq(1), |(before, _)| before.next());
        let (other, operations) = (*other, Vec::new());
        let mut divergence = Divergence { replica, other, since, seq, page, operations };
        divergence.name_operations(self.executed.range(since..=seq).map(|(seq, batch)| (*seq, batch)));
        self.fail(format!("determinism: {divergence}"));
        self.divergence.get_or_insert(divergence);
    }

    /// A replica that is behind holds something about its window, K seqs more, what it chose as a primary
    /// before, and what NEW-VIEW chose or it gathers to choose.
    pub(super) fn on_slots(&mut self, replica: ReplicaId, slots: usize, limit: u64) {
        if slots as u64 > limit {
            self.fail(format!("bounds: replica {replica} holds {slots} seqs; at most {limit}"));
        }
    }

    /// A batch goes to an executor, which asserts the order by itself. `byzantine` may have sent any COMMIT.
    pub(super) fn on_executed(
        &mut self,
        replica: ReplicaId,
        seq: Seq,
        batch: &Arc<Batch>,
        byzantine: &[ReplicaId],
    ) {
        let digest = batch.digest();
        let Some(agreed) = self.executed.get(&seq).map(|batch| batch.digest()) else {
            self.executed.insert(seq, batch.clone());
            if self.certificate.is_some_and(|needed| self.committers(seq, digest, byzantine) < needed) {
                self.fail(format!("certificate: replica {replica} executes {digest} at {seq} without one"));
            }
            return;
        };
        if agreed != digest {
            self.fail(format!(
                "agreement: replica {replica} executes {digest} at {seq}, another executed {agreed}"
            ));
        }
    }

    /// How many replicas sent COMMIT for a batch in one view, or may have.
    fn committers(&self, seq: Seq, digest: Digest, byzantine: &[ReplicaId]) -> usize {
        let unknown: ReplicaSet = self.forgetful.iter().chain(byzantine).copied().collect();
        let views = self.commits.range((seq, digest, View(0))..=(seq, digest, View(u64::MAX)));
        let known = views.map(|(_, by)| by.iter().filter(|id| !unknown.contains(*id)).count());
        known.max().unwrap_or_default() + unknown.iter().count()
    }

    /// Every request of an honest client that was executed is one that it made.
    pub(super) fn check_validity(&mut self, made: &BTreeMap<ClientId, BTreeSet<Digest>>) {
        let requests =
            self.executed.iter().flat_map(|(seq, batch)| batch.requests().iter().map(move |r| (seq, r)));
        let invented = requests
            .filter(|(_, request)| {
                made.get(&request.id().client).is_some_and(|made| !made.contains(request.digest()))
            })
            .map(|(seq, request)| format!("validity: request {} at {seq} was never made", request.id()))
            .next();
        invented.into_iter().for_each(|what| self.fail(what));
    }

    pub(super) fn on_sent(&mut self, replica: ReplicaId, message: &Message) {
        let (view, seq, digest) = match message {
            Message::PrePrepare(m) => (m.view, m.seq, m.digest()),
            Message::Prepare(v) | Message::Commit(v) => (v.view, v.seq, v.digest),
            Message::ViewChange(own) if own.sender == replica => {
                if let Some(what) = self.promises.on_view_change(replica, &own.message) {
                    self.fail(what);
                }
                return;
            }
            _ => return,
        };
        if message.kind() == Kind::Commit {
            self.commits.entry((seq, digest, view)).or_insert(ReplicaSet::EMPTY).insert(replica);
        }
        let key = (replica, message.kind(), view, seq);
        let first = *self.votes.entry(key).or_insert(digest);
        if first != digest {
            let kind = message.kind();
            self.fail(format!(
                "promise: replica {replica} sends {kind:?} {view}/{seq} for {digest} after {first}"
            ));
        }
    }

    /// `suspects` may have done what an event blames them for.
    pub(super) fn on_event(&mut self, replica: ReplicaId, event: &Event, suspects: &[ReplicaId]) {
        match event {
            Event::StableCheckpoint { checkpoint } => {
                self.stable_checkpoints += 1;
                let first = *self.stable.entry(checkpoint.seq).or_insert(checkpoint.digest);
                if first != checkpoint.digest {
                    self.fail(format!(
                        "two stable digests at {}: {first} and {}",
                        checkpoint.seq, checkpoint.digest
                    ));
                }
            }
            Event::ViewInstalled { view, .. } => {
                self.views_installed += 1;
                let last = self.views.entry(replica).or_default();
                if *view < *last {
                    let was = *last;
                    self.fail(format!("views rise: replica {replica} enters {view} after {was}"));
                    return;
                }
                *last = *view;
            }
            Event::ViewChangeStarted { .. } => self.view_changes += 1,
            Event::Transferred { .. } => self.transfers += 1,
            Event::Rejoining { .. } => self.rejoins += 1,
            Event::Diverged { .. } if self.damaged.contains(&replica) => {}
            Event::Diverged { seq, .. } => self.fail(format!("replica {replica} diverged at {seq}")),
            Event::Fatal { why } => self.fail(format!("replica {replica} stopped: {why}")),
            Event::Misbehaved { replica: blamed, what } if !suspects.contains(blamed) => {
                self.fail(format!("replica {replica} blames the correct replica {blamed}: {what}"));
            }
            _ => {}
        }
    }

    /// Every answer, and the order of all, against the log executed once more.
    pub(super) fn check_replay(&mut self, history: &[Record], config: ExecutorConfig) {
        let log = self.executed.iter().map(|(seq, batch)| (*seq, batch));
        let checked = Replay::of(config, log).and_then(|replay| replay.check(history));
        if let Err(what) = checked {
            self.fail(what);
        }
    }

    /// The clients' history against the log that all correct replicas hold: every acknowledged
    /// operation is at its position, once, and positions follow real time. O(n log n).
    pub(super) fn check_history(&mut self, history: &[Record], position_of: impl Fn(u64) -> Option<u64>) {
        let mut by_position: BTreeMap<u64, u64> = BTreeMap::new();
        let mut completions: Vec<(Micros, Place)> = Vec::new();
        let mut places: Vec<(Micros, Place)> = Vec::new();
        for record in history {
            let held = position_of(record.id);
            places.extend(held.map(|position| (record.invoked, Place::of(position))));
            let Some((at, completion)) = &record.completed else { continue };
            match (record.behaviour, completion) {
                (Some(Behaviour::Read), Ok(committed)) => {
                    let Some(length) = number(&committed.result) else {
                        self.fail(format!("read {} was answered {:?}", record.id, committed.result));
                        return;
                    };
                    places.push((record.invoked, Place::behind(length)));
                    completions.push((*at, Place::behind(length)));
                }
                (Some(Behaviour::Append | Behaviour::Long), Ok(committed)) => {
                    let answered = number(&committed.result);
                    if held.is_none() || held != answered {
                        let id = record.id;
                        self.fail(format!(
                            "operation {id} was answered {answered:?}, the log has it at {held:?}"
                        ));
                        return;
                    }
                    let position = held.unwrap_or_default();
                    if let Some(other) = by_position.insert(position, record.id) {
                        self.fail(format!("operations {other} and {} share position {position}", record.id));
                        return;
                    }
                    completions.push((*at, Place::of(position)));
                }
                (Some(Behaviour::Refuse), Err(InvokeError::Refused { refusal, .. }))
                    if refusal.code == REFUSED_ON_PURPOSE && held.is_none() => {}
                (Some(Behaviour::Panic), Err(InvokeError::Refused { refusal, .. }))
                    if refusal.code == Refusal::PANICKED && held.is_none() => {}
                // Of other services the log alone is asked.
                (None, _) => {}
                // The outcome is not known, or no longer kept.
                (
                    _,
                    Err(
                        InvokeError::SessionClosed { .. }
                        | InvokeError::NotSent
                        | InvokeError::ResultDropped { .. },
                    ),
                ) => {}
                (behaviour, other) => {
                    let twice =
                        matches!(other, Err(InvokeError::Refused { refusal, .. }) if refusal.code == TWICE);
                    let what = if twice { "executed twice" } else { "answered wrongly" };
                    let id = record.id;
                    self.fail(format!(
                        "operation {id} ({behaviour:?}) {what}: {other:?}, in the log at {held:?}"
                    ));
                    return;
                }
            }
        }
        self.check_real_time(places, completions);
    }

    /// What was answered before another operation was invoked comes before it.
    fn check_real_time(
        &mut self,
        mut invocations: Vec<(Micros, Place)>,
        mut completions: Vec<(Micros, Place)>,
    ) {
        completions.sort_unstable();
        invocations.sort_unstable();
        let mut done = completions.into_iter().peekable();
        let mut latest = Place::default();
        for (invoked, place) in invocations {
            while let Some((_, before)) = done.next_if(|(at, _)| *at < invoked) {
                latest = latest.max(before);
            }
            if place < latest {
                self.fail(format!("linearizability: {place:?} was invoked after {latest:?} was answered"));
                return;
            }
        }
    }
}

/// Where an operation is in the one order of all: an append at its position, a read behind the last
/// append that it saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Place(u64, bool);

impl Place {
    fn of(position: u64) -> Self {
        Self(position, false)
    }

    fn behind(length: u64) -> Self {
        Self(length, true)
    }
}

/// The number that an answer of the simulator's own service begins with.
fn number(answer: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*answer.first_chunk()?))
}
