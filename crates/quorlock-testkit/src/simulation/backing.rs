//! What backs a lease: the nodes that are sure to hold its keys for as long as it is valid. Asks the nodes, not the
//! library.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::field::Field;
use super::nemesis::MOST_GAIN;

/// The nodes of a simulation, for an oracle.
pub(crate) struct Backing {
    field: Arc<dyn Field>,
    nodes: usize,
}

impl Backing {
    pub(crate) fn new(field: &Arc<dyn Field>, nodes: usize) -> Self {
        Self { field: Arc::clone(field), nodes }
    }

    /// How many nodes hold `resource` for one token of `owner` for at least so long, however fast their clocks run
    /// within the drift; nothing if they are a quorum.
    pub(crate) fn is_short(&self, resource: &str, owner: &str, needed: Duration) -> Option<usize> {
        // A node that is down does not come back while it would do harm that it has forgotten.
        let mut down = 0;
        let mut backers: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for node in 0..self.nodes {
            if self.field.is_down(node) {
                down += 1;
                continue;
            }
            let lasts = |left: Duration| left.div_f64(MOST_GAIN) >= needed;
            let keys = self.field.keys(node).into_iter();
            for key in keys.filter(|key| key.key == resource && lasts(key.left)) {
                if key.token.starts_with(owner) {
                    *backers.entry(key.token).or_default() += 1;
                }
            }
        }
        let most = down + backers.into_values().max().unwrap_or_default();
        (most < self.nodes / 2 + 1).then_some(most)
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}
