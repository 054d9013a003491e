//! Clusters of real and embedded nodes: what a test gets, what faults do to it, and what is left
//! behind. The embedded node's commands and the proxy's verbs have tests of their own.

mod choice;
mod cleanup;
mod cluster;
mod fault;

use std::time::Duration;

use quorlock_testkit::{Backend, Error, Node};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

type Checked = Result<(), Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(10);
/// More than an answer ever takes, and less than a test has time for.
const SILENCE: Duration = Duration::from_millis(300);

/// The back ends that are here, or the one that `QUORLOCK_BACKEND` names. Says aloud which are
/// missing.
async fn backends() -> Result<Vec<Backend>, Error> {
    let named = std::env::var("QUORLOCK_BACKEND").unwrap_or_default();
    if !matches!(named.as_str(), "" | "auto") {
        return Ok(vec![Backend::from_env().await?]);
    }
    let mut here = Vec::new();
    for backend in Backend::ALL {
        match backend.check().await {
            Ok(()) => here.push(backend),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
    Ok(here)
}

/// A client's connection, to be kept over a fault.
async fn client(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&patient).await
}

/// Whether a client that comes now is served at once. A connection alone proves nothing: on some
/// machines a firewall accepts those to addresses that nobody has.
async fn serves(url: &str) -> bool {
    let asking = async { redis::Cmd::ping().exec_async(&mut client(url).await?).await };
    matches!(tokio::time::timeout(SILENCE, asking).await, Ok(Ok(())))
}

async fn run_id(node: &Node) -> Result<String, Error> {
    field(node, "run_id").await
}

/// One line of `INFO server`.
async fn field(node: &Node, name: &str) -> Result<String, Error> {
    let info = node.command(&["INFO", "server"]).await?;
    let info: String = redis::from_redis_value(info).expect("INFO is text");
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(value.expect("every server says it").to_owned())
}

/// Polls until it is so.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, polling).await;
    assert!(waited.is_ok(), "not within {PATIENCE:?}: {what}");
}
