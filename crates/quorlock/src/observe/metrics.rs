//! Events as metrics: counters, gauges and histograms with stable names. Where they are kept and served is the
//! recorder's choice.

use std::sync::Arc;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::error::{LostReason, NodeError, NodeErrorKind};
use crate::event::{Event, Observer};

const GUARDS: &str = "quorlock_guards";
const ACQUIRED: &str = "quorlock_acquired_total";
const ACQUIRE_SECONDS: &str = "quorlock_acquire_seconds";
const ACQUIRE_MARGIN: &str = "quorlock_acquire_margin";
const DENIED: &str = "quorlock_denied_total";
const ACQUIRE_FAILURES: &str = "quorlock_acquire_failures_total";
const EXTENDED: &str = "quorlock_extended_total";
const EXTEND_FAILURES: &str = "quorlock_extend_failures_total";
const LOST: &str = "quorlock_lost_total";
const RELEASED: &str = "quorlock_released_total";
const HANDED_OVER: &str = "quorlock_handed_over_total";
const TAKEN_UP: &str = "quorlock_taken_up_total";
const RELEASE_LEFT_SECONDS: &str = "quorlock_release_left_seconds";
const REPAIRS: &str = "quorlock_repairs_total";
const CLOCK_ANOMALIES: &str = "quorlock_clock_anomalies_total";
const NODE_UP: &str = "quorlock_node_up";
const NODE_VOTES: &str = "quorlock_node_votes";
const NODE_QUARANTINES: &str = "quorlock_node_quarantines_total";
const NODE_MAY_EVICT: &str = "quorlock_node_may_evict_total";
const NODE_DOWNS: &str = "quorlock_node_downs_total";
const NODE_FAILURES: &str = "quorlock_node_failures_total";
const OWED_RELEASES: &str = "quorlock_owed_releases_total";
const OLD_CONNECTIONS_LEFT: &str = "quorlock_old_connections_left_total";
const FORGOTTEN_RELEASES: &str = "quorlock_forgotten_releases_total";

const COUNTERS: &[(&str, &str)] = &[
    (ACQUIRED, "Locks acquired."),
    (DENIED, "Rounds lost to somebody else who holds the lock, or competes for it."),
    (ACQUIRE_FAILURES, "Rounds lost to failures, by reason."),
    (EXTENDED, "Extends that a quorum kept."),
    (EXTEND_FAILURES, "Extends that came to nothing; the lock was valid for a while yet."),
    (LOST, "Locks lost while they were held, by reason."),
    (RELEASED, "Guards released or dropped."),
    (HANDED_OVER, "Locks handed over to another process as a lease."),
    (TAKEN_UP, "Leases of other processes taken up."),
    (REPAIRS, "Keys of held locks set again on a node that had lost them."),
    (CLOCK_ANOMALIES, "Votes that were void because a node's clock had run ahead."),
    (NODE_DOWNS, "How often a node went down."),
    (NODE_QUARANTINES, "How often a node was found to have forgotten what it knew, or to be new."),
    (NODE_MAY_EVICT, "How often a node was found that may evict locks."),
    (NODE_FAILURES, "What nodes said in rounds that came to nothing, by reason."),
    (OWED_RELEASES, "Releases that a node had not confirmed when it was connected again."),
    (OLD_CONNECTIONS_LEFT, "Connections that could not be closed on the node's side."),
    (FORGOTTEN_RELEASES, "Releases that were given up because the node was owed too many."),
];

/// Turns every event into metrics, for the recorder of the crate `metrics` that is installed.
///
/// The names are stable; `docs/operations.md` in the repository has them all, with what to look out for. Labels are `node`
/// and `reason`, never a resource, so that there are never more series than nodes and reasons allow. Handles that share
/// a process share its metrics.
///
/// # Examples
///
/// ```no_run
/// use quorlock::{MetricsObserver, Redlock};
///
/// # fn example() -> Result<(), quorlock::Error> {
/// // Install a recorder before this: whatever is told without one is lost.
/// let redlock = Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"])
///     .observer(MetricsObserver::new())
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MetricsObserver(());

