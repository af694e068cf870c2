//! A replica's read-only endpoint for operators: `/status`, `/healthz`, `/metrics`. It shows nothing
//! secret and changes nothing, and proves nobody's identity: keep it on a loopback address.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use actix::Addr;
use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, web};
use pbft_actors::actor::Replica;
use pbft_actors::types::{Quorums, ReplicaId};

use crate::report::ReplicaReport;
use crate::{Failure, metrics};

/// Whom the endpoint speaks for.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) id: ReplicaId,
    pub(crate) replica: Addr<Replica>,
    pub(crate) quorums: Quorums,
}

impl Subject {
    async fn report(&self) -> Option<ReplicaReport> {
        ReplicaReport::of(&self.replica, self.quorums).await
    }
}

/// How long a port may still be in use by a process that was killed just now.
const BIND_PATIENCE: Duration = Duration::from_secs(2);
/// Rest between two attempts to bind.
const BIND_PAUSE: Duration = Duration::from_millis(50);

/// Binds a socket, once whoever was killed a moment ago has let go of it.
pub(crate) fn bind_patiently(address: &str, key: &str) -> Result<TcpListener, Failure> {
    let start = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && start.elapsed() < BIND_PATIENCE => {
                thread::sleep(BIND_PAUSE);
            }
            Ok(listener) => return Ok(listener),
            Err(_) => return bind(address, key),
        }
    }
}

/// Binds a socket.
pub(crate) fn bind(address: &str, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        Failure::new(
            format!("cannot listen at {key} = {address}: {error}"),
            "stop what uses the port, or choose another one",
        )
    })
}

/// Serves until the returned handle stops it.
pub(crate) fn serve(listener: TcpListener, subject: Subject) -> Result<ServerHandle, Failure> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(subject.clone()))
            .route("/status", web::get().to(status))
            .route("/healthz", web::get().to(health))
            .route("/metrics", web::get().to(metrics_text))
    });
    run(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener).map(HttpServer::run))
}

/// Runs a server in the background.
pub(crate) fn run(server: std::io::Result<Server>) -> Result<ServerHandle, Failure> {
    let server = server
        .map_err(|error| Failure::new(format!("cannot serve HTTP: {error}"), "choose another address"))?;
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}

async fn status(subject: web::Data<Subject>) -> HttpResponse {
    match subject.report().await {
        Some(report) => HttpResponse::Ok().json(report),
        None => stopped(),
    }
}

async fn health(subject: web::Data<Subject>) -> HttpResponse {
    match subject.report().await {
        Some(report) if report.voting => HttpResponse::Ok().body("ok\n"),
        Some(_) => HttpResponse::ServiceUnavailable().body("the group has not let this replica in yet\n"),
        None => stopped(),
    }
}

async fn metrics_text(subject: web::Data<Subject>) -> HttpResponse {
    let report = subject.report().await;
    let text = metrics::render(report.iter().map(|report| (subject.id.0, report)));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}

fn stopped() -> HttpResponse {
    HttpResponse::ServiceUnavailable().body("the replica has stopped\n")
}
