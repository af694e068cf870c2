//! Whether this replica has the memory of what it promised (PROTOCOL 11).
//!
//! A replica that starts asks the others which log they know of it. If they know another one, its
//! memory is lost, and it abstains from everything until the group has passed every seq at which it
//! may have promised something.

use bytes::Bytes;

use super::*;
use crate::codec;
use crate::message::{Hints, Operation, ProvenRecollection, RejoinOperation, Request, Vote, VoteKind};
use crate::role::{LogStanding, Recalled, Rejoined, Remembered};
use crate::types::{ClientId, SessionId, Timestamp, View};

/// What this replica knows of its own past.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Waiting for the others' answers.
    Asking,
    /// Weak-many know an older log: REJOIN is being ordered.
    Lost,
    /// REJOIN executed; votes once the stable checkpoint is here.
    Waiting(Seq),
    /// It has its memory; votes once it has executed again what it claimed to have executed.
    Resuming,
    /// Votes.
    Voting,
}

/// Logs of the group, and the own phase.
#[derive(Clone)]
pub(super) struct Memory {
    phase: Phase,
    /// The oldest log of each replica under which a signature counts.
    oldest: BTreeMap<ReplicaId, LogId>,
    /// Those of which it is only what this replica saw since it started.
    seen: BTreeSet<ReplicaId>,
    answers: BTreeMap<ReplicaId, ProvenRecollection>,
    /// What the journal held when this replica started.
    kept: Kept,
    /// It has voted under its log, or the journal says so.
    let_in: bool,
    /// R of the REJOIN under this log: no vote before the stable checkpoint is here.
    barred: Seq,
    /// The highest log of a former life that was let in although this one's is older.
    overtaken_by: Option<LogId>,
    /// Asked for, not executed yet.
    rejoin: Option<Request>,
    /// Retries since the REJOIN was last sent.
    silent: u32,
}

/// What this replica is known to have promised before it started.
#[derive(Clone, Default)]
struct Kept {
    votes: BTreeSet<(VoteKind, Vote)>,
    /// What it claimed its state to be, and the stable checkpoint.
    claimed: BTreeMap<Seq, Digest>,
    asked: View,
    stable: Seq,
    /// How far the journal leads; none until the orderer has said it.
    replayed: Option<Seq>,
}

/// Retries after which REJOIN is sent again.
const REJOIN_RETRIES: u32 = 4;

impl Default for Memory {
    fn default() -> Self {
        Self {
            phase: Phase::Asking,
            oldest: BTreeMap::new(),
            seen: BTreeSet::new(),
            answers: BTreeMap::new(),
            kept: Kept::default(),
            let_in: false,
            barred: Seq::ZERO,
            overtaken_by: None,
            rejoin: None,
            silent: 0,
        }
    }
}

impl Memory {
    pub(super) fn votes(&self) -> bool {
        self.phase == Phase::Voting
    }

    /// The oldest log of each other replica under which a signature counts.
    pub(super) fn logs(&self) -> impl Iterator<Item = (ReplicaId, LogId)> + '_ {
        self.oldest.iter().map(|(replica, log)| (*replica, *log))
    }

    /// What this replica claimed its state to be, before it started.
    pub(super) fn claimed(&self, seq: Seq) -> Option<Digest> {
        self.kept.claimed.get(&seq).copied()
    }

    /// All that it claimed before it started, and the stable checkpoint.
    pub(super) fn claims(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        self.kept.claimed.iter().map(|(seq, digest)| Checkpoint { seq: *seq, digest: *digest })
    }

    /// The highest seq that it said to have executed, as far as the journal leads there; none until
    /// that is known. What the disk lost on the way is fetched while this replica votes.
    fn owed(&self) -> Option<Seq> {
        let claimed = self.kept.claimed.keys().next_back().copied().unwrap_or_default();
        let said = claimed.max(self.kept.stable);
        if said == Seq::ZERO { Some(said) } else { self.kept.replayed.map(|replayed| said.min(replayed)) }
    }

    /// Whether what a peer knows of this replica says that its memory is lost. Who was let in under its
    /// log has all that it said since; that there was another log before was known, or known to too few to
    /// matter.
    fn is_beside(&self, known: LogId, own: LogId) -> bool {
        if self.let_in { known > own } else { known != own }
    }

    /// Where it stands, for people.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn describe(&self) -> String {
        format!("{:?} answers {}", self.phase, self.answers.len())
    }

    /// Whether a signature under this log is void: a later log of the replica is known.
    pub(super) fn is_void(&self, replica: ReplicaId, log: LogId) -> bool {
        self.oldest.get(&replica).is_some_and(|oldest| log < *oldest)
    }
}

