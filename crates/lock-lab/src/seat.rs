//! A client's place at the servers: every command it sends is told, counted, and can be stopped before it is sent. What a client
//! sends is its recipe's.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value};
use tokio::sync::watch;

use crate::error::Result;
use crate::story::{Story, What};

/// Where the lab's clock of the day starts, in seconds since 1970: the same in every run, so that every story is.
const DAWN_S: u64 = 1_800_000_000;

/// The time of day that clients see. It moves when a hazard lets time pass, and not by itself. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Lets time pass.
    pub fn pass(&self, by: Duration) {
        self.0.fetch_add(by.as_millis().try_into().unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn seconds(&self) -> u64 {
        DAWN_S + self.0.load(Ordering::SeqCst) / 1000
    }
}

type Stop = Box<dyn FnMut(&[&str]) -> bool + Send>;

/// One client's place. Clones are the same place.
#[derive(Clone)]
pub struct Seat(Arc<Inner>);

struct Inner {
    name: String,
    key: String,
    ttl: Duration,
    ahead: Duration,
    clock: Clock,
    story: Story,
    line: Line,
    sent: AtomicU64,
    stop: Mutex<Option<Stop>>,
    stopped: watch::Sender<bool>,
}

/// What leads to the servers.
pub(crate) enum Line {
    /// A connection of its own to one server.
    One(MultiplexedConnection),
    /// The URLs of five, for a lock that connects by itself.
    Five(Vec<String>),
}

/// What a client is to begin with.
pub(crate) struct Papers {
    pub(crate) name: String,
    pub(crate) ttl: Duration,
    pub(crate) ahead: Duration,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.0.name).finish()
    }
}

impl Seat {
    pub(crate) fn new(papers: Papers, key: &str, line: Line, clock: Clock, story: Story) -> Self {
        Self(Arc::new(Inner {
            name: papers.name,
            key: key.to_owned(),
            ttl: papers.ttl,
            ahead: papers.ahead,
            clock,
            story,
            line,
            sent: AtomicU64::new(0),
            stop: Mutex::new(None),
            stopped: watch::Sender::new(false),
        }))
    }

    /// What the client is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The key of the lock, which is its resource.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// How long it asks for the lock.
    pub fn ttl(&self) -> Duration {
        self.0.ttl
    }

    /// The same in seconds, as the recipes' commands take it.
    pub fn seconds(&self) -> String {
        self.0.ttl.as_secs().to_string()
    }

    /// Its clock of the day, in seconds since 1970: the `time()` of the seeds.
    pub fn now(&self) -> u64 {
        self.0.clock.seconds() + self.0.ahead.as_secs()
    }

    /// How many commands it has sent.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn urls(&self) -> &[String] {
        match &self.0.line {
            Line::Five(urls) => urls,
            Line::One(_) => &[],
        }
    }

    pub(crate) fn story(&self) -> &Story {
        &self.0.story
    }

    /// Sends a command, and says what the server answered. Waits before that for as long as a hazard has it stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Server`](crate::Error::Server) where the server refuses, is gone, or answers something else than `T`.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        self.pass_gate(words).await;
        let Line::One(connection) = &self.0.line else {
            return Err(crate::Error::Scene("five servers are asked by a library".to_owned()));
        };
        self.0.sent.fetch_add(1, Ordering::SeqCst);
        let answer =
            redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection.clone()).await;
        let reply = match &answer {
            Ok(value) => shown(value),
            Err(error) => format!("(error) {error}"),
        };
        self.0.story.tell(self.name(), What::Sent { command: words.join(" "), reply });
        let answer: Value = answer?;
        Ok(redis::from_redis_value(answer).map_err(redis::RedisError::from)?)
    }

    async fn pass_gate(&self, words: &[&str]) {
        if self.is_to_stop(words) {
            let mut stopped = self.0.stopped.subscribe();
            self.0.stopped.send_replace(true);
            // The sender lives as long as this place.
            let _ = stopped.wait_for(|stopped| !stopped).await;
        }
    }

    fn is_to_stop(&self, words: &[&str]) -> bool {
        let mut stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let stops = stop.as_mut().is_some_and(|stop| stop(words));
        if stops {
            *stop = None;
        }
        stops
    }

    /// Stops it before the first command of which `stop` says so.
    pub(crate) fn stop_before(&self, stop: impl FnMut(&[&str]) -> bool + Send + 'static) {
        *self.0.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(stop));
    }

    /// Resolves when it stands before that command.
    pub(crate) async fn stopped(&self) {
        let mut stopped = self.0.stopped.subscribe();
        // As above.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn go_on(&self) {
        *self.0.stop.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.stopped.send_replace(false);
    }
}

/// As `redis-cli` would show it.
fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "(nil)".to_owned(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::BulkString(bytes) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        other => format!("{other:?}"),
    }
}
