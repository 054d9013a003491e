//! Redlock for Rust: a lock held on a majority of N independent Redis (or Valkey) nodes.
//!
//! ```no_run
//! # async fn charge() {}
//! # async fn example() -> Result<(), quorlock::Error> {
//! use std::time::Duration;
//!
//! let redlock = quorlock::Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"])
//!     .ttl(Duration::from_secs(10))
//!     .build()?;
//!
//! let guard = redlock.lock("invoice:42").wait_for(Duration::from_secs(5)).await?; // extended until dropped
//! guard.run(charge()).await?; // the future is dropped when the lock is lost
//! guard.release().await?; // an error only where it was lost before
//! # Ok(()) }
//! ```
//!
//! # New nodes
//!
//! A node that may have forgotten locks (new, restarted, flushed) does not vote on new ones for one [`Builder::max_ttl`] (60 s)
//! from when a client was first connected to it: until then `lock` fails with [`Error::Quarantined`], unless that ends within
//! its wait (ten seconds by default). Say once that nodes are brand-new, with [`Redlock::bootstrap`]; never at every start of a
//! program.
//!
//! # What is promised
//!
//! At most one valid lease per resource at a time, if the nodes do not forget and no clock runs off (G1). A [`Fenced`] lock
//! has a token that is larger for every later holder, whatever the clocks do (G2). Dead, frozen or slow minority nodes cost
//! no waiting (G3). Whatever does not end in a [`Guard`] leaves no key behind (G4). A guard says
//! that it is lost before its validity ends (G5). Nobody else's key is touched (G6). Every round, wait and queue is bounded
//! (G7). Each failure says what happened on each node (G8). `docs/safety.md` in the repository has them in full, with
//! what is not promised: above all, a paused process does not notice that it is paused.
//!
//! # Features
//!
//! - `metrics`: [`MetricsObserver`], which counts and times every event.
//! - `tls`: `rediss://` nodes, verified against the system's certificates or `Builder::tls_roots`.
//! - `serde`: a [`Lease`] can be written and read.
//! - `tracing`: [`TracingObserver`], which reports every event.

mod attempt;
mod audit;
mod builder;
mod clock;
mod contention;
mod crowd;
mod entropy;
mod error;
mod event;
mod fan_out;
mod fenced;
mod fencing;
mod guard;
mod handover;
mod held;
mod invalid;
mod keeper;
mod lease;
mod lifetime;
mod membership;
mod node;
mod observe;
mod one_task;
mod quorum;
mod redis_node;
mod redlock;
mod report;
mod request;
mod resources;
mod retry;
mod round;
mod script;
#[cfg(test)]
mod scripted;
mod settings;
mod standing;
mod suspended;
mod sync;
mod timers;
mod token;
mod upkeep;
mod validity;
mod wait;
mod waiters;
mod waiting;

#[cfg(feature = "metrics")]
pub use crate::observe::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
pub use crate::observe::tracing::TracingObserver;
pub use crate::{
    builder::Builder,
    error::{Error, LostReason, NodeError, NodeErrorKind},
    event::{Event, Observer},
    fenced::Fenced,
    fencing::FencingToken,
    guard::{Guard, Lost},
    handover::Lease,
    invalid::InvalidInput,
    redlock::Redlock,
    report::{NodeRelease, ReleaseReport},
    request::{LockRequest, TryLockRequest},
    resources::Resources,
    retry::Retry,
    standing::Standing,
};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

/// The pages of the book that have code, compiled.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../docs/start.md")]
    mod start {}
    #[doc = include_str!("../../../docs/choosing.md")]
    mod choosing {}
    #[doc = include_str!("../../../docs/coming-from.md")]
    mod coming_from {}
    #[doc = include_str!("../../../docs/questions.md")]
    mod questions {}
}

/// What the test kit puts in the place of the operating system. No promise of stability.
#[doc(hidden)]
pub mod seam {
    pub use crate::clock::{Clock, Spawner};
    pub use crate::contention::Holder;
    pub use crate::error::Failure;
    pub use crate::membership::MARKERS;
    pub use crate::node::{
        Acted, Fence, Found, Listening, Mode, Node, Question, Reply, ReplyTo, Verb,
    };
    pub use crate::redis_node::{Abort, Connector, Server, Wire};
    pub use crate::script::text;
    pub use crate::standing::quarantined;

    /// What comes from outside, read as the library reads it: for fuzzing.
    pub mod fuzz {
        pub use crate::redis_node::fuzz::{Read, Way, first_answer, keys, replies, url};
    }
}
