//! One Redis node: a connection kept up in the background, questions onto its queue in order, replies as votes.
//! No loop over nodes.
//!
//! # Invariants
//!
//! 1. Commands reach the driver's queue under the lock of `state`, so in the order of the calls: a release asked after an
//!    acquire is behind it on the wire.
//! 2. Whether a token is retired is read under the same lock, and a token is retired before its release is asked: nothing
//!    that sets a key is queued behind a release, on this connection or a later one.
//! 3. A release is noted as owed before it is sent, and forgotten only when the node has confirmed it. A new connection first kills the old one, then sends what is owed, and only then anything else.
//! 4. The driver's queue is never full: where it is, the driver lets waiting commands in as their futures are polled, which
//!    is not the order of the calls. So what may wait for an answer is bounded before it (`MAX_UNANSWERED`), but for
//!    releases, of which there are no more than locks.
//! 5. A connection that was silent for `patience` while it was asked is given up, and all that waits on it ends: a frozen
//!    node collects nothing (G7).

mod address;
mod connection;
mod owed;
mod reply;
mod session;
#[cfg(feature = "tls")]
mod tls;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::sync::{Notify, watch};
use tokio::task::coop::unconstrained;

pub use self::address::Server;
pub(crate) use self::address::{Address, parse_all};
use self::owed::Owed;
pub(crate) use self::wire::Sockets;
pub use self::wire::{Abort, Connector, Wire};
use crate::background::Background;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::{Failure, NodeErrorKind};
use crate::event::{Audience, Event};
use crate::node::{Node, Question, Reply, Verb};
use crate::script::{self, Form};
use crate::sync::lock;

/// A connection is not given up sooner, however short the time limit: a hiccup of a node is not its death.
const PATIENCE_FLOOR: Duration = Duration::from_millis(100);
/// The most commands other than releases that wait for the answer of one node.
const MAX_UNANSWERED: u64 = 8192;

/// What a node is made of; see `builder.rs`.
pub(crate) struct Parts {
    pub(crate) address: Address,
    pub(crate) client_name: String,
    pub(crate) time_limit: Duration,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) background: Background,
    pub(crate) audience: Audience,
}

/// The handle of one node. Connects at the first question, and from then on until it is dropped.
pub(crate) struct RedisNode {
    shared: Arc<Shared>,
    /// Tells the connection's task, by being dropped, that nobody will ask any more.
    alive: watch::Sender<()>,
}

impl RedisNode {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { address, client_name, time_limit, .. } = parts;
        let shared = Shared {
            name: address.name().into(),
            address,
            client_name,
            patience: (2 * time_limit).max(PATIENCE_FLOOR),
            connector: parts.connector,
            clock: parts.clock,
            entropy: parts.entropy,
            background: parts.background,
            audience: parts.audience,
            state: Mutex::new(State { link: Link::Idle, owed: Owed::default(), sessions: 0 }),
            settled: watch::Sender::new(false),
            busy: Notify::new(),
        };
        Self { shared: Arc::new(shared), alive: watch::Sender::new(()) }
    }

    fn start(&self) {
        let mut state = lock(&self.shared.state);
        if matches!(state.link, Link::Idle) {
            state.link = Link::Connecting;
            let service = connection::keep_up(Arc::clone(&self.shared), self.alive.subscribe());
            self.shared.background.spawn_service(Box::pin(service));
        }
    }
}

impl Node for RedisNode {
    fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    fn ask(&self, question: Arc<Question>) -> BoxFuture<'static, Reply> {
        self.start();
        let mut exchange = Box::pin(Arc::clone(&self.shared).exchange(question));
        // The first poll puts the command onto the queue; a task's budget must not keep it from that.
        match unconstrained(&mut exchange).now_or_never() {
            Some(reply) => Box::pin(ready(reply)),
            None => exchange,
        }
    }

    fn connected(&self) -> BoxFuture<'static, bool> {
        self.start();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.settled().await;
            matches!(lock(&shared.state).link, Link::Up(_))
        })
    }

    fn owed(&self) -> usize {
        lock(&self.shared.state).owed.count(self.shared.clock.now())
    }
}

impl fmt::Debug for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisNode").field(&self.shared.name).finish()
    }
}

/// What the handle, the connection's task and the questions under way share.
struct Shared {
    name: Arc<str>,
    address: Address,
    client_name: String,
    patience: Duration,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    background: Background,
    audience: Audience,
    state: Mutex<State>,
    /// Whether the first attempt to connect has ended.
    settled: watch::Sender<bool>,
    /// Rung when a quiet connection is asked something.
    busy: Notify,
}

