//! Random histories of saves against states that never saw a disk.

use proptest::prelude::*;

use super::*;
use crate::ports::state::StateBuilder;

#[derive(Clone, Debug)]
enum Step {
    Write { page: u64, byte: u8 },
    Zero { page: u64 },
    Keep,
    DropOldest,
    Save { adopt: bool },
    SaveKept { which: usize },
    SaveTransfer { page: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let page = prop_oneof![0..20_u64, 250..260_u64, 65_530..65_540_u64];
    prop_oneof![
        10 => (page.clone(), 1..5_u8).prop_map(|(page, byte)| Step::Write { page, byte }),
        2 => page.clone().prop_map(|page| Step::Zero { page }),
        2 => Just(Step::Keep),
        1 => Just(Step::DropOldest),
        4 => any::<bool>().prop_map(|adopt| Step::Save { adopt }),
        1 => (0..4_usize).prop_map(|which| Step::SaveKept { which }),
        2 => page.prop_map(|page| Step::SaveTransfer { page }),
        1 => Just(Step::Reopen),
    ]
}

/// A snapshot with what it must always say.
type Kept = (Snapshot, Vec<(u64, Page)>);

struct Run {
    disk: Probe,
    file: PageFile,
    live: State,
    kept: Vec<Kept>,
    saved: Option<(Seq, Vec<(u64, Page)>)>,
    transfer: Option<(Target, Vec<(u64, Page)>)>,
    saves: u64,
}

impl Run {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { page, byte } => write(&mut self.live, page, byte),
            Step::Zero { page } => self.live.write(page * PAGE_BYTES as u64, &[0; PAGE_BYTES]).unwrap(),
            Step::Keep => self.keep(self.live_snapshot()),
            Step::DropOldest => {
                if !self.kept.is_empty() {
                    self.kept.remove(0);
                }
            }
            Step::Save { adopt } => {
                let saved = self.save(&self.live_snapshot());
                if adopt {
                    self.live.adopt(&saved);
                    self.kept.iter_mut().for_each(|(snapshot, _)| snapshot.adopt(&saved));
                }
            }
            Step::SaveKept { which } => {
                if let Some((snapshot, _)) = self.kept.get(which).cloned() {
                    self.save(&snapshot);
                }
            }
            Step::SaveTransfer { page } => self.save_transfer(page),
            Step::Reopen => {
                // As another process: nothing of the former one is left.
                self.kept.clear();
                self.file = self.disk.open();
                let latest = self.file.latest();
                self.live = latest.map_or_else(
                    || State::new(LIMITS),
                    |(_, snapshot)| State::of_snapshot(LIMITS, &snapshot),
                );
            }
        }
    }

    fn live_snapshot(&self) -> Snapshot {
        Snapshot::new(self.live.region.table().clone())
    }

    fn keep(&mut self, snapshot: Snapshot) {
        let pages = content(&snapshot);
        self.kept.push((snapshot, pages));
        if self.kept.len() > 4 {
            self.kept.remove(0);
        }
    }

    fn save(&mut self, snapshot: &Snapshot) -> Saved {
        self.saves += 1;
        let saved = self.file.save(seq(self.saves), snapshot).unwrap();
        self.saved = Some((seq(self.saves), content(snapshot)));
        self.transfer = self.transfer.take().filter(|(target, _)| target.seq > seq(self.saves));
        if self.saves.is_multiple_of(3) {
            self.keep(saved.snapshot().clone());
        }
        saved
    }

    /// A step of a transfer to what nobody ever says.
    fn save_transfer(&mut self, page: u64) {
        let target = Target { seq: seq(self.saves + 3), digest: Digest::of(&page.to_le_bytes()) };
        let base = self.file.transfer().map_or_else(|| self.live_snapshot(), |(_, snapshot)| snapshot);
        let mut builder = StateBuilder::of_snapshot(LIMITS, &base);
        builder.remove_subtree(1, page / 256 + 1);
        builder.put(page, &[page as u8 | 1; PAGE_BYTES]).unwrap();
        self.file.save_transfer(target, &builder.snapshot()).unwrap();
        self.transfer = Some((target, content(&builder.snapshot())));
    }

    fn check(&mut self) {
        for (snapshot, pages) in &self.kept {
            assert!(content(snapshot) == *pages, "a snapshot that is held has changed");
        }
        let found = self.file.latest().map(|(seq, snapshot)| (seq, content(&snapshot)));
        assert!(found == self.saved, "what was saved is not there");
        let found = self.file.transfer().map(|(target, snapshot)| (target, content(&snapshot)));
        assert!(found == self.transfer, "the transfer is not as far as it was");
        super::check(&mut self.file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_was_saved_is_there_and_what_is_held_stays(
        has_map in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let disk = Probe { has_map, ..Probe::default() };
        let (file, live) = (disk.open(), State::new(LIMITS));
        let mut run = Run { disk, file, live, kept: vec![], saved: None, transfer: None, saves: 0 };
        for step in &steps {
            let live = content(&run.live_snapshot());
            run.step(step);
            run.check();
            if matches!(step, Step::Save { .. } | Step::Keep | Step::SaveTransfer { .. }) {
                prop_assert!(content(&run.live_snapshot()) == live, "the live state has changed");
            }
        }
        let twin = Probe { disk: run.disk.disk.copy(), ..Probe::default() };
        run.file = twin.open();
        run.check();
    }
}
