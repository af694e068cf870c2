//! Records of a journal, as a replica that starts finds them.

use bytes::Bytes;

use super::{Target, run, world};
use crate::codec;
use crate::message::{Kind, Opened, Peer};
use crate::ports::storage::{COPY_BYTES, Entry, Log, MemoryDisk, Owner};
use crate::replica::{Journal, record_entry};
use crate::role::Record;
use crate::types::{LogId, ReplicaId};

pub(super) const TARGET: Target =
    Target { name: "journal", run, seeds, memory_base: 8 << 20, memory_per_byte: 1 << 10 };

const OWN: ReplicaId = ReplicaId(1);
const SEGMENT_BYTES: usize = 256 << 10;

/// Entries of one input, and bytes of all their bodies.
const ENTRIES_MAX: usize = 32;
const BYTES_MAX: usize = 64 << 10;

/// The bodies of entries, each with its copy, or none if it is empty.
type Input = Vec<(Bytes, Bytes)>;

fn run(input: &[u8]) {
    let Ok(input) = codec::decode::<Input>(input, BYTES_MAX) else { return };
    let group = world::group();
    let opener = group.opener(Peer::Replica(OWN));
    let owner = Owner { cluster: opener.keyring.binding.cluster.0, replica: OWN.0 };
    let own = group.signer(OWN).log;
    let disk = MemoryDisk::new();
    let start =
        |id, opened| Log::start(Box::new(disk.clone()), owner, id, 3, SEGMENT_BYTES, opened, Vec::new());
    let mut log = start(own, None).expect("a disk with room");
    for (body, copy) in input.iter().take(ENTRIES_MAX) {
        let mut bytes = [0; COPY_BYTES];
        bytes.iter_mut().zip(copy).for_each(|(to, from)| *to = *from);
        log.append(Entry { copy: (!copy.is_empty()).then_some(bytes), body: body.to_vec(), until: 1 });
    }
    log.commit(Vec::new).expect("a disk with room");
    let open = |number| {
        let fresh = LogId { number, salt: 1 };
        Journal::open(Box::new(disk.clone()), &opener, fresh, number, SEGMENT_BYTES)
            .map(|(_, restored)| restored)
            .expect("a disk that works")
    };
    let (mut first, second, third) = (open(1), open(2), open(3));
    assert!(first.found && first.log >= own);
    if first.damage.hidden {
        assert!(first.log > own, "who lost a promise goes on under a later log");
        assert!(!second.damage.hidden, "what is lost is told once");
        // Batches and decisions that were found are for this run only.
        first.remembered.slots.clear();
    }
    assert_eq!((second.log, &second.remembered), (first.log, &first.remembered), "remembered is remembered");
    assert_eq!((third.log, &third.remembered), (first.log, &first.remembered));
}

fn seeds() -> Vec<Vec<u8>> {
    let records: Vec<Record> = run::said(6).iter().flat_map(records_of).collect();
    let item = |record: &Record| {
        let Entry { copy, body, .. } = record_entry(record);
        (Bytes::from(body), copy.map_or(Bytes::new(), |copy| Bytes::copy_from_slice(&copy)))
    };
    let mut items: Vec<(Bytes, Bytes)> = records.iter().map(item).collect();
    items.sort();
    items.dedup();
    let mut seeds: Vec<Vec<u8>> = items.chunks(8).map(|items| codec::encode(&items.to_vec())).collect();
    seeds.extend(items.first().map(|item| codec::encode(&vec![item.clone()])));
    seeds
}

/// What a replica that hears this keeps.
fn records_of(sent: &run::Sent) -> Vec<Record> {
    let body = sent.payload.body().clone();
    let Peer::Replica(replica) = sent.from else { return Vec::new() };
    let log = LogId { number: 100, salt: replica.0.into() };
    match world::group().opener(sent.to).open(sent.from, sent.payload.kind(), body) {
        Ok(Opened::Prepare(vote)) => {
            vec![Record::Prepared { view: vote.view, seq: vote.seq, digest: vote.digest }]
        }
        Ok(Opened::Commit(vote)) => vec![Record::Decided { seq: vote.seq, digest: vote.digest, batch: None }],
        Ok(Opened::PrePrepare(message)) => {
            let (view, seq) = (message.view, message.seq);
            let Some(batch) = run::pre_prepared(sent).map(std::sync::Arc::new) else { return Vec::new() };
            let decided = Record::Decided { seq, digest: batch.digest(), batch: Some(batch.clone()) };
            vec![Record::PrePrepared { view, seq, batch }, decided]
        }
        Ok(Opened::Checkpoint(signed)) => vec![Record::Checkpoint(signed.message)],
        Ok(Opened::ViewChange(signed)) => vec![Record::ViewChange(signed.into_inner())],
        Ok(Opened::NewView(proven)) => vec![Record::NewView(proven.into_inner().new_view)],
        Ok(Opened::Recall(_)) => {
            vec![Record::PeerLog { replica, log }, Record::Lost(log), Record::LetIn(log)]
        }
        _ => match sent.payload.kind() {
            Kind::Recollection => vec![Record::PeerLog { replica, log }],
            _ => Vec::new(),
        },
    }
}
