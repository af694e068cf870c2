//! Histories of a whole group, view after view, with exactly f liars who may say and vote anything.
//!
//! What must hold of every decision, whoever is in V and whatever the liars say:
//!
//! * Safety: a batch that Q replicas prepared in one view (liars counted as if they had) is chosen
//!   again at its seq, or is below the chosen checkpoint; and the digest of that checkpoint is the
//!   state after exactly the batches so prepared.
//! * Liveness: if every correct replica is in V, there is a decision.

use proptest::collection::vec;
use proptest::prelude::*;

use super::naive::naive;
use super::*;

/// Views that a history goes through.
const VIEWS: u64 = 6;

/// Decides what happens; a shorter list is a simpler history.
struct Chance(std::vec::IntoIter<u8>);

impl Chance {
    fn percent(&mut self, percent: u8) -> bool {
        self.0.next().is_some_and(|byte| byte % 100 < percent)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(byte) % limit)
    }
}

/// What a correct replica holds.
#[derive(Clone, Debug, Default)]
struct Correct {
    stable: u64,
    executed: u64,
    checkpoints: BTreeMap<u64, Digest>,
    /// Checkpoints that it sent a CHECKPOINT for.
    claimed: BTreeSet<u64>,
    prepared: BTreeMap<u64, (Digest, View)>,
    pre_prepared: BTreeMap<(u64, Digest), View>,
}

impl Correct {
    fn in_window(&self, seq: u64, window: u64) -> bool {
        self.stable < seq && seq <= self.stable + window
    }

    fn view_change(&self, view: View, window: u64) -> ViewChange {
        let high = self.stable + window;
        let checkpoints = self.checkpoints.range(self.stable..=high);
        ViewChange {
            view,
            stable: Seq(self.stable),
            checkpoints: checkpoints.map(|(seq, d)| Checkpoint { seq: Seq(*seq), digest: *d }).collect(),
            prepared: self
                .prepared
                .iter()
                .map(|(seq, (digest, view))| Prepared { seq: Seq(*seq), digest: *digest, view: *view })
                .collect(),
            pre_prepared: self
                .pre_prepared
                .iter()
                .map(|((seq, digest), view)| PrePrepared { seq: Seq(*seq), digest: *digest, view: *view })
                .collect(),
            signed_only: Vec::new(),
        }
    }

    /// A checkpoint above h + L cannot be listed in C, so it is not claimed either: else it could
    /// become stable elsewhere and nobody could prove it in a V (`rules`, the last test).
    fn take(&mut self, seq: u64, state: Digest, window: u64) {
        self.checkpoints.insert(seq, state);
        if seq <= self.stable + window {
            self.claimed.insert(seq);
        }
    }

    fn stabilise(&mut self, seq: u64) {
        self.stable = seq;
        self.checkpoints = self.checkpoints.split_off(&seq);
        self.prepared = self.prepared.split_off(&(seq + 1));
        self.pre_prepared = self.pre_prepared.split_off(&(seq + 1, Digest::default()));
    }
}

/// The group, and what only an observer of all knows.
struct Group {
    quorums: Quorums,
    interval: u64,
    window: u64,
    correct: Vec<Correct>,
    /// Q replicas prepared this, if the liars did.
    committed: BTreeMap<u64, Digest>,
}

impl Group {
    fn new(n: usize, interval: u64, window: u64) -> Self {
        let quorums = Quorums::new(n).unwrap();
        let mut first = Correct::default();
        first.checkpoints.insert(0, state(0));
        Self { quorums, interval, window, correct: vec![first; n - quorums.f()], committed: BTreeMap::new() }
    }

    /// Whether `count` correct replicas and all liars are a quorum.
    fn is_quorum(&self, count: usize) -> bool {
        count + self.quorums.f() >= self.quorums.quorum()
    }

