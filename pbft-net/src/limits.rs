use std::time::Duration;

use pbft_actors::message::{BODY_BYTES_MAX, FRAME_OVERHEAD_BYTES};

/// Largest frame of an authenticated link, bytes.
pub(crate) const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX + FRAME_OVERHEAD_BYTES;
/// Room for the first read of a link, bytes; it doubles while reads fill it.
pub(crate) const READ_BYTES_MIN: usize = 4 << 10;
/// Most that one read takes, bytes.
pub(crate) const READ_BYTES_MAX: usize = 32 << 10;
/// Most that one write takes, bytes, but for a single larger frame.
pub(crate) const WRITE_BYTES_MAX: usize = 1 << 20;
/// What a queued message costs beside its frame, bytes.
pub(crate) const QUEUED_OVERHEAD_BYTES: usize = 64;
/// Rest after the kernel refused to accept a connection (too many open files).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Idle time after which the kernel asks whether the peer is still there.
pub(crate) const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Time between two such questions.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Questions left unanswered before the connection is given up.
pub(crate) const KEEPALIVE_RETRIES: u32 = 3;
/// How long sent bytes may stay unacknowledged.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Longest rest of a replica before it calls another one again: one that restarts votes only once the
/// others call it, and meanwhile every further fault may cost the quorum.
pub(crate) const REPLICA_REDIAL_MAX: Duration = Duration::from_millis(500);

/// What a transport takes from others before it says no. The defaults suit a group of 31 replicas
/// with thousands of clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpLimits {
    /// Time for a whole handshake, however its bytes trickle in; also for connecting.
    pub handshake_deadline: Duration,
    /// Connections whose handshake is under way; the oldest makes room.
    pub unauthenticated_max: usize,
    /// The same from one address.
    pub unauthenticated_per_address_max: usize,
    /// Handshakes per second that this node signs as responder; more wait.
    pub handshakes_per_second: u32,
    /// Authenticated connections in all; replicas are always let in.
    pub links_max: usize,
    /// Connections of one client identity; the oldest makes room.
    pub links_per_client_max: usize,
    /// Bytes that wait for one replica, but for a single larger message; what exceeds them is dropped.
    pub replica_queue_bytes: usize,
    /// The same for one connection of a client.
    pub client_queue_bytes: usize,
    /// How long a peer may take no byte of what waits for it.
    pub write_stall: Duration,
    /// Time to write what is queued when the transport closes.
    pub flush: Duration,
    /// Rest before the first redial; it doubles with every failure.
    pub redial_min: Duration,
    /// Longest rest before a redial.
    pub redial_max: Duration,
    /// Age at which a connection counts as good: after it redials start at `redial_min` again.
    pub stable_after: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(5),
            unauthenticated_max: 512,
            unauthenticated_per_address_max: 256,
            handshakes_per_second: 500,
            links_max: 16_384,
            links_per_client_max: 16,
            replica_queue_bytes: 64 << 20,
            client_queue_bytes: 8 << 20,
            write_stall: Duration::from_secs(10),
            flush: Duration::from_secs(2),
            redial_min: Duration::from_millis(50),
            redial_max: Duration::from_secs(2),
            stable_after: Duration::from_secs(10),
        }
    }
}
