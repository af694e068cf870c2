use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::codec;
use crate::message::{BatchData, Kind, PrePrepare};

/// Older encodings that are kept of each kind, to take values from.
const OLDER_MAX: usize = 8;

/// Changes one field of what it says: by one, to what it was in an older message, or by one bit.
///
/// It knows nothing of what the fields mean: it takes the encoded message apart, changes one leaf, and
/// signs the result where the message is its own to sign.
pub(crate) struct Mutates {
    everyone: ReplicaSet,
    one_in: u64,
    /// Whether each peer is told something else.
    each_peer: bool,
    draws: Draws,
    older: BTreeMap<Kind, VecDeque<Vec<u8>>>,
}

impl Mutates {
    /// Changes one in so many messages.
    pub(crate) fn new(everyone: ReplicaSet, seed: u64, one_in: u64, each_peer: bool) -> Self {
        Self { everyone, one_in, each_peer, draws: Draws::new(seed), older: BTreeMap::new() }
    }

    fn one(&mut self, message: Message, signer: &Signer) -> Message {
        let kind = message.kind();
        match message {
            Message::Prepare(vote) => Message::Prepare(self.value(kind, vote)),
            Message::Commit(vote) => Message::Commit(self.value(kind, vote)),
            Message::Decided(vote) => Message::Decided(self.value(kind, vote)),
            Message::Reply(reply) => Message::Reply(self.value(kind, reply)),
            Message::NeedSignature(need) => Message::NeedSignature(self.value(kind, need)),
            Message::Status(status) => Message::Status(self.value(kind, status)),
            Message::Fetch(fetch) => Message::Fetch(self.value(kind, fetch)),
            Message::NodeData(data) => Message::NodeData(self.value(kind, data)),
            Message::PageData(data) => Message::PageData(self.value(kind, data)),
            Message::Recall(recall) => Message::Recall(self.value(kind, recall)),
            Message::Recollection(answer) => Message::Recollection(self.value(kind, answer)),
            Message::BatchData(BatchData { seq, batch }) => {
                Message::BatchData(BatchData { seq: self.value(kind, seq), batch })
            }
            Message::PrePrepare(message) => {
                let parts = (message.view, message.seq, message.choice);
                let (view, seq, choice) = self.value(kind, parts);
                Message::PrePrepare(PrePrepare::new(view, seq, choice, message.entries))
            }
            Message::Checkpoint(own) if own.sender == signer.sender => {
                Message::Checkpoint(signer.sign(kind, self.value(kind, own.message)))
            }
            Message::ViewChange(own) if own.sender == signer.sender => {
                Message::ViewChange(signer.sign(kind, self.value(kind, own.message)))
            }
            Message::NewView(own) if own.sender == signer.sender => {
                Message::NewView(signer.sign(kind, self.value(kind, own.message)))
            }
            // Signed by others, or nothing to change.
            other => other,
        }
    }

    /// The value with one leaf changed; as it is where the change leaves no value of its type.
    fn value<M: Serialize + DeserializeOwned>(&mut self, kind: Kind, value: M) -> M {
        let bytes = codec::encode(&value);
        let older = self.older.entry(kind).or_default();
        let from = older.get(self.draws.below(OLDER_MAX as u64) as usize).cloned();
        older.push_back(bytes.clone());
        if older.len() > OLDER_MAX {
            older.pop_front();
        }
        let changed = mutated(&bytes, from.as_deref(), &mut self.draws);
        changed.and_then(|bytes| codec::decode(&bytes, bytes.len()).ok()).unwrap_or(value)
    }
}

impl Adversary for Mutates {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        if self.draws.below(self.one_in) != 0 {
            return vec![(to, message)];
        }
        let peers = within(to, self.everyone, self.everyone);
        match peers {
            Some(To::Replicas(peers)) if self.each_peer => {
                let peers = peers.iter().filter(|id| *id != signer.sender);
                peers.map(|id| (To::Replica(id), self.one(message.clone(), signer))).collect()
            }
            _ => vec![(to, self.one(message, signer))],
        }
    }
}

/// A leaf of an encoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leaf {
    Number(u64),
    Bytes,
    Flag(bool),
}

