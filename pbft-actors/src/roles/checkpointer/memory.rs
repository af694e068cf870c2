//! Whether this replica has the memory of what it promised (PROTOCOL 11).
//!
//! A replica that starts asks the others which log they know of it. If they know another one, its
//! memory is lost, and it abstains from everything until the group has passed every seq at which it
//! may have promised something.

use bytes::Bytes;

use super::*;
use crate::codec;
use crate::message::{Hints, Operation, ProvenRecollection, RejoinOperation, Request};
use crate::role::Rejoined;
use crate::types::{ClientId, SessionId, Timestamp};

/// What this replica knows of its own past.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Waiting for the others' answers.
    Asking,
    /// Weak-many know an older log: REJOIN is being ordered.
    Lost,
    /// REJOIN executed; votes once the stable checkpoint is here.
    Waiting(Seq),
    /// Votes.
    Voting,
}

/// Logs of the group, and the own phase.
pub(super) struct Memory {
    phase: Phase,
    /// The oldest log of each replica under which a signature counts.
    oldest: BTreeMap<ReplicaId, LogId>,
    answers: BTreeMap<ReplicaId, ProvenRecollection>,
    /// Asked for, not executed yet.
    rejoin: Option<Request>,
    /// Retries since the REJOIN was last sent.
    silent: u32,
}

/// Retries after which REJOIN is sent again.
const REJOIN_RETRIES: u32 = 4;

impl Default for Memory {
    fn default() -> Self {
        Self {
            phase: Phase::Asking,
            oldest: BTreeMap::new(),
            answers: BTreeMap::new(),
            rejoin: None,
            silent: 0,
        }
    }
}

impl Memory {
    pub(super) fn votes(&self) -> bool {
        self.phase == Phase::Voting
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
    /// A link to a peer showed its log: the first one counts from here on, later ones only by REJOIN.
    pub(super) fn on_peer_log(&mut self, replica: ReplicaId, log: LogId, out: &mut Outbox<CheckpointTimer>) {
        if replica != self.own() && !self.memory.oldest.contains_key(&replica) {
            out.persist(Record::PeerLog { replica, log });
            self.raise_log(replica, log, out);
        }
    }

    fn raise_log(&mut self, replica: ReplicaId, log: LogId, out: &mut Outbox<CheckpointTimer>) {
        let known = self.memory.oldest.entry(replica).or_insert(log);
        *known = log.max(*known);
        let log = *known;
        for votes in self.votes.values_mut() {
            votes.retain(|sender, vote| *sender != replica || vote.log >= log);
        }
        out.tell(ViewChangerInput::Log { replica, log });
    }

    pub(super) fn on_recall(
        &mut self,
        now: Now,
        peer: ReplicaId,
        recall: Recall,
        out: &mut Outbox<CheckpointTimer>,
    ) {
        self.on_peer_log(peer, recall.log, out);
        let half = Millis(self.config.tuning.status_interval.0 / 2);
        if !self.recalled.admits(peer, now.monotonic, half) {
            return;
        }
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
            .filter(|known| *known != LogId::default() && *known != own_log)
            .collect();
        if known_of_me.len() >= quorums.weak() {
            self.memory.phase = Phase::Lost;
            self.outnumber(known_of_me, out);
            self.try_rejoin(now, out);
        } else if self.memory.phase == Phase::Asking && self.memory.answers.len() >= quorums.quorum() - 1 {
            self.memory.answers.clear();
            self.start_voting(out);
        }
    }

    /// What weak-many say is at least as high, one correct replica knows.
    fn learn_logs(&mut self, out: &mut Outbox<CheckpointTimer>) {
        for replica in self.config.quorums.others(self.own()) {
            let known =
                self.memory.answers.values().filter_map(|a| a.recollection.known.get(replica.index()));
            let mut known: Vec<LogId> = known.copied().collect();
            known.sort_unstable_by(|a, b| b.cmp(a));
            if let Some(log) = known.get(self.config.quorums.weak() - 1).copied()
                && log != LogId::default()
                && self.memory.oldest.get(&replica).is_none_or(|oldest| *oldest < log)
            {
                self.raise_log(replica, log, out);
            }
        }
    }

    /// A clock that went back made a log that looks older than the lost one: number it above.
    fn outnumber(&mut self, mut known: Vec<LogId>, out: &mut Outbox<CheckpointTimer>) {
        known.sort_unstable_by(|a, b| b.cmp(a));
        let log = &mut self.config.signer.log;
        if let Some(highest) = known.get(self.config.quorums.weak() - 1).filter(|known| *known >= log) {
            log.number = highest.number.saturating_add(1);
            let log = *log;
            self.memory.answers.clear();
            self.memory.rejoin = None;
            out.tell(ViewChangerInput::OwnLog(log));
            out.send(To::Others, Message::Recall(Recall { log }));
        }
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
        let hints = Hints { full_reply: true, replier: self.own() };
        let signer = &self.config.signer;
        let request = Request::signed(operation, &signer.identity, &signer.binding, hints);
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
        if rejoined.log == self.config.signer.log && matches!(self.memory.phase, Phase::Asking | Phase::Lost)
        {
            self.memory.phase = Phase::Waiting(rejoined.target.max(rejoined.seq));
            self.memory.answers.clear();
            self.memory.rejoin = None;
            self.try_vote_again(now, out);
        }
    }

    pub(super) fn try_vote_again(&mut self, _now: Now, out: &mut Outbox<CheckpointTimer>) {
        if matches!(self.memory.phase, Phase::Waiting(seq) if self.stable >= seq) {
            self.start_voting(out);
        }
    }

    fn start_voting(&mut self, out: &mut Outbox<CheckpointTimer>) {
        self.memory.phase = Phase::Voting;
        out.event(Event::Voting { votes: true });
        out.tell(OrdererInput::Voting(true));
        out.tell(ViewChangerInput::Voting(true));
        let unclaimed = self.taken.iter().filter(|(seq, _)| **seq > self.stable);
        for (seq, digest) in unclaimed {
            self.claim(Checkpoint { seq: *seq, digest: *digest }, out);
        }
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
            (Phase::Waiting(_) | Phase::Voting, _) => {}
        }
    }
}
