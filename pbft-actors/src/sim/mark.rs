//! "Sometimes" marks: rare states that a run went through. A simulator that never gets there shows
//! nothing about what happens there.

use std::fmt;

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident = $name:literal,)*) => {
        /// A state that not every run reaches.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Mark {
            $($(#[$doc])* $mark,)*
        }

        impl Mark {
            /// Every mark.
            pub const ALL: &'static [Self] = &[$(Self::$mark),*];

            /// Its name in reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$mark => $name,)*
                }
            }
        }
    };
}

marks! {
    /// A VIEW-CHANGE whose P is not empty left.
    PreparedInViewChange = "view change with a non-empty P",
    /// A VIEW-CHANGE left whose Qs names two digests at one seq.
    ContestedInViewChange = "view change with two digests at one seq",
    /// A NEW-VIEW chose a batch.
    BatchChosen = "batch chosen by a new view",
    /// A NEW-VIEW chose null.
    NullChosen = "null chosen by a new view",
    /// A new primary lacked bodies of what it had to choose.
    NewViewFetched = "new view that needed bodies fetched",
    /// A backup entered a view without all bodies.
    EnteredWithoutBodies = "view entered without all bodies",
    /// A replica left for a view beyond the one it had asked for.
    ViewChangeAgain = "view change within a view change",
    /// A view entered was not the next.
    ViewsSkipped = "views skipped",
    /// A replica stopped between leaving a view and entering one.
    StoppedInViewChange = "stopped in a view change",
    /// A replica transferred state.
    Transferred = "state transferred",
    /// A transfer went on to a later checkpoint.
    TransferFollowed = "transfer that followed the group",
    /// A replica stopped while it transferred.
    TransferInterrupted = "transfer interrupted",
    /// A replica that had lost its memory asked to be let in again.
    Rejoined = "rejoin",
    /// A restarted replica has its memory.
    Remembered = "restart with memory",
    /// A journal's last write was torn.
    TornTail = "torn tail",
    /// A journal had lost promises for good.
    PromisesLost = "promises lost with the disk",
    /// A journal's promise was found in its second place.
    PromiseCopied = "promise found in its second place",
    /// A part of the state on disk was damaged.
    StateDamaged = "state damaged on disk",
    /// A part of the state was replaced by the group's.
    StateRepaired = "state repaired by transfer",
    /// A request that was executed already was answered from the table.
    DuplicateAnswered = "duplicate answered from the table",
    /// Several requests of a client came in one frame.
    RequestsTogether = "requests that shared a frame",
    /// Several replies to a client left in one frame.
    RepliesTogether = "replies that shared a frame",
    /// A replica could not verify a request.
    NeedSignature = "signature asked for",
    /// A view was entered with clients that must sign.
    SignedOnly = "view with clients that must sign",
    /// A session was gone.
    SessionExpired = "session expired",
    /// A result was dropped for want of room.
    ResultDropped = "result dropped",
    /// A replica had too much to do.
    Busy = "overloaded",
    /// A decision was told to one that lacked it.
    DecisionTold = "decision told",
    /// A stable certificate was told to one that lacked it.
    CertificateTold = "certificate told",
    /// A null batch was proposed so that the group passes a seq.
    NullProposed = "null proposed",
    /// A lie was noticed by the one it was told.
    LieNoticed = "lie noticed",
    /// All replicas were without power at once.
    AllDown = "all replicas down at once",
    /// A result was told before its batch was certain.
    TentativeReply = "tentative reply",
    /// What was executed tentatively was taken back.
    TentativeUndone = "tentative batch undone",
    /// A read was answered without being ordered.
    ReadAnswered = "read answered in one round trip",
    /// A read waited for what was prepared when it came.
    ReadWaited = "read that waited",
    /// A result was sent by its digest.
    DigestReply = "reply by digest",
    /// A frame came on a link that knew its keys and held no valid message.
    MessageRefused = "message refused",
}

impl Mark {
    /// Those that a slice of a few hundred runs per group size need not reach.
    pub fn is_rare(self) -> bool {
        matches!(self, Self::PromisesLost)
    }
}

/// How often each mark was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Marks([u64; Mark::ALL.len()]);

impl Default for Marks {
    fn default() -> Self {
        Self([0; Mark::ALL.len()])
    }
}

impl Marks {
    pub(super) fn reach(&mut self, mark: Mark) {
        self.0[mark as usize] += 1;
    }

    pub(super) fn reach_if(&mut self, reached: bool, mark: Mark) {
        self.0[mark as usize] += u64::from(reached);
    }

    /// Sums up.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// How often a mark was reached.
    pub fn count(&self, mark: Mark) -> u64 {
        self.0[mark as usize]
    }

    /// Every mark with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> + '_ {
        Mark::ALL.iter().map(|mark| (*mark, self.count(*mark)))
    }

    /// What was never reached.
    pub fn missed(&self) -> impl Iterator<Item = Mark> + '_ {
        self.iter().filter(|(_, count)| *count == 0).map(|(mark, _)| mark)
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(mark, count)| (mark.name(), count))).finish()
    }
}
