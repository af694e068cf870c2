//! One simulated replica: the roles, their mailboxes in random order, the journal stage and the links.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::mark::{Mark, Marks};
use super::rng::Rng;
use super::twin::Twin;
use super::watch::{self, Step};
use crate::adversary::{Adversary, within};
use crate::message::{Batch, Frame, Kind, LinkKeys, Opened, Opener, Payload, Peer, Signer};
use crate::ports::state::{PageFile, Snapshot, State};
use crate::replica::{
    Inbound, Journal, JournalStage, Mark as Written, ReplicaConfig, Roles, StoredState, route, save,
};
use crate::role::{
    BatcherInput, CheckpointerInput, Effect, Event, Mail, Message, OrdererInput, Outbound, Post, Record,
    Remembered, Save, Taken, To,
};
use crate::types::{LogId, Monotonic, Now, ReplicaId, ReplicaSet, Seq};

/// What a node did in one turn.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) frames: Vec<(Peer, Bytes)>,
    /// What the checker shall see, in order.
    pub(super) seen: Vec<Seen>,
    /// Records wait for a sync.
    pub(super) unsynced: bool,
    /// States that wait for their digest.
    pub(super) digests: Vec<(u64, Taken)>,
    /// States that wait to be saved.
    pub(super) saves: Vec<Save>,
    /// The disk failed: the replica stops.
    pub(super) disk_failed: bool,
}

/// Something that a replica did.
pub(super) enum Seen {
    Event(Event),
    /// A batch was handed to the executor.
    Executed(Seq, Arc<Batch>),
    /// A checkpoint was taken.
    Taken(Seq, Snapshot),
    /// A vote was sent.
    Sent(Message),
}

/// A running replica.
pub(super) struct Node {
    pub(super) own: ReplicaId,
    pub(super) log: LogId,
    pub(super) incarnation: u64,
    roles: Roles,
    mailboxes: [VecDeque<Mail>; 5],
    stage: JournalStage,
    /// What this turn sends.
    post: Post,
    pub(super) opener: Opener,
    links: BTreeMap<Peer, (LinkKeys, u64)>,
    rng: Rng,
    instant_sync: bool,
    /// None in memory mode.
    journal: Option<Journal>,
    page_file: Option<PageFile>,
    /// Records written and not synced.
    unsynced: Vec<Record>,
    pub(super) adversary: Option<Box<dyn Adversary>>,
    pub(super) twin: Option<Twin>,
    /// Whom alone the first of two copies talks to and hears.
    apart: Option<ReplicaSet>,
    pub(super) marks: Marks,
    signer: Signer,
    pub(super) rejected: u64,
    pub(super) wake_at: Option<Monotonic>,
}

impl Node {
    pub(super) fn new(
        config: &ReplicaConfig,
        opener: Opener,
        incarnation: u64,
        rng: Rng,
        instant_sync: bool,
        durable: Option<(Journal, Remembered, PageFile)>,
    ) -> Self {
        let (mut journal, mut page_file, mut remembered) = (None, None, Remembered::default());
        if let Some(durable) = durable {
            remembered = durable.1;
            (journal, page_file) = (Some(durable.0), Some(durable.2));
        }
        let stored = page_file.as_ref().map(StoredState::of);
        let (roles, start) = Roles::new(config, remembered, stored);
        let signer = Signer {
            sender: config.own,
            log: config.log,
            identity: config.identity.clone(),
            binding: config.agreed.binding(),
        };
        let mut node = Self {
            own: config.own,
            log: config.log,
            incarnation,
            roles,
            mailboxes: Default::default(),
            stage: JournalStage::default(),
            post: Post::default(),
            opener,
            links: BTreeMap::new(),
            rng,
            instant_sync,
            journal,
            page_file,
            unsynced: Vec::new(),
            adversary: None,
            twin: None,
            apart: None,
            marks: Marks::default(),
            signer,
            rejected: 0,
            wake_at: None,
        };
        start.into_iter().for_each(|mail| node.post(mail));
        node
    }

