/// Bits of a word of the map of slots.
const WORD_BITS: usize = 64;

/// The children of one node by slot; takes memory only for those that are there.
#[derive(Clone)]
pub(in crate::ports::state) struct Children<T> {
    /// One bit per slot.
    present: [u64; super::FAN_OUT / WORD_BITS],
    /// Ascending by slot.
    items: Vec<T>,
}

impl<T> Children<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn get(&self, slot: u8) -> Option<&T> {
        if self.has(slot) { self.items.get(self.rank(slot)) } else { None }
    }

    pub(super) fn get_mut(&mut self, slot: u8) -> Option<&mut T> {
        let at = self.rank(slot);
        if self.has(slot) { self.items.get_mut(at) } else { None }
    }

    /// The child in a slot, put there first if there is none.
    pub(super) fn get_or_insert_with(&mut self, slot: u8, make: impl FnOnce() -> T) -> &mut T {
        let at = self.rank(slot);
        if !self.has(slot) {
            self.items.insert(at, make());
            self.present[word(slot)] |= bit(slot);
        }
        self.items.get_mut(at).expect("a slot that is marked has its item")
    }

    pub(super) fn insert(&mut self, slot: u8, item: T) {
        let at = self.rank(slot);
        if self.has(slot) {
            self.items[at] = item;
        } else {
            self.items.insert(at, item);
            self.present[word(slot)] |= bit(slot);
        }
    }

    pub(super) fn remove(&mut self, slot: u8) {
        if self.has(slot) {
            self.items.remove(self.rank(slot));
            self.present[word(slot)] &= !bit(slot);
        }
    }

    /// The children from a slot on, ascending.
    pub(super) fn iter_from(&self, slot: u8) -> impl Iterator<Item = (u8, &T)> {
        let slots = (slot..=u8::MAX).filter(|&slot| self.has(slot));
        slots.zip(&self.items[self.rank(slot)..])
    }

    fn has(&self, slot: u8) -> bool {
        self.present[word(slot)] & bit(slot) != 0
    }

    /// How many children lie in lower slots.
    fn rank(&self, slot: u8) -> usize {
        let whole: u32 = self.present[..word(slot)].iter().map(|word| word.count_ones()).sum();
        (whole + (self.present[word(slot)] & (bit(slot) - 1)).count_ones()) as usize
    }
}

impl<T> Default for Children<T> {
    fn default() -> Self {
        Self { present: [0; super::FAN_OUT / WORD_BITS], items: Vec::new() }
    }
}

fn word(slot: u8) -> usize {
    usize::from(slot) / WORD_BITS
}

fn bit(slot: u8) -> u64 {
    1 << (usize::from(slot) % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn children_are_a_map_by_slot(steps in prop::collection::vec((any::<u8>(), 0..4_u8), 0..600)) {
            let (mut children, mut model) = (Children::default(), BTreeMap::new());
            for (count, (slot, step)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        children.remove(slot);
                        model.remove(&slot);
                    }
                    1 => prop_assert_eq!(
                        *children.get_or_insert_with(slot, || count),
                        *model.entry(slot).or_insert(count)
                    ),
                    _ => {
                        children.insert(slot, count);
                        model.insert(slot, count);
                    }
                }
                prop_assert_eq!(children.get(slot), model.get(&slot));
                prop_assert_eq!(children.get_mut(slot), model.get_mut(&slot));
                prop_assert_eq!(children.is_empty(), model.is_empty());
                let range: Vec<(u8, usize)> = children.iter_from(slot).map(|(at, n)| (at, *n)).collect();
                prop_assert!(model.range(slot..).map(|(at, n)| (*at, *n)).eq(range));
            }
            prop_assert!(children.iter_from(0).eq(model.iter().map(|(slot, n)| (*slot, n))));
        }
    }
}
