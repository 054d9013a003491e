//! What one node did instead of going along, with and without its name. No I/O.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

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
