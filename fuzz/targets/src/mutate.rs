//! Changes by chance, for where no fuzzer is installed: coverage guides nothing here.

/// Bytes that are more often wrong than others: ends of ranges, and MessagePack's own marks.
const TELLING: [u8; 12] = [0x00, 0x01, 0x7f, 0x80, 0x90, 0x91, 0xc0, 0xc4, 0xcf, 0xdd, 0xdf, 0xff];

/// Longest input that is made.
const BYTES_MAX: usize = 64 << 10;

/// Makes inputs of others. The same seed makes the same ones.
#[derive(Clone, Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// One with a stream of its own.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One input of the corpus with a few changes.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus).clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(7) {
                0 => input.truncate(at),
                1 => input.insert(at, self.telling()),
                2 if at < input.len() => _ = input.remove(at),
                3 => {
                    let other = self.pick(corpus);
                    let from = self.below(other.len() + 1);
                    let part = other[from..from + self.below(other.len() - from + 1)].to_vec();
                    input.splice(at..at, part);
                }
                4 if at < input.len() => input[at] ^= 1 << self.below(8),
                5 => {
                    let end = at + self.below(input.len() - at + 1);
                    let part = input[at..end].to_vec();
                    input.splice(at..at, part);
                }
                _ if at < input.len() => input[at] = self.telling(),
                _ => {}
            }
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn telling(&mut self) -> u8 {
        match self.below(2) {
            0 => *self.pick(&TELLING),
            _ => self.next() as u8,
        }
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
