//! The view-change manager: which view this replica moves to, and how long it waits (PROTOCOL 7).

mod decision;
mod remember;
mod retransmit;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{
    Kind, NewView, ProvenNewView, SIGNED_ONLY_MAX, Signed, Signer, Status, Verified, ViewChange,
};
use crate::ports::config::Tuning;
use crate::role::{
    BatcherInput, CheckpointerInput, Enter, Entered, Event, ExecutorInput, Frozen, Message, OrdererInput,
    Outbox, Record, Role, To, ViewChangerInput,
};
use crate::roles::RateLimit;
use crate::types::{ClientId, LogId, Millis, Monotonic, Now, Quorums, ReplicaId, ReplicaSet, Seq, View};

pub(crate) use decision::{Decision, decide};

/// Time with progress in one view after which T is halved, in multiples of T.
const QUIET_TIMEOUTS: u64 = 8;

/// What the view changer waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum ViewTimer {
    /// The new view must start, and then make progress, by then.
    NewView,
    /// Time to say where this replica stands.
    Status,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Active,
    Changing,
}

/// The manager's state.
#[derive(Clone, Debug)]
pub(crate) struct ViewChanger {
    signer: Signer,
    quorums: Quorums,
    window: u64,
    tuning: Tuning,
    view: View,
    phase: Phase,
    /// The latest VIEW-CHANGE of each sender.
    latest: BTreeMap<ReplicaId, Signed<ViewChange>>,
    /// The own VIEW-CHANGE for `view` was signed already.
    asked: bool,
    /// At the primary of `view`: what it decided and from which V, until the bodies are there.
    decided: Option<(Decision, Vec<Signed<ViewChange>>)>,
    /// The own NEW-VIEW for `view` was signed already: there is only one.
    started: bool,
    /// The NEW-VIEW of the active view, for those who lack it.
    new_view: Option<ProvenNewView>,
    /// T.
    timeout: Millis,
    /// Whether something was committed in the active view.
    progressed: bool,
    /// When T was last changed or the view entered.
    settled: Monotonic,
    /// The highest seq that X names, while none of X was committed in the view.
    awaited: Option<Seq>,
    armed: bool,
    stable: Seq,
    voting: bool,
    transferring: bool,
    /// What a replica signs under a log older than this is void.
    logs: BTreeMap<ReplicaId, LogId>,
    signed_only: BTreeSet<ClientId>,
    answered: RateLimit,
}

impl ViewChanger {
    pub(crate) fn new(signer: Signer, quorums: Quorums, window: u64, tuning: Tuning) -> Self {
        Self {
            signer,
            quorums,
            window,
            timeout: tuning.timeout,
            tuning,
            view: View(0),
            phase: Phase::Active,
            latest: BTreeMap::new(),
            asked: false,
            decided: None,
            started: false,
            new_view: None,
            // T grows from the first view that was changed to and led nowhere.
            progressed: true,
            settled: Monotonic::default(),
            awaited: None,
            armed: false,
            stable: Seq::ZERO,
            voting: false,
            transferring: false,
            logs: BTreeMap::new(),
            signed_only: BTreeSet::new(),
            answered: RateLimit::default(),
        }
    }

