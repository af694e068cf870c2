//! Stable certificates (PROTOCOL 6).

use super::*;

#[test]
fn a_checkpoint_is_durable_before_it_is_claimed() {
    let taken = CheckpointerInput::Taken(state(4));
    assert_eq!(effects(&mut checkpointer(3, 4), taken), claims(3, checkpoint(4)));
}

#[test]
fn a_replica_that_may_not_vote_claims_nothing() {
    let taken = CheckpointerInput::Taken(state(4));
    let told = [tell(OrdererInput::OwnCheckpoint(checkpoint(4)))];
    assert_eq!(effects(&mut silent(3, 4), taken), told);
}

/// Replica 3, which took checkpoint 4; what it claimed is durable.
fn taken(n: usize) -> Checkpointer {
    let mut replica = checkpointer(3, n);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    effects(&mut replica, own(3, checkpoint(4)));
    replica
}

#[test]
fn a_quorum_of_equal_checkpoints_is_stable() {
    let mut replica = taken(4);
    assert_eq!(effects(&mut replica, says(1, checkpoint(4))), []);
    assert_eq!(effects(&mut replica, says(2, checkpoint(4))), advances(checkpoint(4), &[1, 2, 3]));
}

#[test]
fn five_and_six_replicas_need_four() {
    for n in [5, 6] {
        let mut replica = taken(n);
        assert_eq!(effects(&mut replica, says(1, checkpoint(4))), [], "n={n}");
        assert_eq!(effects(&mut replica, says(2, checkpoint(4))), [], "n={n}");
        let stable = effects(&mut replica, says(4, checkpoint(4)));
        assert_eq!(stable, advances(checkpoint(4), &[1, 2, 3, 4]), "n={n}");
    }
}

#[test]
fn the_own_checkpoint_counts_only_once_it_is_durable() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    effects(&mut replica, says(1, checkpoint(4)));
    assert_eq!(effects(&mut replica, says(2, checkpoint(4))), []);
    assert_eq!(effects(&mut replica, own(3, checkpoint(4))), advances(checkpoint(4), &[1, 2, 3]));
}

#[test]
fn the_own_checkpoint_from_elsewhere_does_not_count() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    effects(&mut replica, says(1, checkpoint(4)));
    effects(&mut replica, says(2, checkpoint(4)));
    assert_eq!(effects(&mut replica, says(3, checkpoint(4))), []);
}

#[test]
fn one_sender_counts_once() {
    let mut replica = taken(4);
    effects(&mut replica, says(1, checkpoint(4)));
    assert_eq!(effects(&mut replica, says(1, checkpoint(4))), []);
}

#[test]
fn different_digests_are_not_counted_together() {
    let mut replica = taken(4);
    effects(&mut replica, says(1, checkpoint(4)));
    assert_eq!(effects(&mut replica, says(2, wrong(4))), []);
    assert_eq!(effects(&mut replica, says(0, checkpoint(4))), advances(checkpoint(4), &[0, 1, 3]));
}

#[test]
fn a_second_different_checkpoint_is_reported_and_does_not_count() {
    let mut replica_3 = taken(4);
    effects(&mut replica_3, says(1, checkpoint(4)));
    effects(&mut replica_3, says(2, wrong(4)));
    let what = "two different CHECKPOINTs for one seq";
    let reported = [Effect::Event(Event::Misbehaved { replica: replica(2), what })];
    assert_eq!(effects(&mut replica_3, says(2, checkpoint(4))), reported);
}

#[test]
fn a_checkpoint_under_a_void_log_does_not_count() {
    let mut replica_3 = taken(4);
    let log = LogId { number: 101, salt: 0 };
    effects(&mut replica_3, CheckpointerInput::PeerLog { replica: replica(2), log });
    effects(&mut replica_3, says(1, checkpoint(4)));
    assert_eq!(effects(&mut replica_3, says(2, checkpoint(4))), []);
    let valid = signer_with(2, log).sign(Kind::Checkpoint, checkpoint(4));
    let stable = effects(&mut replica_3, CheckpointerInput::Checkpoint(from(2, valid)));
    assert!(stable.contains(&tell(OrdererInput::Stable(Seq(4)))), "{stable:?}");
}

#[test]
fn a_checkpoint_whose_log_becomes_void_counts_no_longer() {
    let mut replica_3 = taken(4);
    effects(&mut replica_3, says(2, checkpoint(4)));
    let log = LogId { number: 101, salt: 0 };
    let rejoined = Rejoined { replica: replica(2), log, seq: Seq(3), target: Seq(16) };
    effects(&mut replica_3, CheckpointerInput::Rejoined(rejoined));
    assert_eq!(effects(&mut replica_3, says(1, checkpoint(4))), []);
    assert_eq!(effects(&mut replica_3, says(0, checkpoint(4))), advances(checkpoint(4), &[0, 1, 3]));
}

#[test]
fn a_checkpoint_at_or_below_the_stable_one_is_ignored() {
    let mut replica = taken(4);
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    assert_eq!(effects(&mut replica, says(1, wrong(4))), []);
    assert!(replica.votes.is_empty());
}

#[test]
fn of_one_sender_only_the_highest_few_are_kept() {
    let mut replica = checkpointer(3, 4);
    for seq in (4..=40).step_by(4) {
        effects(&mut replica, says(1, checkpoint(seq)));
    }
    let kept: Vec<u64> = replica.votes.keys().map(|seq| seq.0).collect();
    assert_eq!(kept, [28, 32, 36, 40]);
}

