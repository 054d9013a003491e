//! What a node tells about itself, and how to make it say otherwise. What can happen to it is in `faults.rs`.

use super::node::EmbeddedNode;

/// A node's answers about itself. A restart renews the first four; the rest is its configuration.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) run_id: String,
    /// Other digits whenever its data may have come from another server.
    pub(crate) replication_id: String,
    /// What that was before, in the life of this process.
    pub(crate) second_replication_id: String,
    pub(crate) started_us: i64,
    pub(crate) port: u16,
    pub(crate) role: Role,
    pub(crate) mode: Mode,
    pub(crate) max_memory: u64,
    pub(crate) eviction_policy: String,
}

/// Whether a node takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It does.
    Master,
    /// It copies another one and takes no writes of its own clients.
    Replica,
}

/// Whether a node is alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It has all keys.
    Standalone,
    /// It says that it is part of a cluster. It serves all keys all the same.
    Cluster,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Cluster => "cluster",
        }
    }
}

impl Facts {
    /// What a server says that nobody configured.
    pub(crate) fn of_a_server() -> Self {
        Self {
            run_id: String::new(),
            replication_id: String::new(),
            second_replication_id: String::new(),
            started_us: 0,
            port: 6379,
            role: Role::Master,
            mode: Mode::Standalone,
            max_memory: 0,
            eviction_policy: "noeviction".to_owned(),
        }
    }
}

/// What it says of itself, and what it can. Open connections stay as they are.
impl EmbeddedNode {
    /// As a replica it refuses writes with `READONLY`, also those of scripts; but for what the test itself
    /// [runs](Self::run), as its master would. The replication id changes with it, the run id does not.
    pub fn set_role(&self, role: Role) {
        self.with(|server| {
            server.facts.role = role;
            let before = server.facts.replication_id.clone();
            server.draw_replication_id();
            server.facts.second_replication_id = before;
        });
    }

    /// What `INFO` says of cluster mode.
    pub fn set_mode(&self, mode: Mode) {
        self.with(|server| server.facts.mode = mode);
    }

    /// What `INFO` says: `noeviction` at first. Nothing is ever evicted.
    pub fn set_eviction_policy(&self, policy: &str) {
        self.with(|server| policy.clone_into(&mut server.facts.eviction_policy));
    }

    /// What `INFO` says: 0 at first, which is no bound, and with which a server evicts nothing whatever its policy.
    pub fn set_max_memory(&self, bytes: u64) {
        self.with(|server| server.facts.max_memory = bytes);
    }

    /// Answers `CLIENT TRACKING` as it does where the user has no right to it. Who tracks already goes on.
    pub fn refuse_tracking(&self) {
        self.with(|server| server.refuses_tracking = true);
    }

    /// Takes [`refuse_tracking`](Self::refuse_tracking) back.
    pub fn allow_tracking(&self) {
        self.with(|server| server.refuses_tracking = false);
    }

    /// From now on knows neither `HELLO` nor `CLIENT TRACKING`, as servers did that had only RESP2.
    pub fn know_resp2_only(&self) {
        self.with(|server| server.knows_resp2_only = true);
    }
}
