//! The seam between the rounds and one node: a question, its reply, and who answers. No connection here.

mod inbox;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

pub use self::inbox::ReplyTo;
pub(crate) use self::inbox::{Heir, Inbox, Wake};
use crate::contention::Holder;
use crate::error::{Failure, NodeErrorKind};
use crate::resources::Keys;
use crate::standing::Standing;
use crate::token::Token;

/// What a node is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Set every key, or none: `SET key token NX PX ttl`, for several keys a script.
    Acquire,
    /// Raise the fence counters of an attempt, where nobody else has counted since.
    Certify,
    /// Prolong every key that holds the token, or none; never shorten one.
    Extend,
    /// Set again what the node has lost of a lease that a quorum is proven to hold.
    Repair,
    /// Delete every key of a lease that holds the token.
    Release,
    /// The same for an attempt that came to nothing: its keys may never have been set. Tells what is there instead.
    Undo,
}

impl Verb {
    /// Whether it takes back instead of setting.
    pub fn is_release(self) -> bool {
        matches!(self, Self::Release | Self::Undo)
    }
}

/// What is to become of the fence counters beside the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// With an acquire: count the holder, at least as this.
    Count(u64),
    /// With a certify: raise them to `to`, if they stand at what was granted.
    Raise {
        /// What the node counted the attempt as.
        granted: u64,
        /// The fencing token.
        to: u64,
    },
    /// With whatever else is done for a fenced lease: at least to its fencing token.
    Lift(u64),
}

/// One question of a round, the same for all nodes.
#[derive(Clone, Debug)]
pub struct Question {
    pub(crate) verb: Verb,
    pub(crate) keys: Keys,
    pub(crate) token: Arc<Token>,
    pub(crate) ttl: Duration,
    pub(crate) fence: Option<Fence>,
    pub(crate) time_limit: Duration,
    /// When: what a release says of how long keys may be there counts from then.
    pub(crate) asked: Instant,
    /// Its command as bytes, in the form in which most nodes are asked: packed for the first of them.
    pub(crate) packed: Packed,
}

/// A command as bytes. Shows none of them: the token is in it.
#[derive(Clone, Default)]
pub(crate) struct Packed(OnceLock<Vec<u8>>);

impl Packed {
    pub(crate) fn get_or_pack(&self, pack: impl FnOnce() -> Vec<u8>) -> &[u8] {
        self.0.get_or_init(pack)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packed")
    }
}

impl Question {
    /// What is asked.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// The lock keys that it is about.
    pub fn keys(&self) -> &[String] {
        self.keys.as_slice()
    }

    /// The owner's value. Secret: it is for the node only.
    pub fn token(&self) -> String {
        self.token.text()
    }

    /// How long the keys are to last; for a release, how long they may still be there.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// What is to become of the fence counters, where it is about a fenced lease.
    pub fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// How long the answer may take: a node that is silent for two to three times as long is given up.
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    pub(crate) fn is_release(&self) -> bool {
        self.verb.is_release()
    }

    /// Whether it may no longer be sent: nothing that sets a key may be queued behind a release.
    pub fn is_revoked(&self) -> bool {
        !self.is_release() && self.token.is_retired()
    }
}

/// What a node answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To an acquire or a repair: every key holds the token. To a certify: and every counter stands at the fencing token.
    Granted,
    /// To an acquire with fencing: every key holds the token, and the holder is counted as this.
    Counted(u64),
    /// To an acquire or a repair: somebody else's key is there. To a certify: it was, or is.
    Denied,
    /// To an extend: every key holds the token, and lives for at least the TTL now.
    Kept {
        /// The least that was left of a key before that.
        found: Duration,
    },
    /// To an extend: a key is gone, and none is somebody else's.
    Missing,
    /// To an extend: a key holds something else.
    HeldByAnother,
    /// To a release or an undo.
    Released {
        /// How many keys were deleted.
        deleted: usize,
        /// How many hold something else.
        others: usize,
        /// How many of those have no expiry.
        foreign: usize,
    },
    /// No answer, or none to what was asked.
    Failed(Failure),
}

