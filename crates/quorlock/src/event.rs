//! Facts for observers: what happened, in order, as data. Where they go (logs, metrics) is the observer's choice.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LostReason, NodeError};
use crate::resources::Resources;

/// Hears what happens inside a [`Redlock`](crate::Redlock).
///
/// Called on the path of the operation, sometimes while a future is being polled or a guard dropped, and where the answers of all
/// nodes of a handle are read: return soon, and do not wait. A panic ends with the event that it was over: the lock goes on.
pub trait Observer: Send + Sync + 'static {
    /// Takes note of one event.
    fn observe(&self, event: &Event);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event) {
        (**self).observe(event);
    }
}

/// Both hear every event, the first one first. For more than two: `(a, (b, c))`.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&self, event: &Event) {
        let first = catch_unwind(AssertUnwindSafe(|| self.0.observe(event)));
        self.1.observe(event);
        if let Err(panic) = first {
            resume_unwind(panic);
        }
    }
}

/// One thing that happened. Carries no token and no password.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A round was won.
    #[non_exhaustive]
    Acquired {
        /// What is held now.
        resources: Resources,
        /// From before the first byte was sent to the decision.
        took: Duration,
        /// How many nodes had granted by then.
        votes: usize,
        /// How many nodes more could have failed: those that had neither failed nor denied by then, less the quorum.
        margin: usize,
        /// How many round trips it took: one; for a fencing token sometimes two.
        rounds: usize,
    },
    /// A round was lost to somebody else; what it took is being given back.
    #[non_exhaustive]
    Denied {
        /// What was asked for.
        resources: Resources,
    },
    /// A round was lost to failures, or won too late; what it took is being given back.
    #[non_exhaustive]
    AcquireFailed {
        /// What was asked for.
        resources: Resources,
        /// What each node that did not go along said.
        failures: Vec<NodeError>,
    },
    /// A lease was extended.
    #[non_exhaustive]
    Extended {
        /// What is held.
        resources: Resources,
        /// How long it is valid now.
        valid_for: Duration,
    },
    /// An extend came to nothing; the old deadline stands.
    #[non_exhaustive]
    ExtendFailed {
        /// What is held.
        resources: Resources,
        /// How long it is still valid.
        valid_for: Duration,
        /// What each node that did not go along said.
        failures: Vec<NodeError>,
    },
    /// A node that had lost a key of a held lease was given it again.
    #[non_exhaustive]
    Repaired {
        /// What is held.
        resources: Resources,
        /// The node.
        node: Arc<str>,
    },
    /// A node has acknowledged a lease for longer than its key was about to last: its clock ran ahead of ours, or it came
    /// back with data from before. Its vote in that extend is void. Look at that node's clock: locks that it granted
    /// may have expired too early.
    #[non_exhaustive]
    ClockAnomaly {
        /// The node.
        node: Arc<str>,
        /// What is held.
        resources: Resources,
        /// How much of its time is missing, beyond the drift.
        missing: Duration,
    },
    /// A lease is lost.
    #[non_exhaustive]
    Lost {
        /// What was held.
        resources: Resources,
        /// How it was lost.
        reason: LostReason,
    },
    /// A release was put on every node's queue. Told once for each lease that was acquired or taken up, unless it was handed
    /// over; after a loss too.
    #[non_exhaustive]
    Released {
        /// What was held.
        resources: Resources,
        /// How long it would still have been valid: zero where it was lost before.
        valid_for: Duration,
    },
    /// A lease was handed over as data: nobody keeps it here any more, and no key was deleted.
    #[non_exhaustive]
    HandedOver {
        /// What was held.
        resources: Resources,
    },
    /// A lease that came from elsewhere is held here now.
    #[non_exhaustive]
    TakenUp {
        /// What is held.
        resources: Resources,
        /// How long it is valid now.
        valid_for: Duration,
    },
    /// A node is connected.
    #[non_exhaustive]
    NodeConnected {
        /// The node.
        node: Arc<str>,
        /// How many releases it was owed, and is sent now.
        owed: usize,
    },
    /// A node is down: it could not be connected, its connection broke, or it was silent for too long.
    #[non_exhaustive]
    NodeDown {
        /// The node, and why.
        error: NodeError,
    },
    /// A node does not vote on new locks for a while: it is new, or has restarted, or its marker is gone, so it may have
    /// forgotten locks that are still held. Extends, repairs and releases go on.
    #[non_exhaustive]
    NodeQuarantined {
        /// The node.
        node: Arc<str>,
        /// When it votes again.
        ends_in: Duration,
    },
    /// A node votes on new locks, and did not before.
    #[non_exhaustive]
    NodeVotes {
        /// The node.
        node: Arc<str>,
    },
    /// A node may not vote on new locks until somebody changes it, or us: a replica, a cluster, a server that is another
    /// node too, other clients with other nodes, a right that is missing, a server that may evict, where that is refused.
    #[non_exhaustive]
    NodeRefused {
        /// The node, and why.
        error: NodeError,
    },
    /// A node's server may throw locks away to make room: set `maxmemory-policy noeviction`, or keep other tenants off.
    #[non_exhaustive]
    NodeMayEvict {
        /// The node.
        node: Arc<str>,
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// The connection before this one could not be closed on the node's side (no right to `CLIENT ID`, `CLIENT KILL` or
    /// `INFO`), so that commands may still arrive on it: owed releases are sent once more after their TTL.
    #[non_exhaustive]
    OldConnectionLeft {
        /// The node.
        node: Arc<str>,
    },
    /// A node is owed so many releases that one was forgotten; its key, if it is there, expires by itself.
    #[non_exhaustive]
    OwedReleaseDropped {
        /// The node.
        node: Arc<str>,
    },
}

/// The observer of a handle, or nobody.
#[derive(Clone, Default)]
pub(crate) struct Audience(Option<Arc<dyn Observer>>);

impl Audience {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    /// Tells the observer; makes the event only where there is one.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(observer) = &self.0 {
            let told = AssertUnwindSafe(|| observer.observe(&event()));
            // The panic hook has said what it was. Here it could keep a release from being sent.
            drop(catch_unwind(told));
        }
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Audience(1)" } else { "Audience(0)" })
    }
}
