//! A whole cluster under one clock: replicas, clients, network and faults, one event at a time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use bytes::Bytes;

use super::chart::Chart;
use super::checker::Checker;
use super::client::{Record, SimClient};
use super::client_attack::ClientAttack;
use super::clock::Clock;
use super::mark::{Mark, Marks};
use super::network::Network;
use super::node::{Node, Seen, Turn};
use super::plan::{LinkPlan, Micros, Plan};
use super::rng::Rng;
use super::service::position_of;
use super::twin::Twin;
use super::watch::Watch;
use super::workload::Workload;
use crate::adversary::{Adversary, Mute};
use crate::crypto::{Digest, Hasher, Identity, MacKey, TAG_BYTES};
use crate::message::{ClusterId, HEADER_BYTES, Keyring, Kind, LinkKeys, Opener, Peer};
use crate::ports::config::Agreed;
use crate::ports::state::{DamagedPart, PAGE_BYTES, PageFile};
use crate::ports::storage::{Disk, MemoryDisk};
use crate::replica::{Journal, ReplicaConfig, Restored};
use crate::role::{Event as RoleEvent, ExecutorInput, LogStanding, Save, Taken};
use crate::roles::client::{ClientConfig, ClientTuning};
use crate::roles::executor::{ExecutorConfig, TableLimits};
use crate::types::{ClientId, LogId, Millis, Monotonic, Now, ReplicaId, ReplicaSet, Seq, SessionId, Wall};

/// Small, so that a run fills many.
const SEGMENT_BYTES: usize = 64 << 10;

/// Where every virtual clock starts.
const EPOCH: u64 = 1_700_000_000_000_000;

/// What happens at an instant.
enum Happening {
    Frame { from: Peer, to: Peer, bytes: Bytes },
    Wake(ReplicaId),
    ClientWake(ClientId),
    Synced { replica: ReplicaId, incarnation: u64 },
    Digested { replica: ReplicaId, incarnation: u64, generation: u64, taken: Taken },
    Scrub { replica: ReplicaId, incarnation: u64 },
    Saved { replica: ReplicaId, incarnation: u64, save: Save },
    Connect(Peer, Peer),
    Restart(ReplicaId),
}

impl Happening {
    /// The replica that it happens to, unless it is a start.
    fn replica(&self) -> Option<ReplicaId> {
        match self {
            Self::Frame { to: Peer::Replica(replica), .. }
            | Self::Wake(replica)
            | Self::Synced { replica, .. }
            | Self::Scrub { replica, .. }
            | Self::Saved { replica, .. }
            | Self::Digested { replica, .. } => Some(*replica),
            Self::Frame { .. } | Self::ClientWake(_) | Self::Connect(..) | Self::Restart(_) => None,
        }
    }
}

/// Totals of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) frames: u64,
    pub(super) crashes: u64,
    pub(super) power_cuts: u64,
    pub(super) disk_failures: u64,
    pub(super) disks_lost: u64,
    pub(super) flips: u64,
    /// Faults and what Byzantine replicas do, by kind.
    pub(super) faults: BTreeMap<String, u64>,
}

/// The simulated world.
pub(super) struct Cluster {
    pub(super) plan: Plan,
    seed: u64,
    workload: Workload,
    /// What is drawn of it, while somebody wants to see.
    pub(super) chart: Option<Chart>,
    pub(super) rng: Rng,
    pub(super) now: Micros,
    /// When, in which order, and where among the happenings.
    queue: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    happenings: Vec<Option<Happening>>,
    /// Places among the happenings that are empty.
    free: Vec<usize>,
    order: u64,
    agreed: Arc<Agreed>,
    identities: Vec<Identity>,
    pub(super) nodes: Vec<Option<Node>>,
    incarnations: Vec<u64>,
    /// When the last digest that each replica asked for is there.
    digested: Vec<Micros>,
    /// What each replica keeps on disk, in durable mode.
    pub(super) disks: Vec<MemoryDisk>,
    pub(super) clocks: Vec<Clock>,
    /// Until when replicas stand still.
    frozen: BTreeMap<ReplicaId, Micros>,
    /// Who crashes in its next turn, after how many frames, and for how long.
    pub(super) dying: BTreeMap<ReplicaId, (usize, Micros)>,
    pub(super) watch: Watch,
    pub(super) clients: BTreeMap<ClientId, SimClient>,
    client_identities: Vec<Identity>,
    pub(super) network: Network,
    connections: u32,
    pub(super) checker: Checker,
    pub(super) history: Vec<Record>,
    next_operation: u64,
    /// Replicas that are faulty on purpose.
    pub(super) byzantine: Vec<ReplicaId>,
    /// Replicas whose disk lost promises, with the seq that the group must pass before they are
    /// harmless.
    amnesiac: BTreeMap<ReplicaId, Seq>,
    /// A disk as it was some time ago.
    pub(super) backup: Option<(ReplicaId, MemoryDisk)>,
    pub(super) trace: u64,
    pub(super) counts: Counts,
    pub(super) events: Vec<(Micros, ReplicaId, RoleEvent)>,
    /// Every frame that arrived, while a test listens.
    #[cfg(test)]
    pub(super) heard: Option<Vec<(Peer, Peer, Bytes)>>,
}

