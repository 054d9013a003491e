//! What all ratios are to: the shortest correct loop over redis-rs' multiplexed connections. It goes on at the third answer, keeps
//! the rest of the answers in its hands (a dropped request may never be sent), and neither reconnects nor extends.

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use rand::RngExt;
use redis::aio::MultiplexedConnection;
use redis::{Client as RedisClient, Cmd, RedisError, Script, Value};

use super::quorum::Count;
use super::{Client, Contender, Terms, only, pause};
use crate::Outcome;

/// Compares and deletes.
pub(crate) const RELEASE: &str =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";

#[derive(Clone)]
pub(crate) struct Raw {
    connections: Vec<MultiplexedConnection>,
    ttl: u64,
    hash: String,
}

/// One answer, with the number of the operation that it belongs to.
type Answer = (u64, Result<Value, RedisError>);

pub(crate) struct RawClient {
    raw: Raw,
    pending: FuturesUnordered<BoxFuture<'static, Answer>>,
    operation: u64,
    held: Option<(String, String)>,
}

impl Contender for Raw {
    type Client = RawClient;

    async fn connect(terms: &Terms) -> Outcome<Self> {
        let mut connections = Vec::new();
        let mut hash = String::new();
        for url in &terms.urls {
            let client = RedisClient::open(url.as_str())?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            hash = Script::new(RELEASE).load_async(&mut connection).await?;
            connections.push(connection);
        }
        Ok(Self { connections, ttl: u64::try_from(terms.ttl.as_millis())?, hash })
    }

    fn client(&self) -> RawClient {
        RawClient { raw: self.clone(), pending: FuturesUnordered::new(), operation: 0, held: None }
    }
}

impl RawClient {
    /// Asks every node at once. Returns at the verdict, or with false when nobody is left to answer.
    async fn ask(&mut self, command: &Cmd, yes: fn(&Value) -> bool) -> bool {
        self.operation += 1;
        let operation = self.operation;
        for connection in &self.raw.connections {
            let (mut connection, command) = (connection.clone(), command.clone());
            let answer = async move { (operation, connection.send_packed_command(&command).await) };
            self.pending.push(answer.boxed());
        }
        let mut count = Count::new(self.raw.connections.len());
        while let Some((of, answer)) = self.pending.next().await {
            // A straggler of an earlier operation is only taken off.
            if of != operation {
                continue;
            }
            if let Some(verdict) = count.add(answer.is_ok_and(|value| yes(&value))) {
                return verdict;
            }
        }
        false
    }

    async fn give_back(&mut self, name: &str, token: &str) -> bool {
        let mut evalsha = redis::cmd("EVALSHA");
        evalsha.arg(&self.raw.hash).arg(1).arg(name).arg(token);
        self.ask(&evalsha, |value| matches!(value, Value::Int(1))).await
    }
}

impl Client for RawClient {
    async fn acquire(&mut self, resources: &[String]) -> Outcome {
        let name = only(resources)?.to_owned();
        let token = format!("{:032x}", rand::rng().random::<u128>());
        loop {
            let mut set = redis::cmd("SET");
            set.arg(&name).arg(&token).arg("NX").arg("PX").arg(self.raw.ttl);
            if self.ask(&set, |value| matches!(value, Value::Okay)).await {
                self.held = Some((name, token));
                return Ok(());
            }
            self.give_back(&name, &token).await;
            pause().await;
        }
    }

    async fn release(&mut self) -> Outcome {
        match self.held.take() {
            Some((name, token)) if !self.give_back(&name, &token).await => {
                Err("no quorum confirmed the release".into())
            }
            _ => Ok(()),
        }
    }

    async fn settle(&mut self) {
        // The driver's own time limit bounds it.
        while self.pending.next().await.is_some() {}
    }
}
