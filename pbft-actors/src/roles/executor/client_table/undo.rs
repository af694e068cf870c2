//! Taking back what a tentative batch did to the client table. It cannot open or close sessions.

use super::*;

/// How to take back one change.
#[derive(Clone)]
pub(super) enum Undo {
    /// A session's floor rose.
    Floor { of: RequestId, floor: Timestamp, answered: Vec<(Timestamp, Executed)>, result_bytes: u64 },
    /// A request's outcome was kept.
    Recorded { id: RequestId, last: Seq, result_bytes: u64 },
    /// A result was dropped to stay within the client's share.
    Dropped { of: RequestId, executed: Executed },
    /// A client was to be written that was not before.
    Dirty(ClientId),
}

impl ClientTable {
    /// From now on every change can be taken back.
    pub(in crate::roles::executor) fn begin_undo(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// What was changed since stays.
    pub(in crate::roles::executor) fn end_undo(&mut self) {
        self.undo = None;
    }

    /// Takes back what was changed since, the last first.
    pub(in crate::roles::executor) fn undo(&mut self) {
        for undo in self.undo.take().into_iter().flatten().rev() {
            self.undo_one(undo);
        }
    }

    fn undo_one(&mut self, undo: Undo) {
        let id = match &undo {
            Undo::Dirty(client) => {
                self.dirty.remove(client);
                return;
            }
            Undo::Floor { of: id, .. } | Undo::Recorded { id, .. } | Undo::Dropped { of: id, .. } => *id,
        };
        let Some(client) = self.clients.get_mut(&id.client) else { return };
        let Some(session) = client.sessions.get_mut(&id.session) else { return };
        match undo {
            Undo::Floor { floor, answered, result_bytes, .. } => {
                session.floor = floor;
                for (timestamp, executed) in answered.into_iter().rev() {
                    session.executed.insert(timestamp, executed);
                }
                client.result_bytes = result_bytes;
            }
            Undo::Recorded { last, result_bytes, .. } => {
                session.last = last;
                session.executed.remove(id.timestamp);
                client.result_bytes = result_bytes;
            }
            Undo::Dropped { executed, .. } => session.executed.insert(id.timestamp, executed),
            Undo::Dirty(_) => {}
        }
    }
}
