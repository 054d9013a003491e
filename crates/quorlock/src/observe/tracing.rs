//! Events as `tracing` records: one line each, with fields. Which are shown is the subscriber's choice.

use ::tracing::{debug, info, warn};

use crate::error::NodeError;
use crate::event::{Event, Observer};

/// Reports every event through `tracing`, with the target `quorlock`: losses and nodes that go down as warnings, nodes
/// that come back as information, everything else at debug level.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn observe(&self, event: &Event) {
        match event {
            Event::Acquired { resources, took, votes, margin } => {
                debug!(target: "quorlock", %resources, ?took, votes, margin, "acquired");
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
