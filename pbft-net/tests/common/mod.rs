//! Nodes with a gate that records, and strangers that speak as much of the protocol as they like.
#![allow(dead_code, reason = "each test file uses another part")]
#![allow(clippy::unwrap_used, reason = "only tests use this; clippy knows test functions, not their helpers")]

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use pbft_actors::actor::transport::{Connected, Gate, Node, Outbound, Outlet, Transport};
use pbft_actors::crypto::{EPHEMERAL_BYTES, Ephemeral, Identity, PublicKey, SharedSecret};
use pbft_actors::message::{
    ClusterId, Established, Frame, Fresh, HandshakeError, Initiator, Introduction, Kind, Payload, Peer,
};
use pbft_actors::ports::config::Agreed;
use pbft_actors::types::{ClientId, LogId, ReplicaId};
use pbft_net::{Listen, Tcp, TcpConfig, TcpLimits};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

/// Far beyond what anything here takes: only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn replica(id: u8) -> Peer {
    Peer::Replica(ReplicaId(id))
}

pub(crate) fn client(id: u32) -> Peer {
    Peer::Client(ClientId(id))
}

pub(crate) fn identity(peer: Peer) -> Identity {
    let seed = match peer {
        Peer::Replica(id) => [id.0 + 1; 32],
        Peer::Client(id) => [id.0 as u8 + 100; 32],
    };
    Identity::ed25519(&seed).unwrap()
}

pub(crate) fn log_of(peer: Peer) -> LogId {
    match peer {
        Peer::Replica(id) => LogId { number: 1_000 + u64::from(id.0), salt: 5 },
        Peer::Client(_) => LogId::default(),
    }
}

/// What a gate saw.
#[derive(Debug)]
pub(crate) enum Event {
    Connected(Connected),
    Disconnected(Peer),
    Frames(Peer, Vec<Frame>),
    Rejected(Option<Peer>, &'static str),
}

pub(crate) struct TestGate {
    events: mpsc::UnboundedSender<Event>,
    clients: Vec<ClientId>,
    /// One permit is used up by every read.
    pub(crate) reads: Arc<Semaphore>,
}

impl Gate for TestGate {
    fn connected(&self, connected: Connected) {
        let _ = self.events.send(Event::Connected(connected));
    }

    fn disconnected(&self, peer: Peer) {
        let _ = self.events.send(Event::Disconnected(peer));
    }

    fn receive(&self, peer: Peer, frames: Vec<Frame>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.reads.acquire().await.unwrap().forget();
            let _ = self.events.send(Event::Frames(peer, frames));
        })
    }

    fn rejected(&self, peer: Option<Peer>, reason: &'static str) {
        let _ = self.events.send(Event::Rejected(peer, reason));
    }

    fn public_key(&self, peer: Peer) -> Option<PublicKey> {
        match peer {
            Peer::Client(id) if !self.clients.contains(&id) => None,
            known => Some(identity(known).public_key()),
        }
    }
}

