use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What the HTTP servers say of themselves is of no use to an operator.
const QUIET: &str = "actix_server=warn,actix_web=warn";

/// Logs to stderr: what RUST_LOG says, or else from this level on.
pub(super) fn start(default: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{default},{QUIET}")));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only if a subscriber is there already, which is then the one to use.
    let _one_is_there = subscriber.try_init();
}
