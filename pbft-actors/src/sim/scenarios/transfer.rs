//! States that are fetched from liars, under load, by replicas that crash, and after damage
//! (scenarios 18, 19 and 28).

use super::regressions::Withholds;
use super::*;
use crate::adversary::{Liar, Lie};
use crate::message::Kind;
use crate::ports::state::PAGE_BYTES;
use crate::sim::service::FILL_PAGES;

/// A group whose last replica is cut off while a large operation and more than a window of small ones
/// are executed.
fn left_behind(plan: Plan) -> Cluster {
    let mut cluster = started(plan);
    let n = cluster.n();
    cluster.load(BOB, 1);
    cluster.settles();
    cluster.cut_off(r(n - 1));
    let fill =
        Operation { operation: operation(2_000_000, Behaviour::Fill), ..cluster.operation_of(BOB, 2, 0) };
    let request = cluster.sign(fill);
    cluster.send_to_all(BOB, &request);
    cluster.load(ALICE, 200);
    let lag = cluster.executed(r(n - 1)).0 + 2 * cluster.plan.window;
    cluster.expect(10 * SECOND, "leaving one behind", |c| c.clients_done() && c.highest_executed().0 > lag);
    cluster
}

/// What a replica fetched, and how long that took from when it knew that it is behind.
struct Fetched {
    pages: u64,
    bytes: u64,
    took: Micros,
}

fn fetched(cluster: &Cluster, replica: ReplicaId) -> Option<Fetched> {
    let begun = cluster.events.iter().rev().find_map(|(at, own, event)| {
        (*own == replica && matches!(event, Event::Behind { .. })).then_some(*at)
    })?;
    cluster.events.iter().find_map(|(at, own, event)| match event {
        Event::Transferred { pages, bytes, .. } if *own == replica && *at >= begun => {
            Some(Fetched { pages: *pages, bytes: *bytes, took: at - begun })
        }
        _ => None,
    })
}

/// What the last replica fetches, with f peers turned into these.
fn fetched_from(n: usize, liar: impl Fn() -> Option<Box<dyn Adversary>>) -> Fetched {
    let mut cluster = left_behind(plan(n));
    for id in 0..cluster.f() {
        if let Some(liar) = liar() {
            cluster.corrupt(r(id + 1), liar);
        }
    }
    cluster.heal();
    cluster.expect(5 * SECOND, "a transfer", |c| fetched(c, r(n - 1)).is_some());
    let fetched = fetched(&cluster, r(n - 1)).unwrap();
    cluster.silence();
    cluster.settles();
    fetched
}

#[test]
fn scenario_18_a_state_is_fetched_from_liars_in_less_than_twice_the_time() {
    for n in SIZES {
        let honest = fetched_from(n, || None);
        assert!(honest.pages >= FILL_PAGES && honest.pages < FILL_PAGES + 50, "n={n}: {}", honest.pages);
        let lies = [Lie::Pages, Lie::Nodes, Lie::Less, Lie::Gone];
        for lie in lies {
            let took = fetched_from(n, || Some(Box::new(Liar(vec![lie]))));
            assert!(took.bytes < 2 * honest.bytes, "n={n} {lie:?}: {} bytes", took.bytes);
            assert!(took.took < 2 * honest.took, "n={n} {lie:?}: {} of {} us", took.took, honest.took);
        }
        for kind in [Kind::NodeData, Kind::PageData] {
            let took = fetched_from(n, || Some(Box::new(Withholds(vec![kind]))));
            // One that stalls is found out once, by a time-out that is no part of the work.
            let limit = 2 * honest.took + 20 * MILLISECOND;
            assert!(took.took < limit, "n={n} without {kind:?}: {} of {} us", took.took, honest.took);
        }
    }
}

/// With n = 4, 5 and 6 nothing is executed before the state is here: it makes the quorum.
#[test]
fn scenario_19_the_primary_crashes_during_a_transfer_under_load() {
    for n in SIZES {
        let mut cluster = left_behind(plan(n));
        cluster.load(ALICE, ENDLESS);
        cluster.heal();
        let last = r(n - 1);
        cluster.expect(5 * SECOND, "a transfer to begin", |c| {
            c.events_of(last).any(|event| matches!(event, Event::Behind { .. }))
        });
        cluster.crash(r(0));
        cluster.expect(5 * SECOND, "a transfer", |c| fetched(c, last).is_some());
        cluster.executes_after_a_storm_within(2);
        cluster.settles();
    }
}

#[test]
fn scenario_19_who_fetches_crashes_again_and_again_under_load() {
    for (n, durable) in SIZES.into_iter().flat_map(|n| [(n, false), (n, true)]) {
        let mut cluster = left_behind(Plan { durable, ..plan(n) });
        cluster.load(ALICE, ENDLESS);
        cluster.heal();
        let last = r(n - 1);
        for cycle in 0..8 {
            let before = cluster.events.len();
            cluster.expect(5 * SECOND, "a transfer to begin", |c| {
                c.events[before..]
                    .iter()
                    .any(|(_, own, event)| *own == last && matches!(event, Event::Behind { .. }))
            });
            // Each time a little later, from before the first answer to after the last.
            cluster.wait(cycle * 2 * MILLISECOND);
            cluster.crash(last);
            cluster.restart_after(last, 20 * MILLISECOND);
        }
        cluster.expect(10 * SECOND, "a transfer", |c| {
            c.executed(last).0 + c.plan.window > c.highest_executed().0
        });
        cluster.settles();
    }
}

/// One page in the memory of a replica is another one: it notices once the next checkpoint has its digest,
/// says which page and since when, and gets it from the others, who may have passed one more by then.
#[test]
fn scenario_28_a_damaged_page_is_named_within_two_checkpoints_and_repaired() {
    for n in SIZES {
        for damaged in [0, n - 1] {
            let mut cluster = group(n);
            cluster.load(ALICE, ENDLESS);
            cluster.wait(SECOND);
            let own = r(damaged);
            cluster.checker.damaged.push(own);
            for page in [3_u64, 70_000] {
                let from = cluster.events.len();
                let at = cluster.executed(own);
                let node = cluster.nodes[damaged].as_mut().unwrap();
                node.state_mut().write(page * PAGE_BYTES as u64, b"damage").unwrap();
                let repaired = |c: &Cluster| {
                    c.events[from..].iter().find_map(|(_, by, event)| match event {
                        Event::Repaired { seq, since, page } if *by == own => Some((*seq, *since, *page)),
                        _ => None,
                    })
                };
                cluster.expect(2 * SECOND, "repairing it", |c| repaired(c).is_some());
                let (seq, since, named) = repaired(&cluster).unwrap();
                assert_eq!(named, page, "n={n}");
                assert!(
                    since <= at.next() && seq > at && seq.0 <= at.0 + 8,
                    "n={n}: {at} is in {since} to {seq}"
                );
                let Fetched { pages, .. } = fetched(&cluster, own).unwrap();
                assert!(pages <= 8, "n={n}: {pages} pages for one");
            }
            cluster.executes_after_a_storm_within(1);
            cluster.settles();
        }
    }
}
