//! What a checkpoint costs by the pages that changed since the last one, in regions of three sizes. It
//! must not grow with the region.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use pbft_actors::actor::measure::Checkpointed;
use pbft_actors::ports::state::StateLimits;

/// Pages below one node of the tree: 1 MiB.
const NODE_PAGES: u32 = 256;

/// Pages written before memory is let go of, while a region is filled.
const FILL_PAGES: usize = 1 << 14;

struct Region {
    name: &'static str,
    pages: u32,
    /// Of so many MiB one is filled: the disk of the machine is smaller than the largest region.
    sparse: u32,
}

const REGIONS: [Region; 3] = [
    Region { name: "1 MiB", pages: 1 << 8, sparse: 1 },
    Region { name: "1 GiB", pages: 1 << 18, sparse: 1 },
    Region { name: "16 GiB, every 8th MiB filled", pages: 1 << 22, sparse: 8 },
];

const DIRTY: [usize; 3] = [10, 1_000, 100_000];

impl Region {
    /// The pages that are filled.
    fn filled(&self) -> impl Iterator<Item = u32> {
        (0..self.pages).filter(|page| (page / NODE_PAGES).is_multiple_of(self.sparse))
    }

    fn fill(&self, directory: &std::path::Path) -> Checkpointed {
        let limits = StateLimits { raw_pages: self.pages, ..StateLimits::default() };
        let mut state = Checkpointed::create(directory, limits).expect("a directory that can be written");
        for (count, page) in self.filled().enumerate() {
            state.write(page, 1);
            if count % FILL_PAGES == FILL_PAGES - 1 {
                save(&mut state);
            }
        }
        save(&mut state);
        state
    }
}

fn save(state: &mut Checkpointed) {
    drop(state.snapshot());
    state.save().expect("a disk with room");
}

/// The pages to be changed, far apart: as many nodes as there can be change with them.
fn spread(filled: &[u32], dirty: usize) -> Vec<u32> {
    // Odd, so that no page comes twice before all have: every count is a power of two.
    let stride = (filled.len() as f64 * 0.618) as usize | 1;
    (0..dirty).map(|n| filled[n * stride % filled.len()]).collect()
}

#[derive(Clone, Copy)]
enum Step {
    Snapshot,
    Digest,
    Save,
}

/// Changes the pages and takes a checkpoint; how long one of its steps took.
fn checkpoint(state: &mut Checkpointed, pages: &[u32], byte: u8, step: Step) -> Duration {
    pages.iter().for_each(|page| state.write(*page, byte));
    let begun = Instant::now();
    let former = state.snapshot();
    let snapshot = begun.elapsed();
    drop(former);
    if let Step::Snapshot = step {
        return snapshot;
    }
    let begun = Instant::now();
    state.digest();
    let digest = begun.elapsed();
    if let Step::Digest = step {
        return digest;
    }
    let begun = Instant::now();
    state.save().expect("a disk with room");
    begun.elapsed()
}

fn state(criterion: &mut Criterion) {
    for region in REGIONS {
        let directory = tempfile::Builder::new().prefix("bench-state-").tempdir_in(".").expect("a directory");
        let filled: Vec<u32> = region.filled().collect();
        let mut state = region.fill(directory.path());
        let mut group = criterion.benchmark_group(region.name);
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(1));
        for dirty in DIRTY.into_iter().filter(|dirty| *dirty <= filled.len()) {
            let pages = spread(&filled, dirty);
            let mut byte = 1_u8;
            let steps =
                [("take the snapshot", Step::Snapshot), ("digest", Step::Digest), ("save", Step::Save)];
            for (name, step) in steps {
                group.bench_function(BenchmarkId::new(name, format!("{dirty} pages")), |bencher| {
                    bencher.iter_custom(|count| {
                        (0..count)
                            .map(|_| {
                                // Never what was written before, and never zero.
                                byte = byte.checked_add(1).unwrap_or(1);
                                checkpoint(&mut state, &pages, byte, step)
                            })
                            .sum()
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, state);
criterion_main!(benches);
