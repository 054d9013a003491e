//! What can be done to nodes and to the wires between them: one trait for both depths, so that the faults of a
//! simulation are drawn in one place.

use std::sync::Arc;
use std::time::Duration;

use quorlock::Builder;

use super::fault::Kind;
use super::tasks::Process;
use crate::embedded::ClockJump;

/// What a crash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Empty,
    Intact,
    /// Without so many of the last changes.
    RolledBack(usize),
}

/// What becomes of what goes one way between a client and a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flow {
    #[default]
    Passes,
    /// Waits, and is delivered when it passes again.
    Waits,
    IsLost,
}

/// A lock key on a node, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) key: String,
    pub(crate) token: Arc<str>,
    /// By the node's own clock.
    pub(crate) left: Duration,
}

/// Nodes, and clients that reach them. Every verb has taken effect when it returns. Nodes and clients are known by
/// their numbers, from 0.
pub(crate) trait Field: Send + Sync {
    /// A handle's builder for this client, on all nodes.
    fn builder(&self, client: usize, process: &Process) -> Builder;

    /// The process of this client is gone: its connections end, what is under way may still arrive.
    fn client_died(&self, client: usize);

    /// The process of this client runs again after a pause.
    fn client_resumed(&self, client: usize);

    /// Says whether it ran.
    fn freeze(&self, node: usize) -> bool;
    fn thaw(&self, node: usize);
    /// Says whether it was up.
    fn crash(&self, node: usize, memory: Memory) -> bool;
    fn restart(&self, node: usize);
    /// Whether it crashed and has not been restarted.
    fn is_down(&self, node: usize) -> bool;
    /// Forgets all keys without a restart.
    fn wipe(&self, node: usize);
    /// Somebody else overwrites this key for so long, or deletes it.
    fn meddle(&self, node: usize, key: &str, with: Option<Duration>);
    fn jump_clock(&self, node: usize, by: Duration, direction: ClockJump);
    fn set_clock_rate(&self, node: usize, rate: f64);
    /// From now on nothing expires, unless only its expiry is promised.
    fn stop_clock(&self, node: usize) {
        self.set_clock_rate(node, 0.0);
    }
    /// How long, by its own clock, a node will not vote on new locks yet: it may have forgotten some.
    fn abstains_for(&self, node: usize) -> Duration;
    /// Whether it answers commands that touch keys with an error, without running them.
    fn fail(&self, node: usize, failing: Failing);
    fn flush_scripts(&self, node: usize);

    /// What becomes of requests and of replies from now on.
    fn cut(&self, client: usize, node: usize, requests: Flow, replies: Flow);
    /// Breaks the connection. Says whether there was one.
    fn disconnect(&self, client: usize, node: usize) -> bool;

    /// Whether what happens to single messages is done by [`weather`](Self::weather), and not drawn for each.
    fn has_weather(&self) -> bool {
        false
    }
    /// Does this to what passes between a client and a node for a while. Says whether it could.
    fn weather(&self, _kind: Kind, _client: usize, _node: usize, _length: Duration) -> bool {
        false
    }

    /// From now on no message is lost, repeated or late by itself.
    fn calm(&self) {}

    /// The lock keys that are live on a node, whether it is up or not.
    fn keys(&self, node: usize) -> Vec<Key>;
    /// Keys that a client changed or deleted although they held something that its command did not name.
    fn touched_others(&self, _node: usize) -> Vec<String> {
        Vec::new()
    }
    /// How often a node was given back several locks by one command.
    fn together(&self, _node: usize) -> u64 {
        0
    }
    /// Whether no promise is broken by this key being there: a duplicate or a crash brought it back.
    fn is_excused(&self, node: usize, key: &Key) -> bool;
    /// Whether a crash ever gave this key on this node back as it was before.
    fn is_rolled_back(&self, node: usize, key: &str) -> bool;
}

/// See [`Field::fail`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Yes,
    No,
}