impl Checkpointer {
    /// Takes up what the journal holds.
    pub(crate) fn remember(&mut self, remembered: &Remembered) {
        let memory = &mut self.memory;
        memory.phase = if remembered.standing == LogStanding::Lost { Phase::Lost } else { Phase::Asking };
        memory.let_in = remembered.standing == LogStanding::LetIn;
        memory.oldest = remembered.peer_logs.clone();
        let kept = &mut memory.kept;
        kept.claimed = remembered.claimed.clone();
        kept.claimed.extend(remembered.stable.map(|stable| (stable.seq, stable.digest)));
        kept.stable = remembered.stable.map_or(Seq::ZERO, |stable| stable.seq);
        kept.asked = remembered.asked.as_ref().map_or(View(0), |(view, _)| *view);
        for (seq, slot) in &remembered.slots {
            let vote = |(view, digest): &(View, Digest)| Vote { view: *view, seq: *seq, digest: *digest };
            kept.votes.extend(slot.pre_prepared.iter().map(|entry| (VoteKind::PrePrepared, vote(entry))));
            kept.votes.extend(slot.prepared.iter().map(|entry| (VoteKind::Prepared, vote(entry))));
        }
        self.ahead = remembered.certificate.clone();
    }

    /// The first log that the orderer sees of a peer. What is known of the peer holds, whoever said it: only
    /// a REJOIN makes a log void.
    pub(super) fn on_peer_log(&mut self, replica: ReplicaId, log: LogId, out: &mut Outbox<CheckpointTimer>) {
        match self.memory.oldest.get(&replica).copied() {
            None => {
                self.memory.seen.insert(replica);
                self.set_log(replica, log, out);
            }
            // The orderer has written the other one down: the last record counts.
            Some(known) if known != log => out.persist(Record::PeerLog { replica, log: known }),
            Some(_) => {}
        }
    }

    fn raise_log(&mut self, replica: ReplicaId, log: LogId, out: &mut Outbox<CheckpointTimer>) {
        let known = self.memory.oldest.get(&replica).copied().unwrap_or_default();
        self.set_log(replica, log.max(known), out);
    }

    fn set_log(&mut self, replica: ReplicaId, log: LogId, out: &mut Outbox<CheckpointTimer>) {
        self.memory.oldest.insert(replica, log);
        for votes in self.votes.values_mut() {
            votes.retain(|sender, vote| *sender != replica || vote.log >= log);
        }
        out.tell(ViewChangerInput::Log { replica, log });
    }

    pub(super) fn on_recall(&self, recalled: Recalled, out: &mut Outbox<CheckpointTimer>) {
        let Recalled { peer, recall, votes: held, view_change } = recalled;
        let known = |id| match self.memory.oldest.get(&id) {
            Some(log) => *log,
            None if id == self.own() => self.config.signer.log,
            None => LogId::default(),
        };
        let votes = self.certificate.iter().flat_map(|certificate| &certificate.votes);
        let answer = Recollection {
            log: recall.log,
            known: self.config.quorums.replicas().map(known).collect(),
            certificate: votes.map(|vote| vote.wire().clone()).collect(),
            votes: held,
            view_change,
        };
        out.send(To::Replica(peer), Message::Recollection(answer));
    }

    pub(super) fn on_recollection(
        &mut self,
        now: Now,
        answer: &Verified<ProvenRecollection>,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        let Peer::Replica(peer) = answer.from() else { return };
        let own_log = self.config.signer.log;
        if answer.recollection.log != own_log || !matches!(self.memory.phase, Phase::Asking | Phase::Lost) {
            return;
        }
        self.memory.answers.insert(peer, (**answer).clone());
        self.learn_logs(out);
        if let Some(certificate) = answer.certificate.clone() {
            self.on_certificate(now, Arc::new(certificate), out);
        }
        let quorums = self.config.quorums;
        let known_of_me: Vec<LogId> = self
            .memory
            .answers
            .values()
            .filter_map(|answer| answer.recollection.known.get(self.own().index()).copied())
            .filter(|known| *known != LogId::default() && self.memory.is_beside(*known, own_log))
            .collect();
        if known_of_me.len() >= quorums.weak() {
            self.memory.phase = Phase::Lost;
            self.outnumber(known_of_me, out);
            self.try_rejoin(now, out);
        } else if self.memory.phase == Phase::Lost {
            // It knows so by itself.
            self.try_rejoin(now, out);
        } else if self.memory.phase == Phase::Asking && self.said_more(answer) {
            self.memory.phase = Phase::Lost;
            self.renumber(own_log.number.saturating_add(1), out);
        } else if self.memory.phase == Phase::Asking && self.memory.answers.len() >= quorums.quorum() - 1 {
            self.memory.answers.clear();
            self.memory.phase = Phase::Resuming;
            self.try_vote_again(now, out);
        }
    }

