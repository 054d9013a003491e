//! Starts nodes, makes them vote, runs a command with their URLs in `QUORLOCK_NODES`, and ends with its exit code; nothing stays behind.
//!
//! `nodes COUNT COMMAND [ARGUMENT ...]`; `QUORLOCK_BACKEND` chooses what the nodes are.

use std::error::Error;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use quorlock::Redlock;
use quorlock_testkit::Cluster;
use tokio::process::Command;

/// Nothing is owed yet.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
const USAGE: &str = "usage: nodes COUNT COMMAND [ARGUMENT ...]";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("nodes: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitStatus, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().ok_or(USAGE)?.parse().map_err(|_| USAGE)?;
    let command = arguments.next().ok_or(USAGE)?;
    let cluster = Cluster::builder(count).unpooled().start().await?;
    let redlock = Redlock::builder(cluster.urls()).build()?;
    redlock.bootstrap().await?;
    redlock.close(CLOSE_LIMIT).await?;
    let mut child = Command::new(command);
    child.args(arguments).env("QUORLOCK_NODES", cluster.urls().join(","));
    Ok(child.status().await?)
}
