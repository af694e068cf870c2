use std::io::Write;
use std::time::Duration;

use actix::Addr;
use pbft_actors::actor::{Client, Committed};
use pbft_actors::codec::DecodeError;
use pbft_actors::types::ClientId;
use pbft_net::{Tcp, TcpConfig};

use super::{CounterAction, CounterArgs, log};
use crate::Failure;
use crate::config::{Cluster, KeyOwner, Member};
use crate::invoke::{explain, invoke};
use crate::service::{Counter, Counters, LIST_ENTRIES_MAX, Listing, Operation};

pub(super) fn run(args: CounterArgs) -> Result<(), Failure> {
    log::start("error");
    let CounterArgs { config, client, timeout, action } = args;
    let id = ClientId(client);
    let member = Member::load(&config, KeyOwner::Client(id))?;
    actix_rt::System::new().block_on(async move {
        let client = start(id, member)?;
        act(&Session { client, timeout }, action).await
    })
}

/// Starts a client of a cluster.
pub(super) fn start(id: ClientId, member: Member) -> Result<Addr<Client>, Failure> {
    let Member { cluster, identity } = member;
    let transport = Tcp::new(TcpConfig::client(cluster.addresses()));
    let Cluster { group, .. } = cluster;
    Client::builder(group, id, identity)
        .transport(transport)
        .service::<Counters>()
        .start()
        .map_err(|error| Failure::new(error.to_string(), "mend what is named, then try again"))
}

struct Session {
    client: Addr<Client>,
    timeout: Duration,
}

impl Session {
    async fn invoke(&self, operation: Operation) -> Result<Committed, Failure> {
        invoke(&self.client, &operation, self.timeout).await.map_err(|error| explain(&error))
    }
}

async fn act(session: &Session, action: CounterAction) -> Result<(), Failure> {
    match action {
        CounterAction::Add { name, by, repeat } => {
            for _ in 0..repeat {
                print_value(&session.invoke(Operation::Add { name: name.clone(), by }).await?)?;
            }
            Ok(())
        }
        CounterAction::Get { name } => print_value(&session.invoke(Operation::Get { name }).await?),
        CounterAction::List => list(session).await,
        CounterAction::Panic => session.invoke(Operation::Panic).await.map(|_| ()),
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let limit = LIST_ENTRIES_MAX as u32;
    let mut after = None;
    loop {
        let page = session.invoke(Operation::List { after, limit }).await?;
        let page = Listing::decode(&page.result).map_err(not_ours)?;
        for (name, value) in &page.counters {
            print_line(&format!("{name} {value}"))?;
        }
        after = page.counters.into_iter().next_back().map(|(name, _)| name);
        if !page.more || after.is_none() {
            return Ok(());
        }
    }
}

fn print_value(committed: &Committed) -> Result<(), Failure> {
    let counter = Counter::decode(&committed.result).map_err(not_ours)?;
    print_line(&counter.value.to_string())
}

/// Each line at once: it says that something is committed.
fn print_line(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(format!("cannot print {line:?}: {error}"), "give stdout a reader"))
}

fn not_ours(error: DecodeError) -> Failure {
    Failure::new(
        format!("the replicas answered with something else than a counter: {error}"),
        "use the version of pbft-demo that the replicas run",
    )
}
