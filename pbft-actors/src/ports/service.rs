//! The service that is replicated, and what it is told about the operation it executes.

use bytes::Bytes;

use crate::crypto::{Digest, Hasher};
use crate::message::{Choice, Refusal};
use crate::ports::state::State;
use crate::types::{RequestId, Seq, Wall};

/// What the group agreed on for one operation: the same at every correct replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Execution<'a> {
    /// The batch's place in the order.
    pub seq: Seq,
    /// Agreed time; rises from batch to batch.
    pub time: Wall,
    /// Agreed random seed of this operation.
    pub seed: Seed,
    /// What the service's own [`Service::propose`] added.
    pub extra: &'a Bytes,
    /// Whose request it is; unique for ever.
    pub request: RequestId,
}

/// An agreed random seed, one for each operation. Hashed only for a service that asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed {
    batch: Digest,
    position: u64,
}

impl Seed {
    /// The seed of the operation at a position, from 0, of a batch with this agreed seed.
    pub fn new(batch: Digest, position: u64) -> Self {
        Self { batch, position }
    }

    /// Its 32 bytes.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("pbft operation seed");
        hasher.part(&self.batch.0).number(self.position);
        hasher.finish()
    }
}

/// What is known where the state is only read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query {
    /// The last batch executed.
    pub seq: Seq,
    /// Its agreed time.
    pub time: Wall,
}

/// A deterministic service. Every method takes `&self`: all state lives in [`State`], which gives
/// checkpoints, transfer and undo without any code here.
///
/// An operation that panics or refuses changes nothing and is answered alike everywhere.
pub trait Service: Send + Sync + 'static {
    /// A name; replicas of another service are refused in the handshake.
    const NAME: &'static str;
    /// Rises whenever the same operations could give other results.
    const VERSION: u32;

    /// Executes an operation.
    fn execute(&self, state: &mut State, context: &Execution<'_>, operation: &[u8])
    -> Result<Bytes, Refusal>;

    /// Answers a read-only operation.
    fn query(&self, state: &State, context: &Query, operation: &[u8]) -> Result<Bytes, Refusal>;

    /// At the primary: what to add to the agreed time and seed of a batch. Sees no state.
    fn propose(&self, _wall: Wall, _operations: &[&[u8]]) -> Bytes {
        Bytes::new()
    }

    /// At the backups: whether the addition is acceptable. Time and seed were checked already.
    fn check(&self, _wall: Wall, _operations: &[&[u8]], extra: &Bytes) -> Result<(), Refusal> {
        if extra.is_empty() {
            Ok(())
        } else {
            Err(Refusal::new(Refusal::UNKNOWN_OPERATION, "this service adds nothing to a choice"))
        }
    }
}

/// [`Service`] without its constants, so that it can be shared behind a pointer.
pub(crate) trait AnyService: Send + Sync + 'static {
    fn execute(&self, state: &mut State, context: &Execution<'_>, operation: &[u8])
    -> Result<Bytes, Refusal>;
    fn query(&self, state: &State, context: &Query, operation: &[u8]) -> Result<Bytes, Refusal>;
    fn propose(&self, wall: Wall, operations: &[&[u8]]) -> Bytes;
    fn check(&self, wall: Wall, operations: &[&[u8]], choice: &Choice) -> Result<(), Refusal>;
}

impl std::fmt::Debug for dyn AnyService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyService")
    }
}

impl<S: Service> AnyService for S {
    fn execute(
        &self,
        state: &mut State,
        context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        Service::execute(self, state, context, operation)
    }

    fn query(&self, state: &State, context: &Query, operation: &[u8]) -> Result<Bytes, Refusal> {
        Service::query(self, state, context, operation)
    }

    fn propose(&self, wall: Wall, operations: &[&[u8]]) -> Bytes {
        Service::propose(self, wall, operations)
    }

    fn check(&self, wall: Wall, operations: &[&[u8]], choice: &Choice) -> Result<(), Refusal> {
        Service::check(self, wall, operations, &choice.extra)
    }
}
