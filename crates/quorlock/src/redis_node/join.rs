//! Joining a node: looking at it and at its marker before it may vote, having it tell when the marker changes, and making
//! a brand-new one vote. What a standing means is `standing.rs`'s; when the node is joined again, `connection.rs`'s.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join3;
use redis::{ProtocolVersion, RedisResult, Value};

use super::asked::NodeLine;
use super::login::words;
use super::marker::Watch;
use super::refusal::failure;
use crate::error::{Failure, NodeErrorKind};
use crate::membership::{Assertion, Eviction};
use crate::node::{Acted, Mode};
use crate::script::{self, Compared, Form};
use crate::standing::Fitness;
use crate::sync::lock;

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

/// Where a node is joined: its connection, and what is heard on it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) line: Arc<NodeLine>,
    pub(super) watch: Arc<Watch>,
    /// Of changes a server tells only in the newer one: in the older one it takes the order, and says nothing.
    pub(super) protocol: ProtocolVersion,
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
    pub(super) async fn join(&self, place: &Place, now: impl Fn() -> Instant) -> Joined {
        let watch = &place.watch;
        for _ in 0..TRIES {
            let changes = watch.changes();
            let mut joined = Joined {
                fitness: Fitness::Refused(NodeErrorKind::Forgot.into()),
                changes,
                compared: None,
                evicts: None,
            };
            let (answer, seen) = self.look(place).await;
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
    async fn look(&self, Place { line, protocol, .. }: &Place) -> (RedisResult<Value>, Seen) {
        let (tracks, answer, marker) = join3(
            line.ask(words(&["CLIENT", "TRACKING", "ON", "OPTIN"])),
            line.ask(script::join(Form::Hash, &self.assertion)),
            follow(line, &self.assertion.marker),
        )
        .await;
        let seen = match (tracks, marker) {
            (Ok(_), Ok(marker)) if *protocol != ProtocolVersion::RESP2 => Seen::Told(marker),
            _ => Seen::Untold,
        };
        match answer {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                // The marker may be written only now, so what was read of it before tells nothing.
                (line.ask(script::join(Form::Text, &self.assertion)).await, Seen::Told(None))
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
    pub(super) async fn bootstrap(&self, line: &NodeLine, mode: Mode) -> Result<Acted, Failure> {
        let answer = line.ask(script::bootstrap(mode, &self.assertion, self.db)).await;
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

/// Reads the marker, and has the server tell of its next change. With nothing between the two: the order is for the very next
/// command on the connection, whoever sends it.
async fn follow(line: &NodeLine, marker: &str) -> RedisResult<Option<String>> {
    let both = [words(&["CLIENT", "CACHING", "YES"]), words(&["GET", marker])];
    let answers: RedisResult<Vec<_>> = line.ask_all(&both).await.into_iter().collect();
    Ok(answers?.last().and_then(text))
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
