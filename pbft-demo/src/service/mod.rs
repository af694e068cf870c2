//! The counter service: named counters that start at 0.
//!
//! All of its state is one ordered map from name to value. An operation that would overflow, or whose
//! name is no name, is refused and changes nothing. [`Operation::Panic`] is there to show that an
//! operation that panics is answered like any other and takes no replica down; no HTTP request leads
//! to it. [`Nothing`] does nothing, for loads.

mod nothing;
mod operation;

use bytes::Bytes;
use pbft_actors::codec;
use pbft_actors::message::{OPERATION_BYTES_MAX, Refusal};
use pbft_actors::ports::service::{Execution, Query, Service};
use pbft_actors::ports::state::{Map, State};
use pbft_actors::types::{Seq, Wall};

pub use nothing::Nothing;
pub use operation::{Counter, Listing, NAME_BYTES_MAX, Operation, check_name};

/// Most counters in one answer to [`Operation::List`].
pub const LIST_ENTRIES_MAX: usize = 1_000;

/// The map's name in the state.
const COUNTERS: &str = "counters";

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters;

impl Counters {
    /// A counter's name is none.
    pub const BAD_NAME: u32 = 1_000;
    /// The sum is no `i64`; the counter stays as it was.
    pub const OVERFLOW: u32 = 1_001;
    /// What the state holds is no counter: another service wrote it.
    pub const BAD_STATE: u32 = 1_002;
}

impl Service for Counters {
    const NAME: &'static str = "counters";
    const VERSION: u32 = 2;

    fn execute(
        &self,
        state: &mut State,
        context: &Execution<'_>,
        operation: &[u8],
    ) -> Result<Bytes, Refusal> {
        if let Some(answer) = Nothing::answer(operation) {
            return answer;
        }
        let Execution { seq, time, .. } = *context;
        match decode(operation)? {
            Operation::Add { name, by } => {
                check_name(&name)?;
                let value = add(state, &name, by)?;
                Ok(codec::encode(&Counter { name, value, seq: seq.0, time: time.0 }).into())
            }
            Operation::Panic => panic!("an operation that panics, as asked"),
            reading => read(state, seq, time, reading),
        }
    }

    fn query(&self, state: &State, context: &Query, operation: &[u8]) -> Result<Bytes, Refusal> {
        if let Some(answer) = Nothing::answer(operation) {
            return answer;
        }
        read(state, context.seq, context.time, decode(operation)?)
    }
}

fn decode(operation: &[u8]) -> Result<Operation, Refusal> {
    codec::decode(operation, OPERATION_BYTES_MAX).map_err(|error| {
        Refusal::new(Refusal::UNKNOWN_OPERATION, format!("no operation on counters: {error}"))
    })
}

fn add(state: &mut State, name: &str, by: i64) -> Result<i64, Refusal> {
    let mut counters = state.map_mut(COUNTERS);
    let old = value_in(counters.as_map(), name)?;
    let new = old.checked_add(by).ok_or_else(|| {
        Refusal::new(
            Counters::OVERFLOW,
            format!("{old} plus {by} is outside of {}..={}; the counter stays at {old}", i64::MIN, i64::MAX),
        )
    })?;
    counters.insert(name.as_bytes(), &new.to_be_bytes())?;
    Ok(new)
}

fn read(state: &State, seq: Seq, time: Wall, operation: Operation) -> Result<Bytes, Refusal> {
    match operation {
        Operation::Get { name } => {
            check_name(&name)?;
            let value = value_in(state.map(COUNTERS), &name)?;
            Ok(codec::encode(&Counter { name, value, seq: seq.0, time: time.0 }).into())
        }
        Operation::List { after, limit } => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, LIST_ENTRIES_MAX);
            Ok(codec::encode(&list(state, seq, time, after.as_deref(), limit)?).into())
        }
        Operation::Add { .. } | Operation::Panic => {
            Err(Refusal::new(Refusal::UNKNOWN_OPERATION, "this operation does not only read; order it"))
        }
    }
}

fn list(state: &State, seq: Seq, time: Wall, after: Option<&str>, limit: usize) -> Result<Listing, Refusal> {
    let counters = state.map(COUNTERS);
    let from = after.map_or(std::ops::Bound::Unbounded, |name| std::ops::Bound::Excluded(name.as_bytes()));
    let mut entries = counters.range((from, std::ops::Bound::Unbounded));
    let mut found = Vec::new();
    for (name, value) in entries.by_ref().take(limit) {
        let name = String::from_utf8_lossy(name).into_owned();
        found.push((name, number(&value)?));
    }
    Ok(Listing { counters: found, more: entries.next().is_some(), seq: seq.0, time: time.0 })
}