    pub(super) fn connect(&mut self, peer: Peer, keys: LinkKeys, peer_log: LogId) {
        self.links.insert(peer, (keys, 0));
        if let Peer::Replica(replica) = peer {
            let mail: Mail = OrdererInput::PeerLog { replica, log: peer_log }.into();
            if let Some(twin) = &mut self.twin {
                twin.node.post(mail.clone());
            }
            self.post(mail);
        }
    }

    pub(super) fn disconnect(&mut self, peer: Peer) {
        self.links.remove(&peer);
    }

    /// The two copies of a twin keep to their parts of the group from here on.
    pub(super) fn split(&mut self, first: ReplicaSet, second: ReplicaSet) {
        self.apart = Some(first);
        if let Some(twin) = &mut self.twin {
            twin.keep_to(second);
        }
    }

    /// Whether the first copy, or the only one, hears a peer.
    fn hears(&self, from: Peer) -> bool {
        match (self.apart, from) {
            (Some(side), Peer::Replica(id)) => side.contains(id),
            _ => true,
        }
    }

    /// Whom it reaches of those that it talks to.
    fn reached(&self, to: To) -> Option<To> {
        match (self.apart, to) {
            (None, to) | (_, to @ To::Client(_)) => Some(to),
            (Some(side), to) => within(to, side, self.opener.keyring.quorums.replicas().collect()),
        }
    }

    pub(super) fn post(&mut self, mail: Mail) {
        let mailbox = match &mail {
            Mail::Batcher(_) => 0,
            Mail::Orderer(_) => 1,
            Mail::Checkpointer(_) => 2,
            Mail::ViewChanger(_) => 3,
            Mail::Executor(_) => 4,
        };
        self.mailboxes[mailbox].push_back(mail);
    }

    pub(super) fn state(&self) -> &State {
        self.roles.executor.role().state()
    }

    /// The state, to be damaged.
    #[cfg(test)]
    pub(super) fn state_mut(&mut self) -> &mut State {
        self.roles.executor.role_mut().state_mut()
    }

    /// Whether a batch is executed that is not certain.
    pub(super) fn is_ahead(&self) -> bool {
        self.roles.executor.role().is_ahead()
    }

    pub(super) fn executed(&self) -> Seq {
        self.roles.executor.role().executed()
    }

    /// Whether the replica has its memory and votes.
    pub(super) fn votes(&self) -> bool {
        self.roles.checkpointer.role().votes()
    }

    /// Where the replica stands, for people.
    pub(super) fn describe(&self) -> String {
        format!(
            "{} | {} | {}",
            self.roles.view_changer.role().describe(),
            self.roles.orderer.role().describe(),
            self.roles.checkpointer.role().describe()
        )
    }

    /// The view it is in or moves to.
    #[cfg(test)]
    pub(super) fn view(&self) -> crate::types::View {
        self.roles.view_changer.role().view()
    }

    /// Whether its view is entered.
    #[cfg(test)]
    pub(super) fn is_active(&self) -> bool {
        self.roles.view_changer.role().is_active()
    }

    /// Clients whose MACs count no more here.
    #[cfg(test)]
    pub(super) fn signed_only(&self) -> Vec<crate::types::ClientId> {
        self.roles.view_changer.role().signed_only()
    }

    /// The stable checkpoint.
    pub(super) fn stable(&self) -> Seq {
        self.roles.checkpointer.role().stable()
    }

    /// Agreed time of the last batch.
    #[cfg(test)]
    pub(super) fn time(&self) -> crate::types::Wall {
        self.roles.executor.role().time()
    }

    pub(super) fn slots(&self) -> usize {
        self.roles.orderer.role().slots()
    }

    pub(super) fn next_wake(&self) -> Option<Monotonic> {
        let twin = self.twin.as_ref().and_then(|twin| twin.node.next_wake());
        self.roles.next_wake().into_iter().chain(twin).min()
    }

