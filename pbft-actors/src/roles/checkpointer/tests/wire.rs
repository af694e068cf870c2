//! One replica that fetches and others that serve, with a network and a clock between them.

use std::collections::BTreeMap;

use super::*;
use crate::message::{NodeData, PageData};
use crate::ports::state::PageFile;
use crate::ports::storage::MemoryDisk;
use crate::replica::save;
use crate::role::{Install, Mail};
use crate::types::Monotonic;

/// What a peer does with what it would send to the one that fetches.
pub(super) type Face = fn(Message) -> Option<Message>;

pub(super) fn honest(message: Message) -> Option<Message> {
    Some(message)
}

pub(super) fn says_nothing(_message: Message) -> Option<Message> {
    None
}

/// Shows that it has the checkpoint, and then nothing more.
pub(super) fn stalls(message: Message) -> Option<Message> {
    let root = matches!(&message, Message::NodeData(NodeData { nodes: Some(nodes), .. })
        if nodes.iter().all(|node| node.level == 5));
    root.then_some(message)
}

pub(super) fn lies_in_nodes(message: Message) -> Option<Message> {
    Some(match message {
        Message::NodeData(NodeData { nodes: Some(mut nodes), seq, ticket }) => {
            nodes.iter_mut().flat_map(|node| &mut node.children).for_each(|child| child.1 = digest(66));
            Message::NodeData(NodeData { nodes: Some(nodes), seq, ticket })
        }
        other => other,
    })
}

pub(super) fn lies_below_the_root(message: Message) -> Option<Message> {
    match stalls(message.clone()) {
        Some(root) => Some(root),
        None => lies_in_nodes(message),
    }
}

fn with_pages(message: Message, change: impl Fn(&mut Vec<(u64, bytes::Bytes)>)) -> Option<Message> {
    Some(match message {
        Message::PageData(PageData { pages: Some(mut pages), seq, ticket }) => {
            change(&mut pages);
            Message::PageData(PageData { pages: Some(pages), seq, ticket })
        }
        other => other,
    })
}

pub(super) fn lies_in_pages(message: Message) -> Option<Message> {
    let wrong = bytes::Bytes::from(vec![7; PAGE_BYTES]);
    with_pages(message, |pages| pages.iter_mut().for_each(|page| page.1 = wrong.clone()))
}

pub(super) fn shortens_pages(message: Message) -> Option<Message> {
    with_pages(message, |pages| pages.iter_mut().for_each(|page| page.1 = page.1.slice(1..)))
}

pub(super) fn truncates(message: Message) -> Option<Message> {
    with_pages(message, |pages| drop(pages.pop()))
}

/// A page more than was asked for, each time.
pub(super) fn never_ends(message: Message) -> Option<Message> {
    with_pages(message, |pages| {
        let (index, page) = pages.last().cloned().unwrap();
        pages.push((index + 1, page));
    })
}

pub(super) fn drops(message: Message) -> Option<Message> {
    Some(match message {
        Message::NodeData(data) => Message::NodeData(NodeData { nodes: None, ..data }),
        Message::PageData(data) => Message::PageData(PageData { pages: None, ..data }),
        other => other,
    })
}

/// Every way not to serve.
pub(super) const FACES: [Face; 9] = [
    says_nothing,
    stalls,
    lies_in_nodes,
    lies_below_the_root,
    lies_in_pages,
    shortens_pages,
    truncates,
    never_ends,
    drops,
];

struct Server {
    role: Checkpointer,
    timers: BTreeMap<CheckpointTimer, Monotonic>,
    face: Face,
    /// How long what it sends is on its way, microseconds.
    delay: u64,
}

/// The replica with the highest number fetches; the others serve.
pub(super) struct Wire {
    n: usize,
    nodes: Vec<Server>,
    pub(super) now: u64,
    order: u64,
    frames: BTreeMap<(u64, u64), (u8, u8, Message)>,
    pub(super) install: Option<Install>,
    pub(super) blamed: Vec<u8>,
    pub(super) nodes_asked: usize,
    pub(super) pages_asked: usize,
    /// Questions sent to each peer, and answers that came back.
    pub(super) questions: BTreeMap<u8, (usize, usize)>,
    /// Most questions open at a time: of one peer, and in all.
    pub(super) open_max: (usize, usize),
    /// Where the one that fetches keeps what came, and what is being written there.
    disk: Option<PageFile>,
    saves: BTreeMap<(u64, u64), Save>,
    /// Times that what came was written.
    pub(super) kept: usize,
}

