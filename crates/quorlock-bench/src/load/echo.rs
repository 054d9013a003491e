//! The way to the nodes by itself: how long until a quorum has answered a `PING`.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::Client;
use redis::aio::MultiplexedConnection;

use super::tally::{histogram, record};
use crate::Outcome;
use crate::contender::Terms;

/// Few enough for far nodes, where a window is only a few round trips.
const AT_LEAST: u64 = 15;

/// The median time until the last of a quorum has answered, all asked at once.
pub(crate) async fn quorum(terms: &Terms, window: Duration) -> Outcome<Duration> {
    let mut connections = Vec::new();
    for url in &terms.urls {
        let client = Client::open(url.as_str())?;
        connections.push(client.get_multiplexed_async_connection().await?);
    }
    let (mut times, begin) = (histogram(), Instant::now());
    while begin.elapsed() < window || times.len() < AT_LEAST {
        record(&mut times, once(&connections, terms.quorum()).await?);
    }
    Ok(Duration::from_nanos(times.value_at_quantile(0.5)))
}

async fn once(connections: &[MultiplexedConnection], quorum: usize) -> Outcome<Duration> {
    let begin = Instant::now();
    let ping = |mut connection: MultiplexedConnection| async move {
        redis::cmd("PING").query_async::<()>(&mut connection).await
    };
    let mut pings: FuturesUnordered<_> = connections.iter().cloned().map(ping).collect();
    for _ in 0..quorum {
        pings.next().await.ok_or("fewer nodes than a quorum")??;
    }
    let took = begin.elapsed();
    // None may be on its way when the next one begins.
    while pings.next().await.is_some() {}
    Ok(took)
}
