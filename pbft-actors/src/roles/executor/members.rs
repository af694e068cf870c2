//! Which log of each replica is current, as the group agreed by executing REJOINs (PROTOCOL 11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::message::{RejoinOperation, Request};
use crate::role::Rejoined;
use crate::types::{LogId, ReplicaId, Seq};

/// Windows above its own seq that a REJOIN may name: an honest one names at most two above a stable
/// checkpoint that exists already.
const TARGET_WINDOWS_MAX: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Member {
    log: LogId,
    seq: Seq,
    target: Seq,
}

/// The replicas that have rejoined at least once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Members(BTreeMap<ReplicaId, Member>);

impl Members {
    /// Executes a REJOIN; none if its log was ever current, or if it asks for what no honest one does.
    ///
    /// Logs of a replica are ordered, so the current one is enough to know all that were current.
    pub(super) fn on_ordered(
        &mut self,
        replica: ReplicaId,
        request: &Request,
        seq: Seq,
        window: u64,
    ) -> Option<Rejoined> {
        let RejoinOperation { log, target } =
            codec::decode(request.operation(), request.operation().len()).ok()?;
        let newer = self.0.get(&replica).is_none_or(|member| member.log < log);
        let honest = log.number == request.id().session.0 && target <= seq.plus(TARGET_WINDOWS_MAX * window);
        if !newer || !honest {
            return None;
        }
        self.0.insert(replica, Member { log, seq, target });
        Some(Rejoined { replica, log, seq, target })
    }

    /// Whether a REJOIN for this log would still change anything.
    pub(super) fn is_new(&self, replica: ReplicaId, number: u64) -> bool {
        self.0.get(&replica).is_none_or(|member| member.log.number < number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Rejoined> + '_ {
        self.0.iter().map(|(replica, member)| {
            let Member { log, seq, target } = *member;
            Rejoined { replica: *replica, log, seq, target }
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        codec::encode(&self.0)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, codec::DecodeError> {
        codec::decode(bytes, usize::MAX).map(Self)
    }
}
