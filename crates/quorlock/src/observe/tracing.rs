//! Events as `tracing` records: one line each, with fields. Which are shown is the subscriber's choice.

use ::tracing::{debug, info, warn};

use crate::error::NodeError;
use crate::event::{Event, Observer};

/// Reports every event through `tracing`, with the target `quorlock`. Warnings: losses, extends that failed, nodes that go
/// down, are quarantined, refused or may evict, clocks that run off, releases and connections that were left. Information:
/// nodes that are connected or vote again, repairs. Everything else at debug level.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn observe(&self, event: &Event) {
        match event {
            Event::Acquired { resources, took, votes, margin, rounds } => {
                debug!(target: "quorlock", %resources, ?took, votes, margin, rounds, "acquired");
            }
            Event::Denied { resources } => debug!(target: "quorlock", %resources, "denied"),
            Event::AcquireFailed { resources, failures } => {
                // Every round of a wait tells this; that a node is down is told once, as a warning.
                debug!(target: "quorlock", %resources, failures = list(failures), "acquire failed");
            }
            Event::Extended { resources, valid_for } => {
                debug!(target: "quorlock", %resources, ?valid_for, "extended");
            }
            Event::ExtendFailed { resources, valid_for, failures } => {
                let failures = list(failures);
                warn!(target: "quorlock", %resources, ?valid_for, failures, "extend failed");
            }
            Event::Repaired { resources, node } => {
                info!(target: "quorlock", %resources, %node, "repaired");
            }
            Event::ClockAnomaly { node, resources, missing } => {
                warn!(target: "quorlock", %node, %resources, ?missing, "clock anomaly");
            }
            Event::Lost { resources, reason } => {
                warn!(target: "quorlock", %resources, %reason, "lost");
            }
            Event::Released { resources, valid_for } => {
                debug!(target: "quorlock", %resources, ?valid_for, "released");
            }
            Event::HandedOver { resources } => {
                debug!(target: "quorlock", %resources, "handed over");
            }
            Event::TakenUp { resources, valid_for } => {
                debug!(target: "quorlock", %resources, ?valid_for, "taken up");
            }
            Event::NodeConnected { node, owed } => {
                info!(target: "quorlock", %node, owed, "node connected");
            }
            Event::NodeDown { error } => warn!(target: "quorlock", %error, "node down"),
            Event::NodeQuarantined { node, ends_in } => {
                warn!(target: "quorlock", %node, ?ends_in, "node in quarantine");
            }
            Event::NodeVotes { node } => info!(target: "quorlock", %node, "node votes"),
            Event::NodeRefused { error } => warn!(target: "quorlock", %error, "node refused"),
            Event::NodeMayEvict { node, policy } => {
                warn!(target: "quorlock", %node, policy, "node may evict locks");
            }
            Event::OldConnectionLeft { node } => {
                warn!(target: "quorlock", %node, "old connection left open on the node");
            }
            Event::OwedReleaseDropped { node } => {
                warn!(target: "quorlock", %node, "owed release dropped");
            }
        }
    }
}

fn list(failures: &[NodeError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
