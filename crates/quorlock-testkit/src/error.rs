//! What can go wrong with a cluster or a fault. What went wrong inside the code under test does not
//! live here.

use std::path::PathBuf;
use std::time::Duration;

use crate::Backend;

/// Why a cluster could not be had, or a node did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `QUORLOCK_BACKEND` has a value that is none of the four.
    #[error("QUORLOCK_BACKEND={0}: say auto, containers, processes or embedded")]
    UnknownBackend(String),

    /// A back end was asked for that this machine does not have. The reason says what to do about
    /// it.
    #[error("{backend} were asked for and cannot be had: {reason}")]
    BackendUnavailable {
        /// The back end that was asked for.
        backend: Backend,
        /// What is missing, and how to get it.
        reason: String,
    },

    /// A cluster without nodes, or with more than a test machine should start.
    #[error("a cluster of {0} nodes: say 1 to 16")]
    ClusterSize(usize),

    /// All clusters that may run at once were in use for all that time.
    #[error(
        "no free cluster of {backend} within {waited:?}: a test holds several at once, or never ends"
    )]
    PoolExhausted {
        /// The back end whose clusters are all in use.
        backend: Backend,
        /// How long the wait was.
        waited: Duration,
    },

    /// A node did not start, or did not answer in time.
    #[error("{node}: {problem}\n--- its log ---\n{log}")]
    NotReady {
        /// The node's name and place.
        node: String,
        /// What was seen of it.
        problem: String,
        /// What the server said.
        log: String,
    },

    /// A node refused a command, or its connection broke under it.
    #[error("{node}: {command}: {source}")]
    Command {
        /// The node's name.
        node: String,
        /// The command's name.
        command: String,
        /// What the driver says.
        source: Box<redis::RedisError>,
    },

    /// The container engine refused a command.
    #[error("docker {command}: {output}")]
    Engine {
        /// The command's arguments.
        command: String,
        /// What the engine said.
        output: String,
    },

    /// A fault that this cluster cannot have.
    #[error("{fault} is not available here: {reason}")]
    FaultUnavailable {
        /// The fault's name.
        fault: String,
        /// What it needs.
        reason: String,
    },

    /// A file, a folder or a program of the test machine.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
