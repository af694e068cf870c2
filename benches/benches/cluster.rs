//! Throughput and latency of a whole group in one process over loopback TCP.

use std::time::Duration;

use benches::{Group, Setup};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn ordered(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("ordered, n = 4, memory, 0/0 bytes");
    bench.sample_size(20).measurement_time(Duration::from_secs(8)).throughput(Throughput::Elements(1));
    let group = Group::start(&Setup::default());
    for outstanding in [1, 64] {
        bench.bench_function(BenchmarkId::new("outstanding", outstanding), |bencher| {
            bencher.iter_custom(|operations| group.run(operations, outstanding, 0));
        });
    }
    bench.finish();
    group.stop();
}

criterion_group!(benches, ordered);
criterion_main!(benches);
