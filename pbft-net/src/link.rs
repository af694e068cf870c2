//! An authenticated connection: one task that reads and writes until either ends.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use pbft_actors::actor::transport::Gate;
use pbft_actors::crypto::MacKey;
use pbft_actors::message::{Frame, FrameError, LinkKeys, Payload, Peer};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::codec::{CodecError, FrameCodec, PREFIX_BYTES};
use crate::limits::{FRAME_BYTES_MAX, READ_BYTES_MAX, READ_BYTES_MIN, WRITE_BYTES_MAX};
use crate::queue::{Queue, QueueFull};

/// What others hold of a connection: they can queue messages and end it.
#[derive(Debug)]
pub(crate) struct Link {
    peer: Peer,
    queue: Queue,
    cut: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, Error)]
pub(crate) enum LinkEnd {
    #[error("the peer closed it")]
    Closed,
    #[error("it was replaced by a newer one, or the transport closed")]
    Cut,
    #[error("it took nothing for {0:?}; is the peer stopped or its network slow?")]
    Stalled(Duration),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Codec(CodecError),
    #[error("{0}")]
    Frame(FrameError),
    #[error("a frame came again, or out of order")]
    Counter,
}

impl LinkEnd {
    /// The word under which it is counted, if it is the peer's fault.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Closed | Self::Cut | Self::Io(_) | Self::Codec(CodecError::Io(_)) => None,
            Self::Stalled(_) => Some("link_stalled"),
            Self::Codec(CodecError::Length { .. }) => Some("frame_length"),
            Self::Counter => Some("frame_counter"),
            Self::Frame(FrameError::Short(_) | FrameError::Long(_)) => Some("frame_length"),
            Self::Frame(FrameError::Version(_)) => Some("frame_version"),
            Self::Frame(FrameError::Tag) => Some("frame_tag"),
            Self::Frame(FrameError::Kind(_)) => Some("frame_kind"),
        }
    }
}

impl Link {
    /// A connection to `peer` for which at most `queue_bytes` may wait.
    pub(crate) fn new(peer: Peer, queue_bytes: usize) -> Self {
        Self { peer, queue: Queue::new(queue_bytes), cut: CancellationToken::new() }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// Queues a message.
    pub(crate) fn send(&self, payload: Payload) -> Result<(), QueueFull> {
        self.queue.push(payload)
    }

    /// Ends the connection once everything queued is written and the peer closed its side.
    pub(crate) fn finish(&self) {
        self.queue.finish();
    }

    /// Ends the connection now.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Carries frames until either side ends; `received` came after the handshake.
    pub(crate) async fn run(
        &self,
        mut stream: TcpStream,
        received: BytesMut,
        keys: LinkKeys,
        gate: Arc<dyn Gate>,
        write_stall: Duration,
    ) -> LinkEnd {
        let (reader, writer) = stream.split();
        let inbound = Inbound { peer: self.peer, key: keys.receive, counter: 0, gate };
        let outbound = Outbound { key: keys.send, counter: 0, write_stall };
        tokio::select! {
            biased;
            () = self.cut.cancelled() => LinkEnd::Cut,
            Err(end) = outbound.write(&self.queue, writer) => end,
            Err(end) = inbound.read(reader, received) => end,
        }
    }
}

struct Inbound {
    peer: Peer,
    key: MacKey,
    counter: u64,
    gate: Arc<dyn Gate>,
}

impl Inbound {
    async fn read(mut self, mut reader: ReadHalf<'_>, mut buffer: BytesMut) -> Result<Infallible, LinkEnd> {
        let mut wanted = READ_BYTES_MIN;
        loop {
            let mut frames = Vec::new();
            let opened = self.open_all(&mut buffer, &mut frames);
            if !frames.is_empty() {
                self.gate.receive(self.peer, frames).await;
            }
            opened?;
            if buffer.capacity() - buffer.len() < wanted / 4 {
                buffer.reserve(wanted);
            }
            let room = (buffer.capacity() - buffer.len()).min(READ_BYTES_MAX);
            let count = reader.read_buf(&mut (&mut buffer).limit(room)).await?;
            if count == 0 {
                return Err(LinkEnd::Closed);
            }
            if count == room {
                wanted = (wanted * 2).min(READ_BYTES_MAX);
            }
        }
    }

    /// Opens every whole frame of what was read.
    fn open_all(&mut self, buffer: &mut BytesMut, frames: &mut Vec<Frame>) -> Result<(), LinkEnd> {
        let mut codec = FrameCodec::new(FRAME_BYTES_MAX);
        let mut longest = 0;
        while let Some(bytes) = codec.decode(buffer).map_err(LinkEnd::Codec)? {
            longest = longest.max(bytes.len());
            match Frame::open(&self.key, bytes) {
                Ok(frame) if frame.counter > self.counter => {
                    self.counter = frame.counter;
                    frames.push(frame);
                }
                Ok(_) => return Err(LinkEnd::Counter),
                Err(FrameError::Kind(kind)) => {
                    tracing::debug!(peer = %self.peer, kind, "a frame of unknown kind was ignored");
                    self.gate.rejected(Some(self.peer), "frame_kind");
                }
                Err(error) => return Err(LinkEnd::Frame(error)),
            }
        }
        if longest > READ_BYTES_MAX {
            // Or this connection would keep room for its longest frame for ever.
            *buffer = BytesMut::from(&buffer[..]);
        }
        Ok(())
    }
}

struct Outbound {
    key: MacKey,
    counter: u64,
    write_stall: Duration,
}

impl Outbound {
    async fn write(mut self, queue: &Queue, mut writer: WriteHalf<'_>) -> Result<Infallible, LinkEnd> {
        let mut buffer = BytesMut::new();
        while let Some(payloads) = queue.take(WRITE_BYTES_MAX).await {
            // At once: a buffer that grows while it is filled is moved each time.
            buffer.reserve(payloads.iter().map(|payload| PREFIX_BYTES + payload.frame_bytes()).sum());
            for payload in &payloads {
                self.counter += 1;
                buffer.put_u32(payload.frame_bytes() as u32);
                payload.seal_into(&self.key, self.counter, &mut buffer);
            }
            drop(payloads);
            self.write_all(&mut writer, &buffer).await?;
            buffer.clear();
            if buffer.capacity() > WRITE_BYTES_MAX {
                buffer = BytesMut::new();
            }
        }
        writer.shutdown().await?;
        // The peer still reads what was written; closing under unread data would take it away.
        pending().await
    }

    async fn write_all(&self, writer: &mut WriteHalf<'_>, mut bytes: &[u8]) -> Result<(), LinkEnd> {
        while !bytes.is_empty() {
            let writing = tokio::time::timeout(self.write_stall, writer.write(bytes));
            let written = writing.await.map_err(|_| LinkEnd::Stalled(self.write_stall))??;
            if written == 0 {
                return Err(LinkEnd::Closed);
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}