    /// Whether this replica said something under its log that its journal does not hold: the
    /// directory is an older one. One own signature proves it, and a MACed vote that weak-many report.
    fn said_more(&self, answer: &ProvenRecollection) -> bool {
        let (own, log, kept) = (self.own(), self.config.signer.log, &self.memory.kept);
        let asked = answer
            .view_change
            .as_ref()
            .is_some_and(|vote| vote.sender == own && vote.log == log && vote.message.view > kept.asked);
        let mut votes = answer.certificate.iter().flat_map(|certificate| &certificate.votes);
        let claimed = votes.any(|vote| {
            let seq = vote.message.seq;
            vote.sender == own && vote.log == log && seq > kept.stable && !kept.claimed.contains_key(&seq)
        });
        let reported = |vote: &(VoteKind, Vote)| {
            let answers = self.memory.answers.values();
            answers.filter(|answer| answer.recollection.votes.contains(vote)).count()
        };
        let lacking = answer.recollection.votes.iter();
        let mut lacking = lacking.filter(|vote| vote.1.seq > kept.stable && !kept.votes.contains(vote));
        asked || claimed || lacking.any(|vote| reported(vote) >= self.config.quorums.weak())
    }

    /// What weak-many say is at least as high, one correct replica knows.
    fn learn_logs(&mut self, out: &mut Outbox<CheckpointTimer>) {
        for replica in self.config.quorums.others(self.own()) {
            let known =
                self.memory.answers.values().filter_map(|a| a.recollection.known.get(replica.index()));
            let mut known: Vec<LogId> = known.copied().collect();
            known.sort_unstable_by(|a, b| b.cmp(a));
            known.retain(|log| *log != LogId::default());
            let (weak, own) = (self.config.quorums.weak(), self.memory.oldest.get(&replica).copied());
            let raised = known.get(weak - 1).copied().filter(|log| own.is_none_or(|own| own < *log));
            // What this replica saw itself may be a later log than the one that counts.
            let vouched = |log: &&LogId| known.iter().filter(|other| other == log).count() >= weak;
            let seen = self.memory.seen.contains(&replica);
            let earlier = known.iter().find(vouched).copied().filter(|log| seen && own != Some(*log));
            if let Some(log) = raised.or(earlier) {
                self.memory.seen.remove(&replica);
                out.persist(Record::PeerLog { replica, log });
                self.set_log(replica, log, out);
            }
        }
    }

    /// A clock that went back made a log that looks older than the lost one: number it above.
    fn outnumber(&mut self, mut known: Vec<LogId>, out: &mut Outbox<CheckpointTimer>) {
        known.sort_unstable_by(|a, b| b.cmp(a));
        let own = self.config.signer.log;
        if let Some(highest) = known.get(self.config.quorums.weak() - 1).filter(|known| **known >= own) {
            self.renumber(highest.number.saturating_add(1), out);
        }
    }

    /// Goes on under a log of another number.
    fn renumber(&mut self, number: u64, out: &mut Outbox<CheckpointTimer>) {
        let above = self.memory.overtaken_by.map_or(0, |log| log.number.saturating_add(1));
        self.config.signer.log.number = number.max(above);
        self.memory.let_in = false;
        let log = self.config.signer.log;
        self.memory.answers.clear();
        self.memory.rejoin = None;
        out.persist(Record::Lost(log));
        out.tell(ViewChangerInput::OwnLog(log));
        out.send(To::Others, Message::Recall(Recall { log }));
    }

    /// Once n-f-1 others have shown their stable certificates, asks the group to let this replica in.
    fn try_rejoin(&mut self, _now: Now, out: &mut Outbox<CheckpointTimer>) {
        let quorums = self.config.quorums;
        if self.memory.rejoin.is_some() || self.memory.answers.len() < quorums.n() - quorums.f() - 1 {
            return;
        }
        let certificates = self.memory.answers.values().filter_map(|answer| answer.certificate.as_ref());
        let certificates = certificates.filter(|certificate| self.is_of_this_life(certificate));
        let highest = certificates.map(|certificate| certificate.checkpoint.seq).max().unwrap_or_default();
        let log = self.config.signer.log;
        let target = highest.plus(2 * self.config.window);
        let operation = Operation {
            client: ClientId::of_replica(self.own()),
            session: SessionId(log.number),
            timestamp: Timestamp::OPENING,
            answered_below: Timestamp::OPENING,
            read_only: false,
            operation: Bytes::from(codec::encode(&RejoinOperation { log, target })),
        };
        let hints = Hints::default();
        let signer = &self.config.signer;
        let request = Request::signed(operation, &signer.identity, &signer.binding, hints);
        // The group must not let in what does not remember, after another stop, that it has to wait.
        out.persist(Record::Lost(log));
        out.event(Event::Rejoining { target });
        out.send(To::Others, Message::Request(request.clone()));
        self.memory.rejoin = Some(request);
        self.memory.silent = 0;
    }

