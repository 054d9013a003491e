//! One Redis node: a connection kept up in the background, questions onto its queue in order, replies as votes.
//! No loop over nodes.
//!
//! # Invariants
//!
//! 1. Commands are put onto the line under the lock of `state`, so in the order of the calls: a release asked after an
//!    acquire is behind it on the wire. A release that goes together with others may be overtaken by what is about other keys.
//! 2. Whether a token is retired is read under the same lock, and a token is retired before its release is asked: nothing
//!    that sets a key is queued behind a release, on this connection or a later one.
//! 3. A release is noted as owed before it is sent, and forgotten only when the node has confirmed it. A new connection
//!    first kills the old one, then sends what is owed, and only then anything else.
//! 4. The line takes whatever is put. So what may wait for an answer is bounded before it (`MAX_UNANSWERED`), but for
//!    releases, of which there are no more than locks, and for the looks of those who listen: three commands a key, one look at a time for each queue of
//!    waiters; what was not waited for stays until it is answered or the connection is given up.
//! 5. A node is asked for a new lock only while it is known to be fit, and its grant counts only if its marker was not seen to
//!    change between the question and the answer (G1; `join.rs`).
//! 6. A connection that owes an answer, gives none for half of its patience and does not even answer a `PING` for the other
//!    half is given up, and all that waits on it ends: a frozen node collects nothing (G7).
//! 7. An answer is read and followed up whether or not anybody waits for it.

mod address;
mod again;
mod answers;
mod asked;
mod connection;
mod exchange;
pub(crate) mod fuzz;
mod join;
mod line;
mod listeners;
mod listening;
mod login;
mod marker;
mod meter;
mod owed;
mod queue;
mod refusal;
mod reply;
mod session;
#[cfg(feature = "tls")]
mod tls;
mod wire;

use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::{Notify, watch};

pub use self::address::Server;
pub(crate) use self::address::{Address, parse_all};
use self::exchange::Session;
pub(crate) use self::join::{Joining, Servers};
use self::listening::Telling;
pub(crate) use self::login::AskCredentials;
use self::owed::Owed;
use self::session::Identity;
#[cfg(feature = "tls")]
pub(crate) use self::tls::Certificates;
pub(crate) use self::wire::Sockets;
pub use self::wire::{Abort, Connector, Wire};
use crate::clock::{Clock, Spawner};
use crate::crowd::Crowd;
use crate::entropy::Entropy;
use crate::error::{Failure, NodeError};
use crate::event::Audience;
use crate::node::{Acted, Listening, Mode, Node, ReplyTo};
use crate::one_task::OneTask;
use crate::standing::{Fitness, Standing};
use crate::sync::lock;

/// What a node is made of; see `builder.rs`.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) joining: Option<Joining>,
    pub(crate) client_name: String,
    pub(crate) credentials: Option<AskCredentials>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) spawner: Arc<dyn Spawner>,
    /// Where the connections of all nodes are served.
    pub(crate) services: Arc<OneTask>,
    pub(crate) audience: Audience,
}

/// The handle of one node. Connects at the first question, and from then on until it is dropped.
pub(crate) struct RedisNode {
    shared: Arc<Shared>,
    services: Arc<OneTask>,
    /// Tells the connection's task, by being dropped, that nobody will ask any more.
    alive: watch::Sender<()>,
}

impl RedisNode {
    pub(crate) fn new(parts: Parts) -> Self {
        let shared = Shared {
            name: parts.name.into(),
            address: parts.address,
            joining: parts.joining,
            client_name: parts.client_name,
            credentials: parts.credentials,
            connector: parts.connector,
            clock: parts.clock,
            entropy: parts.entropy,
            spawner: parts.spawner,
            audience: parts.audience,
            crowd: parts.services.crowd().clone(),
            state: Mutex::default(),
            settled: Settled::default(),
            busy: Notify::new(),
            paid: Notify::new(),
            sooner: Notify::new(),
        };
        let alive = watch::Sender::new(());
        Self { shared: Arc::new(shared), services: parts.services, alive }
    }

    fn start(&self) {
        if self.shared.settled.is() {
            return;
        }
        let mut state = lock(&self.shared.state);
        if matches!(state.link, Link::Idle) {
            state.link = Link::Connecting;
            drop(state);
            let service = connection::keep_up(&self.shared, self.alive.subscribe());
            self.services.run(Box::pin(service));
        }
    }
}

impl Node for RedisNode {
    fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    fn ask(&self, to: ReplyTo) {
        self.start();
        self.shared.exchange(to);
    }

    fn is_settled(&self) -> bool {
        self.shared.settled.is()
    }

