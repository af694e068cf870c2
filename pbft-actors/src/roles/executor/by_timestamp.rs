use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize, Serializer};

use crate::types::Timestamp;

/// Values by timestamp, in a queue. A client numbers its requests one after the other and says from
/// where on it waits, so nearly always one is added behind the last and the first is removed. The worst
/// a client can do is to add in the middle of its window W, which moves half of it: some 60 KB at the
/// default. On the wire it is a map.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "BTreeMap<Timestamp, T>", bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct ByTimestamp<T>(VecDeque<(Timestamp, T)>);

impl<T> Default for ByTimestamp<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> ByTimestamp<T> {
    pub(super) fn get(&self, timestamp: Timestamp) -> Option<&T> {
        let at = self.find(timestamp).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Adds a value, or replaces the one that is there.
    pub(super) fn insert(&mut self, timestamp: Timestamp, value: T) {
        match self.find(timestamp) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (timestamp, value)),
        }
    }

    /// Removes the first value if it is below a timestamp.
    pub(super) fn pop_below(&mut self, floor: Timestamp) -> Option<(Timestamp, T)> {
        self.0.pop_front_if(|(first, _)| *first < floor)
    }

    pub(super) fn remove(&mut self, timestamp: Timestamp) {
        if let Ok(at) = self.find(timestamp) {
            self.0.remove(at);
        }
    }

    /// In the order of their timestamps.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// In the order of their timestamps.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Timestamp, &mut T)> {
        self.0.iter_mut().map(|(timestamp, value)| (*timestamp, value))
    }

    /// Where a timestamp is, or belongs.
    fn find(&self, timestamp: Timestamp) -> Result<usize, usize> {
        match self.0.back() {
            Some((last, _)) if *last >= timestamp => {
                self.0.binary_search_by_key(&timestamp, |(timestamp, _)| *timestamp)
            }
            _ => Err(self.0.len()),
        }
    }
}

impl<T> From<BTreeMap<Timestamp, T>> for ByTimestamp<T> {
    fn from(map: BTreeMap<Timestamp, T>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for ByTimestamp<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(timestamp, value)| (timestamp, value)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec;

    proptest! {
        #[test]
        fn it_is_a_map_and_encoded_as_one(steps in prop::collection::vec((0..4_u8, 0..30_u64), 0..100)) {
            let (mut queue, mut map) = (ByTimestamp::default(), BTreeMap::new());
            for (number, (what, at)) in (0_u64..).zip(steps) {
                let timestamp = Timestamp(at);
                if what == 0 {
                    let lowest = map.keys().next().copied().filter(|lowest| *lowest < timestamp);
                    let removed = lowest.and_then(|lowest| map.remove_entry(&lowest));
                    prop_assert_eq!(queue.pop_below(timestamp), removed);
                } else if what == 1 {
                    queue.remove(timestamp);
                    map.remove(&timestamp);
                } else {
                    queue.insert(timestamp, number);
                    map.insert(timestamp, number);
                }
                prop_assert_eq!(queue.get(timestamp), map.get(&timestamp));
                prop_assert!(queue.values().eq(map.values()));
            }
            let bytes = codec::encode(&queue);
            prop_assert_eq!(&bytes, &codec::encode(&map));
            prop_assert_eq!(codec::decode::<ByTimestamp<u64>>(&bytes, 10_000), Ok(queue));
        }
    }
}
