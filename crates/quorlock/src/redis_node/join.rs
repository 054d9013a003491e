//! Joining a node: looking at it and at its marker before it may vote, being told when the marker changes, and making
//! a brand-new one vote. What a standing means is `standing.rs`'s; when the node is joined again, `connection.rs`'s.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join3;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, ProtocolVersion, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Notify;

use super::login::{ask, words};
use super::refusal::failure;
use crate::error::{Failure, NodeErrorKind};
use crate::membership::{Assertion, Eviction};
use crate::node::{Acted, Mode};
use crate::script::{self, Compared, Form};
use crate::standing::Fitness;
use crate::sync::lock;

/// How often a node's marker was seen to change on one connection. A grant counts only if it did not from before the question
/// was sent until the answer was read: the server tells of a change before it answers anything that was asked after it.
#[derive(Debug)]
pub(super) struct Watch {
    /// Which the server can tell only in the newer protocol: in the older one it takes the order, and says nothing.
    protocol: ProtocolVersion,
    changes: AtomicU64,
    changed: Notify,
}

impl Watch {
    pub(super) fn new(protocol: ProtocolVersion) -> Self {
        Self { protocol, changes: AtomicU64::new(0), changed: Notify::new() }
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    pub(super) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.look_again();
    }

    /// Has the node joined anew although nothing is known to have changed.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Resolves when it has changed, or has to be looked at, since the last time that this resolved.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What the driver calls with whatever a server sends unasked.
    pub(super) fn hear(&self, push: &PushInfo) {
        if push.kind == PushKind::Invalidate {
            self.note_change();
        }
    }
}

/// Which server process each node of a handle is served by: two nodes are never one (safety.md H12).
#[derive(Debug, Default)]
pub(crate) struct Servers(Mutex<Vec<(usize, String)>>);

impl Servers {
    /// Notes who serves node `index`, unless that is who serves another node already; says whether it is.
    fn serves(&self, index: usize, run_id: &str) -> bool {
        let mut all = lock(&self.0);
        all.retain(|(known, _)| *known != index);
        let taken = all.iter().any(|(_, known)| known == run_id);
        if !taken {
            all.push((index, run_id.to_owned()));
        }
        taken
    }

    pub(super) fn forget(&self, index: usize) {
        lock(&self.0).retain(|(known, _)| *known != index);
    }
}

/// How a node is joined.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) assertion: Assertion,
    pub(crate) servers: Arc<Servers>,
    /// Which of the nodes it is.
    pub(crate) index: usize,
    /// The database on the server.
    pub(crate) db: i64,
}

/// What is known of a node that was joined.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) fitness: Fitness,
    /// How often its marker had changed by then.
    pub(super) changes: u64,
    /// Where the connection is not told of changes.
    pub(super) compared: Option<Compared>,
    /// Its eviction policy, if that can cost locks.
    pub(super) evicts: Option<String>,
}

/// The marker changed while it was read: read it again so often, then leave it for a while.
const TRIES: usize = 3;

impl Joining {
    /// Looks at the node and its marker, and has the server tell of its next change.
    pub(super) async fn join(
        &self,
        connection: &MultiplexedConnection,
        watch: &Watch,
        now: impl Fn() -> Instant,
    ) -> Joined {
        for _ in 0..TRIES {
            let changes = watch.changes();
            let mut joined = Joined {
                fitness: Fitness::Refused(NodeErrorKind::Forgot.into()),
                changes,
                compared: None,
                evicts: None,
            };
            let (answer, seen) = self.look(connection, watch.protocol).await;
            match answer.map_err(failure).and_then(|answer| Look::read(&answer)) {
                Err(failure) => joined.fitness = Fitness::Refused(failure),
                Ok(look) => {
                    let is_told = match seen {
                        Seen::Told(marker) if marker.as_ref() == Some(&look.marker) => true,
                        Seen::Told(_) if look.state == "joined" => continue,
                        Seen::Told(_) | Seen::Untold => false,
                    };
                    joined.fitness = self.judge(&look, now());
                    joined.evicts = look.evicts().then_some(look.policy);
                    if !is_told {
                        let marker = self.assertion.marker.clone();
                        joined.compared = Some(Compared { marker, value: look.marker });
                    }
                }
            }
            if watch.changes() == changes {
                return joined;
            }
        }
        Joined {
            fitness: Fitness::Refused(NodeErrorKind::Forgot.into()),
            changes: watch.changes(),
            compared: None,
            evicts: None,
        }
    }

