//! What a journal says after a start: of what was written, and of what the disk left of it.

use super::record;
use super::*;
use crate::crypto::Identity;
use crate::message::{
    Batch, Binding, Certificate, Checkpoint, Keyring, Kind, NewView, Opener, Peer, Signed, ViewChange,
};
use crate::ports::storage::{COPY_BYTES, Disk, Entry, Log, LogError, MemoryDisk, Owner};
use crate::role::{LogStanding, Record, Remembered};
use crate::roles::testing::*;
use crate::types::{LogId, ReplicaId, Seq, View};
use std::sync::Arc;

const SEGMENT: usize = 64 << 10;

/// The id that a start offers, of a clock that went back.
const FRESH: LogId = LogId { number: 60, salt: 7 };

/// What the log must be able to name again after a restart without its memory.
const NEXT: LogId = LogId { number: 300, salt: 1 };

fn opener(own: u8) -> Opener {
    let peers = (0..4).map(|id| Identity::simulated([id; 32]).public_key()).collect();
    let own = Peer::Replica(replica(own));
    Opener { keyring: Keyring::new(own, quorums(4), Binding::default(), peers), interval: 4, window: 16 }
}

/// The journal of replica 3, as its first start makes it.
fn begin(disk: &MemoryDisk) -> Journal {
    let (journal, restored) = open_with(disk, log_of(3));
    assert!(!restored.found);
    journal
}

fn open_with(disk: &MemoryDisk, fresh: LogId) -> (Journal, Restored) {
    Journal::open(Box::new(disk.clone()), &opener(3), fresh, 7, SEGMENT).expect("a disk that works")
}

/// What a later start finds.
fn found(disk: &MemoryDisk) -> Restored {
    open_with(disk, FRESH).1
}

/// What a later start finds where nothing is wrong.
fn remembered(disk: &MemoryDisk) -> Remembered {
    let restored = found(disk);
    assert_eq!((restored.log, restored.damage.hidden, restored.found), (log_of(3), false, true));
    restored.remembered
}

/// A journal with these records, each made durable before the next one.
fn written(records: &[Record]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut journal = begin(&disk);
    for record in records {
        journal.write(std::slice::from_ref(record)).expect("a disk that works");
    }
    disk
}

fn offset_of(content: &[u8], part: &[u8]) -> Option<usize> {
    content.windows(part.len()).rposition(|window| window == part)
}

/// Changes one byte of something that is on the disk.
fn damage(disk: &MemoryDisk, part: &[u8]) {
    let files = disk.clone().list().expect("a disk that works");
    let place = files.iter().find_map(|file| Some((file, offset_of(&disk.content(file), part)?)));
    let (file, offset) = place.expect("it was written");
    assert!(disk.flip(file, offset + part.len() / 2, 0x20));
}

fn lose_body(disk: &MemoryDisk, record: &Record) {
    damage(disk, &record::entry(record).body);
}

fn lose_copy(disk: &MemoryDisk, record: &Record) {
    damage(disk, &record::entry(record).copy.expect("it is written twice"));
}

/// What a start remembers of a record whose body is lost.
fn without_body(records: &[Record]) -> Remembered {
    let disk = written(records);
    lose_body(&disk, records.last().expect("one at least"));
    let restored = found(&disk);
    assert_eq!((restored.damage.hidden, restored.damage.bodies), (false, 1));
    restored.remembered
}

fn pre_prepared(view: u64, seq: u64, batch: &Arc<Batch>) -> Record {
    Record::PrePrepared { view: View(view), seq: Seq(seq), batch: batch.clone() }
}

fn prepared(view: u64, seq: u64, batch: &Arc<Batch>) -> Record {
    Record::Prepared { view: View(view), seq: Seq(seq), digest: batch.digest() }
}

fn decided(seq: u64, batch: &Arc<Batch>, with_body: bool) -> Record {
    Record::Decided { seq: Seq(seq), digest: batch.digest(), batch: with_body.then(|| batch.clone()) }
}

fn message(view: u64) -> ViewChange {
    ViewChange {
        view: View(view),
        stable: Seq(0),
        checkpoints: Vec::new(),
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
        signed_only: Vec::new(),
    }
}

fn asks(id: u8, view: u64) -> Signed<ViewChange> {
    signer(id).sign(Kind::ViewChange, message(view))
}

