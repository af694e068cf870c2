//! Operations on counters through a client, and what to say where there is no result.

use std::time::Duration;

use actix::Addr;
use pbft_actors::actor::{Client, Committed, Invoke, InvokeError};
use pbft_actors::message::Refusal;

use crate::Failure;
use crate::service::{Counters, Operation};

/// Invokes an operation; one that only reads goes to the service's query.
pub(crate) async fn invoke(
    client: &Addr<Client>,
    operation: &Operation,
    timeout: Duration,
) -> Result<Committed, InvokeError> {
    let invoke = match operation {
        Operation::Get { .. } | Operation::List { .. } => Invoke::read_only(operation.encode()),
        Operation::Add { .. } | Operation::Panic => Invoke::new(operation.encode()),
    };
    client.send(invoke.timeout(timeout)).await.unwrap_or(Err(InvokeError::Stopped))
}

/// Cause and cure of an invocation without a result.
pub(crate) fn explain(error: &InvokeError) -> Failure {
    let cure = match error {
        InvokeError::Refused { refusal, .. } => cure_of(refusal),
        InvokeError::Unknown { .. } => {
            "it may still be executed, so adding again may count twice: look at the value first, and at \
             `pbft-demo status` for replicas that are gone"
        }
        InvokeError::NotSent => {
            "nothing was changed: start enough replicas (`pbft-demo status` shows which answer) and try again"
        }
        InvokeError::ResultDropped { .. } | InvokeError::SessionClosed { .. } => {
            "look at the value before adding again"
        }
        InvokeError::TooLarge { .. } => "send less at once",
        InvokeError::NoSuchRequest { .. } => "ask the process that sent it, within its life",
        InvokeError::Stopped => "start it again",
    };
    Failure::new(error.to_string(), cure)
}

fn cure_of(refusal: &Refusal) -> &'static str {
    match refusal.code {
        Counters::BAD_NAME => "choose another name",
        Counters::OVERFLOW => "add less; nothing was changed",
        Refusal::PANICKED => {
            "the operation was rolled back at every replica; report it with the replicas' logs"
        }
        Refusal::STATE_REFUSED => "the state is full: raise agreed.state_pages at every replica",
        _ => "nothing was changed; use the version of pbft-demo that the replicas run",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_is_not_known_warns_against_adding_twice() {
        let failure = explain(&InvokeError::NotSent);
        assert!(failure.cure.contains("pbft-demo status"), "{failure}");
        let refusal = Refusal::new(Counters::OVERFLOW, "too much");
        let id = pbft_actors::types::RequestId {
            client: pbft_actors::types::ClientId(1),
            session: Default::default(),
            timestamp: Default::default(),
        };
        assert!(
            explain(&InvokeError::Refused { id, seq: Default::default(), refusal }).cure.contains("add less")
        );
        assert!(explain(&InvokeError::Unknown { id }).cure.contains("twice"));
    }
}
