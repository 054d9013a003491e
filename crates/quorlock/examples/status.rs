//! Says what each node is, and ends with 1 where no lock could be had now: for a look at night, and for the check of a
//! deployment. It takes no lock. Like every client, it has to have the service's own nodes, `prefix` and `max_ttl`, and writes
//! the marker of a node that has none.
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