fn asked(view: u64) -> Record {
    Record::ViewChange(asks(3, view))
}

/// The NEW-VIEW of the primary of four.
fn starts(view: u64) -> Signed<NewView> {
    let primary = (view % 4) as u8;
    let votes = [primary, (primary + 1) % 4, (primary + 2) % 4];
    let message = NewView {
        view: View(view),
        view_changes: votes.iter().map(|id| asks(*id, view).wire().clone()).collect(),
        checkpoint: checkpoint(0),
        chosen: vec![(Seq(1), digest(1))],
    };
    signer(primary).sign(Kind::NewView, message)
}

fn checkpoint(seq: u64) -> Checkpoint {
    Checkpoint { seq: Seq(seq), digest: digest(100 + seq as u8) }
}

fn stable(seq: u64) -> Record {
    let vote = |id| signer(id).sign(Kind::Checkpoint, checkpoint(seq));
    Record::Stable(Arc::new(Certificate { checkpoint: checkpoint(seq), votes: [0, 1, 2].map(vote).to_vec() }))
}

fn peer_log(id: u8, log: LogId) -> Record {
    Record::PeerLog { replica: replica(id), log }
}

fn bodies(remembered: &Remembered, seq: u64) -> Vec<crate::crypto::Digest> {
    remembered.slots[&Seq(seq)].bodies.keys().copied().collect()
}

#[test]
fn a_first_start_finds_nothing_and_takes_the_fresh_id() {
    let restored = open_with(&MemoryDisk::new(), FRESH).1;
    assert_eq!((restored.log, restored.remembered, restored.found), (FRESH, Remembered::default(), false));
}

#[test]
fn a_later_start_keeps_the_id() {
    assert_eq!(found(&written(&[])).log, log_of(3));
}

#[test]
fn what_was_accepted_comes_back_with_its_body() {
    let (first, second) = (batch_of(1), batch_of(2));
    let held = remembered(&written(&[pre_prepared(0, 5, &first), pre_prepared(2, 5, &second)]));
    let promised = [(View(0), first.digest()), (View(2), second.digest())];
    assert_eq!(held.slots[&Seq(5)].pre_prepared, promised.into());
    assert_eq!(bodies(&held, 5).len(), 2);
    assert_eq!(held.slots[&Seq(5)].prepared, [].into());
}

#[test]
fn what_prepared_comes_back() {
    let batch = batch_of(1);
    let held = remembered(&written(&[prepared(2, 5, &batch)]));
    assert_eq!(held.slots[&Seq(5)].prepared, [(View(2), batch.digest())].into());
    assert_eq!(held.slots[&Seq(5)].pre_prepared, [].into());
}

#[test]
fn what_was_decided_comes_back_with_its_body_where_the_record_has_it() {
    let (first, second) = (batch_of(1), batch_of(2));
    let held = remembered(&written(&[decided(5, &first, true), decided(6, &second, false)]));
    assert_eq!(held.slots[&Seq(5)].decided, Some(first.digest()));
    assert_eq!(bodies(&held, 5), [first.digest()]);
    assert_eq!(held.slots[&Seq(6)].decided, Some(second.digest()));
    assert_eq!(bodies(&held, 6), []);
}

#[test]
fn the_latest_view_change_comes_back_as_it_was_signed() {
    let held = remembered(&written(&[asked(2), asked(5)]));
    assert_eq!(held.asked, Some((View(5), Some(asks(3, 5)))));
}

#[test]
fn the_latest_new_view_comes_back_with_its_view_changes() {
    let held = remembered(&written(&[Record::NewView(starts(2)), Record::NewView(starts(5))]));
    let (view, proven) = held.entered.expect("a view was entered");
    let proven = proven.expect("with its proof");
    assert_eq!((view, proven.new_view), (View(5), starts(5)));
    assert_eq!(proven.view_changes, [asks(1, 5), asks(2, 5), asks(3, 5)]);
}

#[test]
fn every_claimed_checkpoint_comes_back() {
    let records = [4, 8].map(|seq| Record::Checkpoint(checkpoint(seq)));
    let claimed = [4, 8].map(|seq| (Seq(seq), checkpoint(seq).digest));
    assert_eq!(remembered(&written(&records)).claimed, claimed.into());
}

