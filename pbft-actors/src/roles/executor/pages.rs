//! Checkpoints: taking them, handing out their pages, and becoming another replica's.

use super::*;
use crate::message::{Fetch, PAGES_PER_DATA_MAX, PageData};
use crate::ports::state::{PAGE_BYTES, Page};
use crate::role::Event;
use crate::types::{ClientId, Millis};

/// Answers with pages that one peer gets in an interval: 160 MiB/s.
const FETCHES_PER_INTERVAL_MAX: usize = 32;
const FETCH_INTERVAL: Millis = Millis(50);

/// Keys of the reserved map: the executor's own head, the members, and each client.
const HEAD_KEY: &[u8] = b"h";
const MEMBERS_KEY: &[u8] = b"m";
const CLIENT_PREFIX: u8 = b'c';

/// What the executor keeps beside the client table.
type Head = (Seq, Wall);

impl Executor {
    /// Writes what changed outside the pages into the reserved ones and keeps them as they are now.
    pub(super) fn take_checkpoint(&mut self) -> Digest {
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
        let snapshot = self.state.snapshot();
        let root = snapshot.root();
        self.snapshots.insert(self.executed, snapshot);
        root
    }

    pub(super) fn on_fetch(&mut self, now: Now, fetch: &Verified<Fetch>, out: &mut Outbox<NoTimer>) {
        let (Peer::Replica(peer), Fetch::Pages { seq, from }) = (fetch.from(), &**fetch) else { return };
        if !self.fetched.admits_up_to(FETCHES_PER_INTERVAL_MAX, peer, now.monotonic, FETCH_INTERVAL) {
            return;
        }
        let (seq, from) = (*seq, *from);
        // Nothing, and nowhere to go on: this checkpoint is not here any more.
        let mut data = PageData { seq, from, pages: Vec::new(), next: Some(from) };
        if let Some(snapshot) = self.snapshots.get(&seq) {
            let mut pages = snapshot.pages_from(from);
            let first = pages.by_ref().take(PAGES_PER_DATA_MAX);
            data.pages = first.map(|(index, page)| (index, Bytes::copy_from_slice(page))).collect();
            data.next = pages.next().map(|(index, _)| index);
        }
        out.send(To::Replica(peer), Message::PageData(data));
    }

    /// Becomes the state of a checkpoint if these are its pages.
    pub(super) fn on_install(
        &mut self,
        checkpoint: Checkpoint,
        pages: Vec<(u64, Bytes)>,
        out: &mut Outbox<NoTimer>,
    ) {
        let own = self.snapshots.get(&checkpoint.seq).map(Snapshot::root);
        if self.executed >= checkpoint.seq && own.is_none_or(|own| own == checkpoint.digest) {
            // Reached by executing while the pages were on their way, and perhaps dropped again.
            out.tell(CheckpointerInput::InstallNeedless(checkpoint));
            return;
        }
        if !self.try_install(checkpoint, pages) {
            out.tell(CheckpointerInput::InstallFailed(checkpoint));
            return;
        }
        out.event(Event::Transferred { seq: checkpoint.seq });
        if let Some(page) = self.repaired.take() {
            out.event(Event::Repaired { seq: checkpoint.seq, page });
        }
        out.tell(OrdererInput::Jumped(checkpoint.seq));
        out.tell(BatcherInput::Jumped(checkpoint.seq));
        out.tell(CheckpointerInput::Installed(checkpoint));
        self.save(checkpoint.seq, out);
        for rejoined in self.members.iter() {
            out.tell(CheckpointerInput::Rejoined(rejoined));
            out.tell(BatcherInput::Fill(rejoined.target.max(rejoined.seq)));
        }
    }

    fn try_install(&mut self, checkpoint: Checkpoint, pages: Vec<(u64, Bytes)>) -> bool {
        let page = |bytes: &Bytes| Page::try_from(&bytes[..]).ok();
        let pages: Option<Vec<(u64, Page)>> =
            pages.iter().map(|(index, bytes)| Some((*index, page(bytes)?))).collect();
        let Some(pages) = pages else { return false };
        debug_assert!(pages.iter().all(|(_, page)| page.len() == PAGE_BYTES));
        let Ok(mut state) = State::from_pages(self.config.state_limits, pages) else { return false };
        let snapshot = state.snapshot();
        if snapshot.root() != checkpoint.digest {
            return false;
        }
        let own = self.snapshots.get(&checkpoint.seq);
        self.repaired = own.and_then(|own| own.first_difference(&snapshot));
        self.become_state(state, snapshot);
        assert_eq!(self.executed, checkpoint.seq, "a checkpoint names its own seq");
        true
    }

    /// Goes on from a checkpoint whose pages a digest vouches for: what does not decode is a bug.
    pub(super) fn become_state(&mut self, state: State, snapshot: Snapshot) {
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
        self.rewound = head.0 < self.executed;
        (self.executed, self.time) = head;
        self.state = state;
        self.snapshots.clear();
        self.snapshots.insert(self.executed, snapshot);
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
