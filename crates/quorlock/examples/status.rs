//! Says what each node is, and ends with 1 where no lock could be had now: for a look at night, and for the check of a
//! deployment. It takes no lock, but is a client like any other: one with other settings than the service's (`node_names`,
//! `prefix`, `max_ttl`, `durable_nodes`, TLS) is refused, or marks nodes wrongly that nobody else has seen yet. So a service
//! with more settings than these has this as a command of its own, on its own handle.
//!
//! `QUORLOCK_NODES=redis://a,redis://b,redis://c cargo run -p quorlock --example status`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use quorlock::Redlock;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let mut builder = Redlock::builder(nodes.split(','));
    if let Ok(prefix) = std::env::var("QUORLOCK_PREFIX") {
        builder = builder.prefix(prefix);
    }
    if let Ok(seconds) = std::env::var("QUORLOCK_MAX_TTL") {
        builder = builder.max_ttl(Duration::from_secs(seconds.parse()?));
    }
    if let Ok(names) = std::env::var("QUORLOCK_NAMES") {
        builder = builder.node_names(names.split(','));
    }
    if std::env::var("QUORLOCK_DURABLE").is_ok() {
        builder = builder.durable_nodes();
    }
    let redlock = builder.build()?;
    for (node, standing) in redlock.connect().await? {
        println!("{node}: {standing}");
    }
    Ok(if redlock.has_quorum() {
        println!("a quorum votes");
        ExitCode::SUCCESS
    } else {
        println!("no quorum votes: nobody gets a lock now");
        ExitCode::FAILURE
    })
}
