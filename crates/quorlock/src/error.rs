//! What can go wrong, per lock and per node, and what the caller may do next (promise G8). No I/O.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::invalid::InvalidInput;
use crate::resources::Resources;

/// Why there is no lock, or no longer one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting, a URL or a resource is unusable. Nothing was sent. Trying again does not help.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),

    /// Somebody else held the lock, or competed for it, until the wait was over. Whatever was taken is being given
    /// back. Try again later, or wait longer.
    #[error("{resources} is held by somebody else (waited {waited:.1?})")]
    #[non_exhaustive]
    Held {
        /// What was asked for.
        resources: Resources,
        /// How long the call waited.
        waited: Duration,
    },

    /// Too few nodes could answer. From an acquire: whatever was taken is being given back. From an extend: nothing
    /// has changed, the lock is valid until its old deadline. From a release: the nodes that could not be reached
    /// are owed the release and get it when they are back; else their keys expire.
    ///
    /// Look at the nodes. Trying again helps, but not with nodes that stay as they are until somebody changes something:
    /// [`Misconfigured`](NodeErrorKind::Misconfigured), `Replica`, `Cluster`, `SameServer`, `ConfigMismatch`, `MayEvict`.
    /// Where those alone leave no quorum, this comes at once, also from a call that waits.
    #[error("no quorum for {resources}: {needed} of {total} nodes are needed; {}", list(failures))]
    #[non_exhaustive]
    NoQuorum {
        /// What was asked for.
        resources: Resources,
        /// How many nodes make a quorum.
        needed: usize,
        /// How many nodes are configured.
        total: usize,
        /// What each node that did not go along said.
        failures: Vec<NodeError>,
    },

    /// Too few nodes may vote on new locks: the others have restarted, or are new, and may have forgotten locks that
    /// are still held. Nothing is held. Held locks are not touched by it. Try again after `ends_in`; brand-new nodes are
    /// made to vote at once by [`Redlock::bootstrap`](crate::Redlock::bootstrap).
    #[error(
        "too few nodes may vote on {resources} for another {ends_in:.1?}, for the others may have forgotten locks (are they brand-new? `bootstrap` once); {}",
        list(failures)
    )]
    #[non_exhaustive]
    Quarantined {
        /// What was asked for.
        resources: Resources,
        /// When enough nodes vote again, as far as it is known.
        ends_in: Duration,
        /// What each node that did not go along said.
        failures: Vec<NodeError>,
    },

    /// A program that knows nothing of locks has set the key, and set it without expiry, on so many nodes that nobody
    /// can get the lock until it is deleted. Nothing is held. Waiting does not help: find out whose key it is, delete
    /// it, or lock another name (a [`prefix`](crate::Builder::prefix) keeps locks apart from data).
    #[error(
        "{resources} is a foreign key: without expiry, so nobody can lock it; {}",
        list(failures)
    )]
    #[non_exhaustive]
    ForeignKey {
        /// What was asked for.
        resources: Resources,
        /// The nodes that have such a key.
        failures: Vec<NodeError>,
    },

    /// A quorum granted, but only after the lease was over: nothing is held, and what was taken is being given back.
    /// The nodes are too slow for this TTL, or this process was stopped meanwhile. Try again, with a longer TTL.
    #[error(
        "a quorum granted {resources} too late: {took:?} for a lease that is valid for {validity:?}"
    )]
    #[non_exhaustive]
    TooLate {
        /// What was asked for.
        resources: Resources,
        /// From before the first byte was sent to the decision.
        took: Duration,
        /// What the lease would have been valid for.
        validity: Duration,
    },

    /// The lock was held and is no longer. Somebody else may hold it now: stop, and check what was done since.
    #[error("the lock on {resources} is lost: {reason}")]
    #[non_exhaustive]
    Lost {
        /// What was held.
        resources: Resources,
        /// How it was lost.
        reason: LostReason,
    },

    /// [`Redlock::bootstrap`](crate::Redlock::bootstrap) has not made the nodes vote. Where one is in use, or some vote already
    /// (those are not listed): wait, each votes one `max_ttl` after the first client was connected to it. Where one is down,
    /// misconfigured or has other clients: mend that, and bootstrap again.
    #[error("not bootstrapped: every node has to be brand-new, and to answer{}", behind(failures))]
    #[non_exhaustive]
    NotNew {
        /// The nodes that are in use or could not be asked. Empty where some, fewer than a quorum, vote already.
        failures: Vec<NodeError>,
    },

    /// The handle was closed with [`Redlock::close`](crate::Redlock::close): there are no new locks from it.
    #[error("this handle is closed")]
    Closed,

    /// `close` ran out of time. The keys that are still owed a release expire with their TTL.
    #[error("closed with releases still on their way to: {}", nodes.join(", "))]
    #[non_exhaustive]
    Undrained {
        /// The nodes that have not confirmed every release.
        nodes: Vec<String>,
    },

    /// The operating system gave no randomness to start from.
    #[error("the operating system gave no randomness")]
    #[non_exhaustive]
    NoRandomness {
        /// What it said.
        source: Arc<dyn StdError + Send + Sync>,
    },
}

