use std::collections::{BTreeMap, VecDeque};

/// A map that forgets its oldest entry when it is full.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    entries: BTreeMap<K, V>,
    oldest_first: VecDeque<K>,
    limit: usize,
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: BTreeMap::new(), oldest_first: VecDeque::new(), limit }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.oldest_first.push_back(key);
        }
        while self.entries.len() > self.limit {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            self.entries.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        if self.entries.remove(key).is_some() {
            self.oldest_first.retain(|other| other != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_a_key_that_returns_is_new() {
        let mut map = Bounded::new(2);
        for key in [1, 2] {
            map.insert(key, key);
        }
        map.remove(&1);
        map.insert(1, 10);
        map.insert(3, 3);
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (Some(&10), None, Some(&3)));
    }
}