fn value_in(counters: Map<'_>, name: &str) -> Result<i64, Refusal> {
    counters.get(name.as_bytes()).map_or(Ok(0), |bytes| number(&bytes))
}

fn number(bytes: &[u8]) -> Result<i64, Refusal> {
    let bytes =
        bytes.try_into().map_err(|_| Refusal::new(Counters::BAD_STATE, "the state holds no counters"))?;
    Ok(i64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use pbft_actors::crypto::Digest;
    use pbft_actors::ports::service::Seed;
    use pbft_actors::ports::state::StateLimits;
    use pbft_actors::types::{ClientId, RequestId, SessionId, Timestamp};

    use super::*;

    fn state() -> State {
        State::new(StateLimits { raw_pages: 64, named_pages: 64, reserved_pages: 64 })
    }

    fn execute(state: &mut State, operation: &Operation) -> Result<Bytes, Refusal> {
        let request = RequestId { client: ClientId(0), session: SessionId(1), timestamp: Timestamp(1) };
        let extra = Bytes::new();
        let context = Execution {
            seq: Seq(7),
            time: Wall(9),
            seed: Seed::new(Digest([0; 32]), 0),
            extra: &extra,
            request,
        };
        Counters.execute(state, &context, &operation.encode())
    }

    fn add(name: &str, by: i64) -> Operation {
        Operation::Add { name: name.to_owned(), by }
    }

    #[test]
    fn adding_answers_the_new_value_with_seq_and_agreed_time() {
        let mut state = state();
        execute(&mut state, &add("a", 40)).unwrap();
        let counter: Counter = Counter::decode(&execute(&mut state, &add("a", 2)).unwrap()).unwrap();
        assert_eq!(counter, Counter { name: "a".to_owned(), value: 42, seq: 7, time: 9 });
    }

    #[test]
    fn an_overflow_is_refused_and_changes_nothing() {
        let mut state = state();
        execute(&mut state, &add("a", i64::MAX)).unwrap();
        assert_eq!(execute(&mut state, &add("a", 1)).unwrap_err().code, Counters::OVERFLOW);
        let get = Operation::Get { name: "a".to_owned() };
        assert_eq!(Counter::decode(&execute(&mut state, &get).unwrap()).unwrap().value, i64::MAX);
    }

    #[test]
    fn names_have_a_length_and_no_control_characters() {
        for name in [String::new(), "x".repeat(NAME_BYTES_MAX + 1), "a\nb".to_owned()] {
            assert_eq!(execute(&mut state(), &add(&name, 1)).unwrap_err().code, Counters::BAD_NAME);
        }
        assert!(execute(&mut state(), &add(&"x".repeat(NAME_BYTES_MAX), 1)).is_ok());
    }

    #[test]
    fn a_listing_goes_on_where_the_last_one_ended() {
        let mut state = state();
        for name in ["c", "a", "b"] {
            execute(&mut state, &add(name, 1)).unwrap();
        }
        let list = |after: Option<&str>| {
            let operation = Operation::List { after: after.map(str::to_owned), limit: 2 };
            let query = Query { seq: Seq(1), time: Wall(1) };
            Listing::decode(&Counters.query(&state, &query, &operation.encode()).unwrap()).unwrap()
        };
        let names =
            |listing: &Listing| listing.counters.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (first, second) = (list(None), list(Some("b")));
        assert_eq!((names(&first), first.more), (vec!["a".to_owned(), "b".to_owned()], true));
        assert_eq!((names(&second), second.more), (vec!["c".to_owned()], false));
    }

    #[test]
    fn what_is_no_operation_is_refused() {
        let query = Query { seq: Seq(1), time: Wall(1) };
        let refusal = Counters.query(&state(), &query, b"garbage").unwrap_err();
        assert_eq!(refusal.code, Refusal::UNKNOWN_OPERATION);
        let refusal = Counters.query(&state(), &query, &add("a", 1).encode()).unwrap_err();
        assert_eq!(refusal.code, Refusal::UNKNOWN_OPERATION);
    }
}