    /// A REJOIN executed: everything its replica signed under older logs is void.
    pub(super) fn on_rejoined(&mut self, now: Now, rejoined: Rejoined, out: &mut Outbox<CheckpointTimer>) {
        if rejoined.replica != self.own() {
            self.raise_log(rejoined.replica, rejoined.log, out);
            return;
        }
        let until = rejoined.target.max(rejoined.seq);
        // One of the same number, too: of each number the group lets in one.
        let own = self.config.signer.log;
        if rejoined.log != own && rejoined.log.number >= own.number {
            self.on_overtaken(rejoined.log, out);
        }
        if rejoined.log != self.config.signer.log {
            return;
        }
        // Whatever the journal says, what this log was let in with holds.
        self.memory.barred = self.memory.barred.max(until);
        if self.memory.phase == Phase::Lost {
            self.memory.phase = Phase::Waiting(until);
            self.memory.answers.clear();
            self.memory.rejoin = None;
            self.try_vote_again(now, out);
        }
    }

    /// A REJOIN of a former life, whose clock was ahead, executed late: what this one signs is void, and
    /// its own REJOIN would never be. It asks again under a higher number.
    fn on_overtaken(&mut self, log: LogId, out: &mut Outbox<CheckpointTimer>) {
        let memory = &mut self.memory;
        memory.overtaken_by = memory.overtaken_by.max(Some(log));
        match memory.phase {
            // What the others know will tell.
            Phase::Asking => return,
            Phase::Voting => {
                out.event(Event::Voting { votes: false });
                out.tell(OrdererInput::Voting(false));
                out.tell(ViewChangerInput::Voting(false));
            }
            Phase::Lost | Phase::Waiting(_) | Phase::Resuming => {}
        }
        self.memory.phase = Phase::Lost;
        self.renumber(log.number.saturating_add(1), out);
    }

    pub(super) fn on_replayed(&mut self, now: Now, seq: Seq, out: &mut Outbox<CheckpointTimer>) {
        self.memory.kept.replayed = Some(seq);
        self.try_vote_again(now, out);
    }

    pub(super) fn try_vote_again(&mut self, _now: Now, out: &mut Outbox<CheckpointTimer>) {
        match self.memory.phase {
            Phase::Waiting(seq) if self.stable >= seq => {
                self.start_voting(out);
            }
            Phase::Resuming => {
                let interval = self.config.checkpoint_interval;
                // A VIEW-CHANGE has to list what was claimed: its digest is there again as well.
                let digested = |owed: Seq| {
                    let claimed = Seq(owed.0 - owed.0 % interval);
                    self.stable >= claimed || self.taken.range(claimed..).next().is_some()
                };
                let resumed = self.memory.owed().is_some_and(|owed| self.executed >= owed && digested(owed));
                if resumed && self.stable >= self.memory.barred {
                    self.start_voting(out);
                }
            }
            _ => {}
        }
    }

    fn start_voting(&mut self, out: &mut Outbox<CheckpointTimer>) {
        self.memory.phase = Phase::Voting;
        if !std::mem::replace(&mut self.memory.let_in, true) {
            out.persist(Record::LetIn(self.config.signer.log));
        }
        out.event(Event::Voting { votes: true });
        out.tell(OrdererInput::Voting(true));
        out.tell(ViewChangerInput::Voting(true));
        self.claim_taken(out);
    }

    pub(super) fn retry_memory(&mut self, _now: Now, out: &mut Outbox<CheckpointTimer>) {
        let recall = Message::Recall(Recall { log: self.config.signer.log });
        match (&self.memory.phase, &self.memory.rejoin) {
            (Phase::Asking, _) | (Phase::Lost, None) => out.send(To::Others, recall),
            (Phase::Lost, Some(request)) => {
                self.memory.silent += 1;
                if self.memory.silent.is_multiple_of(REJOIN_RETRIES) {
                    out.send(To::Others, Message::Request(request.clone()));
                }
            }
            (Phase::Waiting(_) | Phase::Resuming | Phase::Voting, _) => {}
        }
    }
}
