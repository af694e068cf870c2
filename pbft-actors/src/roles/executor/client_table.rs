//! Who asked what and what came of it: exactly-once across retransmission, transfer and restarts
//! (PROTOCOL 4). Changed only by execution, so equal at every correct replica.

mod undo;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::by_timestamp::ByTimestamp;
use crate::codec;
use crate::crypto::Digest;
use crate::message::{Outcome, Request};
use crate::types::{ClientId, RequestId, Seq, SessionId, Timestamp};
use undo::Undo;

/// Agreed limits of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableLimits {
    /// W.
    pub(crate) client_window: u64,
    pub(crate) sessions_per_client: u64,
    pub(crate) sessions_total: u64,
    pub(crate) result_bytes_per_client: u64,
}

/// A request that was executed, with what is left of its result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Executed {
    pub(super) digest: Digest,
    pub(super) seq: Seq,
    pub(super) outcome: Outcome,
    bytes: u64,
}

impl Executed {
    pub(super) fn new(digest: Digest, seq: Seq, outcome: Outcome) -> Self {
        Self { digest, seq, bytes: outcome.bytes(), outcome }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Session {
    opening: Executed,
    /// Every timestamp below is answered.
    floor: Timestamp,
    last: Seq,
    executed: ByTimestamp<Executed>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Client {
    highest: SessionId,
    sessions: BTreeMap<SessionId, Session>,
    result_bytes: u64,
}

/// What is to be done with a request whose turn has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Execute it, then [`ClientTable::record`] its outcome.
    Execute,
    /// Answer with this; nothing is executed.
    Answer(Executed),
    /// Neither.
    Skip,
}

/// What a look-up before ordering finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lookup {
    /// It may be ordered.
    Admit,
    /// It was executed: this is the answer.
    Answer(Executed),
    /// Its session is not open and no longer can be.
    Expired(SessionId),
    /// No correct client sends it, or its session is not open yet.
    Refuse,
}

/// Sessions closed and floors raised while one batch executed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct TableChanges {
    pub(super) floors: BTreeMap<(ClientId, SessionId), Timestamp>,
    pub(super) closed: Vec<(ClientId, SessionId)>,
}

/// The client table.
#[derive(Clone)]
pub(super) struct ClientTable {
    limits: TableLimits,
    clients: BTreeMap<ClientId, Client>,
    sessions: u64,
    /// Changed since they were last written to the state's reserved map.
    dirty: BTreeSet<ClientId>,
    /// How to take back what happened since [`Self::begin_undo`], if that was called.
    undo: Option<Vec<Undo>>,
}

impl ClientTable {
    pub(super) fn new(limits: TableLimits) -> Self {
        let (clients, dirty) = (BTreeMap::new(), BTreeSet::new());
        Self { limits, clients, sessions: 0, dirty, undo: None }
    }

    /// What is known of a request before it is ordered.
    pub(super) fn look_up(&self, request: &Request) -> Lookup {
        let id = request.id();
        let client = self.clients.get(&id.client);
        let highest = client.map_or(SessionId(0), |client| client.highest);
        let session = client.and_then(|client| client.sessions.get(&id.session));
        if request.is_opening() {
            return match session {
                Some(session) if session.opening.digest == *request.digest() => {
                    Lookup::Answer(session.opening.clone())
                }
                _ if id.session > highest => Lookup::Admit,
                _ => Lookup::Expired(highest),
            };
        }
        let Some(session) = session else {
            // Above the highest it may be opened a moment from now.
            return if id.session > highest { Lookup::Refuse } else { Lookup::Expired(highest) };
        };
        if let Some(executed) = session.executed.get(id.timestamp) {
            return Lookup::Answer(executed.clone());
        }
        let answered = id.timestamp < session.floor;
        if answered || !request.is_within(self.limits.client_window) { Lookup::Refuse } else { Lookup::Admit }
    }

    /// What to do with a request that is next in the agreed order.
    pub(super) fn on_ordered(&mut self, request: &Request, seq: Seq, changes: &mut TableChanges) -> Verdict {
        let id = request.id();
        if request.is_opening() {
            return self.open(request, seq, changes);
        }
        let window = self.limits.client_window;
        let Some(client) = self.clients.get_mut(&id.client) else {
            return Verdict::Answer(expired(request, seq, SessionId(0)));
        };
        let highest = client.highest;
        let Some(session) = client.sessions.get_mut(&id.session) else {
            return Verdict::Answer(expired(request, seq, highest));
        };
        if !request.is_within(window) {
            return Verdict::Skip;
        }
        if request.answered_below() > session.floor {
            let (floor, result_bytes) = (session.floor, client.result_bytes);
            session.floor = request.answered_below();
            let mut answered = Vec::new();
            while let Some((timestamp, executed)) = session.executed.pop_below(session.floor) {
                client.result_bytes -= executed.bytes;
                if self.undo.is_some() {
                    answered.push((timestamp, executed));
                }
            }
            changes.floors.insert((id.client, id.session), session.floor);
            if let Some(undo) = &mut self.undo {
                undo.push(Undo::Floor { of: id, floor, answered, result_bytes });
            }
            note_dirty(&mut self.dirty, &mut self.undo, id.client);
        }
        if id.timestamp < session.floor {
            return Verdict::Skip;
        }
        match session.executed.get(id.timestamp) {
            Some(executed) => Verdict::Answer(executed.clone()),
            None => Verdict::Execute,
        }
    }

