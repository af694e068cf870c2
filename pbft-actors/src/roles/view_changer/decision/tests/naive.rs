//! A second implementation of PROTOCOL 7.3, read off the page: quantifiers over lists.

use super::*;

/// What `decide` must give.
pub(super) fn naive(n: usize, window: u64, s: &[ViewChange]) -> Option<Decision> {
    let f = (1..).find(|f| 3 * f + 1 > n).unwrap() - 1;
    let quorum = (1..).find(|q| 2 * q > n + f).unwrap();
    let weak = f + 1;
    if s.len() < quorum {
        return None;
    }

    // "the highest h (of two digests the smallest) such that Q members of S have m.h <= h and
    // weak-many list (h, d) in C"
    let mut listed: Vec<Checkpoint> = s.iter().flat_map(|m| m.checkpoints.clone()).collect();
    listed.sort_by(|a, b| b.seq.cmp(&a.seq).then(a.digest.cmp(&b.digest)));
    let checkpoint = *listed.iter().find(|c| {
        count(s, |m| m.stable <= c.seq) >= quorum
            && count(s, |m| m.checkpoints.iter().any(|o| o == *c)) >= weak
    })?;

    let h = checkpoint.seq.0;
    let mut chosen = Vec::new();
    for seq in (h + 1..=h + window).map(Seq) {
        // "Stop after the highest seq that any P names", of those in (h, h+L].
        let rest = |p: &Prepared| p.seq >= seq && p.seq.0 <= h + window;
        if !s.iter().any(|m| m.prepared.iter().any(rest)) {
            break;
        }
        let candidates: Vec<(Digest, View)> = s
            .iter()
            .flat_map(|m| m.prepared.iter())
            .filter(|p| p.seq == seq)
            .map(|p| (p.digest, p.view))
            .collect();
        let a1 = |d: Digest, u: View| {
            count(s, |m| {
                m.stable < seq
                    && m.prepared.iter().all(|p| p.seq != seq || p.view < u || (p.view == u && p.digest == d))
            }) >= quorum
        };
        let a2 = |d: Digest, u: View| {
            count(s, |m| m.pre_prepared.iter().any(|q| q.seq == seq && q.digest == d && q.view >= u)) >= weak
        };
        let good: Vec<(Digest, View)> =
            candidates.into_iter().filter(|(d, u)| a1(*d, *u) && a2(*d, *u)).collect();
        let highest = good.iter().map(|(_, u)| *u).max();
        let smallest = good.iter().filter(|(_, u)| Some(*u) == highest).map(|(d, _)| *d).min();
        let b = count(s, |m| m.stable < seq && m.prepared.iter().all(|p| p.seq != seq)) >= quorum;
        match smallest {
            Some(d) => chosen.push((seq, d)),
            None if b => chosen.push((seq, Batch::null_digest())),
            None => return None,
        }
    }
    Some(Decision { checkpoint, chosen })
}

fn count(s: &[ViewChange], holds: impl Fn(&ViewChange) -> bool) -> usize {
    s.iter().filter(|m| holds(m)).count()
}
