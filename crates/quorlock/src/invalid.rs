//! Input that is refused before anything is sent. Failures of nodes live in `error.rs`.

use std::time::Duration;

/// What is wrong with a setting, a node's URL, or a resource. Nothing was sent to any node.
///
/// There may be more variants one day, but each has all the fields that it will have: it can be written down and compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The builder got no URL. Give at least one; three or five is what a quorum is for.
    #[error("no nodes: give at least one URL")]
    NoNodes,
    /// The builder got more URLs than a round can ask.
    #[error("{count} nodes: at most {max} are supported", max = crate::quorum::MAX_NODES)]
    TooManyNodes {
        /// How many were given.
        count: usize,
    },
    /// A URL that cannot be read. Its password, if any, is not repeated here.
    #[error("node {index} has a bad URL: {reason}")]
    BadUrl {
        /// Which of the URLs, counted from 0.
        index: usize,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// Two URLs lead to the same database of the same server, or two nodes have one name: a vote would count twice.
    #[error("node {node} is given twice: every node needs a server of its own")]
    DuplicateNode {
        /// The node, as `host:port/db`.
        node: String,
    },
    /// Two URLs lead to different databases of one server: one failure would take two votes.
    #[error(
        "server {server} is given twice, with different database numbers: every node needs a server of its own"
    )]
    MixedDatabases {
        /// The server, as `host:port`.
        server: String,
    },
    /// A TTL below a millisecond; nodes count in whole milliseconds.
    #[error("a TTL of {ttl:?} is too short: the nodes count in whole milliseconds")]
    TtlTooShort {
        /// The TTL that was asked for.
        ttl: Duration,
    },
    /// A TTL that clock drift eats up: the lock would be over before it is held.
    #[error("a TTL of {ttl:?} is not above its drift of {drift:?}: the lock would never be valid")]
    TtlNotAboveDrift {
        /// The TTL that was asked for.
        ttl: Duration,
        /// What would be taken off it.
        drift: Duration,
    },
    /// A TTL above 2^53 ms, which the nodes' scripts cannot count exactly.
    #[error("a TTL of {ttl:?} is too long: at most 2^53 ms")]
    TtlTooLong {
        /// The TTL that was asked for.
        ttl: Duration,
    },
    /// A TTL above the `max_ttl` of the handle, for which nodes that may have forgotten a lock do not vote.
    #[error("a TTL of {ttl:?} is above `max_ttl`, which is {max_ttl:?}")]
    TtlAboveMax {
        /// The TTL that was asked for.
        ttl: Duration,
        /// The longest that is allowed.
        max_ttl: Duration,
    },
    /// A `max_ttl` above 365 days. For so long a node that restarts would not vote: it is no way to say "no limit".
    #[error(
        "`max_ttl` is {max_ttl:?}: at most 365 days, for a node that restarts does not vote for so long"
    )]
    MaxTtlTooLong {
        /// The one that was asked for.
        max_ttl: Duration,
    },
    /// A name for a node that is empty, or too long.
    #[error("`{name}` is no name for a node: 1 to {max} bytes", max = crate::membership::MAX_NODE_NAME_BYTES)]
    NodeName {
        /// The name.
        name: String,
    },
    /// Not as many names as nodes.
    #[error("{names} names for {nodes} nodes: give one for each, in the order of the URLs")]
    NodeNames {
        /// How many names were given.
        names: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// A drift factor outside of `0.0..1.0`.
    #[error("a drift factor of {factor} is not in 0.0..1.0")]
    DriftFactor {
        /// The factor that was asked for.
        factor: f64,
    },
    /// Fewer nodes than a quorum are to certify fencing tokens, or more than there are.
    #[error(
        "{certify_on} of {nodes} nodes cannot certify fencing tokens: from a quorum of them to all"
    )]
    CertifyOn {
        /// How many were asked for.
        certify_on: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// A limit of zero, which nothing could keep.
    #[error("`{setting}` is zero: give it a time")]
    ZeroLimit {
        /// The setting.
        setting: &'static str,
    },
    /// A lock on nothing.
    #[error("no resources: name at least one")]
    NoResources,
    /// More resources than one lock may cover.
    #[error("{count} resources: at most {max} in one lock", max = crate::resources::MAX_RESOURCES)]
    TooManyResources {
        /// How many were given, duplicates removed.
        count: usize,
    },
    /// A resource without a name.
    #[error("an empty resource name")]
    EmptyKey,
    /// A name that makes a key above 1 KiB, prefix included.
    #[error("a key of {bytes} bytes: at most {max}, prefix included", max = crate::resources::MAX_KEY_BYTES)]
    KeyTooLong {
        /// The length of the key.
        bytes: usize,
    },
    /// A name that begins like quorlock's own keys.
    #[error("resource `{resource}` begins with `{prefix}`, which is reserved for quorlock's own keys", prefix = crate::resources::RESERVED_PREFIX)]
    ReservedPrefix {
        /// The resource.
        resource: String,
    },
}
