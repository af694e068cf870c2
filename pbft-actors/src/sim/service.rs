//! The service under simulation: a log of operations, each of which may be there once.

use std::panic::resume_unwind;

use bytes::Bytes;

use crate::message::Refusal;
use crate::ports::service::{Execution, Query, Service};
use crate::ports::state::{PAGE_BYTES, State};

/// The operation was executed before: exactly-once is broken.
pub(super) const TWICE: u32 = 1_000;
/// The operation asked to be refused.
pub(super) const REFUSED_ON_PURPOSE: u32 = 1_001;

/// What an operation does, by the last byte of its 9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Behaviour {
    Append = 0,
    Refuse = 1,
    Panic = 2,
    /// Changes nothing; answers with the length of the log.
    Read = 4,
    /// Appends; the answer is longer than a digest.
    Long = 5,
    /// Appends, and writes [`FILL_PAGES`] pages that no other operation wrote so.
    #[cfg(test)]
    Fill = 3,
}

/// How much longer a long answer is.
const LONG_BYTES: usize = 300;

/// Pages that one operation fills.
pub(super) const FILL_PAGES: u64 = 2_000;

/// Appends the id in the operation's first 8 bytes, and answers with its position, big-endian.
pub(super) struct LogService;

pub(super) fn operation(id: u64, behaviour: Behaviour) -> Bytes {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.push(behaviour as u8);
    bytes.into()
}

impl Service for LogService {
    const NAME: &'static str = "simulated log";
    const VERSION: u32 = 1;

    fn execute(
        &self,
        state: &mut State,
        context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        let Some((id, [behaviour])) = operation.split_first_chunk::<8>() else {
            return Err(Refusal::new(Refusal::UNKNOWN_OPERATION, "9 bytes"));
        };
        let position = state.cell::<u64>("length").get() + 1;
        let mut log = state.map_mut("log");
        if log.contains(id) {
            return Err(Refusal::new(TWICE, "executed twice"));
        }
        log.insert(id, &position.to_be_bytes())?;
        state.cell_mut::<u64>("length").set(position)?;
        // Agreed choices are part of the state, so that a replica with others diverges.
        state.cell_mut::<u64>("time").set(context.time.0)?;
        state.cell_mut::<[u8; 32]>("seed").set(context.seed.digest().0)?;
        match behaviour {
            1 => Err(Refusal::new(REFUSED_ON_PURPOSE, "as asked")),
            3 => {
                for page in 0..FILL_PAGES {
                    state.write(page * PAGE_BYTES as u64, &position.to_be_bytes())?;
                }
                Ok(Bytes::copy_from_slice(&position.to_be_bytes()))
            }
            // Without the panic hook: this one is expected.
            5 => Ok([&position.to_be_bytes()[..], &[0; LONG_BYTES]].concat().into()),
            2 => resume_unwind(Box::new("as asked")),
            _ => Ok(Bytes::copy_from_slice(&position.to_be_bytes())),
        }
    }

    fn query(&self, state: &State, _context: &Query, _operation: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::copy_from_slice(&state.cell::<u64>("length").get().to_be_bytes()))
    }
}

/// The position of an operation in a replica's log.
pub(super) fn position_of(state: &State, id: u64) -> Option<u64> {
    let position = state.map("log").get(&id.to_be_bytes())?;
    Some(u64::from_be_bytes(position[..].try_into().ok()?))
}
