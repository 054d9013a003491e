//! Timers that are used again. Nearly every round is over long before its time is, so its timer is left to the next one: a timer
//! that fires too early is set anew, and until then it takes no more than a waker. Setting one for each round would wake a
//! thread of the runtime each time, to have it sleep for less.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Id;

use crate::clock::{Clock, Spawner};
use crate::sync::lock;

/// The most that are left for others.
const KEPT: usize = 64;

/// Those of a handle.
pub(crate) struct Timers {
    clock: Arc<dyn Clock>,
    spawner: Arc<dyn Spawner>,
    left: Mutex<Vec<Set>>,
}

/// A timer that was set, and on which runtime: it ends with that.
struct Set {
    fires: Instant,
    runtime: Option<Id>,
    timer: BoxFuture<'static, ()>,
}

impl Timers {
    pub(crate) fn new(clock: &Arc<dyn Clock>, spawner: &Arc<dyn Spawner>) -> Self {
        let (clock, spawner) = (Arc::clone(clock), Arc::clone(spawner));
        Self { clock, spawner, left: Mutex::default() }
    }

    /// Resolves at `end`, or soon after.
    pub(crate) fn until(&self, end: Instant) -> Timer<'_> {
        Timer { timers: self, end, set: None }
    }

    /// One that fires at `end` or before.
    fn take(&self, end: Instant) -> Set {
        let runtime = self.spawner.runtime();
        let mut left = lock(&self.left);
        let fits = |set: &Set| set.fires <= end && set.runtime == runtime;
        match left.iter().rposition(fits) {
            Some(index) => left.swap_remove(index),
            None => self.set(end, runtime),
        }
    }

    fn set(&self, end: Instant, runtime: Option<Id>) -> Set {
        Set { fires: end, runtime, timer: self.clock.sleep_until(end) }
    }

    fn leave(&self, set: Set) {
        let mut left = lock(&self.left);
        let oldest = (left.len() == KEPT).then(|| left.swap_remove(0));
        left.push(set);
        drop(left);
        // Without the lock: the waker in it may be the last of a task.
        drop(oldest);
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timers")
    }
}

/// Waits for its end. Needs nothing before it is polled.
pub(crate) struct Timer<'a> {
    timers: &'a Timers,
    end: Instant,
    set: Option<Set>,
}

impl Future for Timer<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { timers, end, set } = &mut *self;
        loop {
            let current = set.get_or_insert_with(|| timers.take(*end));
            ready!(current.timer.poll_unpin(cx));
            let (fired, runtime) = (current.fires, current.runtime);
            *set = None;
            if fired >= *end {
                return Poll::Ready(());
            }
            *set = Some(timers.set(*end, runtime));
        }
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(set) = self.set.take() {
            self.timers.leave(set);
        }
    }
}

#[cfg(test)]
mod tests;