    fn connected(&self) -> BoxFuture<'static, bool> {
        self.start();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            loop {
                // Before the look, so that no change is missed after it.
                let changed = shared.settled.changed.notified();
                match lock(&shared.state).link {
                    Link::Up(_) => return true,
                    // Whoever asks next starts another, where the runtime of the last has ended.
                    Link::Down(_) | Link::Idle => return false,
                    Link::Connecting => {}
                }
                changed.await;
            }
        })
    }

    fn standing(&self) -> Standing {
        let error = |failure: &Failure| NodeError::new(&self.shared.name, failure.clone());
        match &lock(&self.shared.state).link {
            Link::Idle | Link::Connecting => Standing::Connecting,
            Link::Down(failure) => Standing::Down(error(failure)),
            Link::Up(session) => match session.fitness() {
                Fitness::Voting => Standing::Voting,
                Fitness::Quarantined { until } => {
                    let ends_in = until.saturating_duration_since(self.shared.clock.now());
                    Standing::Quarantined { ends_in }
                }
                Fitness::Refused(failure) => Standing::Refused(error(failure)),
            },
        }
    }

    fn listen(&self, keys: &[String]) -> BoxFuture<'static, Option<Listening>> {
        let place = match &lock(&self.shared.state).link {
            Link::Up(session) => session.told_at(),
            _ => None,
        };
        let Some(place) = place else { return Box::pin(std::future::ready(None)) };
        let telling =
            if self.shared.joining.is_some() { Telling::Asked } else { Telling::NotAsked };
        Box::pin(listening::listen(place, keys.to_vec(), telling))
    }

    fn bootstrap(&self, mode: Mode) -> BoxFuture<'static, Result<Acted, Failure>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { connection::bootstrap(&shared, mode).await })
    }

    fn owed(&self) -> usize {
        lock(&self.shared.state).owed.count(self.shared.clock.now())
    }

    fn drained(&self) -> BoxFuture<'static, ()> {
        // The runtime that kept the connection up may have ended.
        if self.owed() > 0 {
            self.start();
        }
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.drained().await })
    }
}

impl fmt::Debug for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisNode").field(&self.shared.name).finish()
    }
}

/// What the handle and what keeps the connection up share.
struct Shared {
    name: Arc<str>,
    address: Address,
    joining: Option<Joining>,
    client_name: String,
    credentials: Option<AskCredentials>,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    spawner: Arc<dyn Spawner>,
    audience: Audience,
    crowd: Crowd,
    state: Mutex<State>,
    settled: Settled,
    /// Rung when a quiet connection is asked something.
    busy: Notify,
    /// Rung when an owed release is confirmed.
    paid: Notify,
    /// Rung when a release is to be sent once more before all others that are.
    sooner: Notify,
}

/// Whether the first attempt to connect has ended. Those who wait are woken in the order in which they came: a watch
/// channel's order is random, and a simulation would not repeat itself.
#[derive(Default)]
struct Settled {
    is: AtomicBool,
    changed: Notify,
}

impl Settled {
    fn is(&self) -> bool {
        self.is.load(Ordering::SeqCst)
    }

    fn set(&self) {
        self.is.store(true, Ordering::SeqCst);
        self.tell();
    }

    fn clear(&self) {
        self.is.store(false, Ordering::SeqCst);
    }

    fn tell(&self) {
        self.changed.notify_waiters();
    }
}

#[derive(Default)]
struct State {
    link: Link,
    owed: Owed,
    sessions: u64,
    /// Asked before the first attempt to connect has ended.
    first_asked: Vec<ReplyTo>,
    /// Of the latest connection, which the next one has to end on the node's side.
    identity: Option<Identity>,
    /// When that failed the last time: from then on what the older one holds may come for a while, whatever became of the
    /// next ones.
    old_left: Option<Instant>,
}

#[derive(Default)]
enum Link {
    /// Nobody keeps a connection up: never asked, or the runtime that did has ended.
    #[default]
    Idle,
    /// For the first time: an acquire waits for it.
    Connecting,
    Up(Session),
    /// Everything fails at once; the failure says why.
    Down(Failure),
}

impl Shared {
    /// Resolves when every release has been confirmed, or its keys must have expired on a node that runs.
    async fn drained(&self) {
        loop {
            let paid = self.paid.notified();
            let now = self.clock.now();
            let Some(expiry) = lock(&self.state).owed.next_expiry(now) else { return };
            tokio::select! {
                biased;
                () = paid => {}
                () = self.clock.sleep_until(expiry) => {}
            }
        }
    }

    /// Sleeps until then, if that is ever.
    async fn sleep_until(&self, then: Option<Instant>) {
        match then {
            Some(then) => self.clock.sleep_until(then).await,
            None => pending().await,
        }
    }

    /// Sleeps for `span`.
    async fn sleep(&self, span: Duration) {
        self.clock.sleep_until(crate::validity::later(self.clock.now(), span)).await;
    }
}