#[test]
fn the_highest_stable_checkpoint_comes_back_with_its_certificate() {
    let held = remembered(&written(&[stable(4), stable(8)]));
    assert_eq!(held.stable, Some(checkpoint(8)));
    assert_eq!(held.certificate.map(Record::Stable), Some(stable(8)));
}

#[test]
fn the_log_of_every_peer_comes_back() {
    let held = remembered(&written(&[peer_log(0, log_of(0)), peer_log(1, log_of(1))]));
    assert_eq!(held.peer_logs, [0, 1].map(|id| (replica(id), log_of(id))).into());
}

#[test]
fn a_lost_memory_comes_back_as_lost_until_it_was_let_in() {
    assert_eq!(remembered(&written(&[Record::Lost(log_of(3))])).standing, LogStanding::Lost);
    let let_in = [Record::Lost(log_of(3)), Record::LetIn(log_of(3))];
    assert_eq!(remembered(&written(&let_in)).standing, LogStanding::LetIn);
}

#[test]
fn records_that_wait_for_nobody_become_durable_with_the_next_write_and_not_before() {
    let disk = MemoryDisk::new();
    let mut journal = begin(&disk);
    journal.append(&[decided(5, &batch_of(1), true)]).expect("a disk that works");
    let before = disk.copy();
    assert!(remembered(&before).slots.is_empty());
    journal.write(&[peer_log(0, log_of(0))]).expect("a disk that works");
    assert!(remembered(&disk).slots.contains_key(&Seq(5)));
}

#[test]
fn an_accepted_batch_whose_body_is_lost_stays_promised() {
    let batch = batch_of(1);
    let held = without_body(&[pre_prepared(2, 5, &batch)]);
    assert_eq!(held.slots[&Seq(5)].pre_prepared, [(View(2), batch.digest())].into());
    assert_eq!(bodies(&held, 5), []);
}

#[test]
fn a_prepared_batch_whose_record_is_lost_but_for_the_copy_stays_in_p() {
    let batch = batch_of(1);
    let held = without_body(&[prepared(2, 5, &batch)]);
    assert_eq!(held.slots[&Seq(5)].prepared, [(View(2), batch.digest())].into());
}

#[test]
fn the_view_asked_for_is_known_without_the_message() {
    assert_eq!(without_body(&[asked(5)]).asked, Some((View(5), None)));
}

#[test]
fn an_earlier_view_change_does_not_stand_in_for_the_lost_one() {
    assert_eq!(without_body(&[asked(2), asked(5)]).asked, Some((View(5), None)));
}

#[test]
fn the_view_entered_is_known_without_the_message() {
    assert_eq!(without_body(&[Record::NewView(starts(5))]).entered, Some((View(5), None)));
}

#[test]
fn a_claim_is_known_without_its_body() {
    let held = without_body(&[Record::Checkpoint(checkpoint(4))]);
    assert_eq!(held.claimed, [(Seq(4), checkpoint(4).digest)].into());
}

#[test]
fn what_is_stable_is_known_without_its_certificate() {
    let held = without_body(&[stable(4), stable(8)]);
    assert_eq!((held.stable, held.certificate), (Some(checkpoint(8)), None));
}

#[test]
fn a_peers_log_is_known_without_its_body() {
    let held = without_body(&[peer_log(1, log_of(1))]);
    assert_eq!(held.peer_logs, [(replica(1), log_of(1))].into());
}

#[test]
fn lost_and_let_in_are_known_without_their_bodies() {
    assert_eq!(without_body(&[Record::Lost(log_of(3))]).standing, LogStanding::Lost);
    assert_eq!(
        without_body(&[Record::Lost(log_of(3)), Record::LetIn(log_of(3))]).standing,
        LogStanding::LetIn
    );
}

#[test]
fn one_whole_place_of_two_is_enough_whichever_it_is() {
    let records = [pre_prepared(2, 5, &batch_of(1)), asked(5), stable(4), peer_log(0, log_of(0))];
    for record in &records {
        let disk = written(&records);
        let whole = remembered(&disk.copy());
        lose_copy(&disk, record);
        assert_eq!(remembered(&disk), whole, "{record:?}");
    }
}

/// A record of which nothing is left, although something that was certain follows it.
fn hiding(records: &[Record], lost: &Record) -> MemoryDisk {
    let disk = written(records);
    lose_body(&disk, lost);
    lose_copy(&disk, lost);
    disk
}

