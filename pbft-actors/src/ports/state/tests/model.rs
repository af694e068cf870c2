//! Random operations against a plain map, and three ways to one state.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{check, root, transferred};
use crate::ports::state::{Map, Savepoint, Snapshot, State, StateLimits};

#[derive(Clone, Debug)]
enum Operation {
    Insert { key: u16, length: usize, fill: u8 },
    Remove { key: u16 },
    Clear,
    Scan { from: u16, to: u16 },
    WriteRaw { offset: u64, length: usize, fill: u8 },
    SetCell { name: u8, value: u64 },
    Reserve { key: u8, fill: u8 },
    Savepoint,
    Rollback,
    Release,
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// What one state and its model were at a savepoint.
struct Level {
    savepoint: Savepoint,
    twin: Savepoint,
    before: Snapshot,
    model: Model,
    kept: usize,
}

/// Two states under the same operations, a model of the map, and the operations that were kept.
struct Run {
    state: State,
    twin: State,
    model: Model,
    levels: Vec<Level>,
    kept: Vec<Operation>,
}

fn operation(keys: u16) -> impl Strategy<Value = Operation> {
    let length = prop_oneof![
        4 => 0..60_usize,
        2 => 300..1400_usize,
        1 => 4000..4200_usize,
        1 => 8000..30_000_usize,
    ];
    prop_oneof![
        40 => (0..keys, length, any::<u8>())
            .prop_map(|(key, length, fill)| Operation::Insert { key, length, fill }),
        30 => (0..keys).prop_map(|key| Operation::Remove { key }),
        1 => Just(Operation::Clear),
        3 => (0..keys, 0..keys).prop_map(|(from, to)| Operation::Scan { from, to }),
        3 => (0..20_000_u64, 0..9000_usize, 0..3_u8)
            .prop_map(|(offset, length, fill)| Operation::WriteRaw { offset, length, fill }),
        3 => (0..4_u8, any::<u64>()).prop_map(|(name, value)| Operation::SetCell { name, value }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(key, fill)| Operation::Reserve { key, fill }),
        6 => Just(Operation::Savepoint),
        3 => Just(Operation::Rollback),
        3 => Just(Operation::Release),
    ]
}

/// Keys of very different lengths, in no simple order, often with a long common beginning.
fn key_of(key: u16) -> Vec<u8> {
    let scattered = key.wrapping_mul(40_503);
    let mut bytes = match key % 5 {
        0 => vec![],
        1 => vec![b'k'; 30],
        2 => vec![b'k'; 200],
        3 => vec![b'q'; 700],
        _ => vec![b'q'; 1020],
    };
    bytes.extend_from_slice(&scattered.to_be_bytes());
    bytes
}

/// Does an operation that changes a state; whether it was accepted.
fn apply(state: &mut State, operation: &Operation) -> bool {
    match *operation {
        Operation::Insert { key, length, fill } => {
            state.map_mut("m").insert(&key_of(key), &vec![fill; length]).is_ok()
        }
        Operation::Remove { key } => state.map_mut("m").remove(&key_of(key)).is_some(),
        Operation::Clear => {
            state.map_mut("m").clear();
            true
        }
        Operation::WriteRaw { offset, length, fill } => state.write(offset, &vec![fill; length]).is_ok(),
        Operation::SetCell { name, value } => state.cell_mut(&name.to_string()).set(value).is_ok(),
        Operation::Reserve { key, fill } => state.reserved_map().insert(&[key], &[fill; 200]).is_ok(),
        _ => true,
    }
}

fn apply_to_model(model: &mut Model, operation: &Operation) {
    match *operation {
        Operation::Insert { key, length, fill } => drop(model.insert(key_of(key), vec![fill; length])),
        Operation::Remove { key } => drop(model.remove(&key_of(key))),
        Operation::Clear => model.clear(),
        _ => {}
    }
}

fn assert_same(map: Map<'_>, model: &Model) {
    assert_eq!(map.len(), model.len() as u64);
    assert!(map.iter().map(|(key, value)| (key.to_vec(), value.into_owned())).eq(model.clone()));
    let owned = |(key, value): (&[u8], std::borrow::Cow<'_, [u8]>)| (key.to_vec(), value.into_owned());
    let cloned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    assert_eq!(map.first().map(owned), model.first_key_value().map(cloned));
    assert_eq!(map.last().map(owned), model.last_key_value().map(cloned));
}

impl Run {
    fn new(limits: StateLimits) -> Self {
        let (state, twin) = (State::new(limits), State::new(limits));
        Self { state, twin, model: Model::new(), levels: Vec::new(), kept: Vec::new() }
    }

    fn step(&mut self, operation: &Operation) {
        match *operation {
            Operation::Savepoint => self.savepoint(),
            Operation::Rollback => self.rollback(),
            Operation::Release => self.release(),
            Operation::Scan { from, to } => self.scan(&key_of(from), &key_of(to)),
            _ => self.change(operation),
        }
    }

    fn change(&mut self, operation: &Operation) {
        let before = self.state.snapshot();
        let removes_nothing =
            matches!(*operation, Operation::Remove { key } if !self.model.contains_key(&key_of(key)));
        let accepted = apply(&mut self.state, operation);
        assert_eq!(apply(&mut self.twin, operation), accepted);
        if accepted {
            apply_to_model(&mut self.model, operation);
            self.kept.push(operation.clone());
        } else {
            assert!(removes_nothing || !matches!(operation, Operation::Remove { .. }));
            assert_eq!(before.first_difference(&self.state.snapshot()), None);
        }
        if let Operation::Insert { key, .. } | Operation::Remove { key } = *operation {
            let key = key_of(key);
            assert_eq!(self.state.map("m").get(&key).as_deref(), self.model.get(&key).map(Vec::as_slice));
        }
    }

    fn scan(&self, from: &[u8], to: &[u8]) {
        let keys: Vec<&[u8]> = self.state.map("m").range(from..to).map(|(key, _)| key).collect();
        let all = self.model.keys().map(Vec::as_slice);
        assert!(all.filter(|&key| from <= key && key < to).eq(keys));
    }

    fn savepoint(&mut self) {
        let (before, model, kept) = (self.state.snapshot(), self.model.clone(), self.kept.len());
        let (savepoint, twin) = (self.state.savepoint(), self.twin.savepoint());
        self.levels.push(Level { savepoint, twin, before, model, kept });
    }

    fn rollback(&mut self) {
        let Some(level) = self.levels.pop() else { return };
        self.state.rollback(level.savepoint);
        self.twin.rollback(level.twin);
        assert_eq!(level.before.first_difference(&self.state.snapshot()), None);
        self.model = level.model;
        self.kept.truncate(level.kept);
    }

    fn release(&mut self) {
        let Some(level) = self.levels.pop() else { return };
        self.state.release(level.savepoint);
        self.twin.release(level.twin);
    }

    fn finish(mut self) {
        check(&self.state);
        assert_same(self.state.map("m"), &self.model);
        let expected = root(&mut self.state);
        assert_eq!(root(&mut self.twin), expected);

        let mut rebuilt = transferred(&mut self.state);
        assert_eq!(root(&mut rebuilt), expected);
        assert_same(rebuilt.map("m"), &self.model);

        // One that never did what was rolled back, and has no savepoints.
        let mut direct = State::new(self.state.region.limits());
        self.kept.iter().for_each(|operation| assert!(apply(&mut direct, operation)));
        assert_eq!(root(&mut direct), expected);

        while !self.levels.is_empty() {
            self.rollback();
            check(&self.state);
            assert_same(self.state.map("m"), &self.model);
        }
    }
}

fn run(limits: StateLimits, operations: &[Operation]) {
    let mut run = Run::new(limits);
    operations.iter().for_each(|operation| run.step(operation));
    run.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_roomy_map_is_a_btree_map(operations in prop::collection::vec(operation(300), 1..800)) {
        run(StateLimits::default(), &operations);
    }

    #[test]
    fn a_small_map_is_a_btree_map(operations in prop::collection::vec(operation(12), 1..200)) {
        run(StateLimits::default(), &operations);
    }

    #[test]
    fn a_map_short_of_pages_refuses_whole_operations(operations in prop::collection::vec(operation(60), 1..400)) {
        run(StateLimits { raw_pages: 5, named_pages: 30, reserved_pages: 4 }, &operations);
    }
}
