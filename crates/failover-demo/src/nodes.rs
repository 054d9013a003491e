//! The nodes as the script sees them, started by the demo or there already: their faults and what is on them.
//! Which fault happens when does not live here.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use quorlock::seam::MARKERS;
use quorlock_testkit::{Cluster, proxy::Proxy};
use tokio::time::sleep;

use crate::{
    attached::Attached,
    error::{Error, Result},
    options::NodeSource,
    reach::Reach,
    stage::LOOK_EVERY,
};

/// How many nodes the demo starts.
const NODES: usize = 5;

/// All nodes of the demo.
#[derive(Debug)]
pub(crate) struct Nodes {
    kind: Kind,
    conditions: Conditions,
}

#[derive(Debug)]
enum Kind {
    Started(Cluster),
    Attached(Vec<Attached>),
}

/// What the demo has done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    Up,
    /// It takes commands and answers none.
    Frozen,
    /// It is gone, and what it knew.
    Dead,
}

/// The conditions of all nodes, shared with whoever shows them.
#[derive(Clone, Debug)]
pub(crate) struct Conditions(Arc<Mutex<Vec<Condition>>>);

impl Nodes {
    /// Starts nodes, or looks whether those that are there answer.
    ///
    /// # Errors
    ///
    /// The nodes cannot be had.
    pub(crate) async fn get(source: NodeSource) -> Result<Self> {
        let kind = match source {
            NodeSource::Start(backend) => {
                let builder = Cluster::builder(NODES).unpooled();
                let builder = match backend {
                    Some(backend) => builder.backend(backend),
                    None => builder,
                };
                Kind::Started(builder.start().await?)
            }
            NodeSource::Attach(urls) => Kind::Attached(Attached::all(&urls).await?),
        };
        let count = match &kind {
            Kind::Started(cluster) => cluster.len(),
            Kind::Attached(nodes) => nodes.len(),
        };
        Ok(Self { kind, conditions: Conditions(Arc::new(Mutex::new(vec![Condition::Up; count]))) })
    }

    /// What they are, in a word.
    pub(crate) fn backend(&self) -> String {
        match &self.kind {
            Kind::Started(cluster) => cluster.backend().to_string(),
            Kind::Attached(_) => "attached".to_owned(),
        }
    }

    /// How clients reach them that put `prefix` before every resource.
    pub(crate) fn reach(&self, prefix: String) -> Reach {
        let urls = match &self.kind {
            Kind::Started(cluster) => cluster.urls(),
            Kind::Attached(nodes) => nodes.iter().map(|node| node.url().to_owned()).collect(),
        };
        Reach { urls, names: (0..self.count()).map(name).collect(), prefix }
    }

    /// How one client reaches them that is to be cut off from some.
    ///
    /// # Errors
    ///
    /// There are no loopback ports left, or the nodes are not the demo's own.
    pub(crate) async fn proxies(&self) -> Result<Vec<Proxy>> {
        let mut proxies = Vec::new();
        for node in self.started()?.nodes() {
            proxies.push(Proxy::start(node.addr()).await?);
        }
        Ok(proxies)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.conditions.get().len()
    }

    /// How many it takes to hold a lock.
    pub(crate) fn quorum(&self) -> usize {
        self.count() / 2 + 1
    }

    /// What has been done to them.
    pub(crate) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Why no node can be frozen, if none can.
    pub(crate) fn why_not_freeze(&self) -> Option<String> {
        match &self.kind {
            Kind::Started(_) => None,
            Kind::Attached(nodes) => nodes.iter().find_map(Attached::why_not_freeze),
        }
    }

    /// Why no node can be killed, if none can.
    pub(crate) fn why_not_kill(&self) -> Option<String> {
        match &self.kind {
            Kind::Started(_) => None,
            Kind::Attached(_) => {
                Some("the nodes were there before, they are not ours to kill".into())
            }
        }
    }