#[test]
fn a_certificate_is_as_good_as_its_votes() {
    let stable = effects(&mut taken(4), brings(checkpoint(4), &[0, 1, 2]));
    assert_eq!(stable, advances(checkpoint(4), &[0, 1, 2]));
}

/// Replica 3 once these have other logs.
fn taken_after_restart_of(restarted: &[u8]) -> Checkpointer {
    let mut replica_3 = taken(4);
    let log = LogId { number: 101, salt: 0 };
    for id in restarted {
        effects(&mut replica_3, CheckpointerInput::PeerLog { replica: replica(*id), log });
    }
    replica_3
}

#[test]
fn a_certificate_outlives_a_signers_log_while_weak_many_votes_count() {
    let stable = effects(&mut taken_after_restart_of(&[2]), brings(checkpoint(4), &[0, 1, 2]));
    assert_eq!(stable, advances(checkpoint(4), &[0, 1, 2]));
}

#[test]
fn a_certificate_of_which_fewer_than_weak_many_votes_count_is_ignored() {
    let ignored = effects(&mut taken_after_restart_of(&[1, 2]), brings(checkpoint(4), &[0, 1, 2]));
    assert_eq!(ignored, []);
}

#[test]
fn what_is_stable_elsewhere_is_stable_here_once_it_is_taken_and_not_claimed() {
    let mut with_certificate = checkpointer(3, 4);
    assert_eq!(effects(&mut with_certificate, brings(checkpoint(4), &[0, 1, 2])), []);
    let mut with_votes = checkpointer(3, 4);
    for id in [0, 1, 2] {
        assert_eq!(effects(&mut with_votes, says(id, checkpoint(4))), []);
    }
    for mut replica in [with_certificate, with_votes] {
        let taken = effects(&mut replica, CheckpointerInput::Taken(state(4)));
        assert_eq!(taken, reaches(checkpoint(4), &[0, 1, 2]));
    }
}

#[test]
fn a_checkpoint_at_or_below_the_stable_one_is_not_claimed() {
    let mut replica = taken(4);
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    for seq in [4, 8] {
        let told = [tell(OrdererInput::OwnCheckpoint(checkpoint(seq)))];
        assert_eq!(effects(&mut replica, CheckpointerInput::Taken(state(seq))), told, "{seq}");
    }
}

#[test]
fn a_checkpoint_above_the_stable_one_is_claimed() {
    let mut replica = checkpointer(3, 4);
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    effects(&mut replica, CheckpointerInput::Taken(state(4)));
    let taken = effects(&mut replica, CheckpointerInput::Taken(state(8)));
    assert_eq!(taken, claims(3, checkpoint(8)));
}

#[test]
fn a_stale_certificate_is_ignored() {
    let mut replica = taken(4);
    effects(&mut replica, CheckpointerInput::Taken(state(8)));
    effects(&mut replica, brings(checkpoint(8), &[0, 1, 2]));
    assert_eq!(effects(&mut replica, brings(checkpoint(4), &[0, 1, 2])), []);
    assert_eq!(effects(&mut replica, brings(checkpoint(8), &[0, 1, 2])), []);
}

#[test]
fn a_state_that_differs_from_a_stable_one_is_said_loudly_and_repaired() {
    let mut replica_3 = checkpointer(3, 4);
    effects(&mut replica_3, CheckpointerInput::Taken(wrong_state(4)));
    let diverged = Event::Diverged { seq: Seq(4), own: wrong(4).digest, stable: checkpoint(4).digest };
    let expected = [
        Effect::Event(diverged),
        Effect::Event(Event::Behind { target: Seq(4) }),
        tell(BatcherInput::Transferring(true)),
        tell(ViewChangerInput::Transferring(true)),
        probe(0, 4, 1),
        probe(1, 4, 2),
        probe(2, 4, 3),
    ];
    assert_eq!(effects(&mut replica_3, brings(checkpoint(4), &[0, 1, 2])), expected);
}

#[test]
fn two_stable_digests_at_one_seq_stop_the_replica() {
    let mut replica = taken(4);
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    let stopped = effects(&mut replica, brings(wrong(4), &[0, 1, 2]));
    assert!(matches!(&stopped[..], [Effect::Event(Event::Fatal { .. })]), "{stopped:?}");
}

#[test]
fn who_is_behind_gets_the_certificate() {
    let mut replica = taken(4);
    effects(&mut replica, brings(checkpoint(4), &[0, 1, 2]));
    let held = Message::Certificate(Arc::new(certificate(checkpoint(4), &[0, 1, 2])));
    assert_eq!(effects(&mut replica, status(1, 0, 1)), [send(1, held)]);
    assert_eq!(effects(&mut replica, status(2, 4, 5)), []);
}

#[test]
fn who_lacks_a_checkpoint_that_is_not_stable_gets_the_own_one_again() {
    let mut replica = taken(4);
    let again = Message::Checkpoint(signed_by(3, checkpoint(4)));
    assert_eq!(effects(&mut replica, status(1, 0, 1)), [send(1, again)]);
    assert_eq!(effects(&mut replica, status(2, 4, 5)), []);
}

#[test]
fn a_peer_is_answered_once_per_interval() {
    let mut replica = taken(4);
    assert_eq!(step(&mut replica, at(0), status(1, 0, 1)).effects.len(), 1);
    assert_eq!(step(&mut replica, at(49), status(1, 0, 1)).effects, []);
    assert_eq!(step(&mut replica, at(50), status(1, 0, 1)).effects.len(), 1);
}