/// A copy of an encoded value in which one leaf is another one.
fn mutated(bytes: &[u8], older: Option<&[u8]>, draws: &mut Draws) -> Option<Vec<u8>> {
    let leaves = leaves(bytes)?;
    if leaves.is_empty() {
        return None;
    }
    let index = draws.below(leaves.len() as u64) as usize;
    let (start, end, leaf) = leaves[index].clone();
    let former = older.and_then(|older| {
        let (start, end, former) = self::leaves(older)?.get(index).cloned()?;
        let alike = std::mem::discriminant(&former) == std::mem::discriminant(&leaf);
        alike.then(|| older[start..end].to_vec())
    });
    let new = match (leaf, former) {
        (_, Some(former)) if draws.below(3) == 0 => former,
        (Leaf::Number(number), _) if draws.below(2) == 0 => codec::encode(&number.wrapping_add(1)),
        (Leaf::Number(number), _) => codec::encode(&number.saturating_sub(1)),
        (Leaf::Flag(flag), _) => codec::encode(&!flag),
        (Leaf::Bytes, _) => {
            let mut changed = bytes[start..end].to_vec();
            *changed.last_mut()? ^= 1;
            changed
        }
    };
    Some([&bytes[..start], &new, &bytes[end..]].concat())
}

/// Where an encoded value's leaves are. None if it is no value.
fn leaves(bytes: &[u8]) -> Option<Vec<(usize, usize, Leaf)>> {
    let (mut at, mut values, mut found) = (0, 1_u64, Vec::new());
    while values > 0 {
        values -= 1;
        let start = at;
        let tag = *bytes.get(at)?;
        at += 1;
        let mut number = |width: usize| -> Option<u64> {
            let digits = bytes.get(at..at + width)?;
            at += width;
            Some(digits.iter().fold(0, |sum, digit| sum << 8 | u64::from(*digit)))
        };
        let leaf = match tag {
            0x00..=0x7f => Some(Leaf::Number(u64::from(tag))),
            0x80..=0x8f => {
                values += 2 * u64::from(tag & 15);
                None
            }
            0x90..=0x9f => {
                values += u64::from(tag & 15);
                None
            }
            // Names of variants stay as they are.
            0xa0..=0xbf => {
                at += usize::from(tag & 31);
                None
            }
            0xc0 => None,
            0xc2 | 0xc3 => Some(Leaf::Flag(tag == 0xc3)),
            0xc4..=0xc6 => {
                let length = number(1 << (tag - 0xc4))? as usize;
                at = at.checked_add(length)?;
                (length > 0).then_some(Leaf::Bytes)
            }
            0xcc..=0xcf => Some(Leaf::Number(number(1 << (tag - 0xcc))?)),
            0xd9 => {
                at += number(1)? as usize;
                None
            }
            0xdc | 0xdd => {
                values += number(if tag == 0xdc { 2 } else { 4 })?;
                None
            }
            _ => return None,
        };
        if at > bytes.len() {
            return None;
        }
        found.extend(leaf.map(|leaf| (start, at, leaf)));
    }
    (at == bytes.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Digest;
    use crate::message::{Checkpoint, Fetch, Status, ViewChange, Vote};
    use crate::types::{Seq, View};

    /// Every field of a value is changed sooner or later, and never two at once.
    fn changes<M: Serialize + DeserializeOwned + PartialEq + Clone>(value: &M) -> usize {
        let mut mutates = Mutates::new(ReplicaSet::EMPTY, 7, 1, false);
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for _ in 0..400 {
            let bytes = codec::encode(&mutates.value(Kind::Status, value.clone()));
            if bytes != codec::encode(value) && !seen.contains(&bytes) {
                seen.push(bytes);
            }
        }
        seen.len()
    }

    #[test]
    fn one_leaf_of_any_message_changes() {
        let vote = Vote { view: View(3), seq: Seq(300), digest: Digest::of(b"x") };
        // Two numbers up and down, and a bit of the digest.
        assert_eq!(changes(&vote), 5);
        let status = Status {
            view: View(1),
            changing: false,
            stable: Seq(70_000),
            executed: Seq(5),
            first_held: Seq(u64::MAX),
            prepared: Default::default(),
            decided: Default::default(),
            view_changes: ReplicaSet::EMPTY,
        };
        assert!(changes(&status) >= 9, "{}", changes(&status));
        assert_eq!(changes(&Fetch::Pages { seq: Seq(8), ticket: 9, pages: vec![1, 2] }), 8);
        let view_change = ViewChange {
            view: View(2),
            stable: Seq(8),
            checkpoints: vec![Checkpoint { seq: Seq(8), digest: Digest::of(b"y") }],
            prepared: Vec::new(),
            pre_prepared: Vec::new(),
            signed_only: Vec::new(),
        };
        assert_eq!(changes(&view_change), 7);
    }

    #[test]
    fn older_values_come_back() {
        let mut draws = Draws::new(1);
        let (old, new) = (codec::encode(&(1_u64, 2_u64)), codec::encode(&(100_u64, 200_u64)));
        let found = (0..100).filter_map(|_| mutated(&new, Some(&old), &mut draws));
        let found: Vec<(u64, u64)> = found.map(|bytes| codec::decode(&bytes, 100).unwrap()).collect();
        assert!(found.contains(&(1, 200)) && found.contains(&(100, 2)) && found.contains(&(99, 200)));
    }
}
