//! Who is timed: what every contender can do, and their names. What is done with them lives in `load`.

pub(crate) mod distributed;
pub(crate) mod floor;
pub(crate) mod quorum;
pub(crate) mod raw;
pub(crate) mod redlock;
pub(crate) mod rslock;

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// How long everybody who has no way of waiting of its own rests before it asks again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// A contender's name, as it stands on the command line and in every report.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// A hand-written loop over redis-rs' multiplexed connections: what all ratios are to.
    Raw,
    Quorlock,
    QuorlockFenced,
    /// One thread, epoll, hand-written RESP: what nobody can be faster than.
    Floor,
    Rslock,
    DistributedLockRedis,
}

impl Name {
    pub(crate) const ALL: [Self; 6] = [
        Self::Raw,
        Self::Quorlock,
        Self::QuorlockFenced,
        Self::Floor,
        Self::Rslock,
        Self::DistributedLockRedis,
    ];

    /// Whether it can take several resources as one lock.
    pub(crate) fn takes_many(self) -> bool {
        matches!(self, Self::Quorlock | Self::QuorlockFenced)
    }

    /// Whether its acquire is a script, so that a `SET` which a node counts came from inside of that.
    pub(crate) fn acquires_by_script(self, resources: usize) -> bool {
        self == Self::QuorlockFenced || (resources > 1 && self.takes_many())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raw => "raw",
            Self::Quorlock => "quorlock",
            Self::QuorlockFenced => "quorlock-fenced",
            Self::Floor => "floor",
            Self::Rslock => "rslock",
            Self::DistributedLockRedis => "distributed-lock-redis",
        })
    }
}

/// What every contender is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) urls: Vec<String>,
    pub(crate) ttl: Duration,
    /// Of quorlock alone: for how long a node that may have forgotten does not vote.
    pub(crate) max_ttl: Duration,
}

impl Terms {
    pub(crate) fn quorum(&self) -> usize {
        self.urls.len() / 2 + 1
    }
}

/// A library, connected: with connections of its own.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    type Client: Client;

    /// Returns when a lock can be asked for.
    fn connect(terms: &Terms) -> impl Future<Output = Outcome<Self>> + Send;

    /// One who takes one lock at a time, over the connections that are there.
    fn client(&self) -> Self::Client;

    /// How many nodes may vote, where the library says so.
    fn voting(&self) -> Option<usize> {
        None
    }
}

/// Takes and gives back one lock at a time.
pub(crate) trait Client: Send + 'static {
    /// Waits until these resources are held.
    fn acquire(&mut self, resources: &[String]) -> impl Future<Output = Outcome> + Send;

    /// Gives back what the last acquire took. Nothing, where that failed.
    fn release(&mut self) -> impl Future<Output = Outcome> + Send;

    /// Waits for answers that nobody needed, where the client has them in its own hands.
    fn settle(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// The rest between two attempts of those who leave waiting to their caller.
pub(crate) async fn pause() {
    // The generator belongs to its thread and must be gone before the task can move to another.
    let rest = rand::rng().random_range(SHORTEST_PAUSE..=LONGEST_PAUSE);
    tokio::time::sleep(rest).await;
}

/// The one name that a contender without sets of resources takes.
pub(crate) fn only(resources: &[String]) -> Outcome<&str> {
    match resources {
        [one] => Ok(one),
        _ => Err("takes one resource at a time".into()),
    }
}
