//! The address of a running replica: what it is doing, who watches it, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use actix::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::builder::{GroupConfig, NotChosen, ReplicaBuilder};
use super::gate::Rejections;
use super::hub::{Close, Hub};
use super::writer::DiskCounts;
use crate::crypto::{Identity, PublicKey};
use crate::message::{Checkpoint, Opener, Peer};
use crate::role::Event;
use crate::types::{ClientId, ReplicaId, Seq, View};

/// A running replica. It lives on a thread of its own until it is told to [`Stop`], or a role panics.
pub struct Replica {
    own: ReplicaId,
    status: ReplicaStatus,
    subscribers: Vec<Recipient<ReplicaEvent>>,
    hub: Option<Addr<Hub>>,
    opener: Arc<RwLock<Opener>>,
    rejections: Arc<Rejections>,
    disk: Option<Arc<DiskCounts>>,
    peers: BTreeSet<Peer>,
    /// Why it goes down, if it was not asked to.
    fault: Option<String>,
    watching_end: Vec<oneshot::Sender<Ended>>,
    ended: Option<oneshot::Sender<Farewell>>,
}

/// Where a replica stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReplicaStatus {
    /// The view it is in, or moves to.
    pub view: View,
    /// Whether it still moves there.
    pub changing: bool,
    /// The last batch executed.
    pub executed: Seq,
    /// Operations executed since it started.
    pub operations: u64,
    /// The stable checkpoint; none before the first.
    pub stable: Option<Checkpoint>,
    /// Whether it has its memory and votes.
    pub voting: bool,
    /// Replicas it has a link with.
    pub replicas: Vec<ReplicaId>,
    /// Clients it has a link with.
    pub clients: Vec<ClientId>,
    /// View changes it took part in since it started.
    pub view_changes: u64,
    /// What its disk did since it started; none in memory mode.
    pub disk: Option<DiskStatus>,
    /// What was refused since it started, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

/// What a replica's disk did since the replica started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Syncs of the journal.
    pub syncs: u64,
    /// Time that they took together, in microseconds.
    pub sync_micros: u64,
    /// Records written to the journal.
    pub records: u64,
    /// States saved.
    pub saves: u64,
    /// Time that these took together, in microseconds.
    pub save_micros: u64,
    /// Pages read again and compared with their digests.
    pub scrubbed_pages: u64,
}

/// Asks a replica where it stands.
#[derive(Message)]
#[rtype(result = "ReplicaStatus")]
pub struct StatusRequest;

/// Asks to be told of every event. A subscriber whose mailbox is full misses events.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Subscribe(pub Recipient<ReplicaEvent>);

/// An event of a replica.
#[derive(Message, Clone, PartialEq, Eq, Debug)]
#[rtype(result = "()")]
pub struct ReplicaEvent {
    /// Whose.
    pub replica: ReplicaId,
    /// What.
    pub event: Event,
}

/// Stops the replica: ends its links after what was sent is written, and its thread. Answered before
/// the thread has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Asks for a way to wait for the replica's end.
#[derive(Message)]
#[rtype(result = "Ending")]
pub struct WhenEnded;

/// Waits for the end of a replica.
#[derive(Debug)]
pub struct Ending(oneshot::Receiver<Ended>);

/// How a replica ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was asked to, and what was queued for its links is written.
    Stopped,
    /// It could not go on.
    Fault {
        /// Why, for people.
        why: String,
    },
}

impl Ending {
    /// Waits until nothing of the replica is left to be done.
    pub async fn wait(self) -> Ended {
        self.0.await.unwrap_or_else(|_| Ended::Fault { why: "the replica's thread is gone".to_owned() })
    }
}

/// Whom to tell, once the thread has nothing left to do, how the replica ended.
pub(super) struct Farewell {
    ended: Ended,
    watching: Vec<oneshot::Sender<Ended>>,
}

impl Farewell {
    pub(super) fn say(self) {
        for watching in self.watching {
            let _nobody_waits = watching.send(self.ended.clone());
        }
    }
}

/// The clients that may connect from now on, with their public keys; others are forgotten.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Directory(pub BTreeMap<ClientId, PublicKey>);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Events(pub(super) Vec<Event>);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Down {
    pub(super) why: String,
}

/// A link came up, or the last one to a peer ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Link {
    pub(super) peer: Peer,
    pub(super) up: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SetHub(pub(super) Addr<Hub>);

impl Replica {
    /// Starts to describe a replica of a group.
    pub fn builder(
        group: GroupConfig,
        id: ReplicaId,
        identity: Identity,
    ) -> ReplicaBuilder<NotChosen, NotChosen, NotChosen> {
        ReplicaBuilder::new(group, id, identity)
    }

    pub(super) fn new(
        own: ReplicaId,
        opener: Arc<RwLock<Opener>>,
        rejections: Arc<Rejections>,
        disk: Option<Arc<DiskCounts>>,
        ended: oneshot::Sender<Farewell>,
    ) -> Self {
        Self {
            own,
            status: ReplicaStatus::default(),
            subscribers: Vec::new(),
            hub: None,
            opener,
            rejections,
            disk,
            peers: BTreeSet::new(),
            fault: None,
            watching_end: Vec::new(),
            ended: Some(ended),
        }
    }