impl Reply {
    /// Whether the node did what it was asked.
    pub(crate) fn goes_along(&self) -> bool {
        match self {
            Self::Granted | Self::Counted(_) | Self::Kept { .. } | Self::Released { .. } => true,
            Self::Denied | Self::Missing | Self::HeldByAnother | Self::Failed(_) => false,
        }
    }

    /// What a reply that does not fit the question is worth.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Denied | Self::HeldByAnother => NodeErrorKind::HeldByAnother.into(),
            Self::Missing => NodeErrorKind::KeyGone.into(),
            Self::Granted | Self::Counted(_) | Self::Kept { .. } | Self::Released { .. } => {
                NodeErrorKind::Unclear.into()
            }
        }
    }
}

/// How long one attempt to connect may take, the stream, the login and the handshake together.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// One node, as the rounds see it.
pub trait Node: fmt::Debug + Send + Sync {
    /// `host:port/db`, without credentials.
    fn name(&self) -> &Arc<str>;

    /// Puts [the question](ReplyTo::question) onto the node's queue before it returns, in the order of the calls that are about the
    /// same keys; the reply goes `to` whoever asked, who need not wait for it. A [revoked](Question::is_revoked) question is not sent. A release is
    /// sent until the node has confirmed it.
    fn ask(&self, to: ReplyTo);

    /// Whether the first attempt to connect has ended.
    fn is_settled(&self) -> bool;

    /// Resolves once the first attempt to connect has ended, and says whether the node is connected then.
    fn connected(&self) -> BoxFuture<'static, bool>;

    /// Whether it may vote on new locks.
    fn standing(&self) -> Standing {
        Standing::Voting
    }

    /// Looks at `keys` and has the node tell when one of them changes; `None` where it does not tell, or does not answer.
    fn listen(&self, keys: &[String]) -> BoxFuture<'static, Option<Listening>> {
        let _ = keys;
        Box::pin(std::future::ready(None))
    }

    /// Makes it vote at once, if it is brand-new. It has to be connected.
    fn bootstrap(&self, mode: Mode) -> BoxFuture<'static, Result<Acted, Failure>> {
        let _ = mode;
        Box::pin(std::future::ready(Ok(Acted::Before)))
    }

    /// How many releases the node has not confirmed, whose keys may still be there.
    fn owed(&self) -> usize;

    /// Resolves when that is none.
    fn drained(&self) -> BoxFuture<'static, ()>;
}

/// What a node says of the keys of a lock.
pub struct Listening {
    /// What is there now.
    pub found: Found,
    /// Resolves when a key has changed since, or may have. A hint: it says neither how, nor that it is still so.
    pub changed: BoxFuture<'static, ()>,
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("found", &self.found).finish_non_exhaustive()
    }
}

/// What is there of a lock, on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No key.
    Free,
    /// A key at least.
    Held {
        /// Who, of those who hold one.
        by: Holder,
        /// How long the last of them will be there; `None` where one has no expiry.
        left: Option<Duration>,
    },
}

/// Whether something is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is only said what would come of it.
    Look,
    /// It is done.
    Act,
}

/// What comes of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It was done, or would be.
    Done,
    /// It was so before, and nothing was changed.
    Before,
}

/// A set of nodes by their place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeSet(u64);

impl NodeSet {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn first(count: usize) -> Self {
        (0..count).fold(Self::EMPTY, Self::with)
    }

    #[must_use]
    pub(crate) fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << index)
    }

    #[must_use]
    pub(crate) fn without(self, index: usize) -> Self {
        Self(self.0 & !(1 << index))
    }

    #[must_use]
    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    #[must_use]
    pub(crate) fn except(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn contains(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }

    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::MAX_NODES;

    #[test]
    fn a_set_of_all_nodes_holds_each_of_them() {
        let all = NodeSet::first(MAX_NODES);
        assert!((0..MAX_NODES).all(|i| all.contains(i)));
        assert!(!all.without(63).contains(63));
        assert_eq!((all.len(), all.without(63).len()), (MAX_NODES, MAX_NODES - 1));
        assert!(NodeSet::EMPTY.with(5).without(5).is_empty());
    }
}