    /// Whether nobody can have locked on them before.
    pub(crate) fn are_brand_new(&self) -> bool {
        matches!(self.kind, Kind::Started(_))
    }

    /// Freezes a node: until it is thawed, or for that long where nobody can thaw it.
    ///
    /// # Errors
    ///
    /// The machine or the node refuses.
    pub(crate) async fn freeze(&self, index: usize, at_most: Duration) -> Result<()> {
        match &self.kind {
            Kind::Started(cluster) => cluster.node(index).pause().await?,
            Kind::Attached(nodes) => nodes[index].freeze(at_most).await?,
        }
        self.conditions.set(index, Condition::Frozen);
        Ok(())
    }

    /// Kills a node: what it knew is gone.
    ///
    /// # Errors
    ///
    /// The machine refuses, or the node is not the demo's own.
    pub(crate) async fn kill(&self, index: usize) -> Result<()> {
        self.started()?.node(index).crash().await?;
        self.conditions.set(index, Condition::Dead);
        Ok(())
    }

    /// Brings every node back that is frozen or dead, the frozen ones first: they still know something.
    ///
    /// # Errors
    ///
    /// A node does not come back.
    pub(crate) async fn heal(&self) -> Result<()> {
        for healed in [Condition::Frozen, Condition::Dead] {
            for (index, condition) in self.conditions.get().into_iter().enumerate() {
                if condition == healed {
                    self.heal_one(index).await?;
                }
            }
        }
        Ok(())
    }

    /// Brings one node back, and returns when it answers.
    ///
    /// # Errors
    ///
    /// It does not.
    pub(crate) async fn heal_one(&self, index: usize) -> Result<()> {
        match &self.kind {
            Kind::Started(cluster) => {
                cluster.node(index).resume().await?;
                cluster.node(index).restart().await?;
            }
            Kind::Attached(nodes) => nodes[index].until_it_answers().await?,
        }
        self.conditions.set(index, Condition::Up);
        Ok(())
    }

    /// The value of a key on one node.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub(crate) async fn value(&self, index: usize, key: &str) -> Result<Option<String>> {
        match &self.kind {
            Kind::Started(cluster) => Ok(cluster.node(index).get(key).await?),
            Kind::Attached(nodes) => nodes[index].value(key).await,
        }
    }

    /// Every key on every node, with the node's name; of nodes that were there before, those that begin as given.
    ///
    /// # Errors
    ///
    /// A node does not answer.
    pub(crate) async fn keys(&self, beginning: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for index in 0..self.count() {
            let keys = match &self.kind {
                Kind::Started(cluster) => cluster.node(index).keys().await?,
                Kind::Attached(nodes) => nodes[index].keys(beginning).await?,
            };
            found.extend(keys.into_iter().map(|key| (name(index), key)));
        }
        Ok(found)
    }

    /// Takes the markers away from nodes that stay when the demo is over. Nobody may lock there any more.
    ///
    /// # Errors
    ///
    /// A node does not answer.
    pub(crate) async fn forget(&self, prefix: &str) -> Result<()> {
        if let Kind::Attached(nodes) = &self.kind {
            let marker = format!("{MARKERS}{prefix}");
            for node in nodes {
                // A connection that is just being closed would still write it anew.
                while node.delete(&marker).await? {
                    sleep(LOOK_EVERY).await;
                }
            }
        }
        Ok(())
    }

    fn started(&self) -> Result<&Cluster> {
        match &self.kind {
            Kind::Started(cluster) => Ok(cluster),
            Kind::Attached(_) => Err(Error::from(self.why_not_kill().unwrap_or_default())),
        }
    }
}

/// What a node is called.
fn name(index: usize) -> String {
    format!("node-{index}")
}

impl Conditions {
    /// As they are now, in the order of the nodes.
    pub(crate) fn get(&self) -> Vec<Condition> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, index: usize, condition: Condition) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index] = condition;
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Frozen => "frozen",
            Self::Dead => "dead",
        })
    }
}