    /// Where it stands, for people.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn describe(&self) -> String {
        let votes: Vec<(ReplicaId, View)> =
            self.latest.iter().map(|(id, vote)| (*id, vote.message.view)).collect();
        format!(
            "view {} {:?} T={} votes {votes:?} armed {}",
            self.view, self.phase, self.timeout.0, self.armed
        )
    }

    /// The view it is in or moves to.
    #[cfg(test)]
    pub(crate) fn view(&self) -> View {
        self.view
    }

    /// Whether the view is entered.
    #[cfg(test)]
    pub(crate) fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }

    /// Clients whose MACs count no more.
    #[cfg(test)]
    pub(crate) fn signed_only(&self) -> Vec<ClientId> {
        self.signed_only.iter().copied().collect()
    }

    fn own(&self) -> ReplicaId {
        self.signer.sender
    }

    fn is_primary(&self) -> bool {
        self.quorums.primary(self.view) == self.own()
    }

    /// The VIEW-CHANGEs for the view this replica moves to.
    fn votes(&self) -> impl Iterator<Item = &Signed<ViewChange>> {
        self.latest.values().filter(|vote| vote.message.view == self.view)
    }

    fn is_void(&self, sender: ReplicaId, log: LogId) -> bool {
        self.logs.get(&sender).is_some_and(|oldest| log < *oldest)
    }

    fn on_suspect(&mut self, now: Now, view: View, out: &mut Outbox<ViewTimer>) {
        if view == self.view && self.phase == Phase::Active && self.voting && !self.transferring {
            if !self.progressed {
                self.double_timeout(now);
            }
            self.start_change(self.view.next(), out);
        }
    }

    fn double_timeout(&mut self, now: Now) {
        self.timeout = Millis(self.timeout.0.saturating_mul(2)).min(self.tuning.timeout_max);
        self.settled = now.monotonic;
    }

    /// Leaves the current view for `view`.
    fn start_change(&mut self, view: View, out: &mut Outbox<ViewTimer>) {
        assert!(view > self.view, "views only rise: {} after {}", view, self.view);
        self.view = view;
        self.phase = Phase::Changing;
        self.asked = false;
        self.decided = None;
        self.started = false;
        self.new_view = None;
        self.awaited = None;
        self.progressed = false;
        self.latest.retain(|_, vote| vote.message.view >= view);
        self.disarm(out);
        out.event(Event::ViewChangeStarted { view });
        out.tell(BatcherInput::Changing(view));
        out.tell(OrdererInput::Freeze(view));
    }

    fn on_frozen(&mut self, frozen: Frozen, out: &mut Outbox<ViewTimer>) {
        self.signed_only.extend(frozen.disputed);
        while self.signed_only.len() > SIGNED_ONLY_MAX {
            self.signed_only.pop_last();
        }
        if frozen.view != self.view || self.phase != Phase::Changing || self.asked || !self.voting {
            return;
        }
        self.asked = true;
        let message = ViewChange {
            view: frozen.view,
            stable: frozen.stable,
            checkpoints: frozen.checkpoints,
            prepared: frozen.prepared,
            pre_prepared: frozen.pre_prepared,
            signed_only: self.signed_only.iter().copied().collect(),
        };
        let signed = self.signer.sign(Kind::ViewChange, message);
        out.persist(Record::ViewChange(signed.clone()));
        out.send(To::Others, Message::ViewChange(signed.clone()));
        out.tell(ViewChangerInput::OwnViewChange(signed));
    }

    fn on_view_change(&mut self, now: Now, vote: Signed<ViewChange>, out: &mut Outbox<ViewTimer>) {
        let sender = vote.sender;
        if sender == self.own() || vote.message.view < self.view || self.is_void(sender, vote.log) {
            return;
        }
        match self.latest.get(&sender) {
            Some(held) if held.message.view > vote.message.view => return,
            // A replica that was let in again may ask again: what it asked before is void.
            Some(held) if held.message.view == vote.message.view && held.log >= vote.log => {
                if held.message != vote.message && held.log == vote.log {
                    let what = "two different VIEW-CHANGEs for one view";
                    out.event(Event::Misbehaved { replica: sender, what });
                }
                return;
            }
            _ => {}
        }
        self.latest.insert(sender, vote);
        self.try_join(out);
        self.on_votes_changed(now, out);
    }

    /// Weak-many others are ahead: at least one correct replica among them has a reason.
    fn try_join(&mut self, out: &mut Outbox<ViewTimer>) {
        let own = self.own();
        let others = self.latest.iter().filter(|(sender, _)| **sender != own);
        let mut views: Vec<View> = others.map(|(_, vote)| vote.message.view).collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(view) = views.get(self.quorums.weak() - 1).copied().filter(|view| *view > self.view) {
            self.start_change(view, out);
        }
    }

    fn on_votes_changed(&mut self, now: Now, out: &mut Outbox<ViewTimer>) {
        if self.phase != Phase::Changing {
            return;
        }
        let moving = self.latest.values().filter(|vote| vote.message.view >= self.view).count();
        if moving >= self.quorums.quorum() && !self.armed {
            self.arm(now, out);
        }
        self.try_decide(out);
    }

    /// As the new primary, chooses what the view starts from, and asks for the bodies.
    fn try_decide(&mut self, out: &mut Outbox<ViewTimer>) {
        if !self.is_primary()
            || self.started
            || self.decided.is_some()
            || !self.latest.contains_key(&self.own())
        {
            return;
        }
        let votes: Vec<Signed<ViewChange>> = self.votes().cloned().collect();
        let messages: Vec<&ViewChange> = votes.iter().map(|vote| &vote.message).collect();
        if let Some(decision) = decide(self.quorums, self.window, &messages) {
            out.tell(OrdererInput::Gather { view: self.view, chosen: decision.chosen.clone() });
            self.decided = Some((decision, votes));
        }
    }

    fn on_gathered(&mut self, view: View, out: &mut Outbox<ViewTimer>) {
        if view != self.view || self.phase != Phase::Changing || !self.voting {
            return;
        }
        let Some((decision, view_changes)) = self.decided.take() else { return };
        let message = NewView {
            view,
            view_changes: view_changes.iter().map(|vote| vote.wire().clone()).collect(),
            checkpoint: decision.checkpoint,
            chosen: decision.chosen,
        };
        self.started = true;
        let new_view = self.signer.sign(Kind::NewView, message);
        out.persist(Record::NewView(new_view.clone()));
        out.send(To::Others, Message::NewView(new_view.clone()));
        out.tell(ViewChangerInput::OwnNewView(ProvenNewView { new_view, view_changes }));
    }

    fn on_new_view(&mut self, now: Now, proven: ProvenNewView, out: &mut Outbox<ViewTimer>) {
        let view = proven.new_view.message.view;
        let stale = view < self.view || (view == self.view && self.phase == Phase::Active);
        let void = proven.view_changes.iter().any(|vote| self.is_void(vote.sender, vote.log));
        if stale || void {
            return;
        }
        let messages: Vec<&ViewChange> = proven.view_changes.iter().map(|vote| &vote.message).collect();
        let claimed = Decision {
            checkpoint: proven.new_view.message.checkpoint,
            chosen: proven.new_view.message.chosen.clone(),
        };
        if decide(self.quorums, self.window, &messages).as_ref() != Some(&claimed) {
            let replica = proven.new_view.sender;
            out.event(Event::Misbehaved { replica, what: "a NEW-VIEW that does not follow from its V" });
            if view == self.view && self.voting {
                self.double_timeout(now);
                self.start_change(view.next(), out);
            }
            return;
        }
        if proven.new_view.sender != self.own() {
            out.persist(Record::NewView(proven.new_view.clone()));
        }
        self.install(now, proven, claimed, out);
    }

    /// Enters the view of a NEW-VIEW that follows from its V.
    fn install(&mut self, now: Now, proven: ProvenNewView, decision: Decision, out: &mut Outbox<ViewTimer>) {
        let view = proven.new_view.message.view;
        self.view = view;
        self.phase = Phase::Active;
        self.asked = false;
        self.decided = None;
        self.progressed = false;
        self.settled = now.monotonic;
        let last = decision.chosen.last().map_or(decision.checkpoint.seq, |(seq, _)| *seq);
        let mut contested: Vec<Seq> = Vec::new();
        let mut holders = ReplicaSet::EMPTY;
        for vote in &proven.view_changes {
            self.signed_only.extend(vote.message.signed_only.iter().copied());
            contested
                .extend(vote.message.pre_prepared.iter().map(|entry| entry.seq).filter(|seq| *seq > last));
            if vote.message.checkpoints.contains(&decision.checkpoint) {
                holders.insert(vote.sender);
            }
        }
        while self.signed_only.len() > SIGNED_ONLY_MAX {
            self.signed_only.pop_last();
        }
        contested.sort_unstable();
        contested.dedup();
        self.new_view = Some(proven);
        self.latest.retain(|_, vote| vote.message.view > view);
        out.event(Event::ViewInstalled { view, primary: self.quorums.primary(view) });
        out.tell(OrdererInput::Enter(Enter {
            view,
            checkpoint: decision.checkpoint.seq,
            chosen: decision.chosen,
            contested,
            signed_only: self.signed_only.iter().copied().collect(),
        }));
        out.tell(BatcherInput::SignedOnly(self.signed_only.iter().copied().collect()));
        out.tell(BatcherInput::Entered(Entered { view, timeout: self.timeout }));
        out.tell(ExecutorInput::Entered(view));
        out.tell(CheckpointerInput::Chosen { checkpoint: decision.checkpoint, holders });
        self.disarm(out);
        self.awaited = (last > self.stable && last > decision.checkpoint.seq).then_some(last);
        if self.awaited.is_some() {
            self.arm(now, out);
        }
        self.try_join(out);
    }

    fn on_progress(&mut self, now: Now, view: View, out: &mut Outbox<ViewTimer>) {
        if view == self.view && self.phase == Phase::Active && !self.progressed {
            self.progressed = true;
            self.settled = now.monotonic;
            self.awaited = None;
            self.disarm(out);
        }
    }

    /// A long quiet time with progress: a storm that is over must not protect a slow primary.
    fn try_decay(&mut self, now: Now, out: &mut Outbox<ViewTimer>) {
        let quiet = now.monotonic.micros_since(self.settled) >= QUIET_TIMEOUTS * self.timeout.micros();
        if self.phase == Phase::Active && self.progressed && self.timeout > self.tuning.timeout && quiet {
            self.timeout = Millis(self.timeout.0 / 2).max(self.tuning.timeout);
            self.settled = now.monotonic;
            out.tell(BatcherInput::Timeout(self.timeout));
        }
    }

    fn on_transferring(&mut self, now: Now, transferring: bool, out: &mut Outbox<ViewTimer>) {
        self.transferring = transferring;
        if transferring {
            self.disarm(out);
        } else {
            self.wait_again(now, out);
        }
    }

    /// Waits once more for what the timer was for.
    fn wait_again(&mut self, now: Now, out: &mut Outbox<ViewTimer>) {
        if self.awaited.is_some() {
            self.arm(now, out);
        } else {
            self.on_votes_changed(now, out);
        }
    }

    fn arm(&mut self, now: Now, out: &mut Outbox<ViewTimer>) {
        if !self.transferring {
            self.armed = true;
            out.arm(ViewTimer::NewView, now.monotonic.plus(self.timeout));
        }
    }

    fn disarm(&mut self, out: &mut Outbox<ViewTimer>) {
        if self.armed {
            self.armed = false;
            out.disarm(ViewTimer::NewView);
        }
    }

    fn on_new_view_late(&mut self, now: Now, out: &mut Outbox<ViewTimer>) {
        self.armed = false;
        if self.voting {
            self.double_timeout(now);
            self.start_change(self.view.next(), out);
            self.on_votes_changed(now, out);
        }
    }

    fn on_voting(&mut self, now: Now, voting: bool, out: &mut Outbox<ViewTimer>) {
        let gained = voting && !self.voting;
        self.voting = voting;
        if gained {
            out.arm(ViewTimer::Status, now.monotonic.plus(self.tuning.status_interval));
            if self.phase == Phase::Changing && !self.asked {
                out.tell(OrdererInput::Freeze(self.view));
            }
            if let Some((decision, _)) = &self.decided {
                // Gathered before, when nothing could be signed.
                out.tell(OrdererInput::Gather { view: self.view, chosen: decision.chosen.clone() });
            }
            // It may have expired meanwhile, and nobody else may be late enough to move on.
            if !self.armed {
                self.wait_again(now, out);
            }
        }
    }
}