fn list(failures: &[NodeError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn behind(failures: &[NodeError]) -> String {
    if failures.is_empty() { String::new() } else { format!("; {}", list(failures)) }
}

/// How a lock was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostReason {
    /// Its validity is about to end, and no extend came through in time.
    Expired,
    /// So many nodes no longer hold it that the rest is a minority.
    MajorityGone,
    /// It has been held for the maximum total time.
    MaxHold,
    /// Its guard was released or dropped: not a loss, but the end of what [`Guard::lost`](crate::Guard::lost) waits for.
    Released,
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "it could not be extended in time",
            Self::MajorityGone => "a majority of the nodes no longer holds it",
            Self::MaxHold => "it was held for its maximum time",
            Self::Released => "it was released",
        })
    }
}

/// What one node did instead of going along.
#[derive(Clone, Debug)]
pub struct NodeError {
    node: Arc<str>,
    failure: Failure,
}

impl NodeError {
    pub(crate) fn new(node: &Arc<str>, failure: Failure) -> Self {
        Self { node: Arc::clone(node), failure }
    }

    /// The same without the node.
    pub(crate) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The node's name: `host:port/db`, or what [`Builder::node_names`](crate::Builder::node_names) calls it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> NodeErrorKind {
        self.failure.kind
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.failure)
    }
}

impl StdError for NodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.failure.source.as_deref().map(|source| source as _)
    }
}

/// The kinds of [`NodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// No connection: nothing was sent. It is tried again in the background.
    Down,
    /// So many commands wait for its answer already that nothing more was sent.
    Overloaded,
    /// No answer within the time limit. The command may have been carried out.
    NoAnswer,
    /// The connection broke before the answer came. The command may have been carried out.
    Disconnected,
    /// The node answered with an error, and did nothing of what it was asked: out of memory, loading, read-only, and so on.
    /// It may do it another time.
    Refused,
    /// The node refused to do it, and will again until somebody changes its configuration or ours: a wrong password, a right
    /// that is missing, a cluster, a command that it does not know. Where such nodes alone make a quorum impossible,
    /// nothing is waited for. Where a right is missing in the middle of a script, what was done before is given back.
    Misconfigured,
    /// It may have forgotten locks that are still held, so it does not vote on new ones yet. Nothing was sent.
    Quarantined,
    /// It has forgotten what it knew, or was told to, after it was asked: what it granted does not count.
    Forgot,
    /// It is a replica: what it holds can be lost behind its back. Nothing was sent.
    Replica,
    /// It is part of a cluster. Nothing was sent.
    Cluster,
    /// Another address of ours leads to the same server, whose vote would count twice. Nothing was sent.
    SameServer,
    /// Its other clients have other nodes than we do, or another `max_ttl`: locks would not exclude each other. Nothing was sent.
    ConfigMismatch,
    /// It may throw locks away to make room for other keys, and is refused for it. Nothing was sent.
    MayEvict,
    /// It holds keys that expire, so it is not brand-new.
    InUse,
    /// The node's answer does not tell whether the command was carried out: an error in the middle of a script, or
    /// something that is no answer to what was asked.
    Unclear,
    /// The node holds the resource for somebody else.
    HeldByAnother,
    /// The node holds something under the name of the resource that never expires.
    ForeignKey,
    /// The node no longer holds the key of this lock.
    KeyGone,
    /// The node holds the key, and was about to let it expire too early: its clock ran ahead of ours, or it came back with
    /// data from before. It has prolonged the key, but its word did not count. Look at that node's clock.
    ClockRanAhead,
}