/// A group's addresses and configuration.
pub(crate) struct Group {
    pub(crate) agreed: Agreed,
    pub(crate) limits: TcpLimits,
    listeners: Vec<TcpListener>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Group {
    pub(crate) fn of(replicas: u8) -> Self {
        let listeners: Vec<_> = (0..replicas).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let keys = (0..replicas).map(|id| identity(replica(id)).public_key()).collect();
        Self {
            agreed: Agreed::new(ClusterId([3; 16]), keys),
            limits: TcpLimits::default(),
            addresses: listeners.iter().map(|listener| listener.local_addr().unwrap()).collect(),
            listeners,
        }
    }

    pub(crate) fn with_limits(mut self, limits: TcpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Leaves the sockets to the nodes that were started.
    pub(crate) fn forget_listeners(&mut self) {
        self.listeners.clear();
    }

    pub(crate) fn start(&self, own: Peer) -> TestNode {
        self.start_with(own, self.agreed.clone())
    }

    pub(crate) fn start_with(&self, own: Peer, agreed: Agreed) -> TestNode {
        let listen = match own {
            Peer::Replica(id) => Listen::Bound(self.listeners[id.index()].try_clone().unwrap()),
            Peer::Client(_) => Listen::Nowhere,
        };
        let replicas = self.addresses.iter().map(SocketAddr::to_string).collect();
        let config = TcpConfig { listen, replicas, limits: self.limits.clone() };
        let (events, seen) = mpsc::unbounded_channel();
        let reads = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let clients = vec![ClientId(1), ClientId(2), ClientId(3)];
        let gate = TestGate { events, clients, reads: Arc::clone(&reads) };
        let node = Node { own, identity: identity(own), agreed: Arc::new(agreed), log: log_of(own) };
        let outlet = Box::new(Tcp::new(config)).start(node, Arc::new(gate)).unwrap();
        TestNode { own, outlet, seen, reads }
    }

    pub(crate) fn introduction(&self, own: Peer) -> Introduction {
        introduction(own, identity(own), &self.agreed)
    }

    /// A connection to replica 0 that proved to be `own`.
    pub(crate) async fn stranger(&self, own: Peer) -> Stranger {
        let mut raw = Raw::connect(self.addresses[0]).await;
        let established = raw.introduce(&self.introduction(own), ReplicaId(0)).await.unwrap();
        Stranger { raw, established, counter: 0 }
    }
}

pub(crate) fn introduction(own: Peer, identity: Identity, agreed: &Agreed) -> Introduction {
    Introduction::new(own, identity, agreed.cluster, log_of(own), agreed.entries()).unwrap()
}

/// A node over real sockets.
pub(crate) struct TestNode {
    pub(crate) own: Peer,
    pub(crate) outlet: Box<dyn Outlet>,
    pub(crate) seen: mpsc::UnboundedReceiver<Event>,
    pub(crate) reads: Arc<Semaphore>,
}

impl TestNode {
    /// Waits for something to happen, and forgets what happened before.
    pub(crate) async fn wait<T>(&mut self, mut what: impl FnMut(Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.seen.recv().await.expect("the gate lives as long as the node");
                if let Some(found) = what(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it never happened")
    }

    pub(crate) async fn connected(&mut self, peer: Peer) -> Connected {
        self.wait(|event| match event {
            Event::Connected(connected) if connected.peer == peer => Some(connected),
            _ => None,
        })
        .await
    }

    pub(crate) async fn disconnected(&mut self, peer: Peer) {
        self.wait(|event| matches!(event, Event::Disconnected(gone) if gone == peer).then_some(())).await;
    }

    pub(crate) async fn rejected(&mut self, peer: Option<Peer>, reason: &str) {
        self.wait(|event| match event {
            Event::Rejected(by, why) if why == reason => {
                assert_eq!(by, peer);
                Some(())
            }
            _ => None,
        })
        .await;
    }

    /// Waits for so many frames of a peer.
    pub(crate) async fn frames(&mut self, from: Peer, count: usize) -> Vec<Frame> {
        let mut all = Vec::new();
        self.wait(|event| {
            if let Event::Frames(peer, frames) = event
                && peer == from
            {
                all.extend(frames);
            }
            (all.len() >= count).then_some(())
        })
        .await;
        all
    }

    pub(crate) fn send(&self, to: &[Peer], body: Vec<u8>) {
        self.outlet.send(vec![outbound(to, body)]);
    }
}

pub(crate) fn outbound(to: &[Peer], body: Vec<u8>) -> Outbound {
    Outbound { to: to.to_vec(), payload: Payload::new(Kind::Status, body.into()) }
}

/// A socket without manners.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn say(&mut self, message: &[u8]) {
        self.write(&prefixed(message)).await;
    }

    pub(crate) async fn hear(&mut self) -> Option<Vec<u8>> {
        let hearing = async {
            let length = self.stream.read_u32().await.ok()?;
            let mut message = vec![0; length as usize];
            self.stream.read_exact(&mut message).await.ok()?;
            Some(message)
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("neither answered nor closed")
    }

    pub(crate) async fn introduce(
        &mut self,
        introduction: &Introduction,
        expected: ReplicaId,
    ) -> Result<Established, HandshakeError> {
        let (initiator, hello) = Initiator::start(introduction, expected, fresh());
        self.say(&hello).await;
        let answer = self.hear().await.expect("an answer");
        let key = identity(Peer::Replica(expected)).public_key();
        match initiator.on_hello(&answer, &key) {
            Ok((established, finish)) => {
                self.say(&finish).await;
                Ok(established)
            }
            Err(failure) => {
                if let Some(answer) = failure.answer {
                    self.say(&answer).await;
                }
                Err(failure.error)
            }
        }
    }

    /// Waits until the other side closes; whatever it still says is ignored.
    pub(crate) async fn closed(&mut self) {
        let mut rest = [0; 4_096];
        let closing = async { while matches!(self.stream.read(&mut rest).await, Ok(1..)) {} };
        tokio::time::timeout(PATIENCE, closing).await.expect("the connection was not closed");
    }
}

pub(crate) fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

/// An authenticated connection that sends what it likes.
pub(crate) struct Stranger {
    pub(crate) raw: Raw,
    pub(crate) established: Established,
    counter: u64,
}

impl Stranger {
    /// The next frame with its length.
    pub(crate) fn sealed(&mut self, body: &[u8]) -> Bytes {
        self.counter += 1;
        self.sealed_as(self.counter, body)
    }

    pub(crate) fn sealed_as(&self, counter: u64, body: &[u8]) -> Bytes {
        let payload = Payload::new(Kind::Status, Bytes::copy_from_slice(body));
        let mut buffer = BytesMut::new();
        buffer.put_u32(payload.frame_bytes() as u32);
        payload.seal_into(&self.established.keys.send, counter, &mut buffer);
        buffer.freeze()
    }

    /// The next frame, opened.
    pub(crate) async fn frame(&mut self) -> Frame {
        let bytes = self.raw.hear().await.expect("a frame");
        Frame::open(&self.established.keys.receive, bytes.into()).unwrap()
    }
}

struct TestEphemeral(EphemeralPrivateKey);

pub(crate) fn fresh() -> Fresh<impl Ephemeral> {
    let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
    let ephemeral = TestEphemeral(private);
    let nonce = ephemeral.public();
    Fresh { ephemeral, nonce }
}

impl Ephemeral for TestEphemeral {
    fn public(&self) -> [u8; EPHEMERAL_BYTES] {
        self.0.compute_public_key().unwrap().as_ref().try_into().unwrap()
    }

    fn agree(self, peer_public: &[u8; EPHEMERAL_BYTES]) -> Option<SharedSecret> {
        let peer = UnparsedPublicKey::new(&X25519, peer_public);
        agree_ephemeral(self.0, &peer, |secret| SharedSecret::new(secret.try_into().unwrap())).ok()?
    }
}

/// What this thread logs while the guard lives.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub(crate) fn here() -> (Self, tracing::subscriber::DefaultGuard) {
        let logged = Self::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        (logged, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
