use std::collections::{BTreeMap, VecDeque};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::codec;
use crate::message::{BatchData, Kind, PrePrepare};

/// Older encodings that are kept of each kind, to take values from.
const OLDER_MAX: usize = 8;

/// What becomes of a field. What is no number is another one either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// One more.
    More,
    /// One less.
    Less,
    /// What it was in an older message.
    Older,
}

/// A change of one field of one kind of message, while a round lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Mutation {
    /// Microseconds at which the round begins.
    pub(crate) from: u64,
    /// Microseconds at which it is over.
    pub(crate) until: u64,
    pub(crate) kind: Kind,
    /// Counts the fields of the encoded message; one with fewer begins anew.
    pub(crate) leaf: u64,
    pub(crate) change: Change,
}

/// What to change.
enum Choice {
    Drawn { draws: Draws, one_in: u64 },
    Rounds(Vec<Mutation>),
}

/// Changes one field of what it says: by one, to what it was in an older message, or by one bit.
///
/// It knows nothing of what the fields mean: it takes the encoded message apart, changes one leaf, and
/// signs the result where the message is its own to sign.
pub(crate) struct Mutates {
    everyone: ReplicaSet,
    /// Whether each peer is told something else.
    each_peer: bool,
    choice: Choice,
    /// When it was last told the time.
    now: u64,
    older: BTreeMap<Kind, VecDeque<Vec<u8>>>,
}

impl Mutates {
    /// Changes one in so many messages.
    pub(crate) fn new(everyone: ReplicaSet, seed: u64, one_in: u64, each_peer: bool) -> Self {
        let choice = Choice::Drawn { draws: Draws::new(seed), one_in };
        Self { everyone, each_peer, choice, now: 0, older: BTreeMap::new() }
    }

    /// Changes what it is told to change.
    pub(crate) fn in_rounds(everyone: ReplicaSet, mutations: Vec<Mutation>) -> Self {
        let choice = Choice::Rounds(mutations);
        Self { everyone, each_peer: false, choice, now: 0, older: BTreeMap::new() }
    }

    /// Whether a message of this kind is changed now.
    fn changes(&mut self, kind: Kind) -> bool {
        match &mut self.choice {
            Choice::Drawn { draws, one_in } => draws.below(*one_in) == 0,
            Choice::Rounds(mutations) => mutations.iter().any(|mutation| mutation.is_due(kind, self.now)),
        }
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
        let (leaf, change, age) = match &mut self.choice {
            Choice::Drawn { draws, .. } => {
                let change = [Change::More, Change::Less, Change::Older][draws.below(3) as usize];
                (draws.below(1 << 32), change, draws.below(OLDER_MAX as u64) as usize)
            }
            Choice::Rounds(mutations) => {
                let due = mutations.iter().find(|mutation| mutation.is_due(kind, self.now));
                let Some(Mutation { leaf, change, .. }) = due.copied() else { return value };
                (leaf, change, 0)
            }
        };
        let changed = mutated(&bytes, older.get(age).map(Vec::as_slice), leaf, change);
        older.push_back(bytes);
        if older.len() > OLDER_MAX {
            older.pop_front();
        }
        changed.and_then(|bytes| codec::decode(&bytes, bytes.len()).ok()).unwrap_or(value)
    }
}

impl Mutation {
    fn is_due(&self, kind: Kind, now: u64) -> bool {
        self.kind == kind && self.from <= now && now < self.until
    }
}

impl Adversary for Mutates {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        if !self.changes(message.kind()) {
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

    fn on_tick(&mut self, now: Now, _signer: &Signer) -> Vec<(To, Message)> {
        self.now = now.monotonic.0;
        Vec::new()
    }
}

/// A leaf of an encoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leaf {
    Number(u64),
    Bytes,
    Flag(bool),
}

/// A copy of an encoded value in which one leaf is another one. What it was in an older value of another
/// shape is not known, and nothing changes.
fn mutated(bytes: &[u8], older: Option<&[u8]>, leaf: u64, change: Change) -> Option<Vec<u8>> {
    let leaves = leaves(bytes)?;
    let index = leaf.checked_rem(leaves.len() as u64)? as usize;
    let (start, end, leaf) = leaves[index].clone();
    let new = match (leaf, change) {
        (leaf, Change::Older) => {
            let (start, end, former) = self::leaves(older?)?.get(index).cloned()?;
            let alike = std::mem::discriminant(&former) == std::mem::discriminant(&leaf);
            alike.then(|| older.map(|older| older[start..end].to_vec()))??
        }
        (Leaf::Number(number), Change::More) => codec::encode(&number.wrapping_add(1)),
        (Leaf::Number(number), Change::Less) => codec::encode(&number.saturating_sub(1)),
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
    fn a_field_becomes_one_more_one_less_or_what_it_was() {
        let (old, new) = (codec::encode(&(1_u64, 2_u64)), codec::encode(&(100_u64, 200_u64)));
        let becomes = |leaf, change| -> (u64, u64) {
            codec::decode(&mutated(&new, Some(&old), leaf, change).unwrap(), 100).unwrap()
        };
        assert_eq!(becomes(0, Change::More), (101, 200));
        assert_eq!(becomes(1, Change::Less), (100, 199));
        assert_eq!(becomes(2, Change::Older), (1, 200), "a value with fewer fields");
        assert_eq!(becomes(1, Change::Older), (100, 2));
        assert_eq!(mutated(&new, None, 0, Change::Older), None);
    }

    #[test]
    fn what_is_changed_in_rounds_is_left_alone_outside_of_them() {
        let mutation = Mutation { from: 10, until: 20, kind: Kind::Status, leaf: 0, change: Change::More };
        let mut mutates = Mutates::in_rounds(ReplicaSet::EMPTY, vec![mutation]);
        assert!(!mutates.changes(Kind::Status));
        mutates.now = 10;
        assert!(mutates.changes(Kind::Status) && !mutates.changes(Kind::Commit));
        assert_eq!(mutates.value(Kind::Status, (1_u64, 2_u64)), (2, 2));
        mutates.now = 20;
        assert!(!mutates.changes(Kind::Status));
    }
}