impl Role for ViewChanger {
    type Input = ViewChangerInput;
    type Timer = ViewTimer;

    fn on_input(&mut self, now: Now, input: ViewChangerInput, out: &mut Outbox<ViewTimer>) {
        match input {
            ViewChangerInput::Suspect(view) => self.on_suspect(now, view, out),
            ViewChangerInput::ViewChange(vote) => self.on_view_change(now, vote.into_inner(), out),
            ViewChangerInput::OwnViewChange(vote) => {
                if vote.message.view == self.view && self.phase == Phase::Changing {
                    self.latest.insert(self.own(), vote);
                    self.on_votes_changed(now, out);
                }
            }
            ViewChangerInput::NewView(proven) => self.on_new_view(now, proven.into_inner(), out),
            ViewChangerInput::OwnNewView(proven) => self.on_new_view(now, proven, out),
            ViewChangerInput::Frozen(frozen) => self.on_frozen(frozen, out),
            ViewChangerInput::Gathered(view) => self.on_gathered(view, out),
            ViewChangerInput::Progress(view) => self.on_progress(now, view, out),
            ViewChangerInput::Stable(seq) => {
                self.stable = self.stable.max(seq);
                if self.awaited.is_some_and(|last| last <= self.stable) {
                    self.awaited = None;
                    self.disarm(out);
                }
            }
            ViewChangerInput::Settled(view) => {
                if view == self.view && self.phase == Phase::Active {
                    self.awaited = None;
                    self.disarm(out);
                }
            }
            ViewChangerInput::Status(status) => self.on_status(now, &status, out),
            ViewChangerInput::Log { replica, log } => {
                self.logs.insert(replica, log);
                self.latest.retain(|sender, vote| *sender != replica || vote.log >= log);
            }
            ViewChangerInput::OwnLog(log) => {
                if self.signer.log != log {
                    // What was signed under the former log is void, the own VIEW-CHANGE too.
                    self.signer.log = log;
                    self.latest.remove(&self.own());
                    self.asked = false;
                }
                out.arm(ViewTimer::Status, now.monotonic.plus(self.tuning.status_interval));
            }
            ViewChangerInput::Voting(voting) => self.on_voting(now, voting, out),
            ViewChangerInput::Transferring(transferring) => self.on_transferring(now, transferring, out),
            ViewChangerInput::Start(whereabouts) => self.on_start(now, *whereabouts, out),
            ViewChangerInput::Recall(recalled) => self.on_recall(recalled, out),
        }
    }

    fn on_timer(&mut self, now: Now, timer: ViewTimer, out: &mut Outbox<ViewTimer>) {
        match timer {
            ViewTimer::NewView => self.on_new_view_late(now, out),
            ViewTimer::Status => {
                out.arm(ViewTimer::Status, now.monotonic.plus(self.tuning.status_interval));
                self.try_decay(now, out);
                let view_changes = self.votes().map(|vote| vote.sender).collect();
                out.tell(OrdererInput::StatusDue { view_changes });
            }
        }
    }
}