const MILLISECOND: u64 = 1_000;
/// How long a write to the disk takes.
const SAVE_TIME: u64 = 3 * MILLISECOND;

fn checkpointer(n: usize, id: u8, heap_pages_max: usize) -> Checkpointer {
    Checkpointer::new(CheckpointerConfig {
        signer: signer(id),
        quorums: quorums(n),
        checkpoint_interval: 4,
        window: 8,
        state_limits: LIMITS,
        heap_pages_max,
        tuning: Tuning::default(),
    })
}

fn genesis(own: &Snapshot) -> Taken {
    Taken { seq: Seq::ZERO, snapshot: own.clone() }
}

impl Wire {
    /// The last of `n` starts with `own`; the others are at `target`, which is stable.
    pub(super) fn new(n: usize, own: &Snapshot, target: &Taken) -> Self {
        let nodes = (0..n as u8).map(|id| {
            let mut role = checkpointer(n, id, usize::MAX);
            effects(&mut role, CheckpointerInput::Start(genesis(own)));
            Server { role, timers: BTreeMap::new(), face: honest, delay: MILLISECOND }
        });
        let mut wire = Self {
            n,
            nodes: nodes.collect(),
            now: 0,
            order: 0,
            frames: BTreeMap::new(),
            install: None,
            blamed: Vec::new(),
            nodes_asked: 0,
            pages_asked: 0,
            questions: BTreeMap::new(),
            open_max: (0, 0),
            disk: None,
            saves: BTreeMap::new(),
            kept: 0,
        };
        wire.reach(target);
        wire
    }

    pub(super) fn fetcher(&self) -> u8 {
        self.n as u8 - 1
    }

    pub(super) fn with(mut self, id: u8, face: Face) -> Self {
        self.nodes[usize::from(id)].face = face;
        self
    }

    /// The one that fetches starts with this disk, and may have so many pages in memory.
    pub(super) fn on_disk(mut self, disk: &MemoryDisk, own: &Snapshot, heap_pages_max: usize) -> Self {
        let file = PageFile::open(Box::new(disk.clone()), "state").unwrap();
        let fetcher = self.fetcher();
        let mut role = checkpointer(self.n, fetcher, heap_pages_max);
        role.resume(file.transfer().map(|(target, snapshot)| (target.seq, snapshot)));
        effects(&mut role, CheckpointerInput::Start(genesis(own)));
        self.nodes[usize::from(fetcher)].role = role;
        self.disk = Some(file);
        self
    }

    /// What a peer sends is on its way for so many milliseconds.
    pub(super) fn delayed(mut self, id: u8, milliseconds: u64) -> Self {
        self.nodes[usize::from(id)].delay = milliseconds * MILLISECOND;
        self
    }

    pub(super) fn certificate(&self, taken: &Taken) -> CheckpointerInput {
        let by: Vec<u8> = (0..quorums(self.n).quorum() as u8).collect();
        brings(taken.checkpoint(), &by)
    }

    /// All who serve are at this checkpoint now, and hold no older one for themselves.
    pub(super) fn reach(&mut self, taken: &Taken) {
        for id in 0..self.fetcher() {
            self.tell(id, CheckpointerInput::Taken(taken.clone()));
            self.tell(id, self.certificate(taken));
        }
    }

    /// The one that is behind hears of this checkpoint, and that nobody holds what comes before.
    pub(super) fn fall_behind(&mut self, taken: &Taken) {
        self.tell(self.fetcher(), self.certificate(taken));
        for id in 0..self.fetcher() {
            self.tell(self.fetcher(), status(id, taken.seq.0, taken.seq.0 + 1));
        }
    }

    pub(super) fn tell(&mut self, id: u8, input: CheckpointerInput) {
        let now = self.time();
        let out = step(&mut self.nodes[usize::from(id)].role, now, input);
        self.settle(id, out);
    }