    fn lie(&self, view: View, chance: &mut Chance) -> ViewChange {
        // Most harm comes from what is nearly true.
        let model = chance.below(self.correct.len());
        let mut lie = self.correct[model].view_change(view, self.window);
        let views = |chance: &mut Chance| View(chance.below(view.0 as usize) as u64);
        for entry in &mut lie.prepared {
            if chance.percent(40) {
                (entry.digest, entry.view) = (batch(chance.below(4)), views(chance));
            }
        }
        if chance.percent(30) {
            lie.prepared.retain(|_| chance.percent(50));
        }
        if chance.percent(30) {
            let last = lie.prepared.last().map_or(lie.stable, |entry| entry.seq);
            if last.0 < lie.stable.0 + self.window {
                let (digest, view) = (batch(chance.below(4)), views(chance));
                lie.prepared.push(Prepared { seq: last.next(), digest, view });
            }
        }
        let mut claimed: BTreeMap<(Seq, Digest), View> =
            lie.pre_prepared.iter().map(|entry| ((entry.seq, entry.digest), entry.view)).collect();
        claimed.extend(lie.prepared.iter().map(|entry| ((entry.seq, entry.digest), entry.view)));
        for offset in 1..=self.window.min(6) {
            if chance.percent(30) {
                let seq = Seq(lie.stable.0 + offset);
                claimed.insert((seq, batch(chance.below(4))), views(chance));
            }
        }
        lie.pre_prepared =
            claimed.into_iter().map(|((seq, digest), view)| PrePrepared { seq, digest, view }).collect();
        for checkpoint in &mut lie.checkpoints {
            if chance.percent(30) {
                checkpoint.digest = digest(99);
            }
        }
        if chance.percent(30) {
            let seq = lie.checkpoints.last().map_or(lie.stable, |checkpoint| checkpoint.seq);
            let next = Checkpoint { seq: seq.plus(self.interval), digest: digest(99) };
            if next.seq.0 <= lie.stable.0 + self.window {
                lie.checkpoints.push(next);
            }
        }
        if chance.percent(20) {
            lie.checkpoints.clear();
        }
        lie
    }

    /// The start of a view, from all correct replicas or from any quorum.
    fn start(&self, view: View, everyone: bool, chance: &mut Chance) -> Option<Decision> {
        let mut votes: Vec<ViewChange> =
            self.correct.iter().map(|correct| correct.view_change(view, self.window)).collect();
        let lies = if everyone { chance.below(self.quorums.f() + 1) } else { self.quorums.f() };
        votes.extend((0..lies).map(|_| self.lie(view, chance)));
        while !everyone && votes.len() > self.quorums.quorum() && chance.percent(70) {
            let absent = chance.below(votes.len());
            votes.remove(absent);
        }
        assert!(votes.iter().all(|vote| vote.is_valid(self.interval, self.window)), "{votes:?}");
        let decision = decide(self.quorums, self.window, &votes.iter().collect::<Vec<_>>());
        assert_eq!(decision, naive(self.quorums.n(), self.window, &votes));
        if let Some(decision) = &decision {
            self.assert_safe(decision);
        }
        assert!(decision.is_some() || !everyone, "undecided with every correct replica: {votes:?}");
        decision
    }

    fn assert_safe(&self, decision: &Decision) {
        let Decision { checkpoint, chosen } = decision;
        assert_eq!(Some(checkpoint.digest), self.state(checkpoint.seq.0), "{decision:?}");
        for (seq, committed) in self.committed.range(checkpoint.seq.0 + 1..) {
            assert!(chosen.contains(&(Seq(*seq), *committed)), "{seq} was {committed}: {decision:?}");
        }
    }

    /// The state after all batches up to `seq`; none if one of them was never committed.
    fn state(&self, seq: u64) -> Option<Digest> {
        let batches: Vec<Digest> = (1..=seq).map_while(|seq| self.committed.get(&seq).copied()).collect();
        if batches.len() as u64 != seq {
            return None;
        }
        if seq == 0 {
            return Some(state(0));
        }
        let mut hasher = crate::crypto::Hasher::new("history");
        batches.iter().for_each(|batch| {
            hasher.part(&batch.0);
        });
        Some(hasher.finish())
    }

    /// One view: who is in it, and how far each batch gets, is chance.
    fn run(&mut self, view: View, decision: &Decision, chance: &mut Chance) {
        let entered: Vec<bool> = self.correct.iter().map(|_| chance.percent(90)).collect();
        self.transfer(decision.checkpoint, &entered, chance);
        let faulty_primary = chance.percent(40);
        let low = decision.checkpoint.seq.0;
        for seq in low + 1..=low + self.window + self.interval {
            let chosen = decision.chosen.iter().find(|(at, _)| at.0 == seq).map(|(_, digest)| *digest);
            let beyond = seq > low + decision.chosen.len() as u64;
            if chosen.is_none() && (!beyond || chance.percent(30)) {
                continue;
            }
            let proposed = batch(chance.below(4));
            let mut accepted: Vec<Option<Digest>> = Vec::new();
            for (index, entered) in entered.iter().enumerate() {
                let fresh = if faulty_primary { batch(chance.below(3)) } else { proposed };
                let votes = *entered && self.correct[index].in_window(seq, self.window) && chance.percent(85);
                accepted.push(votes.then(|| chosen.unwrap_or(fresh)));
            }
            self.vote(view, seq, &accepted, chance);
        }
        self.execute(chance);
    }

