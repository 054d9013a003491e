//! How the nodes are reached, and what all who lock there have to agree on. What the nodes are does not live here.

use quorlock::Redlock;
use serde::{Deserialize, Serialize};

use crate::options::TTL;

/// The nodes as a client reaches them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// Their URLs, with their passwords if they have some: not for printing.
    pub(crate) urls: Vec<String>,
    /// What they are called, by whatever address they are reached.
    pub(crate) names: Vec<String>,
    /// Put before every resource. The markers of other prefixes on the same nodes are not ours.
    pub(crate) prefix: String,
}

impl Reach {
    /// A handle of its own.
    ///
    /// # Errors
    ///
    /// The library's: a URL is none.
    pub(crate) fn handle(&self) -> Result<Redlock, quorlock::Error> {
        Redlock::builder(&self.urls)
            .node_names(&self.names)
            .prefix(&self.prefix)
            .ttl(TTL)
            // No lock of the demo lasts for longer, so a node that came back empty votes again within a step.
            .max_ttl(TTL)
            .build()
    }

    /// The key of a resource.
    pub(crate) fn key(&self, resource: &str) -> String {
        format!("{}{resource}", self.prefix)
    }
}