    /// One thing happens, if anything does within a status interval.
    pub(super) fn turn(&mut self) {
        let timers = self.nodes.iter().flat_map(|node| node.timers.values()).map(|at| at.0);
        let frames = self.frames.keys().chain(self.saves.keys()).map(|(at, _)| *at);
        let retry = (self.now / (50 * MILLISECOND) + 1) * 50 * MILLISECOND;
        let at = timers.chain(frames).chain([retry]).min().unwrap().max(self.now);
        self.now = at;
        if at == retry {
            self.fire(self.fetcher(), CheckpointTimer::Retry);
        }
        for id in 0..self.n as u8 {
            let due = |timers: &BTreeMap<CheckpointTimer, Monotonic>| {
                timers.iter().find(|(_, due)| due.0 <= at).map(|(timer, _)| *timer)
            };
            while let Some(timer) = due(&self.nodes[usize::from(id)].timers) {
                self.nodes[usize::from(id)].timers.remove(&timer);
                self.fire(id, timer);
            }
        }
        while let Some(state) = self.saves.first_entry().filter(|state| state.key().0 <= at) {
            let state = state.remove();
            let mail = save(self.disk.as_mut().unwrap(), &state).unwrap();
            self.kept += 1;
            if let Mail::Checkpointer(input) = mail {
                self.tell(self.fetcher(), input);
            }
        }
        while let Some(frame) = self.frames.first_entry().filter(|frame| frame.key().0 <= at) {
            let (from, to, message) = frame.remove();
            self.arrive(from, to, message);
        }
    }

    /// Runs until the state is handed to the executor.
    pub(super) fn run(&mut self, within: u64) -> &Install {
        while self.install.is_none() {
            assert!(self.now <= within * MILLISECOND, "it never ends");
            self.turn();
        }
        self.install.as_ref().unwrap()
    }

    fn time(&self) -> Now {
        Now { monotonic: Monotonic(self.now), ..at(0) }
    }

    fn fire(&mut self, id: u8, timer: CheckpointTimer) {
        let now = self.time();
        let out = fire(&mut self.nodes[usize::from(id)].role, now, timer);
        self.settle(id, out);
    }

    fn arrive(&mut self, sender: u8, to: u8, message: Message) {
        let input = match message {
            Message::Fetch(fetch) => CheckpointerInput::Fetch(from(sender, fetch)),
            Message::NodeData(data) => CheckpointerInput::NodeData(from(sender, data)),
            Message::PageData(data) => CheckpointerInput::PageData(from(sender, data)),
            Message::Certificate(certificate) => {
                CheckpointerInput::Certificate(from(sender, (*certificate).clone()))
            }
            _ => return,
        };
        if to == self.fetcher() && !matches!(input, CheckpointerInput::Certificate(_)) {
            self.questions.entry(sender).or_default().1 += 1;
        }
        self.tell(to, input);
    }

    fn settle(&mut self, id: u8, out: Outbox<CheckpointTimer>) {
        for change in out.timers {
            let timers = &mut self.nodes[usize::from(id)].timers;
            match change {
                TimerChange::Arm(timer, at) => drop(timers.insert(timer, at)),
                TimerChange::Disarm(timer) => drop(timers.remove(&timer)),
            }
        }
        for effect in out.effects {
            match effect {
                Effect::Send(To::Replica(to), message) => self.carry(id, to.0, message),
                Effect::Tell(Mail::Executor(ExecutorInput::Install(install))) if id == self.fetcher() => {
                    self.install = Some(install);
                }
                Effect::Save(state @ Save::Transfer { .. }) if self.disk.is_some() => {
                    self.order += 1;
                    self.saves.insert((self.now + SAVE_TIME, self.order), state);
                }
                Effect::Event(Event::Misbehaved { replica, .. }) => self.blamed.push(replica.0),
                _ => {}
            }
        }
    }

    fn carry(&mut self, from: u8, to: u8, message: Message) {
        if let Message::Fetch(fetch) = &message {
            match fetch {
                Fetch::Nodes { nodes, .. } => self.nodes_asked += nodes.len(),
                Fetch::Pages { pages, .. } => self.pages_asked += pages.len(),
                Fetch::Batch { .. } => {}
            }
            self.questions.entry(to).or_default().0 += 1;
            let open = self.questions.values().map(|(asked, answered)| asked.saturating_sub(*answered));
            let (most, all) = (open.clone().max().unwrap(), open.sum());
            self.open_max = (self.open_max.0.max(most), self.open_max.1.max(all));
        }
        let node = &self.nodes[usize::from(from)];
        let delay = node.delay;
        let Some(message) = (if to == self.fetcher() { (node.face)(message) } else { Some(message) }) else {
            return;
        };
        self.order += 1;
        self.frames.insert((self.now + delay, self.order), (from, to, message));
    }
}
