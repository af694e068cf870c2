//! The counters over HTTP, in front of the embedded cluster.

mod answer;
mod bounded;
mod outcomes;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::dev::ServerHandle;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use pbft_actors::actor::{Ask, Client, InvokeError, Replica};
use pbft_actors::types::{Quorums, RequestId};
use serde::Deserialize;
use serde_json::json;

use crate::invoke::invoke;
use crate::report::{ClusterReport, ReplicaReport, ReplicaState};
use crate::service::{LIST_ENTRIES_MAX, Operation};
use crate::{Failure, admin, metrics};
use answer::{Answer, Known};
use outcomes::{Claim, KEY_BYTES_MAX, Outcomes, Pending, parse_id};

/// How long an operation may take before its outcome is reported as unknown.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `GET /outcomes/ID` waits for what is not known yet.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 4 << 10;

/// The header that makes an addition one addition however often it is sent.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// What the server stands in front of.
pub(crate) struct Front {
    pub(crate) client: Addr<Client>,
    pub(crate) replicas: Vec<(String, Addr<Replica>)>,
    pub(crate) quorums: Quorums,
}

struct Shared {
    front: Front,
    outcomes: Outcomes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    by: i64,
}

#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<u32>,
}

/// Serves until the returned handle stops it.
pub(crate) fn serve(listener: TcpListener, front: Front) -> Result<ServerHandle, Failure> {
    let shared = Arc::new(Shared { front, outcomes: Outcomes::default() });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&shared)))
            .app_data(
                web::JsonConfig::default().limit(BODY_BYTES_MAX).content_type_required(false).error_handler(
                    |error, _| {
                        let cure = "send {\"by\": N} with a whole number N";
                        refuse(&format!("the body is no addition: {error}"), cure)
                    },
                ),
            )
            .app_data(web::QueryConfig::default().error_handler(|error, _| {
                refuse(&format!("the query means nothing: {error}"), "use ?after=NAME&limit=N")
            }))
            .route("/counters", web::get().to(list))
            .route("/counters/{name}", web::get().to(get))
            .route("/counters/{name}/add", web::post().to(add))
            .route("/outcomes/{id}", web::get().to(outcome))
            .route("/healthz", web::get().to(health))
            .route("/status", web::get().to(status))
            .route("/metrics", web::get().to(metrics_text))
            .default_service(web::to(nothing_here))
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(1).listen(listener);
    admin::run(server.map(HttpServer::run))
}

fn refuse(cause: &str, cure: &str) -> actix_web::Error {
    let response = Answer::error(StatusCode::BAD_REQUEST, cause, cure).response();
    InternalError::from_response(cause.to_owned(), response).into()
}

async fn nothing_here() -> HttpResponse {
    let cure =
        "POST /counters/NAME/add, GET /counters/NAME, /counters, /outcomes/ID, /healthz, /status, /metrics";
    Answer::error(StatusCode::NOT_FOUND, "nothing is served by this method and path", cure).response()
}

async fn get(shared: web::Data<Shared>, name: web::Path<String>) -> HttpResponse {
    let operation = Operation::Get { name: name.into_inner() };
    Answer::counter(invoke(&shared.front.client, &operation, INVOKE_TIMEOUT).await).response()
}

async fn list(shared: web::Data<Shared>, page: web::Query<Page>) -> HttpResponse {
    let Page { after, limit } = page.into_inner();
    let operation = Operation::List { after, limit: limit.unwrap_or(LIST_ENTRIES_MAX as u32) };
    Answer::listing(invoke(&shared.front.client, &operation, INVOKE_TIMEOUT).await).response()
}

async fn add(
    shared: web::Data<Shared>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Json<AddBody>,
) -> HttpResponse {
    let operation = Operation::Add { name: name.into_inner(), by: body.by };
    let Some(header) = request.headers().get(IDEMPOTENCY_KEY) else {
        return add_now(&shared, &operation).await.response();
    };
    match header.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX) {
        Some(key) => add_once(shared.into_inner(), key, operation).await.response(),
        None => {
            let cause = format!("{IDEMPOTENCY_KEY} is not 1 to {KEY_BYTES_MAX} printable characters");
            Answer::error(StatusCode::BAD_REQUEST, &cause, "use a new random key per addition").response()
        }
    }
}