    /// One round trip, where the node knows the script.
    async fn look(
        &self,
        connection: &MultiplexedConnection,
        protocol: ProtocolVersion,
    ) -> (RedisResult<Value>, Seen) {
        let (tracks, answer, marker) = join3(
            ask(connection, words(&["CLIENT", "TRACKING", "ON", "OPTIN"])),
            ask(connection, script::join(Form::Hash, &self.assertion)),
            follow(connection, &self.assertion.marker),
        )
        .await;
        let seen = match (tracks, marker) {
            (Ok(_), Ok(marker)) if protocol != ProtocolVersion::RESP2 => Seen::Told(marker),
            _ => Seen::Untold,
        };
        match answer {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                // The marker may be written only now, so what was read of it before tells nothing.
                let text = script::join(Form::Text, &self.assertion);
                (ask(connection, text).await, Seen::Told(None))
            }
            answer => (answer, seen),
        }
    }

    fn judge(&self, look: &Look, now: Instant) -> Fitness {
        let refused = |kind: NodeErrorKind| Fitness::Refused(kind.into());
        // Before all else: a server that is refused is asked about held locks, and one that counts twice must not be.
        if !look.run_id.is_empty() && self.servers.serves(self.index, &look.run_id) {
            return refused(NodeErrorKind::SameServer);
        }
        match look.state.as_str() {
            "replica" => return refused(NodeErrorKind::Replica),
            "cluster" => return refused(NodeErrorKind::Cluster),
            "joined" => {}
            _ => {
                let why = format!("we have {}; its marker says {}", self.asserted(), look.marker);
                return Fitness::Refused(Failure::with_source(NodeErrorKind::ConfigMismatch, why));
            }
        }
        if look.evicts() && self.assertion.eviction == Eviction::Refused {
            let why = look.policy.clone();
            return Fitness::Refused(Failure::with_source(NodeErrorKind::MayEvict, why));
        }
        match look.left {
            Duration::ZERO => Fitness::Voting,
            left => Fitness::Quarantined { until: crate::validity::later(now, left) },
        }
    }

    fn asserted(&self) -> String {
        format!("{} {}", self.assertion.max_ttl.as_millis(), self.assertion.nodes)
    }

    /// Makes the node vote, if it is brand-new.
    pub(super) async fn bootstrap(
        &self,
        connection: &MultiplexedConnection,
        mode: Mode,
    ) -> Result<Acted, Failure> {
        let answer = ask(connection, script::bootstrap(mode, &self.assertion, self.db)).await;
        let answer = answer.map_err(failure)?;
        let Value::Array(parts) = &answer else { return Err(NodeErrorKind::Unclear.into()) };
        let state = parts.first().and_then(text);
        match state.as_deref() {
            Some("new") => Ok(Acted::Done),
            Some("known") => Ok(Acted::Before),
            Some("used") => {
                let why = match parts.get(1) {
                    Some(Value::Int(keys)) => format!("{keys} keys with an expiry"),
                    _ => String::new(),
                };
                Err(Failure::with_source(NodeErrorKind::InUse, why))
            }
            Some("mismatch") => {
                let marker = parts.get(1).and_then(text).unwrap_or_default();
                let why = format!("we have {}; its marker says {marker}", self.asserted());
                Err(Failure::with_source(NodeErrorKind::ConfigMismatch, why))
            }
            _ => Err(NodeErrorKind::Unclear.into()),
        }
    }
}

/// Reads the marker, and has the server tell of its next change. One message to the driver: the order is for the very next
/// command on the connection, whoever sends it.
async fn follow(connection: &MultiplexedConnection, marker: &str) -> RedisResult<Option<String>> {
    let mut both = Pipeline::with_capacity(2);
    both.add_command(words(&["CLIENT", "CACHING", "YES"]));
    both.add_command(words(&["GET", marker]));
    let answers = connection.clone().send_packed_commands(&both, 0, 2).await?;
    let answers = answers.into_iter().map(Value::extract_error).collect::<RedisResult<Vec<_>>>()?;
    Ok(answers.last().and_then(text))
}

/// What was read of the marker behind the script.
enum Seen {
    /// The server tells of the next change of this.
    Told(Option<String>),
    Untold,
}

/// The answer of `join.lua`.
struct Look {
    state: String,
    run_id: String,
    policy: String,
    is_bounded: bool,
    marker: String,
    left: Duration,
}

impl Look {
    fn read(answer: &Value) -> Result<Self, Failure> {
        let unclear = || Failure::from(NodeErrorKind::Unclear);
        let Value::Array(parts) = answer else { return Err(unclear()) };
        let [state, run_id, policy, memory, marker, Value::Int(left)] = parts.as_slice() else {
            return Err(unclear());
        };
        let text = |value| text(value).ok_or_else(unclear);
        Ok(Self {
            state: text(state)?,
            run_id: text(run_id)?,
            policy: text(policy)?,
            is_bounded: text(memory)? != "0",
            marker: text(marker)?,
            left: Duration::from_millis(u64::try_from(*left).map_err(|_| unclear())?),
        })
    }

    /// Whether locks can be thrown away to make room.
    fn evicts(&self) -> bool {
        self.is_bounded && self.policy != "noeviction"
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}
