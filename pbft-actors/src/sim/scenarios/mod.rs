//! Scripted scenarios: what must hold whatever seeds draw, each named with its number.
//!
//! All of them end in [`Cluster::settles`]: no violation of safety or bounds on the way (the checker
//! sees every step), every client answered, every correct replica at the same state.

mod adversaries;
mod clients;
mod durable;
mod links;
mod memory;
mod primaries;
mod reads;
mod regressions;
mod transfer;
mod votes;

use super::cluster::Cluster;
use super::plan::{LinkPlan, Micros, Plan};
use super::service::{Behaviour, operation, position_of};
use crate::adversary::Adversary;
use crate::message::{Operation, Peer, Request};
use crate::ports::config::Tuning;
use crate::role::{Event, Message, ViewChangerInput};
use crate::types::{ClientId, Millis, Quorums, ReplicaId, ReplicaSet, Seq, Timestamp, View};

/// The group sizes at which every scenario runs unless its number says otherwise.
const SIZES: [usize; 4] = [4, 5, 6, 7];
const MILLISECOND: Micros = 1_000;
const SECOND: Micros = 1_000_000;
/// More operations than any scenario lets a client finish.
const ENDLESS: u64 = 1_000_000;
const ALICE: ClientId = ClientId(0);
const BOB: ClientId = ClientId(1);

/// A healthy group with two idle clients.
pub(super) fn plan(n: usize) -> Plan {
    Plan {
        quorums: Quorums::new(n).unwrap(),
        checkpoint_interval: 4,
        window: 16,
        client_window: 64,
        sessions_per_client: 4,
        sessions_total: 12,
        result_bytes_per_client: 4_096,
        tuning: Tuning {
            timeout: Millis(300),
            timeout_max: Millis(1_200),
            status_interval: Millis(50),
            pipeline: 4,
            batch_requests: 8,
            rejoin_interval: Millis(200),
            state_memory_bytes: 1 << 30,
            scrub_bytes_per_second: 0,
            ..Tuning::default()
        },
        clients: 2,
        operations_per_client: 0,
        outstanding: 2,
        sign_all: false,
        digest_replies: true,
        one_round_reads: true,
        links: LinkPlan::HEALED,
        faulty_time: 0,
        crashes: 0,
        partitions: 0,
        client_restarts: 0,
        durable: false,
        sync_max: 500,
        digest_max: 500,
        real_signatures: false,
        stay_dead: 0,
    }
}

/// A group of `n` in which every replica votes.
fn group(n: usize) -> Cluster {
    started(plan(n))
}

fn started(plan: Plan) -> Cluster {
    let mut cluster = Cluster::new(1, plan);
    assert!(cluster.run_until(5 * SECOND, |c| c.correct().all(|node| node.votes())), "a first start");
    cluster
}

fn r(id: usize) -> ReplicaId {
    ReplicaId(id as u8)
}

fn set(ids: impl IntoIterator<Item = usize>) -> ReplicaSet {
    ids.into_iter().map(r).collect()
}

/// The words of the scenarios.
impl Cluster {
    fn n(&self) -> usize {
        self.plan.quorums.n()
    }

    fn f(&self) -> usize {
        self.plan.quorums.f()
    }

    fn q(&self) -> usize {
        self.plan.quorums.quorum()
    }

    fn everyone(&self) -> ReplicaSet {
        self.plan.quorums.replicas().collect()
    }

    /// L(k) within T0: the time for k view changes, each twice as long as the one before.
    fn limit(timeout: Millis, view_changes: u32) -> Micros {
        timeout.micros() * ((1 << (view_changes + 1)) - 1) + SECOND
    }

    /// Lets a client work on `count` more operations.
    fn load(&mut self, client: ClientId, count: u64) {
        self.clients.get_mut(&client).unwrap().to_invoke += count;
        self.after_client(client, Vec::new());
    }

    /// A client that has work goes on with what it sent, and sends no more.
    fn stop_load(&mut self) {
        self.clients.values_mut().for_each(|client| client.to_invoke = 0);
    }

    fn answered(&self) -> usize {
        self.history.iter().filter(|record| record.completed.is_some()).count()
    }

