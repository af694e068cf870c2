//! What a replica finds in its journal when it starts (PROTOCOL 11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::message::{Batch, Certificate, Checkpoint, ProvenNewView, Signed, ViewChange};
use crate::types::{LogId, ReplicaId, Seq, View};

/// What became of a replica under the log that its journal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum LogStanding {
    /// It has not voted.
    #[default]
    New,
    /// It asked to be let in again, and was not yet.
    Lost,
    /// It votes.
    LetIn,
}

/// Everything that the records of a journal say together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Remembered {
    /// What became of the replica under its log.
    pub(crate) standing: LogStanding,
    /// The first log seen of each peer, or the one of its last REJOIN.
    pub(crate) peer_logs: BTreeMap<ReplicaId, LogId>,
    /// The highest stable checkpoint.
    pub(crate) stable: Option<Checkpoint>,
    /// Its proof, unless the disk lost it.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// Own CHECKPOINTs above the stable one.
    pub(crate) claimed: BTreeMap<Seq, Digest>,
    /// The highest view asked for, with the VIEW-CHANGE unless the disk lost it.
    pub(crate) asked: Option<(View, Option<Signed<ViewChange>>)>,
    /// The highest view entered by NEW-VIEW, with it unless the disk lost it.
    pub(crate) entered: Option<(View, Option<ProvenNewView>)>,
    /// What was promised and decided at each seq.
    pub(crate) slots: BTreeMap<Seq, RememberedSlot>,
}

impl Remembered {
    /// Keeps of a life whose promises are lost only what is true for everyone.
    pub(crate) fn forget(&mut self) {
        self.standing = LogStanding::Lost;
        self.claimed.clear();
        (self.asked, self.entered) = (None, None);
        for slot in self.slots.values_mut() {
            slot.pre_prepared.clear();
            slot.prepared.clear();
        }
    }
}

/// What was promised and decided at one seq.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct RememberedSlot {
    /// Every batch accepted, with the views.
    pub(crate) pre_prepared: BTreeSet<(View, Digest)>,
    /// Every batch that prepared, with the views.
    pub(crate) prepared: BTreeSet<(View, Digest)>,
    pub(crate) bodies: BTreeMap<Digest, Arc<Batch>>,
    pub(crate) decided: Option<Digest>,
}