    /// Takes a frame from the network; false if its proof does not hold.
    pub(super) fn on_frame(&mut self, from: Peer, bytes: Bytes) -> bool {
        let Some((keys, _)) = self.links.get(&from) else { return false };
        let Ok(frame) = Frame::open(&keys.receive, bytes) else {
            self.rejected += 1;
            return false;
        };
        let Ok(opened) = self.opener.open_frame(from, frame) else {
            self.rejected += 1;
            self.marks.reach(Mark::MessageRefused);
            return false;
        };
        if let Some(adversary) = &mut self.adversary {
            adversary.on_hear(&opened);
        }
        let client = match &opened {
            Opened::Request(request) => Some(request.id().client),
            Opened::Requests(requests, _) => requests.first().map(|request| request.id().client),
            _ => None,
        };
        if let Opened::Requests(_, rejects) = &opened {
            self.rejected += rejects.len() as u64;
            self.marks.reach(Mark::RequestsTogether);
        }
        if let (Some(client), Some(adversary)) = (client, &mut self.adversary)
            && !adversary.admits(client)
        {
            return true;
        }
        let mut inbound = Inbound::default();
        route(opened, &mut inbound);
        for mail in inbound.into_mail() {
            if let Some(twin) = self.twin.as_mut().filter(|twin| twin.hears(from)) {
                twin.node.post(mail.clone());
            }
            if self.hears(from) {
                self.post(mail);
            }
        }
        true
    }

    /// Runs until no mail is in flight, mailboxes in random order, as if each role had its own arbiter.
    pub(super) fn run(&mut self, now: Now, turn: &mut Turn) {
        let effects = self.roles.on_wake(now);
        watch::on_effects(Step::Other, &effects, &mut self.marks);
        self.submit(effects, turn);
        let mut ended = false;
        loop {
            let full = self.mailboxes.iter().filter(|mailbox| !mailbox.is_empty()).count();
            if full == 0 {
                if ended {
                    break;
                }
                ended = true;
                self.post(BatcherInput::TurnEnd.into());
                continue;
            }
            let drawn = self.rng.below(full as u64) as usize;
            let mut mailboxes = self.mailboxes.iter_mut().filter(|mailbox| !mailbox.is_empty());
            let Some(mail) = mailboxes.nth(drawn).and_then(VecDeque::pop_front) else { continue };
            let step = Step::of(&mail);
            let turn_end = mail == Mail::Batcher(BatcherInput::TurnEnd);
            let ahead = self.is_ahead().then(|| self.executed());
            let effects = self.roles.deliver(now, mail);
            let undone = ahead.is_some_and(|executed| !self.is_ahead() && self.executed() == executed);
            self.marks.reach_if(undone, Mark::TentativeUndone);
            // A turn that proposed something goes on; one that did not is over.
            ended = ended && effects.is_empty() || turn_end && effects.is_empty();
            watch::on_effects(step, &effects, &mut self.marks);
            self.submit(effects, turn);
        }
        if let Some(mut twin) = self.twin.take() {
            for (to, message) in twin.run(now) {
                self.seal(to, &message, turn);
            }
            self.twin = Some(twin);
        }
        if let Some(mut adversary) = self.adversary.take() {
            for (to, message) in adversary.on_tick(now, &self.signer) {
                self.seal(to, &message, turn);
            }
            self.adversary = Some(adversary);
        }
        self.flush(turn);
    }

    /// The sync that was due returns: everything written so far is durable. False if the disk failed.
    pub(super) fn sync(&mut self, turn: &mut Turn) -> bool {
        let mark = self.stage.written();
        let records = std::mem::take(&mut self.unsynced);
        if let Some(journal) = &mut self.journal
            && journal.write(&records).is_err()
        {
            return false;
        }
        self.on_durable(mark, turn);
        self.flush(turn);
        true
    }

    /// The power fails while records are being written: some sectors may be there, none is certain.
    pub(super) fn write_unsynced(&mut self) {
        if let Some(journal) = &mut self.journal {
            // Nobody is left to hear of an error.
            let _ = journal.write(&self.unsynced);
        }
    }

    /// The state that was to be saved is; false if the disk failed.
    pub(super) fn save(&mut self, state: &Save) -> bool {
        let Some(file) = &mut self.page_file else { return true };
        let Ok(mail) = save(file, state) else { return false };
        self.post(mail);
        true
    }

