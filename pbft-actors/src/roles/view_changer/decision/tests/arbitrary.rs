//! VIEW-CHANGEs of any content that is let in, dense enough that digests, views and quorums collide.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::naive::naive;
use super::*;

/// Seqs that any of these VIEW-CHANGEs can name.
const SEQS: usize = 28;

/// One entry at one seq, before it is known which seqs are inside the window.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Whatever most have here.
    Usual,
    Nothing,
    Other(Digest, View),
}

#[derive(Clone, Debug)]
struct Case {
    n: usize,
    window: u64,
    votes: Vec<ViewChange>,
}

fn digests() -> impl Strategy<Value = Digest> {
    select(vec![Batch::null_digest(), digest(1), digest(2)])
}

fn views() -> impl Strategy<Value = View> {
    (5..NEXT.0).prop_map(View)
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        6 => Just(Place::Usual),
        1 => Just(Place::Nothing),
        1 => (digests(), views()).prop_map(|(digest, view)| Place::Other(digest, view)),
    ]
}

prop_compose! {
    /// What one replica says, true or not.
    fn view_change(interval: u64, window: u64, usual: Vec<Option<(Digest, View)>>)(
        stable in prop_oneof![5 => Just(0_u64), 2 => Just(1), 1 => 2_u64..4],
        own_state in prop_oneof![8 => Just(0_u8), 1 => Just(1)],
        listed in vec(prop_oneof![5 => Just(Some(0_u8)), 1 => Just(Some(1)), 2 => Just(None)], 16),
        prepared in vec(place(), SEQS),
        pre_prepared in vec(place(), SEQS),
        more in vec(proptest::option::weighted(0.2, (digests(), views())), SEQS),
    ) -> ViewChange {
        let stable = stable * interval;
        let at = |seq: u64, place: Place| match place {
            Place::Usual => usual[seq as usize - 1],
            Place::Nothing => None,
            Place::Other(digest, view) => Some((digest, view)),
        };
        let inside = |seq: &u64| stable < *seq && *seq <= stable + window && *seq <= SEQS as u64;
        let mut message = said(stable).without_checkpoints().0;
        for (number, fault) in listed.iter().enumerate() {
            let seq = number as u64 * interval;
            if let Some(fault) = fault.filter(|_| stable <= seq && seq <= stable + window) {
                let digest = digest(200 + own_state + fault);
                message.checkpoints.push(Checkpoint { seq: Seq(seq), digest });
            }
        }
        for seq in (1..=SEQS as u64).filter(inside) {
            let index = seq as usize - 1;
            if let Some((digest, view)) = at(seq, prepared[index]) {
                message.prepared.push(Prepared { seq: Seq(seq), digest, view });
            }
            let promised = at(seq, pre_prepared[index]).into_iter().chain(more[index]);
            let promised: BTreeMap<Digest, View> = promised.collect();
            message.pre_prepared.extend(
                promised.into_iter().map(|(digest, view)| PrePrepared { seq: Seq(seq), digest, view }),
            );
        }
        message
    }
}

fn case() -> impl Strategy<Value = Case> {
    let usual = vec(proptest::option::weighted(0.8, (digests(), views())), SEQS);
    // Named seqs end somewhere, so that short histories are tried too.
    let length = prop_oneof![3 => 0..6_usize, 1 => 0..SEQS];
    (select(SIZES.to_vec()), 2..5_u64, 2..5_u64, usual, length).prop_flat_map(
        |(n, interval, intervals, mut usual, length)| {
            usual[length..].fill(None);
            let window = interval * intervals;
            let count = Quorums::new(n).unwrap().quorum() - 1..=n;
            let votes =
                count.prop_flat_map(move |count| vec(view_change(interval, window, usual.clone()), count));
            votes.prop_map(move |votes| {
                assert!(votes.iter().all(|vote| vote.is_valid(interval, window)));
                Case { n, window, votes }
            })
        },
    )
}

fn decided(case: &Case) -> Option<Decision> {
    let votes: Vec<&ViewChange> = case.votes.iter().collect();
    decide(Quorums::new(case.n).unwrap(), case.window, &votes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn both_implementations_agree(case in case()) {
        prop_assert_eq!(decided(&case), naive(case.n, case.window, &case.votes));
    }

    #[test]
    fn the_order_of_the_votes_does_not_matter(
        (case, shuffled) in case().prop_flat_map(|case| {
            let shuffled = Just(case.votes.clone()).prop_shuffle();
            (Just(case), shuffled)
        }),
    ) {
        let other = Case { votes: shuffled, ..case.clone() };
        prop_assert_eq!(decided(&case), decided(&other));
    }

    #[test]
    fn a_decision_covers_every_seq_up_to_the_last_without_a_gap(case in case()) {
        if let Some(decision) = decided(&case) {
            let seqs: Vec<Seq> = decision.chosen.iter().map(|(seq, _)| *seq).collect();
            let low = decision.checkpoint.seq.0;
            let expected: Vec<Seq> = (low + 1..=low + seqs.len() as u64).map(Seq).collect();
            prop_assert_eq!(&seqs, &expected);
            prop_assert!(seqs.len() as u64 <= case.window);
        }
    }

    #[test]
    fn a_digest_that_fewer_than_weak_many_name_is_never_chosen(
        (case, silent) in case().prop_flat_map(|case| {
            let senders: Vec<usize> = (0..case.votes.len()).collect();
            let f = Quorums::new(case.n).unwrap().f();
            (Just(case), subsequence(senders, f))
        }),
    ) {
        // Exactly f invent a batch at every seq they can.
        let invented = digest(66);
        let mut case = case;
        for liar in silent {
            let vote = &mut case.votes[liar];
            for entry in &mut vote.prepared {
                entry.digest = invented;
            }
            let seqs: BTreeSet<Seq> = vote.prepared.iter().map(|entry| entry.seq).collect();
            let lies = seqs.into_iter().map(|seq| PrePrepared { seq, digest: invented, view: View(8) });
            vote.pre_prepared.extend(lies);
            vote.pre_prepared.sort();
        }
        if let Some(decision) = decided(&case) {
            prop_assert!(decision.chosen.iter().all(|(_, digest)| *digest != invented));
        }
    }
}