#[test]
fn damage_that_hides_a_promise_is_a_lost_memory_under_an_id_above_the_old_one() {
    let lost = prepared(2, 5, &batch_of(1));
    let disk = hiding(&[lost.clone(), peer_log(0, log_of(0))], &lost);
    let restored = found(&disk);
    assert!(restored.damage.hidden && restored.remembered.standing == LogStanding::Lost);
    assert_eq!(restored.log, LogId { number: 101, ..FRESH }, "although the clock went back");
    let again = found(&disk);
    assert_eq!(
        (again.log, again.remembered.standing),
        (restored.log, LogStanding::Lost),
        "and it goes on under that one"
    );
    assert!(!again.damage.hidden);
}

#[test]
fn a_fresh_id_that_is_above_the_old_one_is_taken_as_it_is() {
    let lost = prepared(2, 5, &batch_of(1));
    let disk = hiding(&[lost.clone(), peer_log(0, log_of(0))], &lost);
    assert_eq!(open_with(&disk, NEXT).1.log, NEXT);
}

#[test]
fn who_lost_a_promise_keeps_what_is_true_for_everyone_and_no_other_promise() {
    let (lost, batch) = (prepared(2, 5, &batch_of(1)), batch_of(2));
    let records = [
        lost.clone(),
        pre_prepared(2, 6, &batch),
        decided(6, &batch, false),
        Record::Checkpoint(checkpoint(8)),
        stable(4),
        asked(5),
        Record::NewView(starts(5)),
        peer_log(0, log_of(0)),
    ];
    let held = found(&hiding(&records, &lost)).remembered;
    assert_eq!((held.asked, held.entered, held.claimed), (None, None, [].into()));
    assert_eq!((held.stable, held.peer_logs), (Some(checkpoint(4)), [(replica(0), log_of(0))].into()));
    let slot = &held.slots[&Seq(6)];
    assert_eq!((&slot.pre_prepared, slot.decided), (&[].into(), Some(batch.digest())));
    assert!(slot.bodies.contains_key(&batch.digest()));
}

#[test]
fn a_torn_last_write_hides_nothing() {
    let lost = prepared(2, 6, &batch_of(2));
    let disk = hiding(&[prepared(2, 5, &batch_of(1)), lost.clone()], &lost);
    let held = remembered(&disk);
    assert!(held.slots.contains_key(&Seq(5)) && !held.slots.contains_key(&Seq(6)));
}

/// Fills many segments, and releases what is 10 seqs below; the disk never holds more than a few.
fn fill(disk: &MemoryDisk, journal: &mut Journal) {
    for seq in 10..150 {
        journal.write(&[pre_prepared(6, seq, &batch_of(seq))]).expect("a disk that works");
        journal.release(Seq(seq - 10));
        let files = disk.clone().list().expect("a disk that works").len();
        assert!(files <= 6, "{files} segments at {seq}");
    }
}

#[test]
fn released_segments_go_and_what_has_no_seq_stays() {
    let disk = MemoryDisk::new();
    let mut journal = begin(&disk);
    let records = [
        asked(5),
        Record::NewView(starts(5)),
        stable(4),
        peer_log(0, log_of(0)),
        peer_log(1, log_of(1)),
        Record::Lost(log_of(3)),
        decided(5, &batch_of(5), true),
    ];
    journal.write(&records).expect("a disk that works");
    fill(&disk, &mut journal);
    let held = remembered(&disk);
    assert_eq!(held.asked, Some((View(5), Some(asks(3, 5)))));
    assert_eq!(held.entered.and_then(|(_, proven)| proven).map(|proven| proven.new_view), Some(starts(5)));
    assert_eq!(held.certificate.map(Record::Stable), Some(stable(4)));
    assert_eq!(held.peer_logs, [0, 1].map(|id| (replica(id), log_of(id))).into());
    assert_eq!(held.standing, LogStanding::Lost);
    assert!(!held.slots.contains_key(&Seq(5)), "what was released is gone");
    assert!((140..150).all(|seq| held.slots.contains_key(&Seq(seq))), "what was not is there");
}