impl Cluster {
    #[cfg(test)]
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        Self::with(seed, plan, Workload::writes(), None)
    }

    pub(super) fn with(seed: u64, plan: Plan, workload: Workload, chart: Option<Chart>) -> Self {
        let mut rng = Rng::new(seed);
        let identity = |bytes: [u8; 32]| {
            if plan.real_signatures {
                Identity::ed25519(&bytes).expect("32 bytes are a seed")
            } else {
                Identity::simulated(bytes)
            }
        };
        let n = plan.quorums.n();
        let identities: Vec<Identity> = (0..n).map(|_| identity(rng.bytes32())).collect();
        let client_identities: Vec<Identity> = (0..plan.clients).map(|_| identity(rng.bytes32())).collect();
        let mut cluster_id = [0; 16];
        cluster_id.copy_from_slice(&rng.bytes32()[..16]);
        let keys = identities.iter().map(Identity::public_key).collect();
        let agreed = plan.agreed(ClusterId(cluster_id), keys);
        assert_eq!(agreed.violations(), [], "a plan is a valid configuration");
        let clocks = (0..n).map(|_| Clock::new(rng.below(1_000_000))).collect();
        let network = Network::new(rng.fork(), plan.links);
        let mut cluster = Self {
            seed,
            workload,
            chart,
            now: 0,
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            free: Vec::new(),
            order: 0,
            agreed: Arc::new(agreed),
            identities,
            nodes: (0..n).map(|_| None).collect(),
            incarnations: vec![0; n],
            digested: vec![0; n],
            disks: (0..n).map(|_| MemoryDisk::new()).collect(),
            clocks,
            frozen: BTreeMap::new(),
            dying: BTreeMap::new(),
            watch: Watch::default(),
            clients: BTreeMap::new(),
            client_identities,
            network,
            connections: 0,
            checker: Checker::new(&plan),
            history: Vec::new(),
            next_operation: 0,
            byzantine: Vec::new(),
            amnesiac: BTreeMap::new(),
            backup: None,
            trace: seed,
            counts: Counts::default(),
            events: Vec::new(),
            #[cfg(test)]
            heard: None,
            rng,
            plan,
        };
        for replica in cluster.plan.quorums.replicas() {
            cluster.start(replica);
        }
        for client in 0..cluster.plan.clients {
            cluster.start_client(ClientId(client as u32));
        }
        cluster
    }

    fn keyring(&self, own: Peer) -> Keyring {
        let replicas = self.agreed.replicas.clone();
        let mut keyring = Keyring::new(own, self.plan.quorums, self.agreed.binding(), replicas);
        for (id, identity) in self.client_identities.iter().enumerate() {
            keyring.insert_client(ClientId(id as u32), identity.public_key());
        }
        keyring
    }

    fn opener(&self, own: Peer) -> Opener {
        let Agreed { checkpoint_interval, window, .. } = *self.agreed;
        Opener { keyring: self.keyring(own), interval: checkpoint_interval, window }
    }

    fn start(&mut self, replica: ReplicaId) {
        let index = replica.index();
        self.chart(Some(Peer::Replica(replica)), || "starts".to_owned());
        self.incarnations[index] += 1;
        let incarnation = self.incarnations[index];
        let opener = self.opener(Peer::Replica(replica));
        let mut log = LogId { number: self.wall(replica).0, salt: self.rng.next() };
        let (mut durable, mut remembers) = (None, false);
        if self.plan.durable {
            let Some((journal, restored, pages)) = self.open_disk(replica, &opener, log) else {
                // It does not start, and somebody mends the disk.
                self.counts.disk_failures += 1;
                let rng = &mut self.rng;
                self.disks[index].cut_power(|| rng.chance(500));
                self.restart_after(replica, 100_000);
                return;
            };
            log = restored.log;
            remembers = restored.found && restored.remembered.standing != LogStanding::Lost;
            self.watch.on_journal(&restored);
            durable = Some((journal, restored.remembered, pages));
        }
        let config = self.replica_config(replica, log);
        let instant = self.plan.sync_max == 0;
        let node = Node::new(&config, opener, incarnation, self.rng.fork(), instant, durable);
        self.nodes[index] = Some(node);
        let remembers = remembers && !self.amnesiac.contains_key(&replica);
        self.checker.on_start(replica, remembers);
        let peers = self.plan.quorums.others(replica).map(Peer::Replica);
        let peers: Vec<Peer> = peers.chain(self.clients.keys().map(|id| Peer::Client(*id))).collect();
        for peer in peers {
            let delay = self.rng.between(100, 20_000);
            self.schedule(delay, Happening::Connect(Peer::Replica(replica), peer));
        }
        self.schedule(0, Happening::Wake(replica));
    }

    fn open_disk(
        &self,
        replica: ReplicaId,
        opener: &Opener,
        fresh: LogId,
    ) -> Option<(Journal, Restored, PageFile)> {
        let disk = &self.disks[replica.index()];
        let (journal, restored) =
            Journal::open(Box::new(disk.clone()), opener, fresh, fresh.salt, SEGMENT_BYTES).ok()?;
        let pages = PageFile::open(Box::new(disk.clone()), "state").ok()?;
        Some((journal, restored, pages))
    }

    pub(super) fn start_client(&mut self, id: ClientId) {
        let config = ClientConfig {
            id,
            identity: self.client_identities[id.0 as usize].clone(),
            binding: self.agreed.binding(),
            quorums: self.plan.quorums,
            client_window: self.plan.client_window,
            tuning: ClientTuning {
                retry: Millis(100),
                // As eager as the replicas, or not at all.
                retry_min: self.plan.tuning.timeout_min,
                retry_max: Millis(2_000),
                sign_all: self.plan.sign_all,
                digest_replies: self.plan.digest_replies,
                one_round_reads: self.plan.one_round_reads,
            },
            first_session: SessionId(EPOCH + self.now + 1),
            entropy: Digest(self.rng.bytes32()),
        };
        let (to_invoke, attack, made) = match self.clients.remove(&id) {
            Some(old) => (old.to_invoke, old.attack, old.made),
            None => (self.plan.operations_per_client, None, BTreeSet::new()),
        };
        let opener = self.opener(Peer::Client(id));
        let work = self.workload.operations();
        let mut client =
            SimClient::new(config, opener, self.rng.fork(), to_invoke, self.plan.outstanding, work);
        (client.attack, client.made) = (attack, made);
        self.clients.insert(id, client);
        for replica in self.plan.quorums.replicas() {
            let delay = self.rng.between(100, 20_000);
            self.schedule(delay, Happening::Connect(Peer::Replica(replica), Peer::Client(id)));
        }
        self.schedule(0, Happening::ClientWake(id));
    }

    fn wall(&self, replica: ReplicaId) -> Wall {
        Wall(self.clocks[replica.index()].read(EPOCH, self.now))
    }

    fn now_at(&self, replica: ReplicaId) -> Now {
        Now { monotonic: Monotonic(self.now), wall: self.wall(replica) }
    }

    fn schedule(&mut self, delay: Micros, happening: Happening) {
        self.order += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.happenings.push(None);
            self.happenings.len() - 1
        });
        self.happenings[place] = Some(happening);
        self.queue.push(Reverse((self.now + delay, self.order, place)));
    }

    /// Lets one thing happen; false if the time limit is reached first.
    pub(super) fn step(&mut self, until: Micros) -> bool {
        let Some(Reverse((at, order, place))) =
            self.queue.peek().copied().filter(|Reverse((at, ..))| *at <= until)
        else {
            self.now = self.now.max(until);
            return false;
        };
        self.queue.pop();
        self.now = at;
        let Some(happening) = self.happenings[place].take() else { return true };
        self.free.push(place);
        if let Some(until) = happening.replica().and_then(|replica| self.frozen_until(replica)) {
            self.schedule(until - at, happening);
            return true;
        }
        self.counts.events += 1;
        self.note(at ^ order.rotate_left(32));
        match happening {
            Happening::Frame { from, to, bytes } => self.on_frame(from, to, bytes),
            Happening::Wake(replica) => {
                if let Some(node) = self.nodes[replica.index()].as_mut() {
                    node.wake_at = None;
                }
                self.run_node(replica);
            }
            Happening::ClientWake(id) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.wake_at = None;
                    let frames = client.on_wake(Monotonic(at), &mut self.history);
                    self.after_client(id, frames);
                }
            }
            Happening::Synced { replica, incarnation } => {
                let mut turn = Turn::default();
                if let Some(node) =
                    self.nodes[replica.index()].as_mut().filter(|n| n.incarnation == incarnation)
                {
                    turn.disk_failed = !node.sync(&mut turn);
                    self.after_turn(replica, turn);
                    self.run_node(replica);
                }
            }
            Happening::Digested { replica, incarnation, generation, taken } => {
                let node = self.nodes[replica.index()].as_mut().filter(|n| n.incarnation == incarnation);
                if let Some(node) = node {
                    node.post(ExecutorInput::Digested { generation, taken }.into());
                    self.run_node(replica);
                }
            }
            Happening::Scrub { replica, incarnation } => {
                let node = self.nodes[replica.index()].as_mut().filter(|n| n.incarnation == incarnation);
                if let Some(node) = node {
                    node.scrub();
                    self.run_node(replica);
                }
            }
            Happening::Saved { replica, incarnation, save } => {
                let node = self.nodes[replica.index()].as_mut().filter(|n| n.incarnation == incarnation);
                if let Some(node) = node {
                    let disk_failed = !node.save(&save);
                    self.after_turn(replica, Turn { disk_failed, ..Turn::default() });
                    self.run_node(replica);
                }
            }
            Happening::Connect(a, b) => self.connect(a, b),
            Happening::Restart(replica) => {
                if self.nodes[replica.index()].is_none() {
                    self.start(replica);
                }
            }
        }
        true
    }

    /// Runs until a condition holds; false if it does not by then.
    pub(super) fn run_until(&mut self, until: Micros, mut done: impl FnMut(&Self) -> bool) -> bool {
        loop {
            if self.checker.violation.is_some() {
                return false;
            }
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return done(self);
            }
        }
    }

    /// Adds what somebody did, or what happened to all, to the chart.
    pub(super) fn chart(&mut self, who: Option<Peer>, what: impl FnOnce() -> String) {
        if let Some(chart) = &mut self.chart {
            chart.on_note(self.now, who, what());
        }
    }

    fn chart_event(&mut self, replica: ReplicaId, event: &RoleEvent) {
        // What is executed is there with its digest.
        if !matches!(event, RoleEvent::Executed { .. }) {
            self.chart(Some(Peer::Replica(replica)), || format!("{event:?}"));
        }
    }

    fn chart_frame(&mut self, from: Peer, to: Peer, bytes: Bytes) {
        let Some(kind) = bytes.get(1).copied().and_then(Kind::from_number) else { return };
        let body = bytes.slice(HEADER_BYTES..bytes.len() - TAG_BYTES);
        let opened = self.opener(to).open(from, kind, body);
        if let Some(chart) = &mut self.chart {
            chart.on_message(self.now, from, to, kind, opened.as_ref());
        }
    }

    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }

    fn on_frame(&mut self, from: Peer, to: Peer, bytes: Bytes) {
        self.counts.frames += 1;
        // The tag stands for the whole frame.
        let tag = bytes.last_chunk::<8>().map_or(0, |tag| u64::from_le_bytes(*tag));
        self.note(tag);
        if self.chart.is_some() {
            self.chart_frame(from, to, bytes.clone());
        }
        #[cfg(test)]
        if let Some(heard) = &mut self.heard {
            heard.push((from, to, bytes.clone()));
        }
        match to {
            Peer::Replica(replica) => {
                if let Some(node) = self.nodes[replica.index()].as_mut()
                    && node.on_frame(from, bytes)
                {
                    self.run_node(replica);
                }
            }
            Peer::Client(id) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    let frames = client.on_frame(Monotonic(self.now), from, bytes, &mut self.history);
                    self.after_client(id, frames);
                }
            }
        }
    }

    /// Until when a replica stands still, if it does.
    fn frozen_until(&self, replica: ReplicaId) -> Option<Micros> {
        self.frozen.get(&replica).copied().filter(|until| *until > self.now)
    }

    /// A replica stands still for a while: what comes waits, timers are late.
    pub(super) fn freeze(&mut self, replica: ReplicaId, time: Micros) {
        self.frozen.insert(replica, self.now + time);
        self.schedule(time, Happening::Wake(replica));
    }

    pub(super) fn run_node(&mut self, replica: ReplicaId) {
        if self.frozen_until(replica).is_some() {
            return;
        }
        let now = self.now_at(replica);
        let mut turn = Turn::default();
        let Some(node) = self.nodes[replica.index()].as_mut() else { return };
        node.run(now, &mut turn);
        let (slots, stable) = (node.slots(), node.stable());
        if !self.byzantine.contains(&replica) {
            self.checker.on_turn(replica, stable);
        }
        self.checker.on_slots(replica, slots, 3 * self.plan.window + self.plan.checkpoint_interval);
        self.after_turn(replica, turn);
    }

    /// At most f are faulty at any time; one that is down or forgetful may fall again.
    pub(super) fn may_crash(&self, replica: ReplicaId) -> bool {
        let faulty = self.faulty();
        let harmless = self.plan.durable || faulty.contains(&replica) || faulty.len() < self.plan.quorums.f();
        harmless && !self.byzantine.contains(&replica) && self.nodes[replica.index()].is_some()
    }

    /// Whether a replica crashes in this turn, after how many frames, and for how long.
    fn dies_now(&mut self, replica: ReplicaId, sends: bool) -> Option<(usize, Micros)> {
        let death = *self.dying.get(&replica).filter(|_| sends)?;
        self.dying.remove(&replica);
        self.may_crash(replica).then_some(death)
    }

    fn after_turn(&mut self, replica: ReplicaId, mut turn: Turn) {
        if !self.byzantine.contains(&replica) {
            for seen in turn.seen {
                match seen {
                    Seen::Executed(seq, batch) => {
                        let digest = batch.digest();
                        self.chart(Some(Peer::Replica(replica)), || format!("executes {seq} {digest}"));
                        self.checker.on_executed(replica, seq, &batch, &self.byzantine);
                    }
                    Seen::Taken(seq, snapshot) => self.checker.on_taken(replica, seq, &snapshot),
                    // What it forgot it may contradict; that is why it counts among the f.
                    Seen::Sent(_) if self.amnesiac.contains_key(&replica) => {}
                    Seen::Sent(message) => self.checker.on_sent(replica, &message),
                    Seen::Event(event) => {
                        let forgetful = self.amnesiac.keys();
                        let suspects: Vec<ReplicaId> =
                            self.byzantine.iter().chain(forgetful).copied().collect();
                        self.checker.on_event(replica, &event, &suspects);
                        self.chart_event(replica, &event);
                        self.watch.on_event(replica, &event);
                        self.note(u64::from(replica.0) << 8 ^ 7);
                        self.events.push((self.now, replica, event));
                    }
                }
            }
        }
        if turn.unsynced {
            let delay = self.rng.between(0, self.plan.sync_max);
            let incarnation = self.incarnations[replica.index()];
            self.schedule(delay, Happening::Synced { replica, incarnation });
        }
        for (generation, taken) in turn.digests {
            // One after the other, as one thread does it.
            let due = self.now + self.rng.between(0, self.plan.digest_max);
            let due = due.max(self.digested[replica.index()]);
            self.digested[replica.index()] = due;
            let incarnation = self.incarnations[replica.index()];
            self.schedule(due - self.now, Happening::Digested { replica, incarnation, generation, taken });
        }
        for save in turn.saves {
            let delay = self.rng.between(0, 4 * self.plan.sync_max);
            let incarnation = self.incarnations[replica.index()];
            self.schedule(delay, Happening::Saved { replica, incarnation, save });
        }
        if turn.disk_failed {
            self.carry(Peer::Replica(replica), turn.frames);
            self.counts.disk_failures += 1;
            self.crash(replica);
            let delay = self.rng.between(10_000, 500_000);
            self.restart_after(replica, delay);
            return;
        }
        if let Some((frames, restart_after)) = self.dies_now(replica, !turn.frames.is_empty()) {
            turn.frames.truncate(frames);
            self.carry(Peer::Replica(replica), turn.frames);
            self.crash(replica);
            self.restart_after(replica, restart_after);
            return;
        }
        self.carry(Peer::Replica(replica), turn.frames);
        let now = self.now;
        if let Some(node) = self.nodes[replica.index()].as_mut()
            && let Some(wake) = node.next_wake()
            && node.wake_at.is_none_or(|at| wake < at)
        {
            node.wake_at = Some(wake);
            self.schedule(wake.0.saturating_sub(now), Happening::Wake(replica));
        }
    }

    pub(super) fn after_client(&mut self, id: ClientId, mut frames: Vec<(Peer, Bytes)>) {
        let now = Monotonic(self.now);
        let Some(client) = self.clients.get_mut(&id) else { return };
        frames.extend(client.work(now, &mut self.next_operation, &mut self.history));
        let wake = client.next_wake().filter(|wake| client.wake_at.is_none_or(|at| *wake < at));
        if let Some(wake) = wake {
            client.wake_at = Some(wake);
            self.schedule(wake.0.saturating_sub(now.0).max(1), Happening::ClientWake(id));
        }
        self.carry(Peer::Client(id), frames);
    }

    pub(super) fn carry(&mut self, from: Peer, frames: Vec<(Peer, Bytes)>) {
        for (to, bytes) in frames {
            #[cfg(test)]
            if self.network.swallows(from, to, &bytes) {
                continue;
            }
            for delay in self.network.carry(from, to).into_iter().flatten() {
                self.schedule(delay, Happening::Frame { from, to, bytes: bytes.clone() });
            }
        }
    }

    /// A fresh connection: new link keys at both ends, and a request key with a client.
    pub(super) fn connect(&mut self, a: Peer, b: Peer) {
        let alive = |peer: Peer| match peer {
            Peer::Replica(id) => self.nodes[id.index()].is_some(),
            Peer::Client(id) => self.clients.contains_key(&id),
        };
        if !alive(a) || !alive(b) {
            return;
        }
        if self.network.is_cut(a, b) || self.network.is_cut(b, a) {
            let delay = self.rng.between(20_000, 100_000);
            self.schedule(delay, Happening::Connect(a, b));
            return;
        }
        self.connections += 1;
        let key = |direction: u64| {
            let mut hasher = Hasher::new("simulated link");
            hasher.number(self.seed).number(u64::from(self.connections)).number(direction);
            MacKey::new(hasher.finish().0)
        };
        let (forth, back, request) = (key(0), key(1), key(2));
        let at_a = LinkKeys { send: forth.clone(), receive: back.clone() };
        let at_b = LinkKeys { send: back, receive: forth };
        let epoch = self.connections;
        for (own, peer, keys) in [(a, b, at_a), (b, a, at_b)] {
            match own {
                Peer::Replica(id) => {
                    let log = match peer {
                        Peer::Replica(id) => {
                            self.nodes[id.index()].as_ref().map_or(LogId::default(), |n| n.log)
                        }
                        Peer::Client(_) => LogId::default(),
                    };
                    if let Some(node) = self.nodes[id.index()].as_mut() {
                        node.connect(peer, keys, log);
                        if let Peer::Client(client) = peer {
                            node.opener.keyring.insert_request_key(client, epoch, request.clone());
                        }
                    }
                    self.run_node(id);
                }
                Peer::Client(id) => {
                    let Peer::Replica(replica) = peer else { continue };
                    let now = Monotonic(self.now);
                    if let Some(client) = self.clients.get_mut(&id) {
                        let request_key = (epoch, request.clone());
                        let frames = client.connect(now, replica, keys, request_key, &mut self.history);
                        self.after_client(id, frames);
                    }
                }
            }
        }
    }

    /// Kills a replica: all it knew is gone.
    pub(super) fn crash(&mut self, replica: ReplicaId) {
        self.chart(Some(Peer::Replica(replica)), || "stops".to_owned());
        self.counts.crashes += 1;
        let mut stopped = self.nodes[replica.index()].take();
        if let Some(node) = stopped.as_mut().filter(|_| self.plan.durable) {
            // As far as the disk comes before it is dark.
            self.disks[replica.index()].fail_after(self.rng.below(4));
            node.write_unsynced();
        }
        self.watch.on_stop(replica, stopped.as_ref().map(|node| node.marks));
        if self.nodes.iter().flatten().all(|node| self.byzantine.contains(&node.own)) {
            self.watch.marks.reach(Mark::AllDown);
        }
        let rng = &mut self.rng;
        self.disks[replica.index()].cut_power(|| rng.chance(500));
        for node in self.nodes.iter_mut().flatten() {
            node.disconnect(Peer::Replica(replica));
        }
        let ids: Vec<ClientId> = self.clients.keys().copied().collect();
        for id in ids {
            let now = Monotonic(self.now);
            let Some(client) = self.clients.get_mut(&id) else { continue };
            let frames = client.disconnect(now, replica, &mut self.history);
            self.carry(Peer::Client(id), frames);
        }
    }

    pub(super) fn restart_after(&mut self, replica: ReplicaId, delay: Micros) {
        self.schedule(delay, Happening::Restart(replica));
    }

    pub(super) fn restart_client(&mut self, id: ClientId) {
        for node in self.nodes.iter_mut().flatten() {
            node.disconnect(Peer::Client(id));
        }
        self.start_client(id);
    }

    /// Cuts every link between two replicas of different sides; clients keep theirs.
    pub(super) fn partition(&mut self, side: &[ReplicaId]) {
        for a in self.plan.quorums.replicas() {
            for b in self.plan.quorums.replicas() {
                if side.contains(&a) != side.contains(&b) {
                    self.network.cut(Peer::Replica(a), Peer::Replica(b));
                }
            }
        }
    }

    /// Replicas, and the two copies of one of them, hear only who is in the same part. The last part is the
    /// second copy's.
    pub(super) fn split(&mut self, twin: ReplicaId, parts: &[u8]) {
        self.network.mend_all();
        let replicas: Vec<ReplicaId> = self.plan.quorums.replicas().collect();
        let with = |part: u8| -> ReplicaSet {
            let others = replicas.iter().copied().filter(|id| *id != twin);
            others.filter(|id| parts[id.index()] == part).collect()
        };
        let (first, second) = (with(parts[twin.index()]), with(parts[replicas.len()]));
        let meets = |id: ReplicaId| first.contains(id) || second.contains(id);
        for a in replicas.iter().copied() {
            for b in replicas.iter().copied().filter(|b| *b != a) {
                let together = match (a == twin, b == twin) {
                    (true, _) => meets(b),
                    (_, true) => meets(a),
                    _ => parts[a.index()] == parts[b.index()],
                };
                if !together {
                    self.network.cut(Peer::Replica(a), Peer::Replica(b));
                }
            }
        }
        if let Some(node) = self.nodes[twin.index()].as_mut() {
            node.split(first, second);
        }
    }

    pub(super) fn heal(&mut self) {
        self.frozen.clear();
        self.dying.clear();
        self.clocks.iter_mut().for_each(Clock::mend);
        self.network.mend_all();
        self.network.set_plan(LinkPlan::HEALED);
    }

    /// Makes a replica Byzantine from here on; it is never restarted.
    pub(super) fn corrupt(&mut self, replica: ReplicaId, adversary: Box<dyn Adversary>) {
        assert!(!self.byzantine.contains(&replica), "replica {replica} is Byzantine already");
        self.byzantine.push(replica);
        if let Some(node) = self.nodes[replica.index()].as_mut() {
            node.adversary = Some(adversary);
        }
    }

    /// Makes a client Byzantine from here on; nothing is promised to it.
    pub(super) fn corrupt_client(&mut self, client: ClientId, attack: ClientAttack) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.attack = Some(attack);
        }
    }

    /// A second copy of a replica, under the same identity and log, talks to `side`.
    pub(super) fn start_twin(&mut self, replica: ReplicaId, side: ReplicaSet) {
        let everyone = self.plan.quorums.replicas().collect();
        let Some(log) = self.nodes[replica.index()].as_ref().map(|node| node.log) else { return };
        let config = self.replica_config(replica, log);
        let opener = self.opener(Peer::Replica(replica));
        let incarnation = self.incarnations[replica.index()];
        let copy = Node::new(&config, opener, incarnation, self.rng.fork(), true, None);
        if let Some(node) = &mut self.nodes[replica.index()] {
            node.twin = Some(Twin::new(copy, side, everyone));
        }
    }

    fn replica_config(&mut self, own: ReplicaId, log: LogId) -> ReplicaConfig {
        ReplicaConfig {
            own,
            identity: self.identities[own.index()].clone(),
            log,
            agreed: self.agreed.clone(),
            tuning: self.plan.tuning.clone(),
            service: self.workload.service(own),
            entropy: Digest(self.rng.bytes32()),
        }
    }

    /// What an executor needs to execute the log once more.
    fn executor_config(&self) -> ExecutorConfig {
        let Agreed { client_window, sessions_per_client, sessions_total, .. } = *self.agreed;
        let result_bytes_per_client = self.agreed.result_bytes_per_client;
        ExecutorConfig {
            own: ReplicaId(0),
            checkpoint_interval: self.agreed.checkpoint_interval,
            window: self.agreed.window,
            state_limits: self.agreed.state_limits(),
            heap_pages_max: usize::MAX,
            table_limits: TableLimits {
                client_window,
                sessions_per_client,
                sessions_total,
                result_bytes_per_client,
            },
            service: self.workload.service(ReplicaId(0)),
        }
    }

    /// What was reached so far.
    pub(super) fn marks(&self) -> Marks {
        let mut marks = self.watch.marks;
        self.nodes.iter().flatten().for_each(|node| marks.add(&node.marks));
        marks
    }

    /// Byzantine replicas and clients say nothing any more.
    pub(super) fn silence(&mut self) {
        for client in self.clients.values_mut().filter(|client| client.attack.is_some()) {
            client.fall_silent();
        }
        for node in self.nodes.iter_mut().flatten().filter(|node| self.byzantine.contains(&node.own)) {
            node.twin = None;
            node.adversary = Some(Box::new(Mute));
        }
    }

    /// Replicas that are down, or that lost their memory and do not vote yet.
    pub(super) fn faulty(&self) -> Vec<ReplicaId> {
        let faulty = |id: &ReplicaId| {
            let index = id.index();
            let forgetful = self.incarnations[index] > 1;
            self.byzantine.contains(id)
                || self.nodes[index].as_ref().is_none_or(|node| forgetful && !node.votes())
        };
        self.plan.quorums.replicas().filter(faulty).collect()
    }

    /// Replicas that count among the f: what they promised may not hold.
    pub(super) fn tainted(&mut self) -> Vec<ReplicaId> {
        if !self.plan.durable {
            return self.faulty();
        }
        let nodes = &self.nodes;
        self.amnesiac.retain(|id, until| {
            let node = nodes[id.index()].as_ref();
            !node.is_some_and(|node| node.votes() && node.stable() >= *until)
        });
        self.byzantine.iter().chain(self.amnesiac.keys()).copied().collect()
    }

    /// A replica crashes, and what was on its disk is what it was some time ago, or nothing.
    pub(super) fn lose_disk(&mut self, replica: ReplicaId, former: Option<MemoryDisk>) {
        let until = self.highest_executed().plus(3 * self.plan.window);
        self.crash(replica);
        self.counts.disks_lost += 1;
        self.amnesiac.insert(replica, until);
        self.checker.forgetful.insert(replica);
        self.disks[replica.index()] = former.unwrap_or_default();
    }

    /// A replica crashes, and one bit on its disk is another one.
    pub(super) fn flip_bit(&mut self, replica: ReplicaId) {
        self.crash(replica);
        self.counts.flips += 1;
        let disk = self.disks[replica.index()].clone();
        let files: Vec<String> = disk.clone().list().unwrap_or_default();
        let files: Vec<&String> = files.iter().filter(|file| file.starts_with("journal")).collect();
        if !files.is_empty() {
            let file = *self.rng.pick(&files);
            let length = disk.bytes(file) as u64;
            disk.flip(file, self.rng.below(length) as usize, 1 << self.rng.below(8));
        }
    }

    /// One bit of the state on disk is another one, while the replica runs; found later by itself, or
    /// when the page is used.
    pub(super) fn flip_state(&mut self, replica: ReplicaId) {
        self.counts.flips += 1;
        let disk = &self.disks[replica.index()];
        // The root records are another matter: one of two counts.
        let first = 2 * PAGE_BYTES as u64;
        let length = disk.bytes("state") as u64;
        if length > first {
            let offset = first + self.rng.below(length - first);
            disk.flip("state", offset as usize, 1 << self.rng.below(8));
            let (delay, incarnation) = (self.rng.below(500_000), self.incarnations[replica.index()]);
            self.schedule(delay, Happening::Scrub { replica, incarnation });
        }
    }

    /// Whether a replica's state may rot: what more than f replicas lose of one state nobody may have any
    /// more.
    pub(super) fn may_rot(&mut self, replica: ReplicaId) -> bool {
        let mut affected: BTreeSet<ReplicaId> = self.tainted().into_iter().collect();
        affected.extend(self.plan.quorums.replicas().filter(|id| self.has_rotten_state(*id)));
        affected.insert(replica);
        affected.len() <= self.plan.quorums.f()
    }

    fn has_rotten_state(&self, replica: ReplicaId) -> bool {
        let file = PageFile::open(Box::new(self.disks[replica.index()].copy()), "state");
        file.map_or(true, |file| !file.scrub(0, u64::MAX).damaged.is_empty())
    }

    /// Every replica that runs crashes at once.
    pub(super) fn cut_power(&mut self) -> Vec<ReplicaId> {
        self.counts.power_cuts += 1;
        let running = self.nodes.iter().flatten().map(|node| node.own);
        let running: Vec<ReplicaId> = running.filter(|id| !self.byzantine.contains(id)).collect();
        running.iter().for_each(|id| self.crash(*id));
        running
    }

    pub(super) fn correct(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten().filter(|node| !self.byzantine.contains(&node.own))
    }

    /// One more operation of the first client that is honest: the last one always is.
    pub(super) fn invoke_one(&mut self) {
        let honest = self.clients.iter_mut().find(|(_, client)| client.attack.is_none());
        if let Some((id, client)) = honest {
            let id = *id;
            client.to_invoke += 1;
            self.after_client(id, Vec::new());
        }
    }

    /// A client asks for one operation, whatever else it has to do; its record is the last of the history.
    #[cfg(test)]
    pub(super) fn ask(&mut self, id: ClientId, behaviour: super::service::Behaviour) {
        self.next_operation += 1;
        let now = Monotonic(self.now);
        if let Some(client) = self.clients.get_mut(&id) {
            let frames = client.ask(now, behaviour, self.next_operation, &mut self.history);
            self.after_client(id, frames);
        }
    }

    pub(super) fn clients_done(&self) -> bool {
        self.clients.values().all(SimClient::is_done)
    }

    /// A replica's signing key under any log, for what it said in a former life.
    #[cfg(test)]
    pub(super) fn signer(&self, sender: ReplicaId, log: LogId) -> crate::message::Signer {
        let identity = self.identities[sender.index()].clone();
        crate::message::Signer { sender, log, identity, binding: self.agreed.binding() }
    }

    /// Signs an operation as a client.
    #[cfg(test)]
    pub(super) fn sign(&self, operation: crate::message::Operation) -> crate::message::Request {
        let identity = &self.client_identities[operation.client.0 as usize];
        let hints = crate::message::Hints::default();
        crate::message::Request::signed(operation, identity, &self.agreed.binding(), hints)
    }

    /// At most f replicas are down for good; all others are there, vote and executed the same, nothing of it
    /// tentatively, and all that clients were answered: what was answered as tentative may have been undone by
    /// a view change that chose it again.
    pub(super) fn is_converged(&self) -> bool {
        let down = self.nodes.iter().filter(|node| node.is_none()).count();
        if down > self.plan.quorums.f() {
            return false;
        }
        let highest = self.correct().map(Node::executed).max().unwrap_or_default();
        self.correct().all(|node| node.votes() && node.executed() == highest && !node.is_ahead())
            && self.history.iter().all(|record| record.seq() <= highest)
    }

    pub(super) fn highest_executed(&self) -> Seq {
        self.correct().map(Node::executed).max().unwrap_or_default()
    }

    /// Compares the clients' history with the log of every live replica.
    pub(super) fn check_history(&mut self) {
        let highest = self.highest_executed();
        let all = std::mem::take(&mut self.history);
        let honest = |record: &&Record| self.clients.get(&record.client).is_some_and(|c| c.attack.is_none());
        let history: Vec<Record> = all.iter().filter(honest).cloned().collect();
        let mut checker = std::mem::take(&mut self.checker);
        for node in self.correct().filter(|node| node.executed() == highest) {
            // A page that the disk lost and nobody has used since is not lost to the group.
            let positions = |id| DamagedPart::catch(|| position_of(node.state(), id));
            let whole = history.iter().all(|record| positions(record.id).is_ok());
            if whole {
                checker.check_history(&history, |id| positions(id).unwrap_or_default());
            }
        }
        if checker.violation.is_none() {
            checker.check_replay(&history, self.executor_config());
        }
        let honest = self.clients.iter().filter(|(_, client)| client.attack.is_none());
        checker.check_validity(&honest.map(|(id, client)| (*id, client.made.clone())).collect());
        self.history = all;
        self.checker = checker;
    }
}
