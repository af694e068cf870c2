//! Checkpoints: taking them, and becoming another replica's.

use super::*;
use crate::role::{Divergence, Event};
use crate::types::ClientId;

/// Keys of the reserved map: the executor's own head, the members, and each client.
const HEAD_KEY: &[u8] = b"h";
const MEMBERS_KEY: &[u8] = b"m";
const CLIENT_PREFIX: u8 = b'c';

/// What the executor keeps beside the client table.
type Head = (Seq, Wall);

impl Executor {
    /// Writes what changed outside the pages into the reserved ones and keeps them as they are now.
    pub(super) fn take_checkpoint(&mut self) -> Taken {
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (HEAD_KEY.to_vec(), crate::codec::encode::<Head>(&(self.executed, self.time))),
            (MEMBERS_KEY.to_vec(), self.members.encode()),
        ];
        entries.extend(self.table.take_dirty().into_iter().map(|(id, bytes)| (client_key(id), bytes)));
        let mut reserved = self.state.reserved_map();
        for (key, value) in entries {
            reserved
                .insert(&key, &value)
                .expect("the reserved pages hold the client table at its agreed limits");
        }
        Taken { seq: self.executed, snapshot: self.state.snapshot() }
    }

    /// A checkpoint has its digest; one of a state that another has replaced meanwhile says nothing.
    pub(super) fn on_digested(&mut self, generation: u64, taken: Taken, out: &mut Outbox<NoTimer>) {
        if generation == self.generation {
            self.roots.insert(taken.seq, taken.snapshot.root());
            out.tell(CheckpointerInput::Taken(taken));
        }
    }

    /// Becomes a state that was fetched.
    pub(super) fn on_install(&mut self, install: Install, out: &mut Outbox<NoTimer>) {
        let Install { taken, pages, bytes, repairs } = install;
        let checkpoint = taken.checkpoint();
        let seq = checkpoint.seq;
        let own = self.roots.get(&seq);
        let needed = self.broken || repairs.is_some();
        let reached = self.executed >= seq && own.is_none_or(|own| *own == checkpoint.digest);
        // Below what is stable meanwhile nobody could say how to go on from it.
        if seq < self.stable || !needed && reached {
            // Reached by executing while the state was on its way, and perhaps dropped again. Where the
            // own digest is still being computed, the checkpointer compares it once it is there.
            out.tell(CheckpointerInput::InstallNeedless(checkpoint));
            return;
        }
        self.become_state(&taken.snapshot);
        self.tell_waiting(out);
        assert_eq!(self.executed, seq, "a checkpoint names its own seq");
        out.event(Event::Transferred { seq, pages, bytes });
        if let Some(Divergence { since, page }) = repairs {
            out.event(Event::Repaired { seq, since, page });
        }
        out.tell(OrdererInput::Jumped(seq));
        out.tell(BatcherInput::Jumped(seq));
        out.tell(CheckpointerInput::Installed(taken));
        for rejoined in self.members.iter() {
            out.tell(CheckpointerInput::Rejoined(rejoined));
            out.tell(BatcherInput::Fill(rejoined.target.max(rejoined.seq)));
        }
    }

    /// Goes on from a checkpoint that a digest vouches for: what does not decode is a bug.
    pub(super) fn become_state(&mut self, snapshot: &Snapshot) {
        let state = State::of_snapshot(self.config.state_limits, snapshot);
        let reserved = state.reserved();
        let head = reserved.get(HEAD_KEY).expect("every checkpoint has its head");
        let head: Head = crate::codec::decode(&head, head.len()).expect("a head that this code wrote");
        let members = reserved.get(MEMBERS_KEY).expect("every checkpoint has its members");
        self.members = Members::decode(&members).expect("members that this code wrote");
        self.table = ClientTable::new(self.config.table_limits);
        for (key, value) in reserved.range(&[CLIENT_PREFIX][..]..) {
            if let Some(id) = client_of(key) {
                self.table.restore(id, &value).expect("a client that this code wrote");
            }
        }
        self.ahead = None;
        self.jumped = true;
        self.held.clear();
        self.broken = false;
        (self.executed, self.time) = head;
        self.state = state;
        self.generation += 1;
        self.roots.clear();
        self.roots.insert(self.executed, snapshot.root());
    }
}

fn client_key(id: ClientId) -> Vec<u8> {
    let mut key = vec![CLIENT_PREFIX];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

fn client_of(key: &[u8]) -> Option<ClientId> {
    let (prefix, id) = key.split_first()?;
    (*prefix == CLIENT_PREFIX).then_some(())?;
    Some(ClientId(u32::from_be_bytes(id.try_into().ok()?)))
}
