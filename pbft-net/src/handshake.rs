//! Drives the handshake of `pbft_actors::message` over a socket.

use std::io;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use pbft_actors::message::{
    Established, Failure, HANDSHAKE_BYTES_MAX, HandshakeError, Initiator, Peer, Responder,
};
use pbft_actors::types::ReplicaId;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::Decoder;

use crate::codec::{CodecError, FrameCodec, PREFIX_BYTES};
use crate::ephemeral::fresh;
use crate::shared::Shared;

/// Room for one read of a peer that proved nothing yet, bytes.
const READ_BYTES: usize = 2 << 10;

/// A connection whose peer proved itself.
pub(crate) struct Authenticated {
    pub(crate) stream: TcpStream,
    pub(crate) established: Established,
    /// What was read beyond the handshake.
    pub(crate) received: BytesMut,
}

/// A connection that never got so far.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Handshake(HandshakeError),
    #[error("the connection ended within the handshake; the peer's log may say why")]
    Closed,
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("no handshake in time; is the peer running and the address right?")]
    Deadline,
    #[error("it made room for newer unauthenticated connections")]
    Evicted,
}

impl ConnectError {
    /// The word under which it is counted.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Handshake(error) => error.reason(),
            Self::Closed | Self::Io(_) | Self::Codec(CodecError::Io(_)) => "handshake_closed",
            Self::Codec(CodecError::Length { .. }) => "handshake_length",
            Self::Deadline => "handshake_deadline",
            Self::Evicted => "handshake_evicted",
        }
    }

    /// The peer at fault, where it proved itself.
    pub(crate) fn proven_peer(&self) -> Option<Peer> {
        match self {
            Self::Handshake(error) => error.proven_peer(),
            _ => None,
        }
    }
}

/// Proves this node to a replica and the replica to this node.
pub(crate) async fn initiate(
    shared: &Shared,
    stream: TcpStream,
    expected: ReplicaId,
) -> Result<Authenticated, ConnectError> {
    let peer = Peer::Replica(expected);
    let key = shared.gate.public_key(peer);
    let key = key.ok_or(ConnectError::Handshake(HandshakeError::UnknownIdentity(peer)))?;
    let mut conversation = Conversation::new(stream);
    let (initiator, hello) = Initiator::start(&shared.introduction, expected, fresh());
    conversation.say(&hello).await?;
    let answer = conversation.hear().await?;
    match initiator.on_hello(&answer, &key) {
        Ok((established, finish)) => {
            conversation.say(&finish).await?;
            Ok(conversation.end(established))
        }
        Err(failure) => Err(conversation.refuse(failure).await),
    }
}

/// Lets a caller prove itself.
pub(crate) async fn respond(shared: &Shared, stream: TcpStream) -> Result<Authenticated, ConnectError> {
    let mut conversation = Conversation::new(stream);
    let hello = conversation.hear().await?;
    while let Some(wait) = shared.admission.signature_due_in(Instant::now()) {
        tokio::time::sleep(wait).await;
    }
    let key_of = |peer| shared.gate.public_key(peer);
    let fresh = || {
        shared.admission.signed(Instant::now());
        fresh()
    };
    match Responder::on_hello(&shared.introduction, &hello, key_of, fresh) {
        Ok((responder, answer)) => {
            conversation.say(&answer).await?;
            let finish = conversation.hear().await?;
            let established = responder.on_finish(&finish).map_err(ConnectError::Handshake)?;
            Ok(conversation.end(established))
        }
        Err(failure) => Err(conversation.refuse(failure).await),
    }
}

/// Length-prefixed messages both ways.
struct Conversation {
    stream: TcpStream,
    received: BytesMut,
}

impl Conversation {
    fn new(stream: TcpStream) -> Self {
        Self { stream, received: BytesMut::new() }
    }

    async fn say(&mut self, message: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + message.len());
        bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
        bytes.extend_from_slice(message);
        self.stream.write_all(&bytes).await
    }

    async fn hear(&mut self) -> Result<Bytes, ConnectError> {
        let mut codec = FrameCodec::new(HANDSHAKE_BYTES_MAX);
        loop {
            if let Some(message) = codec.decode(&mut self.received)? {
                return Ok(message);
            }
            self.received.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(ConnectError::Closed);
            }
        }
    }

    /// Tells the peer, if it can still hear; the error is what counts.
    async fn refuse(&mut self, failure: Failure) -> ConnectError {
        if let Some(answer) = failure.answer {
            let said = self.say(&answer).await;
            tracing::trace!(?said, "the peer of a failed handshake was told");
        }
        ConnectError::Handshake(failure.error)
    }

    fn end(self, established: Established) -> Authenticated {
        Authenticated { stream: self.stream, established, received: self.received }
    }
}
