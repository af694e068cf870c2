use std::collections::VecDeque;

use crate::types::Timestamp;

/// What was sent under each timestamp and is not answered. Timestamps rise by one and answers come about
/// in order, so it is a queue with gaps, no longer than the window of the client.
pub(super) struct Sent<T> {
    /// The timestamp of the first place.
    first: Timestamp,
    /// First and last are taken, unless there are none.
    places: VecDeque<Option<T>>,
}

impl<T> Default for Sent<T> {
    fn default() -> Self {
        Self { first: Timestamp(0), places: VecDeque::new() }
    }
}

impl<T> Sent<T> {
    pub(super) fn lowest(&self) -> Option<Timestamp> {
        (!self.places.is_empty()).then_some(self.first)
    }

    pub(super) fn highest(&self) -> Option<Timestamp> {
        let last = self.places.len().checked_sub(1)? as u64;
        Some(Timestamp(self.first.0 + last))
    }

    /// Adds under a timestamp that is free, or was.
    pub(super) fn insert(&mut self, timestamp: Timestamp, sent: T) {
        if self.places.is_empty() {
            self.first = timestamp;
        }
        while timestamp < self.first {
            self.places.push_front(None);
            self.first = Timestamp(self.first.0 - 1);
        }
        let at = (timestamp.0 - self.first.0) as usize;
        while self.places.len() <= at {
            self.places.push_back(None);
        }
        self.places[at] = Some(sent);
    }

    pub(super) fn get_mut(&mut self, timestamp: Timestamp) -> Option<&mut T> {
        let at = self.place(timestamp)?;
        self.places.get_mut(at)?.as_mut()
    }

    pub(super) fn remove(&mut self, timestamp: Timestamp) -> Option<T> {
        let at = self.place(timestamp)?;
        let sent = self.places.get_mut(at)?.take();
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first = self.first.next();
        }
        while let Some(None) = self.places.back() {
            self.places.pop_back();
        }
        sent
    }

    /// In the order of their timestamps.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, &T)> {
        (self.first.0..).zip(&self.places).filter_map(|(at, place)| Some((Timestamp(at), place.as_ref()?)))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.places.into_iter().flatten()
    }

    fn place(&self, timestamp: Timestamp) -> Option<usize> {
        usize::try_from(timestamp.0.checked_sub(self.first.0)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_by_timestamp(steps in prop::collection::vec((0..3_u8, 0..40_u64), 0..200)) {
            let (mut sent, mut model, mut next) = (Sent::default(), BTreeMap::new(), 1);
            for (what, at) in steps {
                if what == 0 {
                    sent.insert(Timestamp(next), next);
                    model.insert(Timestamp(next), next);
                    next += 1;
                } else {
                    let timestamp = Timestamp(next.saturating_sub(at));
                    prop_assert_eq!(sent.get_mut(timestamp), model.get_mut(&timestamp));
                    let removed = sent.remove(timestamp);
                    prop_assert_eq!(removed, model.remove(&timestamp));
                    if let (2, Some(value)) = (what, removed) {
                        sent.insert(timestamp, value);
                        model.insert(timestamp, value);
                    }
                }
                prop_assert_eq!(sent.lowest(), model.keys().next().copied());
                prop_assert_eq!(sent.highest(), model.keys().next_back().copied());
                prop_assert!(sent.iter().eq(model.iter().map(|(at, value)| (*at, value))));
            }
        }
    }
}
