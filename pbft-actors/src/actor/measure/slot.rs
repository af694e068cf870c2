use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::{Digest, Identity, MacKey};
use crate::message::{Batch, Binding, Choice, Hints, Keyring, Opener, Operation, Peer, Request, RequestKeys};
use crate::ports::config::Tuning;
use crate::ports::service::Service;
use crate::replica::{Driver, Inbound, JournalStage, route};
use crate::role::{Effect, ExecutorInput, Mail, OrdererInput, To};
use crate::roles::orderer::{Orderer, OrdererConfig};
use crate::types::{ClientId, Monotonic, Now, Quorums, ReplicaId, Seq, SessionId, Timestamp, View, Wall};

/// K, and a window of four of them.
const CHECKPOINT_INTERVAL: u64 = 128;
const WINDOW: u64 = 4 * CHECKPOINT_INTERVAL;

/// Four orderers that take batches through the three phases in one thread: every message is encoded,
/// hashed, decoded and its requests' MACs are checked, but nothing is sent, executed or kept.
pub struct ThreePhases {
    replicas: Vec<Replica>,
    requests: Vec<Request>,
    seq: Seq,
}

struct Replica {
    orderer: Driver<Orderer>,
    stage: JournalStage,
    opener: Opener,
    /// Batches given to the executor.
    delivered: usize,
}

const NOW: Now = Now { monotonic: Monotonic(1), wall: Wall(1) };

impl ThreePhases {
    /// A group whose batches hold so many requests with empty operations.
    ///
    /// # Panics
    /// Never: the group is a valid one.
    pub fn new<S: Service>(service: S, requests: usize) -> Self {
        let quorums = Quorums::new(4).expect("four are a group");
        let public: Vec<_> = (0..4).map(|id| Identity::simulated([id; 32]).public_key()).collect();
        let client = ClientId(0);
        let request_key = |id: ReplicaId| MacKey::new([id.0 + 1; 32]);
        let service = Arc::new(service);
        let replica = |own: ReplicaId| {
            let mut keyring = Keyring::new(Peer::Replica(own), quorums, Binding::default(), public.clone());
            keyring.insert_request_key(client, 1, request_key(own));
            let config = OrdererConfig {
                own,
                quorums,
                checkpoint_interval: CHECKPOINT_INTERVAL,
                window: WINDOW,
                signed_requests: false,
                tuning: Tuning::default(),
                service: service.clone(),
            };
            let mut orderer = Driver::new(Orderer::new(config));
            orderer.on_input(NOW, OrdererInput::Voting(true));
            let opener = Opener { keyring, interval: CHECKPOINT_INTERVAL, window: WINDOW };
            Replica { orderer, stage: JournalStage::default(), opener, delivered: 0 }
        };
        let keys: Vec<RequestKeys> = quorums
            .replicas()
            .map(|id| {
                let mut keys = RequestKeys::default();
                keys.insert(1, request_key(id));
                keys
            })
            .collect();
        let request = |timestamp| {
            let operation = Operation {
                client,
                session: SessionId(1),
                timestamp: Timestamp(timestamp),
                answered_below: Timestamp(1),
                read_only: false,
                operation: Bytes::new(),
            };
            let hints = Hints::default();
            Request::authenticated(operation, keys.iter().map(Some), hints)
        };
        Self {
            replicas: quorums.replicas().map(replica).collect(),
            requests: (1..=requests as u64).map(request).collect(),
            seq: Seq::ZERO,
        }
    }

    /// Proposes a batch and carries every message until all four have given it to their executors.
    ///
    /// # Panics
    /// If one of them has not: a bug.
    pub fn slot(&mut self) {
        self.seq = self.seq.next();
        let seed = Digest::of(&self.seq.0.to_be_bytes());
        let choice = Choice { time: NOW.wall, seed, extra: Bytes::new() };
        let batch = Arc::new(Batch::new(choice, self.requests.clone()));
        let propose = OrdererInput::Propose { view: View(0), batch };
        let mut queue = VecDeque::from([(0, propose)]);
        while let Some((at, input)) = queue.pop_front() {
            self.step(at, input, &mut queue);
        }
        let seq = self.seq.0 as usize;
        let stable = self.seq.is_checkpoint(CHECKPOINT_INTERVAL).then_some(self.seq);
        for replica in &mut self.replicas {
            assert_eq!(replica.delivered, seq, "every message arrived");
            if let Some(stable) = stable {
                replica.orderer.on_input(NOW, OrdererInput::Stable(stable));
            }
        }
    }

    /// One step of a replica; what it leads to is queued.
    fn step(&mut self, at: usize, input: OrdererInput, queue: &mut VecDeque<(usize, OrdererInput)>) {
        let replica = &mut self.replicas[at];
        let effects = replica.orderer.on_input(NOW, input);
        let (mut records, mut released) = (Vec::new(), Vec::new());
        replica.stage.submit(effects, &mut records, &mut released);
        replica.stage.on_durable(replica.stage.written(), &mut released);
        for effect in released {
            match effect {
                Effect::Tell(Mail::Orderer(own)) => queue.push_back((at, own)),
                Effect::Tell(Mail::Executor(ExecutorInput::Execute(batches))) => {
                    self.replicas[at].delivered += batches.len();
                }
                Effect::Send(To::Others, message) => {
                    let (from, payload) = (Peer::Replica(ReplicaId(at as u8)), message.payload());
                    for (to, other) in self.replicas.iter().enumerate().filter(|(to, _)| *to != at) {
                        let opened = other.opener.open_frame(from, payload.unsealed());
                        let mut inbound = Inbound::default();
                        route(opened.expect("a correct replica sent it"), &mut inbound);
                        for mail in inbound.into_mail() {
                            if let Mail::Orderer(input) = mail {
                                queue.push_back((to, input));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