struct State {
    link: Link,
    owed: Owed,
    sessions: u64,
}

enum Link {
    /// Never asked.
    Idle,
    /// For the first time: an acquire waits for it.
    Connecting,
    Up(Session),
    /// Everything fails at once; the failure says why.
    Down(Failure),
}

struct Session {
    number: u64,
    connection: MultiplexedConnection,
    sent: u64,
    heard: u64,
    /// Since when it owes an answer without having given one.
    waiting_since: Instant,
}

impl Session {
    fn unanswered(&self) -> u64 {
        self.sent - self.heard
    }

    fn is_full(&self) -> bool {
        self.unanswered() >= MAX_UNANSWERED
    }
}

/// A question on the queue.
struct Sent {
    answer: BoxFuture<'static, RedisResult<Value>>,
    session: u64,
    owed: Option<u64>,
}

enum Put {
    Queued(Sent),
    /// The first connection is on its way.
    Later,
    Refused(Failure),
}

impl Shared {
    async fn exchange(self: Arc<Self>, question: Arc<Question>) -> Reply {
        loop {
            match self.put(&question, Form::Hash, None) {
                Put::Queued(sent) => return self.hear(&question, sent).await,
                Put::Later => self.settled().await,
                Put::Refused(failure) => return Reply::Failed(failure),
            }
        }
    }

    /// Queues the command, or says why not (invariants 1 to 3). `owed` is the number of a release already noted.
    fn put(&self, question: &Arc<Question>, form: Form, owed: Option<u64>) -> Put {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if question.is_revoked() {
            return Put::Refused(NodeErrorKind::Down.into());
        }
        let (owed, forgot) = match owed {
            None if question.is_release() => {
                let (number, forgot) = state.owed.add(Arc::clone(question), now);
                (Some(number), forgot)
            }
            known => (known, false),
        };
        let put = match &mut state.link {
            Link::Up(session) if !question.is_release() && session.is_full() => {
                Put::Refused(NodeErrorKind::Overloaded.into())
            }
            Link::Up(session) => Put::Queued(self.send(session, question, form, owed, now)),
            Link::Idle | Link::Connecting if question.verb == Verb::Acquire => Put::Later,
            Link::Idle | Link::Connecting => Put::Refused(NodeErrorKind::Down.into()),
            Link::Down(failure) => Put::Refused(failure.clone()),
        };
        // An observer may do anything, so nothing is locked while it is told.
        drop(state);
        if forgot {
            self.audience.tell(|| Event::OwedReleaseDropped { node: Arc::clone(&self.name) });
        }
        put
    }

    fn send(
        &self,
        session: &mut Session,
        question: &Question,
        form: Form,
        owed: Option<u64>,
        now: Instant,
    ) -> Sent {
        if session.unanswered() == 0 {
            session.waiting_since = now;
            self.busy.notify_one();
        }
        session.sent += 1;
        let mut connection = session.connection.clone();
        let command = script::command(question, form);
        let mut answer: BoxFuture<'static, RedisResult<Value>> =
            Box::pin(async move { connection.send_packed_command(&command).await });
        let answer = match unconstrained(&mut answer).now_or_never() {
            Some(at_once) => Box::pin(ready(at_once)),
            None => answer,
        };
        Sent { answer, session: session.number, owed }
    }

    /// Waits for the answer; sends the script's text where the node does not know it.
    async fn hear(&self, question: &Arc<Question>, mut sent: Sent) -> Reply {
        loop {
            let answer = sent.answer.await;
            self.note_answer(sent.session, answer.is_ok());
            match reply::read(question, answer) {
                reply::Answer::Reply(reply) => {
                    if let (Some(number), Reply::Released { .. }) = (sent.owed, &reply) {
                        lock(&self.state).owed.settle(number);
                    }
                    return reply;
                }
                reply::Answer::NoScript => match self.put(question, Form::Text, sent.owed) {
                    Put::Queued(again) => sent = again,
                    Put::Later => return Reply::Failed(NodeErrorKind::Down.into()),
                    Put::Refused(failure) => return Reply::Failed(failure),
                },
            }
        }
    }

    fn note_answer(&self, number: u64, is_answer: bool) {
        let now = self.clock.now();
        if let Link::Up(session) = &mut lock(&self.state).link
            && session.number == number
        {
            session.heard += 1;
            if is_answer {
                session.waiting_since = now;
            }
        }
    }

    async fn settled(&self) {
        // An error means that the sender is gone, but it lives in `self`.
        drop(self.settled.subscribe().wait_for(|settled| *settled).await);
    }
}
