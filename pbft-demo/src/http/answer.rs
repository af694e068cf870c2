use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use pbft_actors::actor::{Committed, InvokeError};
use pbft_actors::message::Refusal;
use pbft_actors::types::RequestId;
use serde_json::{Value, json};

use crate::invoke::explain;
use crate::service::{Counter, Counters, Listing};

/// What a request over HTTP is answered with; the same request may get it more than once.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Answer {
    status: StatusCode,
    body: Value,
    /// The request's name in the group, if it has one.
    pub(super) id: Option<RequestId>,
    pub(super) outcome: Known,
}

/// What is known of the operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// It was executed, or refused for good.
    Final,
    /// It may have been executed, or still be.
    Unknown,
    /// It was not executed and never will be.
    NotSent,
}

impl Answer {
    /// What became of an operation on one counter.
    pub(super) fn counter(outcome: Result<Committed, InvokeError>) -> Self {
        Self::of(outcome, |result| Counter::decode(result).ok().map(counter_json))
    }

    /// What became of a listing.
    pub(super) fn listing(outcome: Result<Committed, InvokeError>) -> Self {
        Self::of(outcome, |result| Listing::decode(result).ok().map(listing_json))
    }

    fn of(outcome: Result<Committed, InvokeError>, body: impl Fn(&[u8]) -> Option<Value>) -> Self {
        match outcome {
            Ok(committed) => {
                let id = Some(committed.id);
                let Some(mut body) = body(&committed.result) else {
                    let cure = "use the version of pbft-demo that the replicas run";
                    return Self::error(StatusCode::BAD_GATEWAY, "the result is no counter", cure);
                };
                body["id"] = json!(committed.id.to_string());
                Self { status: StatusCode::OK, body, id, outcome: Known::Final }
            }
            Err(error) => Self::failed(&error),
        }
    }

    fn failed(error: &InvokeError) -> Self {
        let failure = explain(error);
        let (status, id, outcome) = match error {
            InvokeError::Refused { id, refusal, .. } => (status_of(refusal), Some(*id), Known::Final),
            InvokeError::Unknown { id } => (StatusCode::GATEWAY_TIMEOUT, Some(*id), Known::Unknown),
            InvokeError::SessionClosed { id } | InvokeError::ResultDropped { id, .. } => {
                (StatusCode::GONE, Some(*id), Known::Final)
            }
            InvokeError::NoSuchRequest { id } => (StatusCode::NOT_FOUND, Some(*id), Known::Final),
            InvokeError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, None, Known::NotSent),
            InvokeError::NotSent | InvokeError::Stopped => {
                (StatusCode::SERVICE_UNAVAILABLE, None, Known::NotSent)
            }
        };
        let mut answer = Self { id, outcome, ..Self::error(status, &failure.cause, &failure.cure) };
        if let Some(id) = id {
            answer.body["id"] = json!(id.to_string());
        }
        if outcome == Known::Unknown
            && let Some(id) = id
        {
            answer.body["cure"] = json!(format!("GET /outcomes/{id} until it is known"));
        }
        answer
    }

    /// A fault of the request itself: nothing was sent to the group.
    pub(super) fn error(status: StatusCode, cause: &str, cure: &str) -> Self {
        Self { status, body: json!({ "error": cause, "cure": cure }), id: None, outcome: Known::NotSent }
    }

    pub(super) fn response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(&self.body)
    }
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal.code {
        Counters::BAD_NAME => StatusCode::BAD_REQUEST,
        Counters::OVERFLOW => StatusCode::CONFLICT,
        Refusal::STATE_REFUSED => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn counter_json(counter: Counter) -> Value {
    let Counter { name, value, seq, time } = counter;
    json!({ "name": name, "value": value, "seq": seq, "time": time })
}

fn listing_json(listing: Listing) -> Value {
    let Listing { counters, more, seq, time } = listing;
    let counters: Vec<Value> =
        counters.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({ "counters": counters, "more": more, "seq": seq, "time": time })
}

#[cfg(test)]
mod tests {
    use pbft_actors::types::{ClientId, Seq, SessionId, Timestamp};

    use super::*;

    const ID: RequestId = RequestId { client: ClientId(1), session: SessionId(2), timestamp: Timestamp(3) };

    fn refused(code: u32) -> InvokeError {
        InvokeError::Refused { id: ID, seq: Seq(4), refusal: Refusal::new(code, "why") }
    }

    #[test]
    fn an_unknown_outcome_is_504_with_the_id_and_where_to_ask() {
        let answer = Answer::counter(Err(InvokeError::Unknown { id: ID }));
        assert_eq!((answer.status.as_u16(), answer.outcome, answer.id), (504, Known::Unknown, Some(ID)));
        assert_eq!(answer.body["id"], "1-2-3");
        assert!(answer.body["cure"].as_str().unwrap().contains("GET /outcomes/1-2-3"));
    }

    #[test]
    fn each_failure_has_its_status_and_says_whether_the_key_may_be_used_again() {
        let cases = [
            (refused(Counters::BAD_NAME), 400, Known::Final),
            (refused(Counters::OVERFLOW), 409, Known::Final),
            (refused(Refusal::PANICKED), 500, Known::Final),
            (refused(Refusal::STATE_REFUSED), 507, Known::Final),
            (InvokeError::SessionClosed { id: ID }, 410, Known::Final),
            (InvokeError::ResultDropped { id: ID, seq: Seq(4) }, 410, Known::Final),
            (InvokeError::NoSuchRequest { id: ID }, 404, Known::Final),
            (InvokeError::NotSent, 503, Known::NotSent),
            (InvokeError::Stopped, 503, Known::NotSent),
        ];
        for (error, status, outcome) in cases {
            let answer = Answer::counter(Err(error.clone()));
            assert_eq!((answer.status.as_u16(), answer.outcome), (status, outcome), "{error}");
            assert!(answer.body["error"].is_string() && answer.body["cure"].is_string());
        }
    }
}
