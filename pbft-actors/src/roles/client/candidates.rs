use smallvec::SmallVec;

use crate::crypto::Digest;
use crate::message::{Outcome, Reply, ReplyResult};
use crate::types::{Quorums, ReplicaId, Seq, View};

/// The replies to one request, sorted by what they say; of each replica only its last one counts. As a
/// rule all say the same, so a result is hashed only where some came in full and others as a digest.
#[derive(Default)]
pub(super) struct Candidates(SmallVec<[Candidate; 1]>);

/// Replies that match.
struct Candidate {
    seq: Seq,
    /// In full as soon as one reply had it so.
    result: ReplyResult,
    /// Who says so: as committed, or as tentative in a view.
    votes: SmallVec<[(ReplicaId, Option<View>); 4]>,
}

impl Candidate {
    fn is(&self, reply: &Reply) -> bool {
        self.seq == reply.seq && same(&self.result, &reply.result, reply.request_digest)
    }

    /// Weak-many committed ones, or Q together with those that are tentative in one view: what prepared
    /// at fewer than Q replicas in each of two views may be gone in the third.
    fn is_enough(&self, quorums: Quorums) -> bool {
        let count = |wanted: Option<View>| self.votes.iter().filter(|(_, view)| *view == wanted).count();
        let committed = count(None);
        let in_one_view = |view: View| committed + count(Some(view)) >= quorums.quorum();
        committed >= quorums.weak() || self.votes.iter().any(|(_, view)| view.is_some_and(in_one_view))
    }

    fn forget(&mut self, replica: ReplicaId) {
        self.votes.retain(|(voter, _)| *voter != replica);
    }
}

impl Candidates {
    /// Counts a reply; the outcome once enough match and one of them came in full.
    pub(super) fn on_reply(
        &mut self,
        quorums: Quorums,
        replica: ReplicaId,
        reply: &Reply,
    ) -> Option<(Seq, Outcome)> {
        self.0.iter_mut().for_each(|candidate| candidate.forget(replica));
        let at = match self.0.iter().position(|candidate| candidate.is(reply)) {
            Some(at) => at,
            None => {
                let (seq, result) = (reply.seq, reply.result.clone());
                self.0.push(Candidate { seq, result, votes: SmallVec::new() });
                self.0.len() - 1
            }
        };
        let candidate = &mut self.0[at];
        if let (ReplyResult::Digest(_), ReplyResult::Full(_)) = (&candidate.result, &reply.result) {
            candidate.result = reply.result.clone();
        }
        candidate.votes.push((replica, reply.tentative.then_some(reply.view)));
        let (seq, enough) = (candidate.seq, candidate.is_enough(quorums));
        let outcome = enough.then(|| self.outcome(at, reply.request_digest)).flatten();
        // Or one replica could make it grow with every reply.
        self.0.retain(|candidate| !candidate.votes.is_empty());
        outcome.map(|outcome| (seq, outcome))
    }

    /// Whether a quorum may still come to say the same.
    pub(super) fn may_agree(&self, quorums: Quorums) -> bool {
        let counts = self.0.iter().map(|candidate| candidate.votes.len());
        let (most, heard) = counts.fold((0, 0), |(most, sum), count| (count.max(most), sum + count));
        most + (quorums.n() - heard) >= quorums.quorum()
    }

    /// Whether enough replicas say the same: a request that is still open then lacks the result itself.
    pub(super) fn is_agreed(&self, quorums: Quorums) -> bool {
        self.0.iter().any(|candidate| candidate.is_enough(quorums))
    }

    /// The outcome that a candidate's digest is of, whoever sent it.
    fn outcome(&self, at: usize, request: Digest) -> Option<Outcome> {
        let wanted = &self.0[at].result;
        self.0.iter().find_map(|candidate| match &candidate.result {
            ReplyResult::Full(outcome) if same(wanted, &candidate.result, request) => Some(outcome.clone()),
            ReplyResult::Full(_) | ReplyResult::Digest(_) => None,
        })
    }
}

