//! Where one hazard is played on one recipe: servers, a clock of the day, a store, and the story so far. What happens there is the
//! hazard's.

use std::sync::Arc;
use std::time::Duration;

use quorlock::Redlock;
use quorlock_testkit::{Backend, Cluster, Node};
use redis::FromRedisValue;
use tokio::time::{Instant, sleep};

use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::recipe::{About, Ends, Servers};
use crate::seat::{ClientSettings, Clock, Connection, Seat};
use crate::store::Store;
use crate::story::Story;
use crate::verdict::Verdict;

/// The key of the lock, and so the resource.
pub const KEY: &str = "lock";
/// What is waited for is there within this, or the scene is given up.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Between two tries of somebody who waits for the lock.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// What a hazard needs of its stage.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// How long clients ask for the lock: short where it has to run out, long where it must not.
    pub ttl: Duration,
    /// Whether the clock of a server has to be set: only embedded nodes have one of their own.
    pub server_clock: ServerClock,
}

/// Whether a hazard sets the clock of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerClock {
    /// It does not.
    Runs,
    /// It does.
    IsSet,
}

/// For what must not run out while it is played, on a slow machine neither.
pub(crate) const LASTS: Needs =
    Needs { ttl: Duration::from_secs(20), server_clock: ServerClock::Runs };

/// A stage with nobody on it yet.
#[derive(Debug)]
pub struct Stage {
    /// The recipe that is played.
    pub about: &'static About,
    /// The story so far.
    pub story: Story,
    cluster: Cluster,
    store: Store,
    clock: Clock,
    ttl: Duration,
    presence: Arc<()>,
    /// The server that clients of one server are connected to from now on.
    primary: std::sync::atomic::AtomicUsize,
}

impl Stage {
    /// Starts the servers of the kind that `QUORLOCK_BACKEND` says.
    ///
    /// # Errors
    ///
    /// [`Error::Nodes`], and [`Error::Quorlock`] where the five cannot be made to vote.
    pub async fn set(about: &'static About, needs: Needs) -> Result<Self> {
        let size = match about.servers {
            Servers::One => 1,
            Servers::WithReplica => 2,
            Servers::Five => 5,
        };
        let mut builder = Cluster::builder(size);
        if needs.server_clock == ServerClock::IsSet {
            builder = builder.backend(Backend::Embedded);
        }
        if about.servers == Servers::WithReplica {
            builder = builder.unpooled();
        }
        let stage = Self {
            about,
            story: Story::default(),
            cluster: builder.start().await?,
            store: Store::default(),
            clock: Clock::default(),
            ttl: needs.ttl,
            presence: Arc::default(),
            primary: 0.into(),
        };
        match about.servers {
            Servers::One => {}
            Servers::WithReplica => stage.follow().await?,
            Servers::Five => stage.bootstrap().await?,
        }
        Ok(stage)
    }

