//! What a release did on each node. Data; asks nobody.

use std::fmt;
use std::sync::Arc;

use crate::error::NodeError;
use crate::quorum::quorum;

/// What one node made of a release.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NodeRelease {
    /// It held the lock, and has deleted every key of it.
    Deleted,
    /// A key of it was already gone: expired, lost in a restart, or never set. What was there is deleted.
    AlreadyGone,
    /// A key of it belongs to somebody else, and was not touched.
    HeldByAnother,
    /// It never held the lock, and was not asked.
    NotHeld,
    /// It could not be asked, did not answer, or refused: the error says which. It is owed the release and gets it when it is
    /// back; else its keys expire.
    Unreachable(NodeError),
    /// It had not answered when a quorum had, or could not; the release is on its queue.
    Pending,
}

/// What a release did, node by node, when a quorum had answered or could not; the rest goes on in the background.
#[derive(Clone, Debug)]
pub struct ReleaseReport {
    /// One list for all reports of a handle.
    names: Arc<[Arc<str>]>,
    releases: Vec<NodeRelease>,
}

impl ReleaseReport {
    /// Of the nodes of these names, in their order.
    pub(crate) fn new(names: &Arc<[Arc<str>]>, releases: Vec<NodeRelease>) -> Self {
        Self { names: Arc::clone(names), releases }
    }

    /// Every configured node by its name, in the order in which they were given, and what it did.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (&str, &NodeRelease)> {
        self.names.iter().map(|name| &**name).zip(&self.releases)
    }

    /// Whether a quorum of nodes has confirmed that it holds nothing of the lock any more. If not, others may have to wait for it
    /// until the nodes are back and were sent the release, or the keys have expired.
    pub fn is_confirmed(&self) -> bool {
        use NodeRelease::{Pending, Unreachable};
        let confirmed = self.releases.iter().filter(|it| !matches!(it, Unreachable(_) | Pending));
        confirmed.count() >= quorum(self.releases.len())
    }

    /// On how many nodes every key was deleted.
    pub fn deleted(&self) -> usize {
        self.releases.iter().filter(|release| matches!(release, NodeRelease::Deleted)).count()
    }
}

impl fmt::Display for ReleaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (node, release)) in self.nodes().enumerate() {
            f.write_str(if i == 0 { "" } else { "; " })?;
            match release {
                NodeRelease::Deleted => write!(f, "{node}: deleted"),
                NodeRelease::AlreadyGone => write!(f, "{node}: already gone"),
                NodeRelease::HeldByAnother => write!(f, "{node}: held by somebody else"),
                NodeRelease::NotHeld => write!(f, "{node}: not held"),
                NodeRelease::Unreachable(error) => write!(f, "{error}"),
                NodeRelease::Pending => write!(f, "{node}: not answered yet"),
            }?;
        }
        Ok(())
    }
}
