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
