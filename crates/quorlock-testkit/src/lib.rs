//! Clusters of Redis nodes, faults, histories and a checker, for testing quorlock. Nothing of the
//! library lives here, and nothing here is for production.
//!
//! A [`Cluster`] is some independent nodes: containers, server processes, or nodes inside the
//! test's own process, whichever this machine has.
//! `QUORLOCK_BACKEND=auto|containers|processes|embedded` chooses; what was chosen, and why not a
//! better one, is printed. A [`Fault`] is done to one node of it, and taken back.
//!
//! | variable | meaning |
//! |---|---|
//! | `QUORLOCK_BACKEND` | what nodes are; `auto` takes the most real kind that is here |
//! | `QUORLOCK_REDIS_IMAGE` | the image of containers, by default `redis:8`, or `quorlock-node:local` if only that is here |
//! | `QUORLOCK_REDIS_SERVER` | the server of processes, by default `redis-server` or `valkey-server` from `PATH` |
//! | `QUORLOCK_TLS` | a folder that the commands of `docs/operations.md` have filled: processes in which clients have the least rights are TLS nodes |
//!
//! Real nodes live in real time: not for tests with paused time.
//!
//! # Tests of a program that locks
//!
//! What a lock can do to it is made to happen on nodes, and what it is told then is what it is told in production:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use quorlock::{Error, LostReason, Redlock};
//! use quorlock_testkit::{Backend, Cluster};
//!
//! // Nodes inside of the test; servers, where this machine has them, without `backend`.
//! let cluster = Cluster::builder(3).backend(Backend::Embedded).start().await?;
//! let redlock = Redlock::builder(cluster.urls()).build()?;
//! // Every test gets brand-new nodes. Without this they would vote after a minute.
//! redlock.bootstrap().await?;
//!
//! // Held by somebody else.
//! let other = Redlock::builder(cluster.urls()).build()?;
//! let theirs = other.lock("invoice:42").await?;
//! assert!(redlock.try_lock("invoice:42").await?.is_none());
//! theirs.release().await?;
//!
//! // Lost while it is held.
//! let guard = redlock.lock("invoice:42").await?;
//! for node in cluster.nodes() {
//!     node.command(&["DEL", "invoice:42"]).await?;
//! }
//! guard.extend().await.unwrap_err(); // at once; the keeper finds out after a third of the TTL
//! assert_eq!(guard.lost().await, LostReason::MajorityGone);
//!
//! // No quorum.
//! cluster.node(0).crash().await?;
//! cluster.node(1).crash().await?;
//! let none = redlock.lock("invoice:42").wait_for(Duration::from_millis(100)).await;
//! assert!(matches!(none, Err(Error::NoQuorum { .. })));
//! # Ok(())
//! # }
//! ```

mod backend;
pub mod checker;
mod cluster;
mod connector;
mod container;
pub mod embedded;
mod entrance;
mod error;
mod fault;
pub mod fuzz;
pub mod history;
mod node;
mod observer;
mod pool;
mod port;
mod process;
pub mod proxy;
mod reaper;
mod servers;
pub mod simulation;

pub use self::{
    backend::Backend,
    cluster::{Cluster, ClusterBuilder},
    entrance::{NEWER_RIGHTS, Tls, USER, rights},
    error::Error,
    fault::Fault,
    node::Node,
};
