//! A client's place at the servers: every command it sends is told, counted, and can be stopped before it is sent. What a client
//! sends is its recipe's.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value};
use tokio::sync::watch;

use crate::error::Result;
use crate::story::{Story, What};

/// Where the lab's clock of the day starts, in seconds since 1970: the same in every run, so that every story is.
const DAWN_S: u64 = 1_800_000_000;

/// The time of day that clients see. It moves when a hazard lets time pass, and by itself only in a race. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Hands>);

#[derive(Debug, Default)]
struct Hands {
    passed_ms: AtomicU64,
    running_since: OnceLock<Instant>,
}

impl Clock {
    /// Lets time pass.
    pub fn pass(&self, by: Duration) {
        let by_ms = by.as_millis().try_into().unwrap_or(u64::MAX);
        self.0.passed_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// Lets it run by itself from here on.
    pub(crate) fn run(&self) {
        self.0.running_since.get_or_init(Instant::now);
    }

    fn seconds(&self) -> u64 {
        let passed = Duration::from_millis(self.0.passed_ms.load(Ordering::SeqCst));
        let run = self.0.running_since.get().map(Instant::elapsed).unwrap_or_default();
        DAWN_S + (passed + run).as_secs()
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
    connection: Connection,
    sent: AtomicU64,
    stop: Mutex<Option<Stop>>,
    stopped: watch::Sender<bool>,
    _presence: Arc<()>,
}

/// What leads to the servers.
pub(crate) enum Connection {
    /// A connection of its own to one server.
    One(MultiplexedConnection),
    /// The URLs of five, for a lock that connects by itself.
    Five(Vec<String>),
}

/// What a client is to begin with.
pub(crate) struct ClientSettings {
    pub(crate) name: String,
    pub(crate) ttl: Duration,
    pub(crate) ahead: Duration,
    /// Held by whatever the client has running, so that one can see when that is over.
    pub(crate) presence: Arc<()>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.0.name).finish()
    }
}

impl Seat {
    pub(crate) fn new(
        settings: ClientSettings,
        key: &str,
        connection: Connection,
        clock: Clock,
        story: Story,
    ) -> Self {
        Self(Arc::new(Inner {
            name: settings.name,
            key: key.to_owned(),
            ttl: settings.ttl,
            ahead: settings.ahead,
            clock,
            story,
            connection,
            sent: AtomicU64::new(0),
            stop: Mutex::new(None),
            stopped: watch::Sender::new(false),
            _presence: settings.presence,
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
        match &self.0.connection {
            Connection::Five(urls) => urls,
            Connection::One(_) => &[],
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
        let Connection::One(connection) = &self.0.connection else {
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