    async fn bootstrap(&self) -> Result<()> {
        let urls = self.cluster.urls();
        let redlock = Redlock::builder(urls).ttl(self.ttl).max_ttl(self.ttl).build()?;
        // Tried again: on a busy machine five nodes may take longer than a round.
        let done = async || match redlock.bootstrap().await {
            Ok(()) => Ok(true),
            Err(quorlock::Error::NotNew { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        };
        self.until("new nodes vote", done).await?;
        Ok(redlock.close(PATIENCE).await?)
    }

    /// Makes the second server a replica of the first, and waits until it is one.
    async fn follow(&self) -> Result<()> {
        if self.backend() == Backend::Embedded {
            return Ok(());
        }
        let port = self.node(0).addr().port().to_string();
        let host = self.node(0).addr().ip().to_string();
        self.node(1).command(&["REPLICAOF", &host, &port]).await?;
        self.until("the replica has the primary's data", async || {
            let info: String = self.ask(1, &["INFO", "replication"]).await?;
            Ok(info.contains("master_link_status:up"))
        })
        .await
    }

    /// What the servers are.
    pub fn backend(&self) -> Backend {
        self.cluster.backend()
    }

    /// Server number `index`, from 0.
    pub fn node(&self, index: usize) -> &Node {
        self.cluster.node(index)
    }

    /// All servers.
    pub fn nodes(&self) -> &[Node] {
        self.cluster.nodes()
    }

    /// How long clients ask for the lock.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Asks a server as an observer does.
    ///
    /// # Errors
    ///
    /// [`Error::Nodes`] and [`Error::Server`].
    pub async fn ask<T: FromRedisValue>(&self, index: usize, words: &[&str]) -> Result<T> {
        let answer = self.node(index).command(words).await?;
        Ok(redis::from_redis_value(answer).map_err(redis::RedisError::from)?)
    }

    /// A new client.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] where it cannot be connected.
    pub async fn client(&self, name: &str) -> Result<Actor> {
        self.client_with(name, self.ttl, Duration::ZERO).await
    }

    /// A new client that asks for another TTL, or whose clock of the day is ahead.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] where it cannot be connected.
    pub async fn client_with(&self, name: &str, ttl: Duration, ahead: Duration) -> Result<Actor> {
        let connection = match self.about.servers {
            Servers::Five => Connection::Five(self.cluster.urls()),
            Servers::One | Servers::WithReplica => {
                let client = redis::Client::open(self.node(self.primary()).client_url())?;
                // What the driver gives up by itself is for machines that are never busy.
                let config = redis::AsyncConnectionConfig::new()
                    .set_response_timeout(Some(PATIENCE))
                    .set_connection_timeout(Some(PATIENCE));
                let opening = client.get_multiplexed_async_connection_with_config(&config);
                Connection::One(opening.await?)
            }
        };
        let presence = Arc::clone(&self.presence);
        let settings = ClientSettings { name: name.to_owned(), ttl, ahead, presence };
        let seat = Seat::new(settings, KEY, connection, self.clock.clone(), self.story.clone());
        let recipe = (self.about.client)(seat.clone());
        Ok(Actor::new(seat, self.store.clone(), recipe))
    }

    /// Sends clients that come from now on to the other server.
    pub fn fail_over(&self) {
        self.primary.store(1, std::sync::atomic::Ordering::SeqCst);
    }

    /// The server of those who use one.
    pub fn primary(&self) -> usize {
        self.primary.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Lets time pass, for clients and for what the servers let expire.
    ///
    /// Five nodes and their clients live in real time, so it is waited for. One server is told how much of the key's life is left: then
    /// nothing hangs on how fast this machine is.
    ///
    /// # Errors
    ///
    /// [`Error::Nodes`] and [`Error::Server`].
    pub async fn pass(&self, by: Duration) -> Result<()> {
        self.story.note(format!("{} s pass", by.as_secs_f64()));
        self.clock.pass(by);
        match (self.about.servers, self.about.ends) {
            (Servers::Five, _) => sleep(by).await,
            // Nobody looks at any other clock.
            (_, Ends::TimeStamp) => {}
            (_, Ends::Expiry) => {
                let left = self.ttl_left().await?;
                let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
                if left >= 0 {
                    // At 0 and below it is deleted.
                    let left = left.saturating_sub(by_ms).to_string();
                    let _: i64 = self.ask(self.primary(), &["PEXPIRE", KEY, &left]).await?;
                }
            }
        }
        Ok(())
    }

    /// Lets the TTL pass, and a second more: time stamps know only whole ones.
    ///
    /// # Errors
    ///
    /// Those of [`pass`](Self::pass).
    pub async fn outlast(&self) -> Result<()> {
        self.pass(self.ttl + Duration::from_secs(1)).await
    }

    /// Lets the clock of the day run by itself.
    pub(crate) fn run_clock(&self) {
        self.clock.run();
    }

    /// Waits until nothing of its clients runs any more.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] where something does.
    pub async fn empty(&self) -> Result<()> {
        self.until("its clients end", async || Ok(Arc::strong_count(&self.presence) == 1)).await
    }

    /// The rest of the key's life on the server of those who use one, in ms: -1 without an end, -2 without a key.
    ///
    /// # Errors
    ///
    /// [`Error::Nodes`] and [`Error::Server`].
    pub async fn ttl_left(&self) -> Result<i64> {
        self.ask(self.primary(), &["PTTL", KEY]).await
    }

    /// Waits until that is so.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] where it does not come about, and those of looking.
    pub async fn until(
        &self,
        what: &str,
        mut is_so: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !is_so().await? {
            if Instant::now() > end {
                return Err(Error::Scene(format!("{what}, which it does not")));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until the first of five servers have the key: the slower ones answer behind the majority.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] where they do not get it, and those of looking.
    pub async fn until_spread(&self, servers: usize) -> Result<()> {
        if self.about.servers != Servers::Five {
            return Ok(());
        }
        for index in 0..servers {
            let has = async || Ok(self.ask::<u8>(index, &["EXISTS", KEY]).await? == 1);
            self.until("the node has the key", has).await?;
        }
        Ok(())
    }

    /// Has a client try until it holds the lock, for as long as a TTL can take.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] where it does not get it.
    pub async fn until_held(&self, client: &mut Actor) -> Result<()> {
        self.until("it gets the lock", async || {
            let held = client.acquire().await?;
            if !held {
                sleep(TRY_EVERY).await;
            }
            Ok(held)
        })
        .await
    }

    /// What two holders at once come to: the later one writes, then the earlier one, who does not know.
    pub fn clash(&self, earlier: &Actor, later: &Actor) -> Verdict {
        let (first, second) = (earlier.seat().name(), later.seat().name());
        if !earlier.holds() {
            return Verdict::Safe(format!(
                "{first} was told that it had lost the lock before {second} got it"
            ));
        }
        later.write();
        match earlier.write() {
            true => {
                Verdict::Unsafe(format!("{first} and {second} hold it at once, and both write"))
            }
            false => Verdict::StoreKept(format!(
                "{first} and {second} hold it at once; the store refuses {first}'s write, which is late"
            )),
        }
    }
}