    fn note(&mut self, event: &Event) {
        let (status, replica) = (&mut self.status, self.own);
        match event {
            Event::ViewChangeStarted { view } => {
                status.view = *view;
                status.changing = true;
                status.view_changes += 1;
                tracing::info!(%replica, %view, "view change started");
            }
            Event::ViewInstalled { view, primary } => {
                status.view = *view;
                status.changing = false;
                tracing::info!(%replica, %view, %primary, "view installed");
            }
            Event::StableCheckpoint { checkpoint } => {
                status.stable = Some(*checkpoint);
                tracing::debug!(%replica, seq = %checkpoint.seq, digest = %checkpoint.digest, "stable checkpoint");
            }
            Event::Executed { seq, operations } => {
                status.executed = *seq;
                status.operations += *operations as u64;
            }
            Event::Transferred { seq, pages, bytes } => {
                status.executed = *seq;
                tracing::info!(%replica, %seq, pages, bytes, "state transferred");
            }
            Event::Behind { target } => tracing::info!(%replica, %target, "behind: fetching state"),
            Event::Voting { votes } => {
                status.voting = *votes;
                tracing::info!(%replica, votes, "voting");
            }
            Event::Rejoining { target } => tracing::warn!(%replica, %target, "memory lost: rejoining"),
            Event::Misbehaved { replica: peer, what } => {
                tracing::warn!(%replica, %peer, what, "a peer misbehaved")
            }
            Event::Diverged { seq, own, stable } => {
                tracing::error!(%replica, %seq, %own, %stable, "own state differs from the group's: repairing it");
            }
            Event::Repaired { seq, since, page } => {
                tracing::error!(%replica, %since, %seq, page, "own state differed from this page on, since one of these seqs: repaired");
            }
            Event::Damaged { parts, first: (level, index) } => {
                tracing::error!(%replica, parts, level, index, "the disk damaged the state: fetching what is lost");
            }
            Event::Fatal { why } => {
                self.fault = Some(why.clone());
                tracing::error!(%replica, why, "stopping");
            }
        }
    }

    fn publish(&mut self, event: Event) {
        self.note(&event);
        let replica = self.own;
        let note = ReplicaEvent { replica, event };
        self.subscribers.retain(Recipient::connected);
        for subscriber in &self.subscribers {
            // A subscriber that does not keep up must not hold the replica back.
            let _missed = subscriber.try_send(note.clone());
        }
    }

    fn end(&mut self, context: &mut Context<Self>) {
        if let Some(hub) = self.hub.take() {
            hub.do_send(Close);
        }
        context.stop();
    }
}

impl Actor for Replica {
    type Context = Context<Self>;

    fn stopped(&mut self, _context: &mut Self::Context) {
        if let Some(ended) = self.ended.take() {
            let how = self.fault.take().map_or(Ended::Stopped, |why| Ended::Fault { why });
            let watching = std::mem::take(&mut self.watching_end);
            let _nobody_waits = ended.send(Farewell { ended: how, watching });
        }
    }
}

impl Handler<WhenEnded> for Replica {
    type Result = MessageResult<WhenEnded>;

    fn handle(&mut self, _when: WhenEnded, _context: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.watching_end.push(sender);
        MessageResult(Ending(receiver))
    }
}

impl Handler<StatusRequest> for Replica {
    type Result = MessageResult<StatusRequest>;

    fn handle(&mut self, _request: StatusRequest, _context: &mut Self::Context) -> Self::Result {
        let mut status = self.status.clone();
        for peer in &self.peers {
            match peer {
                Peer::Replica(id) => status.replicas.push(*id),
                Peer::Client(id) => status.clients.push(*id),
            }
        }
        status.rejected = self.rejections.snapshot();
        status.disk = self.disk.as_deref().map(|counts| DiskStatus {
            syncs: counts.syncs.load(Ordering::Relaxed),
            sync_micros: counts.sync_micros.load(Ordering::Relaxed),
            records: counts.records.load(Ordering::Relaxed),
            saves: counts.saves.load(Ordering::Relaxed),
            save_micros: counts.save_micros.load(Ordering::Relaxed),
            scrubbed_pages: counts.scrubbed.load(Ordering::Relaxed),
        });
        MessageResult(status)
    }
}

impl Handler<Subscribe> for Replica {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe, _context: &mut Self::Context) {
        self.subscribers.push(subscribe.0);
    }
}

impl Handler<Directory> for Replica {
    type Result = ();

    fn handle(&mut self, directory: Directory, _context: &mut Self::Context) {
        let keyring = &mut self.opener.write().unwrap_or_else(PoisonError::into_inner).keyring;
        let gone: Vec<ClientId> = keyring.clients().filter(|id| !directory.0.contains_key(id)).collect();
        gone.into_iter().for_each(|id| keyring.remove_client(id));
        directory.0.into_iter().for_each(|(id, key)| keyring.insert_client(id, key));
    }
}

impl Handler<Stop> for Replica {
    type Result = ();

    fn handle(&mut self, _stop: Stop, context: &mut Self::Context) {
        tracing::info!(replica = %self.own, "stopping");
        self.end(context);
    }
}

impl Handler<Events> for Replica {
    type Result = ();

    fn handle(&mut self, events: Events, context: &mut Self::Context) {
        for event in events.0 {
            let fatal = matches!(event, Event::Fatal { .. });
            self.publish(event);
            if fatal {
                self.end(context);
                return;
            }
        }
    }
}

impl Handler<Down> for Replica {
    type Result = ();

    fn handle(&mut self, down: Down, context: &mut Self::Context) {
        self.publish(Event::Fatal { why: down.why });
        self.end(context);
    }
}

impl Handler<Link> for Replica {
    type Result = ();

    fn handle(&mut self, link: Link, _context: &mut Self::Context) {
        tracing::debug!(replica = %self.own, peer = %link.peer, up = link.up, "link");
        if link.up {
            self.peers.insert(link.peer);
        } else {
            self.peers.remove(&link.peer);
        }
    }
}

impl Handler<SetHub> for Replica {
    type Result = ();

    fn handle(&mut self, hub: SetHub, _context: &mut Self::Context) {
        self.hub = Some(hub.0);
    }
}