/// Whether two replies to a request say the same: outcomes are equal exactly if their digests are.
fn same(one: &ReplyResult, other: &ReplyResult, request: Digest) -> bool {
    match (one, other) {
        (ReplyResult::Full(one), ReplyResult::Full(other)) => one == other,
        (one, other) => one.digest(request) == other.digest(request),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::{ClientId, RequestId, SessionId, Timestamp};

    fn full(text: &'static str) -> ReplyResult {
        ReplyResult::Full(Outcome::Done(Bytes::from_static(text.as_bytes())))
    }

    fn digest(text: &'static str) -> ReplyResult {
        ReplyResult::Digest(full(text).digest(Digest::of(b"request")))
    }

    /// What came of replies `(replica, tentative, seq, result)` to one request, in a group of four.
    fn outcomes(replies: &[(u8, bool, u64, ReplyResult)]) -> Vec<bool> {
        let mut candidates = Candidates::default();
        let request = RequestId { client: ClientId(0), session: SessionId(1), timestamp: Timestamp(1) };
        let answer = |(replica, tentative, seq, result): &(u8, bool, u64, ReplyResult)| {
            let (request_digest, result) = (Digest::of(b"request"), result.clone());
            let reply = Reply {
                view: View(0),
                tentative: *tentative,
                request,
                request_digest,
                seq: Seq(*seq),
                result,
            };
            candidates.on_reply(Quorums::new(4).unwrap(), ReplicaId(*replica), &reply).is_some()
        };
        let all = replies.iter().map(answer).collect();
        assert!(candidates.0.len() <= 4, "at most one for each replica");
        all
    }

    #[test]
    fn weak_many_committed_replies_or_a_quorum_of_tentative_ones() {
        assert_eq!(outcomes(&[(0, false, 1, full("a")), (1, false, 1, full("a"))]), [false, true]);
        let tentative = |replica| (replica, true, 1, full("a"));
        assert_eq!(outcomes(&[tentative(0), tentative(1), tentative(2)]), [false, false, true]);
        assert_eq!(outcomes(&[tentative(0), (1, false, 1, full("a")), tentative(2)]), [false, false, true]);
    }

    #[test]
    fn tentative_replies_of_two_views_do_not_add_up() {
        let reply = |view, tentative| Reply {
            view: View(view),
            tentative,
            request: RequestId { client: ClientId(0), session: SessionId(1), timestamp: Timestamp(1) },
            request_digest: Digest::of(b"request"),
            seq: Seq(1),
            result: full("a"),
        };
        let outcome = |replies: &[(u8, u64, bool)]| {
            let mut candidates = Candidates::default();
            let quorums = Quorums::new(4).unwrap();
            let answers = replies.iter().map(|(replica, view, tentative)| {
                let reply = reply(*view, *tentative);
                candidates.on_reply(quorums, ReplicaId(*replica), &reply).is_some()
            });
            answers.collect::<Vec<bool>>()
        };
        assert_eq!(outcome(&[(0, 0, true), (1, 1, true), (2, 1, true)]), [false; 3]);
        let again = [(0, 0, true), (1, 1, true), (2, 1, true), (0, 1, true)];
        assert_eq!(outcome(&again), [false, false, false, true]);
        assert_eq!(outcome(&[(0, 0, false), (1, 1, true), (2, 1, true)]), [false, false, true]);
    }

    #[test]
    fn what_differs_does_not_match_and_a_replica_counts_once() {
        for other in [(1, false, 1, full("b")), (1, false, 2, full("a")), (0, false, 1, full("a"))] {
            assert_eq!(outcomes(&[(0, false, 1, full("a")), other]), [false, false]);
        }
        let changes_its_mind = [
            (0, false, 1, full("a")),
            (0, false, 1, full("b")),
            (0, false, 1, full("c")),
            (1, false, 1, full("a")),
            (2, false, 1, full("a")),
        ];
        assert_eq!(outcomes(&changes_its_mind), [false, false, false, false, true]);
    }

    #[test]
    fn one_reply_in_full_is_enough_and_needed() {
        assert_eq!(outcomes(&[(0, false, 1, digest("a")), (1, false, 1, digest("a"))]), [false, false]);
        assert_eq!(outcomes(&[(0, false, 1, digest("a")), (1, false, 1, full("a"))]), [false, true]);
        assert_eq!(outcomes(&[(0, false, 1, full("a")), (1, false, 1, digest("a"))]), [false, true]);
        // Its place is wrong, but its digest is what weak-many vouch for.
        let elsewhere = (3, false, 9, full("a"));
        assert_eq!(
            outcomes(&[elsewhere, (0, false, 1, digest("a")), (1, false, 1, digest("a"))]),
            [false, false, true]
        );
    }
}