    /// Reads the saved state again, and says what the disk lost.
    pub(super) fn scrub(&mut self) {
        let parts = self.page_file.as_ref().map(|file| file.scrub(0, u64::MAX).damaged);
        if let Some(parts) = parts.filter(|parts| !parts.is_empty()) {
            self.post(CheckpointerInput::Damaged(parts).into());
        }
    }

    fn on_durable(&mut self, mark: Written, turn: &mut Turn) {
        let mut released = Vec::new();
        self.stage.on_durable(mark, &mut released);
        self.release(released, turn);
    }

    fn submit(&mut self, effects: Vec<Effect>, turn: &mut Turn) {
        let (mut records, mut released) = (Vec::new(), Vec::new());
        self.stage.submit(effects, &mut records, &mut released);
        let written = !records.is_empty();
        if self.journal.is_some() {
            self.unsynced.extend(records);
        }
        self.release(released, turn);
        if written && self.instant_sync {
            turn.disk_failed |= !self.sync(turn);
        } else if written {
            turn.unsynced = true;
        }
    }

    fn release(&mut self, effects: Vec<Effect>, turn: &mut Turn) {
        for effect in effects {
            match effect {
                Effect::Persist(_) | Effect::Fence(_) | Effect::StepEnd => {}
                Effect::Digest { generation, taken } => turn.digests.push((generation, taken)),
                Effect::Save(save) if self.page_file.is_some() => turn.saves.push(save),
                Effect::Save(save) => self.post(save.done(None)),
                Effect::Release(seq) => {
                    if let Some(journal) = &mut self.journal {
                        journal.release(seq);
                    }
                }
                Effect::Event(event) => turn.seen.push(Seen::Event(event)),
                Effect::Tell(mail) => {
                    if let Mail::Executor(crate::role::ExecutorInput::Execute(batches)) = &mail {
                        let executed = batches.iter().map(|(seq, batch)| Seen::Executed(*seq, batch.clone()));
                        turn.seen.extend(executed);
                    }
                    if let Mail::Checkpointer(CheckpointerInput::Taken(taken)) = &mail {
                        turn.seen.push(Seen::Taken(taken.seq, taken.snapshot.clone()));
                    }
                    self.post(mail);
                }
                Effect::Send(to, message) => match self.adversary.take() {
                    None => self.seal(to, &message, turn),
                    Some(mut adversary) => {
                        for (to, message) in adversary.on_send(to, message, &self.signer) {
                            if let Some(to) = self.reached(to) {
                                self.seal(to, &message, turn);
                            }
                        }
                        self.adversary = Some(adversary);
                    }
                },
            }
        }
    }

    fn seal(&mut self, to: To, message: &Message, turn: &mut Turn) {
        if message.vote_view().is_some() || matches!(message, Message::ViewChange(_)) {
            turn.seen.push(Seen::Sent(message.clone()));
        }
        let quorums = self.opener.keyring.quorums;
        let peers: Vec<Peer> = match to {
            To::Replica(id) => vec![Peer::Replica(id)],
            To::Others => quorums.others(self.own).map(Peer::Replica).collect(),
            To::Replicas(set) => set.iter().filter(|id| *id != self.own).map(Peer::Replica).collect(),
            To::Client(id) => vec![Peer::Client(id)],
        };
        self.post.of_replica(peers, message.clone());
    }

    /// What the turn sends, in as few frames as the carrier of the real sockets makes of it.
    fn flush(&mut self, turn: &mut Turn) {
        for Outbound { to, payload } in self.post.take() {
            self.marks.reach_if(payload.kind() == Kind::Replies, Mark::RepliesTogether);
            for peer in to {
                if let Some(bytes) = seal_for(&payload, self.links.get_mut(&peer)) {
                    turn.frames.push((peer, bytes));
                }
            }
        }
    }
}

/// The frame for one link, if it is up.
pub(super) fn seal_for(payload: &Payload, link: Option<&mut (LinkKeys, u64)>) -> Option<Bytes> {
    let (keys, counter) = link?;
    *counter += 1;
    let mut buffer = BytesMut::with_capacity(payload.frame_bytes());
    payload.seal_into(&keys.send, *counter, &mut buffer);
    Some(buffer.freeze())
}