    /// Opens a session above the highest one; closes the least recently used where there are too many.
    fn open(&mut self, request: &Request, seq: Seq, changes: &mut TableChanges) -> Verdict {
        let id = request.id();
        let client = self.clients.entry(id.client).or_default();
        if id.session <= client.highest {
            return match client.sessions.get(&id.session) {
                Some(session) if session.opening.digest == *request.digest() => {
                    Verdict::Answer(session.opening.clone())
                }
                _ => Verdict::Answer(expired(request, seq, client.highest)),
            };
        }
        client.highest = id.session;
        let opening = Executed::new(*request.digest(), seq, Outcome::Opened);
        let session = Session {
            opening: opening.clone(),
            floor: Timestamp(1),
            last: seq,
            executed: ByTimestamp::default(),
        };
        client.sessions.insert(id.session, session);
        let too_many = client.sessions.len() as u64 > self.limits.sessions_per_client;
        self.sessions += 1;
        self.dirty.insert(id.client);
        if too_many {
            self.close_oldest(Some(id.client), id, changes);
        } else if self.sessions > self.limits.sessions_total {
            self.close_oldest(None, id, changes);
        }
        Verdict::Answer(opening)
    }

    /// Closes the session with the smallest (last executed seq, number), of one client or of all; never
    /// the one that makes it necessary.
    fn close_oldest(&mut self, of: Option<ClientId>, opened: RequestId, changes: &mut TableChanges) {
        let clients = self.clients.iter().filter(|(id, _)| of.is_none_or(|of| of == **id));
        let sessions = clients.flat_map(|(id, client)| {
            client.sessions.iter().map(|(number, session)| (session.last, *number, *id))
        });
        let others = sessions.filter(|(_, number, id)| (*id, *number) != (opened.client, opened.session));
        let Some((_, number, id)) = others.min() else { return };
        if let Some(client) = self.clients.get_mut(&id)
            && let Some(session) = client.sessions.remove(&number)
        {
            client.result_bytes -= session.executed.values().map(|executed| executed.bytes).sum::<u64>();
            self.sessions -= 1;
            self.dirty.insert(id);
            changes.closed.push((id, number));
        }
    }

    /// Keeps the outcome of a request that was executed now, for whoever asks again.
    pub(super) fn record(&mut self, id: RequestId, digest: Digest, seq: Seq, outcome: Outcome) {
        let limit = self.limits.result_bytes_per_client;
        let Some(client) = self.clients.get_mut(&id.client) else { return };
        let Some(session) = client.sessions.get_mut(&id.session) else { return };
        let executed = Executed::new(digest, seq, outcome);
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Recorded { id, last: session.last, result_bytes: client.result_bytes });
        }
        client.result_bytes += executed.bytes;
        session.last = seq;
        session.executed.insert(id.timestamp, executed);
        if client.result_bytes > limit {
            client.drop_results(limit, |session, timestamp, executed| {
                if let Some(undo) = &mut self.undo {
                    let of = RequestId { client: id.client, session, timestamp };
                    undo.push(Undo::Dropped { of, executed });
                }
            });
        }
        note_dirty(&mut self.dirty, &mut self.undo, id.client);
    }

    /// Writes the clients that changed, in the order of their ids.
    pub(super) fn take_dirty(&mut self) -> Vec<(ClientId, Vec<u8>)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().filter_map(|id| Some((id, codec::encode(self.clients.get(&id)?)))).collect()
    }

    /// Takes over a client from a transferred state.
    pub(super) fn restore(&mut self, id: ClientId, bytes: &[u8]) -> Result<(), codec::DecodeError> {
        let client: Client = codec::decode(bytes, usize::MAX)?;
        self.sessions += client.sessions.len() as u64;
        self.clients.insert(id, client);
        Ok(())
    }
}

impl Client {
    /// Drops results, the lowest timestamps of the lowest session first, until the rest fits.
    fn drop_results(&mut self, limit: u64, mut dropped: impl FnMut(SessionId, Timestamp, Executed)) {
        for (number, session) in &mut self.sessions {
            for (timestamp, executed) in
                session.executed.iter_mut().filter(|(_, executed)| executed.bytes > 0)
            {
                if self.result_bytes <= limit {
                    return;
                }
                self.result_bytes -= executed.bytes;
                let (digest, seq) = (executed.digest, executed.seq);
                let gone = Executed { digest, seq, outcome: Outcome::ResultDropped, bytes: 0 };
                dropped(*number, timestamp, std::mem::replace(executed, gone));
            }
        }
    }
}

/// A client changed since it was last written.
fn note_dirty(dirty: &mut BTreeSet<ClientId>, undo: &mut Option<Vec<Undo>>, client: ClientId) {
    if dirty.insert(client)
        && let Some(undo) = undo
    {
        undo.push(Undo::Dirty(client));
    }
}

fn expired(request: &Request, seq: Seq, highest: SessionId) -> Executed {
    Executed::new(*request.digest(), seq, Outcome::SessionExpired { highest })
}