    fn wait(&mut self, time: Micros) {
        let until = self.now + time;
        self.run_until(until, |_| false);
        self.holds();
    }

    /// S and B so far.
    fn holds(&self) {
        assert_eq!(self.checker.violation, None, "n={} at {} us", self.n(), self.now);
    }

    /// Waits until a condition holds.
    fn expect(&mut self, within: Micros, what: &str, done: impl FnMut(&Self) -> bool) {
        let (n, until) = (self.n(), self.now + within);
        let ok = self.run_until(until, done);
        self.holds();
        assert!(ok, "n={n}: not {what} within {within} us: {}", self.stands());
    }

    fn stands(&self) -> String {
        let nodes = self.nodes.iter().flatten();
        nodes.map(|node| format!("\n{}: {}", node.own, node.describe())).collect()
    }

    /// L(k): the first new execution comes in time.
    fn executes_within(&mut self, view_changes: u32) {
        let limit = Self::limit(self.plan.tuning.timeout, view_changes);
        let highest = self.highest_executed();
        self.expect(limit, "executing something new", |c| c.highest_executed() > highest);
    }

    /// L(k) where time-outs may have grown to their maximum before.
    fn executes_after_a_storm_within(&mut self, view_changes: u32) {
        let limit = Self::limit(self.plan.tuning.timeout_max, view_changes);
        let highest = self.highest_executed();
        self.expect(limit, "executing something new", |c| c.highest_executed() > highest);
    }

    /// The end of every scenario: all answered, all alike, and the clients' history is in the log.
    fn settles(&mut self) {
        self.stop_load();
        self.expect(30 * SECOND, "answering every client", Cluster::clients_done);
        for _ in 0..3 {
            if self.run_until(self.now + 5 * SECOND, Cluster::is_converged) {
                break;
            }
            self.invoke_one();
        }
        self.expect(30 * SECOND, "converging", |c| c.clients_done() && c.is_converged());
        self.check_history();
        self.holds();
    }

    /// The highest view that a correct replica entered.
    fn view(&self) -> View {
        self.correct().filter(|node| node.is_active()).map(|node| node.view()).max().unwrap_or_default()
    }

    fn cut_off(&mut self, replica: ReplicaId) {
        self.partition(&[replica]);
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.network.cut(Peer::Replica(replica), Peer::Client(client));
            self.network.cut(Peer::Client(client), Peer::Replica(replica));
        }
    }

    /// Makes a replica suspect its primary, whatever its timer says.
    fn suspect(&mut self, replica: ReplicaId) {
        let node = self.nodes[replica.index()].as_mut().unwrap();
        let view = node.view();
        node.post(ViewChangerInput::Suspect(view).into());
        self.run_node(replica);
    }

    fn executed(&self, replica: ReplicaId) -> Seq {
        self.nodes[replica.index()].as_ref().map_or(Seq::ZERO, |node| node.executed())
    }

    fn position(&self, replica: ReplicaId, id: u64) -> Option<u64> {
        position_of(self.nodes[replica.index()].as_ref()?.state(), id)
    }

    /// An operation of a client's open session that its honest code knows nothing of.
    fn operation_of(&self, client: ClientId, timestamp: u64, id: u64) -> Operation {
        Operation {
            client,
            session: self.clients[&client].session().unwrap(),
            timestamp: Timestamp(timestamp),
            answered_below: Timestamp(timestamp),
            read_only: false,
            operation: operation(id, Behaviour::Append),
        }
    }

    /// A client sends a request of the test's making.
    fn send(&mut self, client: ClientId, to: ReplicaId, request: &Request) {
        let message = Message::Request(request.clone());
        let frames = self.clients.get_mut(&client).unwrap().forge(to, &message);
        self.carry(Peer::Client(client), frames);
    }

    fn send_to_all(&mut self, client: ClientId, request: &Request) {
        for replica in self.plan.quorums.replicas() {
            self.send(client, replica, request);
        }
    }

    fn events_of(&self, replica: ReplicaId) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |(_, own, _)| *own == replica).map(|(_, _, event)| event)
    }

    fn turn(&mut self, replica: ReplicaId, adversary: impl Adversary + 'static) {
        self.corrupt(replica, Box::new(adversary));
    }
}
