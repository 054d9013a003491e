//! The one reading of the clock and the one way to start a task: both are seams that a simulation replaces.

use std::fmt;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use crate::sync::lock;

/// Tells the time and waits for it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now. Never runs backwards.
    fn now(&self) -> Instant;
    /// The time of day: only for what is said to other machines.
    fn wall(&self) -> SystemTime;
    /// Resolves at `deadline`, or soon after.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;
}

/// tokio's clock: the operating system's, or the paused one of a test.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }
}

/// Starts tasks that nobody waits for.
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Starts `task`, also when called from outside of a runtime, if there was one before.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// tokio's runtime: the current one, else the one that was seen last.
///
/// Where there is neither, the task is dropped, and with it what it would have done: see promise G4's exception.
#[derive(Debug, Default)]
pub(crate) struct TokioSpawner {
    seen: Mutex<Option<Handle>>,
}

impl Spawner for TokioSpawner {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let runtime = match Handle::try_current() {
            Ok(current) => {
                *lock(&self.seen) = Some(current.clone());
                Some(current)
            }
            Err(_) => lock(&self.seen).clone(),
        };
        if let Some(runtime) = runtime {
            // Detached on purpose: the handle of a task aborts nothing when it is dropped.
            drop(runtime.spawn(task));
        }
    }
}
