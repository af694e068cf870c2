//! The journal on a disk: records in, and what they say together out after a start.

use super::record::{self, Promise};
use crate::message::{Opener, Peer};
use crate::ports::storage::{Damage, Disk, Entry, Log, LogError, Owner};
use crate::role::{LogStanding, Record, Remembered};
use crate::types::{LogId, Seq};

/// What a replica finds when it starts.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The log that it signs under.
    pub(crate) log: LogId,
    pub(crate) remembered: Remembered,
    /// What was not as it was written, for people.
    pub(crate) damage: Damage,
    /// Whether there was a journal.
    pub(crate) found: bool,
}

/// A journal that can be written.
pub(crate) struct Journal {
    log: Log,
    latest: Latest,
}

/// The last record of each kind that has no seq: what a new segment begins with.
#[derive(Default)]
struct Latest {
    standing: Option<Record>,
    peer_logs: Vec<Record>,
    stable: Option<Record>,
    asked: Option<Record>,
    entered: Option<Record>,
    /// Of what the disk lost but for the copy.
    promises: Vec<Promise>,
}

impl Journal {
    /// Opens the journal on a disk, or makes one. `entropy` is random, and `fresh` the id of a new log: a journal that lost
    /// a promise is left behind for one, under which the replica asks to be let in again.
    ///
    /// # Errors
    /// A disk that fails, and files of another owner or format.
    pub(crate) fn open(
        mut disk: Box<dyn Disk>,
        opener: &Opener,
        mut fresh: LogId,
        entropy: u64,
        segment_bytes: usize,
    ) -> Result<(Self, Restored), LogError> {
        let Peer::Replica(own) = opener.keyring.own else { unreachable!("only replicas keep journals") };
        let owner = Owner { cluster: opener.keyring.binding.cluster.0, replica: own.0 };
        let Some(mut opened) = Log::read(&mut *disk, owner)? else {
            let log = Log::start(disk, owner, fresh, entropy, segment_bytes, None, Vec::new())?;
            let restored = Restored {
                log: fresh,
                remembered: Remembered::default(),
                damage: Damage::default(),
                found: false,
            };
            return Ok((Self { log, latest: Latest::default() }, restored));
        };
        let (mut id, mut damage) = (opened.id, opened.damage);
        let mut remembered = Remembered::default();
        for found in &opened.found {
            // What was written whole and says nothing to this program hides what it said.
            damage.hidden |= !record::remember(&mut remembered, opener, id, found);
        }
        if damage.hidden {
            // The clock may have gone back since.
            fresh.number = fresh.number.max(id.number.saturating_add(1));
            id = fresh;
            remembered.forget();
        }
        let latest = Latest::of(&remembered, id);
        let until = remembered.slots.keys().chain(remembered.claimed.keys()).max().copied();
        opened.set_needed_until(until.unwrap_or_default().0);
        let log = Log::start(disk, owner, id, entropy, segment_bytes, Some(opened), latest.entries())?;
        Ok((Self { log, latest }, Restored { log: id, remembered, damage, found: true }))
    }

    /// Makes records durable, all by one sync where they fit into one write.
    ///
    /// # Errors
    /// A disk that fails: nothing may be sent that depends on these records, and nothing is tried again.
    pub(crate) fn write(&mut self, records: &[Record]) -> Result<(), LogError> {
        self.append(records)?;
        self.log.commit(|| self.latest.entries())
    }

    /// Takes records that become durable with those that are written next: nothing waits for them.
    ///
    /// # Errors
    /// As [`Journal::write`].
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), LogError> {
        for record in records {
            self.latest.note(record);
            if let Record::Lost(log) = record
                && *log != self.log.id()
            {
                // What was promised under the former log is void: it is not kept.
                self.latest.forget();
                self.log.restart(*log, self.latest.entries())?;
                continue;
            }
            self.log.append(record::entry(record));
        }
        Ok(())
    }

    /// The state at this seq is durable and stable: what is at or below it is needed no more.
    pub(crate) fn release(&mut self, seq: Seq) {
        self.log.release(seq.0);
    }
}

impl Latest {
    fn of(remembered: &Remembered, log: LogId) -> Self {
        let view_change = remembered.asked.as_ref().and_then(|(_, signed)| signed.clone());
        let new_view = remembered.entered.as_ref().and_then(|(_, proven)| proven.as_ref());
        let asked = remembered.asked.iter().filter(|(_, signed)| signed.is_none());
        let entered = remembered.entered.iter().filter(|(_, proven)| proven.is_none());
        let stable = remembered.stable.filter(|_| remembered.certificate.is_none());
        let promises = asked.map(|(view, _)| Promise::ViewChange(*view));
        let promises = promises.chain(entered.map(|(view, _)| Promise::NewView(*view)));
        Self {
            promises: promises.chain(stable.map(Promise::Stable)).collect(),
            standing: match remembered.standing {
                LogStanding::New => None,
                LogStanding::Lost => Some(Record::Lost(log)),
                LogStanding::LetIn => Some(Record::LetIn(log)),
            },
            peer_logs: remembered
                .peer_logs
                .iter()
                .map(|(replica, log)| Record::PeerLog { replica: *replica, log: *log })
                .collect(),
            stable: remembered.certificate.clone().map(Record::Stable),
            asked: view_change.map(Record::ViewChange),
            entered: new_view.map(|proven| Record::NewView(proven.new_view.clone())),
        }
    }

    /// Keeps of a former life only what is true for everyone.
    fn forget(&mut self) {
        (self.asked, self.entered) = (None, None);
        self.promises.retain(|promise| matches!(promise, Promise::Stable(_)));
    }

    fn note(&mut self, record: &Record) {
        match record {
            Record::Lost(_) | Record::LetIn(_) => self.standing = Some(record.clone()),
            Record::PeerLog { .. } => self.peer_logs.push(record.clone()),
            Record::Stable(_) => self.stable = Some(record.clone()),
            Record::ViewChange(_) => self.asked = Some(record.clone()),
            Record::NewView(_) => self.entered = Some(record.clone()),
            Record::PrePrepared { .. }
            | Record::Prepared { .. }
            | Record::Checkpoint(_)
            | Record::Decided { .. } => {}
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let Self { standing, peer_logs, stable, asked, entered, promises } = self;
        let records = standing.iter().chain(peer_logs).chain(stable).chain(asked).chain(entered);
        let promises = promises.iter().copied().map(record::promise_entry);
        records.map(record::entry).chain(promises).collect()
    }
}
