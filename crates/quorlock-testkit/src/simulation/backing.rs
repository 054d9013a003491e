//! What backs a lease: the nodes that are sure to hold its keys, or to vote for nobody else, for as long as it is valid. Asks
//! the nodes, not the library.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::field::{Field, Key};
use super::nemesis::MOST_GAIN;
use crate::proxy::wire::lock;

/// The nodes of a simulation, for an oracle.
pub(crate) struct Backing {
    field: Arc<dyn Field>,
    nodes: usize,
    /// What each node held when it crashed or was flushed, with the time of that.
    forgotten: Mutex<BTreeMap<usize, Vec<(Instant, Key)>>>,
    /// Which token each node holds of a key since it was repaired, as far as clients have heard of that.
    repaired: Mutex<BTreeSet<(usize, String, Arc<str>)>>,
}

impl Backing {
    pub(crate) fn new(field: &Arc<dyn Field>, nodes: usize) -> Self {
        let (forgotten, repaired) = Default::default();
        Self { field: Arc::clone(field), nodes, forgotten, repaired }
    }

    pub(crate) fn forgot(&self, node: usize, kept: Vec<Key>) {
        let forgotten = &mut *lock(&self.forgotten);
        let known = forgotten.entry(node).or_default();
        known.retain(|(at, key)| at.elapsed() < key.left);
        known.extend(kept.into_iter().map(|key| (Instant::now(), key)));
    }

    /// A client has heard that this node holds these resources again.
    pub(crate) fn repaired<'a>(&self, node: usize, resources: impl Iterator<Item = &'a str>) {
        let keys = self.field.keys(node);
        let repaired = &mut *lock(&self.repaired);
        for resource in resources {
            let held = keys.iter().filter(|key| key.key == resource);
            repaired.extend(held.map(|key| (node, key.key.clone(), Arc::clone(&key.token))));
        }
    }

    /// Whether a crash ever gave one of these keys on this node back as it was before.
    pub(crate) fn is_rolled_back<'a>(
        &self,
        node: usize,
        mut resources: impl Iterator<Item = &'a str>,
    ) -> bool {
        resources.any(|resource| self.field.is_rolled_back(node, resource))
    }

    /// The token of `owner` that a quorum knows under this key now.
    pub(crate) fn token(&self, resource: &str, owner: &str) -> Option<Arc<str>> {
        let (token, nodes) = self.most(resource, owner, |node| self.field.keys(node))?;
        self.is_quorum(nodes).then_some(token)
    }

    /// How many nodes hold `resource` for one token of `owner` for at least so long, however fast their clocks run
    /// within the drift; nothing if they are a quorum. A node that forgot it counts as long as it would have held it, if it
    /// votes for nobody else before that.
    pub(crate) fn is_short(&self, resource: &str, owner: &str, needed: Duration) -> Option<usize> {
        let forgotten = lock(&self.forgotten);
        let most = self.most(resource, owner, |node| {
            let lasts = |left: Duration| left.div_f64(MOST_GAIN) >= needed;
            let live = self.field.keys(node).into_iter().filter(|key| lasts(key.left));
            let abstains = self.field.is_down(node) || lasts(self.field.abstains_for(node));
            let known = forgotten.get(&node).filter(|_| abstains).into_iter().flatten();
            let known = known.filter(|(at, key)| {
                key.left.div_f64(MOST_GAIN).saturating_sub(at.elapsed()) >= needed
            });
            live.chain(known.map(|(_, key)| key.clone())).collect()
        });
        let nodes = most.map_or(0, |(_, nodes)| nodes);
        (!self.is_quorum(nodes)).then_some(nodes)
    }

    /// Whether a quorum holds `resource` for one token of `owner`, and has all the time: what a crash brought back does not
    /// count, nor what was repaired: its client may not have heard of that yet, or have asked before.
    pub(crate) fn is_held(&self, resource: &str, owner: &str) -> bool {
        let (forgotten, repaired) = (lock(&self.forgotten), lock(&self.repaired));
        let is_repaired =
            |node, key: &Key| repaired.contains(&(node, key.key.clone(), Arc::clone(&key.token)));
        let forgot = |node, key: &Key| {
            let mut known = forgotten.get(&node).into_iter().flatten();
            known.any(|(_, known)| known.key == key.key && known.token == key.token)
        };
        let held = |node| {
            // One that does not vote has forgotten what it knew: what it holds was repaired, whether or not it had come before.
            let votes = self.field.abstains_for(node).is_zero();
            let keys = self.field.keys(node).into_iter().filter(|_| votes);
            let held = keys.filter(|key| !self.field.is_excused(node, key));
            held.filter(|key| !forgot(node, key) && !is_repaired(node, key)).collect()
        };
        self.most(resource, owner, held).is_some_and(|(_, nodes)| self.is_quorum(nodes))
    }

    fn is_quorum(&self, nodes: usize) -> bool {
        nodes > self.nodes / 2
    }

    /// The token of `owner` that most nodes know under this key, and how many do.
    fn most(
        &self,
        resource: &str,
        owner: &str,
        known: impl Fn(usize) -> Vec<Key>,
    ) -> Option<(Arc<str>, usize)> {
        let mut backers: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for node in 0..self.nodes {
            let keys = known(node).into_iter();
            let own = keys.filter(|key| key.key == resource && key.token.starts_with(owner));
            for token in own.map(|key| key.token).collect::<BTreeSet<_>>() {
                *backers.entry(token).or_default() += 1;
            }
        }
        backers.into_iter().max_by_key(|(_, nodes)| *nodes)
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}
