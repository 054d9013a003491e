//! What backs a lease: the nodes that are sure to hold its keys for as long as it is valid. Asks the nodes, not the
//! library.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::field::{Field, Key};
use super::nemesis::MOST_GAIN;
use crate::proxy::wire::lock;

/// The nodes of a simulation, for an oracle.
pub(crate) struct Backing {
    field: Arc<dyn Field>,
    nodes: usize,
    /// What each node held when it crashed last.
    kept: Mutex<BTreeMap<usize, Vec<Key>>>,
}

impl Backing {
    pub(crate) fn new(field: &Arc<dyn Field>, nodes: usize) -> Self {
        Self { field: Arc::clone(field), nodes, kept: Mutex::default() }
    }

    pub(crate) fn crashed(&self, node: usize, kept: Vec<Key>) {
        lock(&self.kept).insert(node, kept);
    }

    /// How many nodes hold `resource` for one token of `owner` for at least so long, however fast their clocks run
    /// within the drift; nothing if they are a quorum.
    pub(crate) fn is_short(&self, resource: &str, owner: &str, needed: Duration) -> Option<usize> {
        let mut backers: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for node in 0..self.nodes {
            // A node that is down does not come back while it would do harm that it has forgotten.
            let is_down = self.field.is_down(node);
            let keys = match is_down {
                true => lock(&self.kept).get(&node).cloned().unwrap_or_default(),
                false => self.field.keys(node),
            };
            let lasts = |left: Duration| is_down || left.div_f64(MOST_GAIN) >= needed;
            let keys = keys.into_iter();
            for key in keys.filter(|key| key.key == resource && lasts(key.left)) {
                if key.token.starts_with(owner) {
                    *backers.entry(key.token).or_default() += 1;
                }
            }
        }
        let most = backers.into_values().max().unwrap_or_default();
        (most < self.nodes / 2 + 1).then_some(most)
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}