#[test]
fn a_promise_whose_message_is_lost_stays_when_its_segment_goes() {
    let records = [asked(5), Record::NewView(starts(6)), stable(4)];
    let disk = written(&records);
    records.iter().for_each(|record| lose_body(&disk, record));
    let (mut journal, _) = open_with(&disk, FRESH);
    fill(&disk, &mut journal);
    let held = remembered(&disk);
    assert_eq!((held.asked, held.entered), (Some((View(5), None)), Some((View(6), None))));
    assert_eq!((held.stable, held.certificate), (Some(checkpoint(4)), None));
}

#[test]
fn nothing_goes_before_it_is_released() {
    let disk = MemoryDisk::new();
    let mut journal = begin(&disk);
    for seq in 1..60 {
        journal.write(&[pre_prepared(6, seq, &batch_of(seq))]).expect("a disk that works");
    }
    assert_eq!(remembered(&disk).slots.len(), 59);
}

#[test]
fn a_view_change_signed_under_another_log_or_by_another_replica_counts_for_nothing() {
    let former = signer_with(3, LogId { number: 50, salt: 9 }).sign(Kind::ViewChange, message(9));
    let held = remembered(&written(&[Record::ViewChange(former), asked(2)]));
    assert_eq!(held.asked.map(|(view, _)| view), Some(View(2)));
    let held = remembered(&written(&[Record::ViewChange(asks(1, 9))]));
    assert_eq!(held.asked, None);
}

#[test]
fn going_on_under_another_log_leaves_the_promises_of_the_former_one_behind() {
    let disk = MemoryDisk::new();
    let mut journal = begin(&disk);
    let records = [
        pre_prepared(2, 5, &batch_of(1)),
        Record::Checkpoint(checkpoint(8)),
        asked(5),
        Record::NewView(starts(5)),
        stable(4),
        peer_log(0, log_of(0)),
        Record::Lost(NEXT),
    ];
    journal.write(&records).expect("a disk that works");
    let restored = found(&disk);
    let held = restored.remembered;
    assert_eq!((restored.log, held.standing), (NEXT, LogStanding::Lost));
    assert_eq!((held.slots, held.claimed), ([].into(), [].into()));
    assert_eq!((held.asked, held.entered), (None, None));
    assert_eq!((held.stable, held.peer_logs), (Some(checkpoint(4)), [(replica(0), log_of(0))].into()));
}

/// A journal to which another program added an entry.
fn with_entry(entry: Entry) -> MemoryDisk {
    let disk = written(&[prepared(2, 5, &batch_of(1))]);
    let owner = Owner { cluster: Binding::default().cluster.0, replica: 3 };
    let mut own = disk.clone();
    let opened = Log::read(&mut own, owner).expect("a disk that works");
    let mut log = Log::start(Box::new(own), owner, log_of(3), 7, SEGMENT, opened, vec![]).expect("a disk");
    log.append(entry);
    log.commit(Vec::new).expect("a disk that works");
    disk
}

#[test]
fn a_record_that_this_program_does_not_understand_hides_what_it_said() {
    let unknown = |copy| Entry { copy, body: vec![0xee; 40], until: 0 };
    for entry in [unknown(None), unknown(Some([0xee; COPY_BYTES]))] {
        let restored = found(&with_entry(entry));
        assert!(restored.damage.hidden && restored.remembered.standing == LogStanding::Lost);
        assert_ne!(restored.log, log_of(3));
    }
}

#[test]
fn one_whose_copy_it_understands_is_kept_as_a_promise() {
    let copy = record::entry(&asked(7)).copy;
    let held = remembered(&with_entry(Entry { copy, body: vec![0xee; 40], until: 0 }));
    assert_eq!(held.asked, Some((View(7), None)));
}

#[test]
fn the_journal_of_another_replica_is_refused() {
    let disk = written(&[]);
    let other = Journal::open(Box::new(disk), &opener(2), FRESH, 7, SEGMENT).err();
    assert!(matches!(other, Some(LogError::Foreign { replica: 3, .. })), "{other:?}");
}

#[test]
fn a_disk_that_fails_is_an_error_and_what_was_durable_before_stays() {
    let disk = MemoryDisk::new();
    let mut journal = begin(&disk);
    journal.write(&[peer_log(0, log_of(0))]).expect("a disk that works");
    disk.fail_after(0);
    assert!(journal.write(&[asked(2)]).is_err());
    disk.cut_power(|| false);
    let held = remembered(&disk);
    assert_eq!((held.asked, held.peer_logs.contains_key(&ReplicaId(0))), (None, true));
}
