//! What a carrier must do when a disk fails, on disks in memory that can be told to.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;

use super::storage::Durable;
use super::*;
use crate::crypto::Identity;
use crate::message::{ClusterId, Refusal};
use crate::ports::config::Agreed;
use crate::ports::service::{Execution, Query, Service};
use crate::ports::state::State;
use crate::ports::storage::MemoryDisk;
use crate::types::{ClientId, ReplicaId};

struct Sum;

impl Service for Sum {
    const NAME: &'static str = "sum";
    const VERSION: u32 = 1;

    fn execute(&self, state: &mut State, _: &Execution<'_>, by: &[u8]) -> Result<Bytes, Refusal> {
        let by = by.first().copied().map_or(0, u64::from);
        let sum = state.cell::<u64>("sum").get() + by;
        state.cell_mut::<u64>("sum").set(sum)?;
        Ok(Bytes::copy_from_slice(&sum.to_be_bytes()))
    }

    fn query(&self, _: &State, _: &Query, _: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::new())
    }
}

struct Group {
    config: GroupConfig,
    identities: Vec<Identity>,
    network: Loopback,
    disks: Vec<MemoryDisk>,
}

impl Group {
    fn new() -> Self {
        let identity = |id: u8| Identity::ed25519(&[id; 32]).expect("32 bytes");
        let identities: Vec<Identity> = (0..5).map(identity).collect();
        let keys = identities[..4].iter().map(Identity::public_key).collect();
        let mut agreed = Agreed::new(ClusterId([3; 16]), keys);
        (agreed.checkpoint_interval, agreed.window) = (4, 16);
        let clients = BTreeMap::from([(ClientId(0), identities[4].public_key())]);
        let disks = (0..4).map(|_| MemoryDisk::new()).collect();
        Self { config: GroupConfig::new(agreed, clients), identities, network: Loopback::new(), disks }
    }

    fn start(&self, id: u8) -> Result<Addr<Replica>, StartError> {
        let index = usize::from(id);
        Replica::builder(self.config.clone(), ReplicaId(id), self.identities[index].clone())
            .service(Sum)
            .storage(Durable::on(&self.disks[index]))
            .transport(self.network.clone())
            .start()
    }

    fn client(&self) -> Addr<Client> {
        Client::builder(self.config.clone(), ClientId(0), self.identities[4].clone())
            .transport(self.network.clone())
            .start()
            .expect("a valid configuration")
    }
}

async fn add(client: &Addr<Client>) -> u64 {
    let committed = client.send(Invoke::new(vec![1])).await.expect("the client lives").expect("a result");
    u64::from_be_bytes(committed.result[..].try_into().expect("8 bytes"))
}

async fn until_votes(replica: &Addr<Replica>) {
    while !replica.send(StatusRequest).await.expect("it runs").voting {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_failing_disk_stops_its_replica_which_says_why_and_the_group_goes_on() {
    let group = Group::new();
    actix_rt::System::new().block_on(async {
        let replicas: Vec<Addr<Replica>> = (0..4).map(|id| group.start(id).expect("it starts")).collect();
        let client = group.client();
        assert_eq!(add(&client).await, 1);
        let ending = replicas[2].send(WhenEnded).await.expect("it runs");
        group.disks[2].fail_after(0);
        assert_eq!(add(&client).await, 2);
        match ending.wait().await {
            Ended::Fault { why } => assert!(why.contains("the disk gave up"), "{why}"),
            Ended::Stopped => panic!("nobody asked it to stop"),
        }
        assert_eq!(add(&client).await, 3);
        // With a disk that works again it goes on from its journal.
        assert!(group.start(2).is_err(), "a disk that fails is no place to start");
        group.disks[2].repair();
        let again = group.start(2).expect("it starts");
        until_votes(&again).await;
        assert_eq!(add(&client).await, 4);
    });
}

#[test]
fn all_replicas_start_again_and_go_on_from_their_disks() {
    let group = Group::new();
    actix_rt::System::new().block_on(async {
        for start in 0..3 {
            let replicas: Vec<Addr<Replica>> = (0..4).map(|id| group.start(id).expect("it starts")).collect();
            let client = group.client();
            for added in 1..=10 {
                assert_eq!(add(&client).await, start * 10 + added);
            }
            let status = replicas[0].send(StatusRequest).await.expect("it runs");
            assert!(status.disk.is_some_and(|disk| disk.syncs > 0), "{status:?}");
            client.send(StopClient).await.expect("it runs");
            for replica in replicas {
                let ending = replica.send(WhenEnded).await.expect("it runs");
                replica.send(Stop).await.expect("it runs");
                assert_eq!(ending.wait().await, Ended::Stopped);
            }
        }
    });
}

/// Tokens with the sums that their operations were answered with, and in how many mails.
#[derive(Default)]
struct Collected {
    outcomes: Vec<(u64, u64)>,
    mails: usize,
}

/// Collects outcomes until all that it waits for are there.
struct Collector {
    collected: Collected,
    wanted: usize,
    done: Option<tokio::sync::oneshot::Sender<Collected>>,
}

impl Actor for Collector {
    type Context = Context<Self>;
}

impl Handler<Outcomes> for Collector {
    type Result = ();

    fn handle(&mut self, Outcomes(outcomes): Outcomes, _: &mut Self::Context) {
        self.collected.mails += 1;
        for (token, outcome) in outcomes {
            let sum = outcome.expect("a result").result[..].try_into().expect("8 bytes");
            self.collected.outcomes.push((token, u64::from_be_bytes(sum)));
        }
        if self.collected.outcomes.len() == self.wanted
            && let Some(done) = self.done.take()
        {
            assert!(done.send(std::mem::take(&mut self.collected)).is_ok(), "the test waits");
        }
    }
}

#[test]
fn many_operations_in_one_mail_are_each_executed_once_and_told_in_few() {
    let group = Group::new();
    actix_rt::System::new().block_on(async {
        let _replicas: Vec<Addr<Replica>> = (0..4).map(|id| group.start(id).expect("it starts")).collect();
        let client = Client::builder(group.config.clone(), ClientId(0), group.identities[4].clone())
            .transport(group.network.clone())
            .start_here()
            .expect("a system runs here");
        let (done, finished) = tokio::sync::oneshot::channel();
        let collector = Collector { collected: Collected::default(), wanted: 500, done: Some(done) }.start();
        let invocations = (0..500).map(|token| (token + 7, Invoke::new(vec![1]))).collect();
        client.do_send(InvokeMany { invocations, to: collector.recipient() });
        let Collected { mut outcomes, mails } = finished.await.expect("all are told");
        outcomes.sort_unstable();
        assert!(outcomes.iter().map(|(token, _)| *token).eq(7..507));
        let mut sums: Vec<u64> = outcomes.iter().map(|(_, sum)| *sum).collect();
        sums.sort_unstable();
        assert!(sums.into_iter().eq(1..=500), "each was executed once");
        assert!(mails < 250, "{mails} mails for 500 outcomes");
        assert_eq!(add(&client).await, 501);
    });
}

#[test]
fn a_client_needs_a_system_to_start_in() {
    let group = Group::new();
    let client = Client::builder(group.config.clone(), ClientId(0), group.identities[4].clone());
    let started = client.transport(group.network.clone()).start_here();
    assert!(started.is_err_and(|error| error.to_string().contains("no actix system")));
}