impl MetricsObserver {
    /// Describes every metric to the recorder. Counters and gauges without the label `node` begin at zero, so that an alert
    /// on their growth sees the first event too; histograms have no series before the first lock.
    #[must_use = "it counts only as the observer of a handle"]
    pub fn new() -> Self {
        for &(name, what) in COUNTERS {
            describe_counter!(name, Unit::Count, what);
        }
        describe_gauge!(GUARDS, Unit::Count, "Guards that are alive.");
        describe_gauge!(NODE_UP, Unit::Count, "Whether the node is connected: 1 or 0.");
        describe_gauge!(NODE_VOTES, Unit::Count, "Whether the node votes on new locks: 1 or 0.");
        let what = "From before the first byte was sent until a quorum had granted.";
        describe_histogram!(ACQUIRE_SECONDS, Unit::Seconds, what);
        let what = "How many nodes more could have failed when a lock was acquired.";
        describe_histogram!(ACQUIRE_MARGIN, Unit::Count, what);
        let what = "How long a lock would still have been valid when it was released.";
        describe_histogram!(RELEASE_LEFT_SECONDS, Unit::Seconds, what);

        for name in [ACQUIRED, DENIED, EXTENDED, EXTEND_FAILURES, RELEASED, HANDED_OVER, TAKEN_UP] {
            counter!(name).increment(0);
        }
        for reason in ["no_quorum", "too_late"] {
            counter!(ACQUIRE_FAILURES, "reason" => reason).increment(0);
        }
        for reason in [LostReason::Expired, LostReason::MajorityGone, LostReason::MaxHold] {
            counter!(LOST, "reason" => lost_by(reason)).increment(0);
        }
        gauge!(GUARDS).increment(0.0);
        Self(())
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn observe(&self, event: &Event) {
        match event {
            Event::Acquired { took, margin, .. } => {
                counter!(ACQUIRED).increment(1);
                gauge!(GUARDS).increment(1.0);
                histogram!(ACQUIRE_SECONDS).record(*took);
                histogram!(ACQUIRE_MARGIN).record(u32::try_from(*margin).unwrap_or(u32::MAX));
            }
            Event::Denied { .. } => counter!(DENIED).increment(1),
            Event::AcquireFailed { failures, .. } => {
                // Nobody failed where a quorum granted, but too late.
                let reason = if failures.is_empty() { "too_late" } else { "no_quorum" };
                counter!(ACQUIRE_FAILURES, "reason" => reason).increment(1);
                count_failures(failures);
            }
            Event::Extended { .. } => counter!(EXTENDED).increment(1),
            Event::ExtendFailed { failures, .. } => {
                counter!(EXTEND_FAILURES).increment(1);
                count_failures(failures);
            }
            Event::Repaired { node, .. } => {
                counter!(REPAIRS, "node" => Arc::clone(node)).increment(1);
            }
            Event::ClockAnomaly { node, .. } => {
                counter!(CLOCK_ANOMALIES, "node" => Arc::clone(node)).increment(1);
            }
            Event::Lost { reason, .. } => {
                counter!(LOST, "reason" => lost_by(*reason)).increment(1);
            }
            Event::Released { valid_for, .. } => {
                counter!(RELEASED).increment(1);
                gauge!(GUARDS).decrement(1.0);
                histogram!(RELEASE_LEFT_SECONDS).record(*valid_for);
            }
            Event::HandedOver { .. } => {
                counter!(HANDED_OVER).increment(1);
                gauge!(GUARDS).decrement(1.0);
            }
            Event::TakenUp { .. } => {
                counter!(TAKEN_UP).increment(1);
                gauge!(GUARDS).increment(1.0);
            }
            _ => observe_node(event),
        }
    }
}

/// What happened to a node.
fn observe_node(event: &Event) {
    match event {
        Event::NodeConnected { node, owed } => {
            gauge!(NODE_UP, "node" => Arc::clone(node)).set(1.0);
            // An alert looks at what is added, and so needs a beginning.
            for name in [
                NODE_DOWNS,
                REPAIRS,
                CLOCK_ANOMALIES,
                NODE_MAY_EVICT,
                OLD_CONNECTIONS_LEFT,
                FORGOTTEN_RELEASES,
            ] {
                counter!(name, "node" => Arc::clone(node)).increment(0);
            }
            let owed = u64::try_from(*owed).unwrap_or(u64::MAX);
            counter!(OWED_RELEASES, "node" => Arc::clone(node)).increment(owed);
        }
        Event::NodeDown { error } => {
            gauge!(NODE_VOTES, "node" => error.node().to_owned()).set(0.0);
            gauge!(NODE_UP, "node" => error.node().to_owned()).set(0.0);
            counter!(NODE_DOWNS, "node" => error.node().to_owned()).increment(1);
        }
        Event::NodeQuarantined { node, .. } => {
            gauge!(NODE_VOTES, "node" => Arc::clone(node)).set(0.0);
            counter!(NODE_QUARANTINES, "node" => Arc::clone(node)).increment(1);
        }
        Event::NodeVotes { node } => {
            gauge!(NODE_VOTES, "node" => Arc::clone(node)).set(1.0);
            counter!(NODE_QUARANTINES, "node" => Arc::clone(node)).increment(0);
        }
        Event::NodeRefused { error } => {
            gauge!(NODE_VOTES, "node" => error.node().to_owned()).set(0.0);
            count_failures(std::slice::from_ref(error));
        }
        Event::NodeMayEvict { node, .. } => {
            counter!(NODE_MAY_EVICT, "node" => Arc::clone(node)).increment(1);
        }
        Event::OldConnectionLeft { node } => {
            counter!(OLD_CONNECTIONS_LEFT, "node" => Arc::clone(node)).increment(1);
        }
        Event::OwedReleaseDropped { node } => {
            counter!(FORGOTTEN_RELEASES, "node" => Arc::clone(node)).increment(1);
        }
        _ => {}
    }
}

fn count_failures(failures: &[NodeError]) {
    for failure in failures {
        let (node, reason) = (failure.node().to_owned(), failed_by(failure.kind()));
        counter!(NODE_FAILURES, "node" => node, "reason" => reason).increment(1);
    }
}

fn lost_by(reason: LostReason) -> &'static str {
    match reason {
        LostReason::Expired => "expired",
        LostReason::MajorityGone => "majority_gone",
        LostReason::MaxHold => "max_hold",
        LostReason::Released => "released",
    }
}

fn failed_by(kind: NodeErrorKind) -> &'static str {
    match kind {
        NodeErrorKind::Down => "down",
        NodeErrorKind::Overloaded => "overloaded",
        NodeErrorKind::NoAnswer => "no_answer",
        NodeErrorKind::Disconnected => "disconnected",
        NodeErrorKind::Refused => "refused",
        NodeErrorKind::Misconfigured => "misconfigured",
        NodeErrorKind::Quarantined => "quarantined",
        NodeErrorKind::Forgot => "forgot",
        NodeErrorKind::Replica => "replica",
        NodeErrorKind::Cluster => "cluster",
        NodeErrorKind::SameServer => "same_server",
        NodeErrorKind::ConfigMismatch => "config_mismatch",
        NodeErrorKind::MayEvict => "may_evict",
        NodeErrorKind::InUse => "in_use",
        NodeErrorKind::Unclear => "unclear",
        NodeErrorKind::ForeignKey => "foreign_key",
        NodeErrorKind::HeldByAnother => "held_by_another",
        NodeErrorKind::KeyGone => "key_gone",
        NodeErrorKind::ClockRanAhead => "clock_ran_ahead",
    }
}

#[cfg(test)]
mod tests;
