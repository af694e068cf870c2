use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::types::{ReplicaSet, Seq, View};

/// A bit per seq above a base.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeqBitmap(Bytes);

impl SeqBitmap {
    /// The bitmap of those of `base+1 ..= base+length` that are in `seqs`.
    pub fn new(base: Seq, length: u64, seqs: impl IntoIterator<Item = Seq>) -> Self {
        let mut bits = Vec::new();
        for seq in seqs {
            let Some(offset) = seq.0.checked_sub(base.0 + 1).filter(|offset| *offset < length) else {
                continue;
            };
            let byte = (offset / 8) as usize;
            if bits.len() <= byte {
                bits.resize(byte + 1, 0_u8);
            }
            bits[byte] |= 1 << (offset % 8);
        }
        Self(bits.into())
    }

    /// Whether `seq` is in; what the bitmap does not reach is not.
    pub fn contains(&self, base: Seq, seq: Seq) -> bool {
        let Some(offset) = seq.0.checked_sub(base.0).and_then(|above| above.checked_sub(1)) else {
            return false;
        };
        let byte = usize::try_from(offset / 8).ok().and_then(|index| self.0.get(index));
        byte.is_some_and(|byte| byte & (1 << (offset % 8)) != 0)
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// Where a replica stands. Whoever has what it lacks sends it (PROTOCOL 2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The view it is in or moves to.
    pub view: View,
    /// Whether it still moves there.
    pub changing: bool,
    /// Its stable checkpoint h.
    pub stable: Seq,
    /// The last batch it executed.
    pub executed: Seq,
    /// The first seq whose batch and votes it still holds.
    pub first_held: Seq,
    /// Prepared in `view`, above `stable`.
    pub prepared: SeqBitmap,
    /// Known to be decided, above `stable`.
    pub decided: SeqBitmap,
    /// Whose VIEW-CHANGEs for `view` it holds.
    pub view_changes: ReplicaSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_holds_what_was_put_in() {
        let bitmap = SeqBitmap::new(Seq(8), 16, [Seq(8), Seq(9), Seq(17), Seq(24), Seq(25)]);
        let held: Vec<u64> = (0..100).filter(|seq| bitmap.contains(Seq(8), Seq(*seq))).collect();
        assert_eq!(held, [9, 17, 24]);
        assert_eq!(SeqBitmap::default().bytes(), 0);
        assert!(!bitmap.contains(Seq(u64::MAX), Seq(u64::MAX)));
    }
}
