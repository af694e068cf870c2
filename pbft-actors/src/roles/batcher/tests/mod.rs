//! The batcher, rule by rule.

mod admission;
mod disputes;
mod jumped;
mod patience;
mod propose;
mod timer;
mod view;

use super::*;
use crate::message::Batch;
use crate::role::{Effect, TimerChange, ViewChangerInput};
use crate::roles::testing::*;
use crate::types::{ClientId, SessionId, Timestamp};

/// The one who is asked, of four, in view 0, with K = 4 and T = 1 s.
fn batcher(own: u8) -> Batcher {
    tuned(own, |_| {})
}

fn tuned(own: u8, change: impl FnOnce(&mut Tuning)) -> Batcher {
    let mut tuning = Tuning::default();
    change(&mut tuning);
    Batcher::new(BatcherConfig {
        own: replica(own),
        quorums: quorums(4),
        checkpoint_interval: 4,
        signed_requests: false,
        tuning,
        service: TestService::shared(),
        entropy: digest(1),
    })
}

fn admitted(requests: &[&Request]) -> BatcherInput {
    BatcherInput::Admitted(requests.iter().map(|request| from_client(request)).collect())
}

/// Requests that a backup passed on.
fn forwarded(by: u8, requests: &[&Request]) -> BatcherInput {
    BatcherInput::Admitted(requests.iter().map(|request| from(by, (*request).clone())).collect())
}

fn executed(seq: u64, requests: &[&Request]) -> BatcherInput {
    let requests = requests.iter().map(|request| request.id()).collect();
    BatcherInput::Executed(Finished { seq: Seq(seq), requests, ..Finished::default() })
}

fn granted(view: u64, next: u64, credits: usize) -> BatcherInput {
    BatcherInput::Grant(Grant { view: View(view), next: Seq(next), credits })
}

fn entered(view: u64) -> BatcherInput {
    BatcherInput::Entered(Entered { view: View(view), timeout: Millis(1_000) })
}

/// A client's request on its way to a replica.
fn forward(to: u8, request: &Request) -> Effect {
    Effect::Send(To::Replica(replica(to)), Message::Request(request.clone()))
}

fn suspect(view: u64) -> Effect {
    tell(ViewChangerInput::Suspect(View(view)))
}

fn armed(milliseconds: u64) -> [TimerChange<BatcherTimer>; 1] {
    [TimerChange::Arm(BatcherTimer::Request, deadline(milliseconds))]
}

const DISARMED: [TimerChange<BatcherTimer>; 1] = [TimerChange::Disarm(BatcherTimer::Request)];

/// What is proposed at the end of a turn: view, and (client, timestamp) of every request, per batch.
fn turn_end(batcher: &mut Batcher) -> Vec<(u64, Vec<(u32, u64)>)> {
    let proposals = effects(batcher, BatcherInput::TurnEnd);
    let named = |batch: &Batch| {
        let ids = batch.requests().iter().map(Request::id);
        ids.map(|id| (id.client.0, id.timestamp.0)).collect()
    };
    let proposal = |effect| match effect {
        Effect::Tell(crate::role::Mail::Orderer(OrdererInput::Propose { view, batch })) => {
            (view.0, named(&batch))
        }
        other => unreachable!("a turn's end only proposes: {other:?}"),
    };
    proposals.into_iter().map(proposal).collect()
}
