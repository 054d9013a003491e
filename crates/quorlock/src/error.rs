//! What can go wrong, and what the caller may do next (promise G8); what one node did wrong is `error/node.rs`'s. No I/O.

mod node;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::node::{Failure, NodeError, NodeErrorKind};
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
    /// has changed, the lock is valid until its old deadline.
    ///
    /// Look at the nodes. Trying again helps, but not with nodes that stay as they are until somebody changes something:
    /// [`Misconfigured`](NodeErrorKind::Misconfigured), `Replica`, `Cluster`, `SameServer`, `ConfigMismatch`, `MayEvict`.
    /// Where those alone leave no quorum, this comes at once, also from a call that waits, and
    /// [`is_worth_retrying`](Self::is_worth_retrying) says no.
    #[error("no quorum for {resources}: {needed} of {total} nodes are needed; {}", list(failures))]
    #[non_exhaustive]
    NoQuorum {
        /// What was asked for.
        resources: Resources,
        /// How many nodes are needed: a quorum, or [`certify_on`](crate::Builder::certify_on) where a fenced lock was asked
        /// for.
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

impl Error {
    /// Whether the same `lock`, `try_lock`, `extend` or `take_up` may succeed a little later, with nobody's help: nothing is held,
    /// or nothing has changed.
    ///
    /// Yes of [`Held`](Self::Held), [`TooLate`](Self::TooLate), [`Quarantined`](Self::Quarantined), and of
    /// [`NoQuorum`](Self::NoQuorum) unless so many nodes stay as they are until somebody changes them that no quorum is left.
    /// It is about the lock, and not about what you do under it: after [`Lost`](Self::Lost) that was begun, so the answer is no.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Held { .. } | Self::TooLate { .. } | Self::Quarantined { .. } => true,
            Self::NoQuorum { needed, total, failures, .. } => {
                !leave_no_quorum(failures, *needed, *total)
            }
            Self::InvalidInput(_)
            | Self::ForeignKey { .. }
            | Self::Lost { .. }
            | Self::NotNew { .. }
            | Self::Closed
            | Self::Undrained { .. }
            | Self::NoRandomness { .. } => false,
        }
    }
}

/// Whether so many nodes stay as they are until somebody changes them that fewer than `needed` of `total` are left.
pub(crate) fn leave_no_quorum(failures: &[NodeError], needed: usize, total: usize) -> bool {
    let refusing = failures.iter().filter(|error| error.kind().is_final()).count();
    total.saturating_sub(refusing) < needed
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
    /// Its guard was released, dropped or handed over ([`into_lease`](crate::Guard::into_lease)): not a loss, but the end of
    /// what [`Guard::lost`](crate::Guard::lost) waits for.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_worth_retrying() {
        use NodeErrorKind::{Down, Misconfigured, NoAnswer};
        let resources = || Resources::from("a");
        let failures = |kinds: &[NodeErrorKind]| {
            kinds.iter().map(|kind| NodeError::new(&"n".into(), (*kind).into())).collect::<Vec<_>>()
        };
        let no_quorum = |kinds| Error::NoQuorum {
            resources: resources(),
            needed: 3,
            total: 5,
            failures: failures(kinds),
        };
        assert!(no_quorum(&[Down, NoAnswer, Down]).is_worth_retrying());
        assert!(no_quorum(&[Misconfigured, Misconfigured, Down]).is_worth_retrying());
        assert!(!no_quorum(&[Misconfigured; 3]).is_worth_retrying());
        let second = Duration::from_secs(1);
        let quarantined =
            Error::Quarantined { resources: resources(), ends_in: second, failures: Vec::new() };
        let held = Error::Held { resources: resources(), waited: second };
        let too_late = Error::TooLate { resources: resources(), took: second, validity: second };
        assert!([quarantined, held, too_late].iter().all(Error::is_worth_retrying));
        let lost = Error::Lost { resources: resources(), reason: LostReason::Expired };
        let invalid = Error::InvalidInput(InvalidInput::NoResources);
        let foreign = Error::ForeignKey { resources: resources(), failures: failures(&[Down]) };
        for error in [lost, invalid, foreign, Error::Closed] {
            assert!(!error.is_worth_retrying(), "{error}");
        }
    }
}