impl NodeErrorKind {
    /// Whether it stays so until somebody changes the node, or us: nobody waits for that.
    pub(crate) fn is_final(self) -> bool {
        use NodeErrorKind::{
            Cluster, ConfigMismatch, MayEvict, Misconfigured, Replica, SameServer,
        };
        matches!(self, Misconfigured | Replica | Cluster | SameServer | ConfigMismatch | MayEvict)
    }
}

impl fmt::Display for NodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "not connected",
            Self::Overloaded => "too many commands wait for its answer",
            Self::NoAnswer => "no answer within the time limit",
            Self::Disconnected => "disconnected before it answered",
            Self::Refused => "refused",
            Self::Misconfigured => "refused for good",
            Self::Quarantined => "in quarantine",
            Self::Forgot => "forgot what it knew",
            Self::Replica => "a replica, no node of its own",
            Self::Cluster => "part of a cluster, no node of its own",
            Self::SameServer => "the same server as another node",
            Self::ConfigMismatch => "its other clients have other nodes, or another `max_ttl`",
            Self::MayEvict => "may evict locks: set `maxmemory-policy noeviction`",
            Self::InUse => "in use",
            Self::Unclear => "an answer that does not tell what was done",
            Self::HeldByAnother => "held by somebody else",
            Self::ForeignKey => "a key without expiry",
            Self::KeyGone => "the key is gone",
            Self::ClockRanAhead => {
                "its key was about to expire too early: look at the clock of that node"
            }
        })
    }
}

/// A node's failure without the node's name: what a node itself reports.
#[derive(Clone, Debug)]
pub struct Failure {
    kind: NodeErrorKind,
    /// Whether something may have been done before, whatever the kind says.
    is_half_way: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(crate) fn with_source(
        kind: NodeErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { source: Some(Arc::from(source.into())), ..Self::from(kind) }
    }

    /// The same, found out in the middle of a script.
    pub(crate) fn half_way(self) -> Self {
        Self { is_half_way: true, ..self }
    }

    /// The same in other words.
    pub(crate) fn in_words(self, words: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(words.into())), ..self }
    }

    pub(crate) fn kind(&self) -> NodeErrorKind {
        self.kind
    }

    /// Whether nothing was done: only then is there nothing to give back.
    pub(crate) fn is_not_applied(&self) -> bool {
        use NodeErrorKind::{Down, Overloaded, Quarantined, Refused};
        let is_refused = matches!(self.kind, Down | Overloaded | Refused | Quarantined);
        !self.is_half_way && (is_refused || self.kind.is_final())
    }

    /// Whether the node itself said it, on a connection that goes on.
    pub(crate) fn is_said(&self) -> bool {
        use NodeErrorKind::{Misconfigured, Refused, Unclear};
        matches!(self.kind, Refused | Misconfigured | Unclear)
    }

    /// What lies behind it, else what it is.
    pub(crate) fn reason(&self) -> String {
        self.source.as_ref().map_or_else(|| self.kind.to_string(), ToString::to_string)
    }
}

impl From<NodeErrorKind> for Failure {
    fn from(kind: NodeErrorKind) -> Self {
        Self { kind, is_half_way: false, source: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}