    fn vote(&mut self, view: View, seq: u64, accepted: &[Option<Digest>], chance: &mut Chance) {
        let mut prepared: Vec<Digest> = Vec::new();
        for (index, digest) in accepted.iter().enumerate() {
            let Some(digest) = *digest else { continue };
            self.correct[index].pre_prepared.insert((seq, digest), view);
            let supporters = accepted.iter().filter(|other| **other == Some(digest)).count();
            if self.is_quorum(supporters) && chance.percent(80) {
                self.correct[index].prepared.insert(seq, (digest, view));
                prepared.push(digest);
            }
        }
        if let Some(first) = prepared.first().copied() {
            assert!(prepared.iter().all(|digest| *digest == first), "two batches prepared in one view");
            if self.is_quorum(prepared.len()) {
                let committed = *self.committed.entry(seq).or_insert(first);
                assert_eq!(committed, first, "two batches committed at {seq}");
            }
        }
    }

    /// Who is behind the chosen checkpoint may fetch it.
    fn transfer(&mut self, checkpoint: Checkpoint, entered: &[bool], chance: &mut Chance) {
        for (correct, entered) in self.correct.iter_mut().zip(entered) {
            if *entered && correct.executed < checkpoint.seq.0 && chance.percent(50) {
                correct.executed = checkpoint.seq.0;
                correct.checkpoints.split_off(&checkpoint.seq.0);
                correct.take(checkpoint.seq.0, checkpoint.digest, self.window);
            }
        }
    }

    /// Each executes some of what was committed, takes checkpoints, and makes them stable.
    fn execute(&mut self, chance: &mut Chance) {
        for index in 0..self.correct.len() {
            while self.committed.contains_key(&(self.correct[index].executed + 1)) && chance.percent(85) {
                let seq = self.correct[index].executed + 1;
                self.correct[index].executed = seq;
                if seq.is_multiple_of(self.interval) {
                    let state = self.state(seq).unwrap();
                    self.correct[index].take(seq, state, self.window);
                }
            }
        }
        let claims =
            |group: &Self, seq: u64| group.correct.iter().filter(|it| it.claimed.contains(&seq)).count();
        for index in 0..self.correct.len() {
            let own: Vec<u64> = self.correct[index].checkpoints.keys().copied().collect();
            for seq in own {
                let above = seq > self.correct[index].stable;
                if above && self.is_quorum(claims(self, seq)) && chance.percent(60) {
                    self.correct[index].stabilise(seq);
                }
            }
        }
    }
}

fn batch(number: usize) -> Digest {
    [Batch::null_digest(), digest(1), digest(2), digest(3)][number]
}

/// Runs one history; the number of its decisions that named a batch, and of batches committed.
fn run(n: usize, interval: u64, window: u64, chance: &mut Chance) -> (usize, usize) {
    let mut group = Group::new(n, interval, window);
    let first = Decision { checkpoint: Checkpoint { seq: Seq(0), digest: state(0) }, chosen: Vec::new() };
    group.run(View(0), &first, chance);
    let mut full = 0;
    for view in (1..VIEWS).map(View) {
        let complete = group.start(view, true, chance);
        let decision = group.start(view, false, chance);
        // A primary may choose among the quorums it has.
        let decision = if chance.percent(70) { decision.or(complete) } else { complete };
        if let Some(decision) = decision {
            full += usize::from(!decision.chosen.is_empty());
            group.run(view, &decision, chance);
        }
    }
    (full, group.committed.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_was_committed_is_kept_and_a_complete_v_decides(
        n in proptest::sample::select(SIZES.to_vec()),
        interval in 2..5_u64,
        intervals in 2..5_u64,
        bytes in vec(any::<u8>(), 0..6_000),
    ) {
        run(n, interval, interval * intervals, &mut Chance(bytes.into_iter()));
    }
}

#[test]
fn histories_are_eventful() {
    let mut total = (0, 0);
    for seed in 0..20_u64 {
        let bytes: Vec<u8> =
            (0..6_000_u64).map(|byte| Digest::of(&(seed * 6_000 + byte).to_be_bytes()).0[0]).collect();
        let (full, committed) = run(SIZES[seed as usize % 5], 2, 8, &mut Chance(bytes.into_iter()));
        total = (total.0 + full, total.1 + committed);
    }
    assert!(total.0 >= 40 && total.1 >= 80, "{total:?} decisions with batches, and batches committed");
}
