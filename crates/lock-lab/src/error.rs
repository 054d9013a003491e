//! What can go wrong while a hazard is played: the stage, never the recipe.

/// The result of what touches servers.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a hazard could not be played. That a recipe breaks is a [`Verdict`](crate::verdict::Verdict), not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The nodes could not be started, or a fault could not be done.
    #[error("nodes: {0}")]
    Nodes(#[from] quorlock_testkit::Error),
    /// A server did not answer as servers do.
    #[error("server: {0}")]
    Server(#[from] redis::RedisError),
    /// The lock of this repository could not be set up.
    #[error("quorlock: {0}")]
    Quorlock(#[from] quorlock::Error),
    /// The thread of a client is gone.
    #[error("the client's thread has ended")]
    ClientGone,
    /// A scene did not come about: the servers or this machine are slower than the scene allows.
    #[error("the scene did not come about: {0}")]
    Scene(String),
}
