//! The service of a modelled group.

use bytes::Bytes;

use crate::message::Refusal;
use crate::ports::service::{Execution, Query, Service};
use crate::ports::state::State;

/// Counts its operations, and writes each where its number says, so that every order is another state.
pub(crate) struct Tally;

impl Service for Tally {
    const NAME: &'static str = "modelled tally";
    const VERSION: u32 = 1;

    fn execute(
        &self,
        state: &mut State,
        _context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        let count = state.cell::<u64>("count").get() + 1;
        state.cell_mut::<u64>("count").set(count)?;
        state.map_mut("operations").insert(&count.to_be_bytes(), operation)?;
        Ok(Bytes::copy_from_slice(&count.to_be_bytes()))
    }

    fn query(&self, state: &State, _context: &Query, _operation: &[u8]) -> Result<Bytes, Refusal> {
        Ok(Bytes::copy_from_slice(&state.cell::<u64>("count").get().to_be_bytes()))
    }
}
