//! Faults as values: what is done to which node, and how it is taken back. How a node or a proxy
//! does it does not live here.

use std::fmt;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::embedded::ClockJump;
use crate::error::Error;
use crate::proxy::Direction;

/// One fault of one node. The number is the node's, as in [`Cluster::node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The node freezes: it takes in commands and answers none. Healed, it executes them.
    Pause(usize),
    /// The node dies and forgets everything. Healed, it is back under its address.
    Crash(usize),
    /// The node dies and is back at once, empty. Nothing is left to heal.
    Bounce(usize),
    /// The node loses every key and goes on. Nothing is left to heal.
    Wipe(usize),
    /// The node loses every script and goes on. Nothing is left to heal.
    FlushScripts(usize),
    /// Nothing gets through to the node or back, and nobody is told. Needs a proxy or containers.
    Partition(usize),
    /// Nothing gets through to the node, or nothing gets back. Needs a proxy.
    PartitionOneway(usize, Direction),
    /// Everything between clients and node is kept back; healed, it arrives. Needs a proxy.
    Hold(usize),
    /// Everything between clients and node takes that much longer, each way. Needs a proxy.
    Slow(usize, Duration),
    /// The node's clock jumps. Healed, it jumps back. Needs embedded nodes.
    JumpClock(usize, ClockJump, Duration),
}

impl Fault {
    /// The fault's verb.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause(_) => "pause",
            Self::Crash(_) => "crash",
            Self::Bounce(_) => "bounce",
            Self::Wipe(_) => "wipe",
            Self::FlushScripts(_) => "flush_scripts",
            Self::Partition(_) => "partition",
            Self::PartitionOneway(..) => "partition_oneway",
            Self::Hold(_) => "hold",
            Self::Slow(..) => "slow",
            Self::JumpClock(..) => "jump_clock",
        }
    }

    /// The number of the node that it hits.
    pub fn node(&self) -> usize {
        match *self {
            Self::Pause(node) | Self::Crash(node) | Self::Bounce(node) | Self::Wipe(node) => node,
            Self::FlushScripts(node) | Self::Partition(node) | Self::Hold(node) => node,
            Self::PartitionOneway(node, _) | Self::Slow(node, _) | Self::JumpClock(node, ..) => {
                node
            }
        }
    }

    /// Whether this cluster can have it.
    pub fn available(&self, cluster: &Cluster) -> bool {
        self.check(cluster).is_ok()
    }

    /// Makes it happen. Returns when it has.
    ///
    /// # Errors
    ///
    /// [`Error::FaultUnavailable`], and those of the [`Node`](crate::Node)'s verb.
    pub async fn inject(&self, cluster: &Cluster) -> Result<(), Error> {
        self.check(cluster)?;
        let node = cluster.node(self.node());
        match *self {
            Self::Pause(_) => node.pause().await?,
            Self::Crash(_) => node.crash().await?,
            Self::Bounce(_) => node.bounce().await?,
            Self::Wipe(_) => node.wipe().await?,
            Self::FlushScripts(_) => node.flush_scripts().await?,
            Self::Partition(_) if !cluster.is_proxied() => node.disconnect().await?,
            Self::Partition(index) => cluster.proxy(index).partition(),
            Self::PartitionOneway(index, direction) => {
                cluster.proxy(index).partition_oneway(direction)
            }
            Self::Hold(index) => cluster.proxy(index).hold(),
            Self::Slow(index, delay) => cluster.proxy(index).slow(delay),
            Self::JumpClock(_, jump, by) => jump_clock(cluster, self.node(), jump, by),
        }
        Ok(())
    }

    /// Takes it back, as far as such a thing is taken back: what was lost stays lost. Returns when
    /// the node answers.
    ///
    /// # Errors
    ///
    /// Those of [`inject`](Self::inject).
    pub async fn heal(&self, cluster: &Cluster) -> Result<(), Error> {
        self.check(cluster)?;
        let node = cluster.node(self.node());
        match *self {
            Self::Pause(_) => node.resume().await?,
            Self::Crash(_) | Self::Bounce(_) => node.restart().await?,
            Self::Wipe(_) | Self::FlushScripts(_) => {}
            Self::Partition(_) if !cluster.is_proxied() => node.reconnect().await?,
            Self::Partition(index) | Self::PartitionOneway(index, _) => {
                cluster.proxy(index).repair()
            }
            Self::Hold(index) => cluster.proxy(index).release(),
            Self::Slow(index, _) => cluster.proxy(index).slow(Duration::ZERO),
            Self::JumpClock(_, jump, by) => jump_clock(cluster, self.node(), back(jump), by),
        }
        Ok(())
    }

    fn check(&self, cluster: &Cluster) -> Result<(), Error> {
        let unavailable = |reason: &str| Error::FaultUnavailable {
            fault: self.to_string(),
            reason: reason.to_owned(),
        };
        let proxied = cluster.is_proxied();
        if self.node() >= cluster.len() {
            return Err(unavailable("the cluster has fewer nodes"));
        }
        match self {
            Self::Partition(_) if !proxied && cluster.backend() != crate::Backend::Containers => {
                Err(unavailable("it needs containers, or a cluster that is `proxied()`"))
            }
            Self::PartitionOneway(..) | Self::Hold(_) | Self::Slow(..) if !proxied => {
                Err(unavailable("it needs a cluster that is `proxied()`"))
            }
            Self::JumpClock(..) if cluster.backend() != crate::Backend::Embedded => {
                Err(unavailable("it needs embedded nodes"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} node-{}", self.name(), self.node())?;
        match self {
            Self::PartitionOneway(_, direction) => write!(f, " ({direction:?})"),
            Self::Slow(_, delay) => write!(f, " by {delay:?}"),
            Self::JumpClock(_, jump, by) => write!(f, " {jump:?} by {by:?}"),
            _ => Ok(()),
        }
    }
}

fn jump_clock(cluster: &Cluster, index: usize, jump: ClockJump, by: Duration) {
    if let Some(node) = cluster.node(index).embedded() {
        node.jump_clock(by, jump);
    }
}

fn back(jump: ClockJump) -> ClockJump {
    match jump {
        ClockJump::Forward => ClockJump::Backward,
        ClockJump::Backward => ClockJump::Forward,
    }
}