async fn add_now(shared: &Shared, operation: &Operation) -> Answer {
    let answer = Answer::counter(invoke(&shared.front.client, operation, INVOKE_TIMEOUT).await);
    shared.outcomes.note(&answer);
    answer
}

/// Sends the operation unless this key has sent it already; then tells what became of it.
async fn add_once(shared: Arc<Shared>, key: &str, operation: Operation) -> Answer {
    let pending = match shared.outcomes.claim(key, &operation.encode()) {
        Claim::Other => {
            let cause = format!("this {IDEMPOTENCY_KEY} was used for another addition");
            return Answer::error(StatusCode::UNPROCESSABLE_ENTITY, &cause, "use a new key per addition");
        }
        Claim::Sent(pending) => pending,
        Claim::New(sender) => {
            let (pending, key, shared) = (sender.subscribe(), key.to_owned(), Arc::clone(&shared));
            // On its own: the caller may hang up, and ask again under the same key.
            actix_rt::spawn(async move {
                let answer = add_now(&shared, &operation).await;
                if answer.outcome == Known::NotSent {
                    shared.outcomes.forget(&key);
                }
                sender.send_replace(Some(answer));
            });
            pending
        }
    };
    let answer = settled(pending).await;
    match answer.id {
        Some(id) if answer.outcome == Known::Unknown => outcome_of(&shared, id).await,
        _ => answer,
    }
}

async fn settled(mut pending: Pending) -> Answer {
    let answer = pending.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    answer.unwrap_or_else(|| {
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the addition was given up", "look at the value")
    })
}

async fn outcome(shared: web::Data<Shared>, id: web::Path<String>) -> HttpResponse {
    match parse_id(&id) {
        Some(id) => outcome_of(&shared, id).await.response(),
        None => {
            let cure = "use the id of an answer, CLIENT-SESSION-NUMBER";
            Answer::error(StatusCode::BAD_REQUEST, "this is no id of an outcome", cure).response()
        }
    }
}

async fn outcome_of(shared: &Shared, id: RequestId) -> Answer {
    let known = shared.outcomes.known(id);
    if let Some(known) = &known
        && known.outcome == Known::Final
    {
        return known.clone();
    }
    let asked = shared.front.client.send(Ask { id, timeout: ASK_TIMEOUT }).await;
    match (asked.unwrap_or(Err(InvokeError::Stopped)), known) {
        // Somebody else asks for it at this moment.
        (Err(InvokeError::NoSuchRequest { .. }), Some(unknown)) => unknown,
        (outcome, _) => {
            let answer = Answer::counter(outcome);
            shared.outcomes.note(&answer);
            answer
        }
    }
}

async fn reports(front: &Front) -> Vec<ReplicaState> {
    let mut states = Vec::new();
    for (id, (address, replica)) in (0..).zip(&front.replicas) {
        let report = ReplicaReport::of(replica, front.quorums).await;
        let problem = report.is_none().then(|| "it has stopped".to_owned());
        states.push(ReplicaState {
            id,
            address: address.clone(),
            reachable: report.is_some(),
            problem,
            report,
        });
    }
    states
}

async fn status(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(ClusterReport { replicas: reports(&shared.front).await })
}

/// Healthy while a quorum votes: then the group answers.
async fn health(shared: web::Data<Shared>) -> HttpResponse {
    let states = reports(&shared.front).await;
    let voting =
        states.iter().filter(|state| state.report.as_ref().is_some_and(|report| report.voting)).count();
    let needed = shared.front.quorums.quorum();
    let body = json!({ "ok": voting >= needed, "voting": voting, "needed": needed });
    if voting >= needed {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

async fn metrics_text(shared: web::Data<Shared>) -> HttpResponse {
    let states = reports(&shared.front).await;
    let reports = states.iter().filter_map(|state| state.report.as_ref().map(|report| (state.id, report)));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics::render(reports))
}
