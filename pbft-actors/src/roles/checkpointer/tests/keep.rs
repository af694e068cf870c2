//! What comes is kept on disk as it goes (PROTOCOL 8).

use super::wire::*;
use super::*;
use crate::ports::storage::MemoryDisk;

/// Pages that may be in memory: what comes is written 64 at a time.
const HEAP_PAGES: usize = 256;
/// Pages that questions under way may bring: 16 of 64 pages each.
const UNDER_WAY: usize = 16 * 64;
const PAGES: u64 = 6_000;

fn target() -> Taken {
    Taken { seq: Seq(8), snapshot: snapshot_of((0..PAGES).map(|index| (index, 1))) }
}

fn empty() -> Snapshot {
    snapshot_of([])
}

/// One of four that has nothing but this disk, and hears of the target.
fn begin(disk: &MemoryDisk, own: &Snapshot) -> Wire {
    let mut wire = Wire::new(4, own, &target()).on_disk(disk, own, HEAP_PAGES);
    wire.fall_behind(&target());
    wire
}

#[test]
fn a_state_that_is_larger_than_memory_is_fetched() {
    let own = empty();
    let mut wire = begin(&MemoryDisk::new(), &own);
    let mut most = 0;
    while wire.install.is_none() {
        assert!(wire.now < 5_000_000, "it never ends");
        wire.turn();
        most = most.max(own.heap_pages());
    }
    assert_eq!(wire.install.as_ref().map(|install| &install.taken), Some(&target()));
    assert!(wire.kept > 10, "{} times", wire.kept);
    assert!(most <= HEAP_PAGES + UNDER_WAY, "{most} pages");
    assert_eq!(wire.pages_asked, PAGES as usize, "nothing twice");
}

#[test]
fn a_transfer_that_a_stop_interrupted_goes_on() {
    let (own, disk) = (empty(), MemoryDisk::new());
    let mut wire = begin(&disk, &own);
    while wire.pages_asked < 4_000 {
        wire.turn();
    }
    drop(wire);
    let mut wire = begin(&disk, &own);
    assert_eq!(wire.run(5_000).taken, target());
    assert!(wire.pages_asked < 3_300, "{} of {PAGES} pages again", wire.pages_asked);
}

/// The journal led beyond what was being fetched: that is nearer to whatever is fetched next.
#[test]
fn what_is_older_than_the_own_state_is_not_gone_on_from() {
    let (own, disk) = (empty(), MemoryDisk::new());
    let mut wire = begin(&disk, &own);
    while wire.pages_asked < 4_000 {
        wire.turn();
    }
    drop(wire);
    let mut wire = Wire::new(4, &own, &target()).on_disk(&disk, &own, HEAP_PAGES);
    let reached = Taken { seq: Seq(12), snapshot: snapshot_of((0..PAGES).map(|index| (index, 2))) };
    wire.tell(3, CheckpointerInput::Taken(reached));
    let next = snapshot_of((0..PAGES).map(|index| (index, if index == 77 { 3 } else { 2 })));
    let next = Taken { seq: Seq(16), snapshot: next };
    wire.reach(&next);
    wire.fall_behind(&next);
    assert_eq!(wire.run(5_000).taken, next);
    assert_eq!(wire.pages_asked, 1);
}
