//! Asking one node one thing over a connection of its own. Connections that a test keeps do not
//! live here.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, RedisResult, Value};
use tokio::time::{sleep, timeout};

use crate::entrance::Door;

/// How long a node may take to start, to wake up, or to answer an observer.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(10);

const POLL_EVERY: Duration = Duration::from_millis(5);
const ONE_TRY: Duration = Duration::from_millis(500);

/// Connects and asks once.
pub(crate) async fn ask(door: &Door, args: &[&str], limit: Duration) -> RedisResult<Value> {
    let client = Client::open(door.url())?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        .set_response_timeout(Some(limit));
    let conversation = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut command = redis::Cmd::new();
        command.arg(args);
        command.query_async(&mut connection).await
    };
    // The set-up of the connection asks as well, and has no time limit of its own.
    timeout(limit, conversation).await.unwrap_or_else(|_| Err(no_answer(limit)))
}

/// Asks `PING` until it is answered, for no longer than [`READY_WITHIN`].
pub(crate) async fn until_answers(door: &Door) -> RedisResult<()> {
    let polling = async {
        while ask(door, &["PING"], ONE_TRY).await.is_err() {
            sleep(POLL_EVERY).await;
        }
    };
    timeout(READY_WITHIN, polling).await.map_err(|_| no_answer(READY_WITHIN))
}

/// Whether one `PING` is answered at once.
pub(crate) async fn answers(door: &Door) -> bool {
    ask(door, &["PING"], ONE_TRY).await.is_ok()
}

fn no_answer(limit: Duration) -> redis::RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {limit:?}")).into()
}
