//! Throughput and latency of a whole group in one process over loopback TCP: time per operation, so
//! latency where one is outstanding. Each family changes one thing of n = 4, memory, 0/0 bytes.

use std::time::Duration;

use benches::{Group, Setup, Work};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Outstanding where something else is varied.
const OUTSTANDING: u64 = 64;

fn family<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut family = criterion.benchmark_group(name);
    family.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(1));
    family
}

fn bench(family: &mut BenchmarkGroup<'_, WallTime>, id: BenchmarkId, group: &Group, work: Work) {
    family.bench_function(id, |bencher| bencher.iter_custom(|operations| group.run(operations, work)));
}

fn busy() -> Work {
    Work { outstanding: OUTSTANDING, ..Work::default() }
}

fn outstanding(criterion: &mut Criterion) {
    let mut family = family(criterion, "outstanding, one client");
    let group = Group::start(&Setup::default());
    for outstanding in [1, 16, 64, 256, 1_024] {
        let work = Work { outstanding, ..Work::default() };
        bench(&mut family, BenchmarkId::new("ordered", outstanding), &group, work);
    }
    let work = Work { read_only: true, ..busy() };
    bench(&mut family, BenchmarkId::new("read-only", OUTSTANDING), &group, work);
    group.stop();
}

fn clients(criterion: &mut Criterion) {
    let mut family = family(criterion, "clients, one outstanding each");
    for clients in [1, 10, 50, 100, 400] {
        let group = Group::start(&Setup { clients, ..Setup::default() });
        let work = Work { outstanding: 1, ..Work::default() };
        bench(&mut family, BenchmarkId::from_parameter(clients), &group, work);
        group.stop();
    }
}

fn replicas(criterion: &mut Criterion) {
    let mut family = family(criterion, "replicas");
    for n in [4, 7, 10, 13] {
        let group = Group::start(&Setup { n, ..Setup::default() });
        for outstanding in [1, OUTSTANDING] {
            let work = Work { outstanding, ..Work::default() };
            bench(&mut family, BenchmarkId::new(format!("{outstanding} outstanding"), n), &group, work);
        }
        group.stop();
    }
}

fn sizes(criterion: &mut Criterion) {
    let mut family = family(criterion, "operation/reply bytes, 64 outstanding");
    for (operation_bytes, reply_bytes) in [(0, 0), (1_024, 0), (4_096, 0), (0, 4_096)] {
        let group = Group::start(&Setup { reply_bytes, ..Setup::default() });
        let work = Work { operation_bytes, ..busy() };
        let id = BenchmarkId::from_parameter(format!("{operation_bytes}/{reply_bytes}"));
        bench(&mut family, id, &group, work);
        group.stop();
    }
}

fn modes(criterion: &mut Criterion) {
    let mut family = family(criterion, "modes, 64 outstanding");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let durable = Some(directory.path().to_owned());
    for (name, setup) in [
        ("memory, MACs", Setup::default()),
        ("memory, every request signed", Setup { signed: true, ..Setup::default() }),
        ("durable, MACs", Setup { directory: durable, ..Setup::default() }),
    ] {
        let group = Group::start(&setup);
        bench(&mut family, BenchmarkId::from_parameter(name), &group, busy());
        group.stop();
    }
}

criterion_group!(benches, outstanding, clients, replicas, sizes, modes);
criterion_main!(benches);
