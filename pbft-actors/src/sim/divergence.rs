//! Where two correct replicas' states part, for the author of the service.

use std::fmt;
use std::sync::Arc;

use crate::message::Batch;
use crate::ports::state::PAGE_BYTES;
use crate::types::{ReplicaId, Seq};

/// Operations that are named; of more the first.
const OPERATIONS_MAX: usize = 32;

/// Two correct replicas executed the same operations and have different states: the service is not
/// deterministic, or keeps something outside of its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// One of them.
    pub replica: ReplicaId,
    /// The other.
    pub other: ReplicaId,
    /// The first seq whose operations may be the cause.
    pub since: Seq,
    /// The checkpoint at which the states were compared.
    pub seq: Seq,
    /// The first page that differs, by its index in the state, if it could be read.
    pub page: Option<u64>,
    /// The operations of these seqs.
    pub operations: Vec<(Seq, Vec<u8>)>,
}

impl Divergence {
    pub(super) fn name_operations<'a>(&mut self, batches: impl Iterator<Item = (Seq, &'a Arc<Batch>)>) {
        let each = batches.flat_map(|(seq, batch)| {
            batch.requests().iter().map(move |request| (seq, request.operation().to_vec()))
        });
        self.operations = each.take(OPERATIONS_MAX).collect();
    }
}

/// The page in the words of [`State`](crate::ports::state::State).
fn place(page: u64) -> String {
    let (part, number) = (page >> 32, page & u64::from(u32::MAX));
    match part {
        0 => {
            let start = number * PAGE_BYTES as u64;
            format!("page {number} of the raw bytes, {start} to {}", start + PAGE_BYTES as u64 - 1)
        }
        1 => format!("page {number} of its maps, cells and values"),
        _ => format!("page {number} of the replica's own table of clients: a result differed"),
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replica, other, since, seq, page, operations } = self;
        let place = page.map_or("a page that cannot be read".to_owned(), place);
        write!(
            f,
            "replicas {replica} and {other} differ after seq {seq}, first in {place}; the operations of seqs \
             {since} to {seq} are the cause:"
        )?;
        for (seq, operation) in operations {
            write!(f, " {seq}:{}", String::from_utf8_lossy(operation).escape_debug())?;
        }
        Ok(())
    }
}
