//! Timers that are used again. Nearly every round is over long before its time is, so its timer is left to the next one: a timer
//! that fires too early is set anew, and until then it takes no more than a waker. Setting one for each round would wake a
//! thread of the runtime each time, to have it sleep for less.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::{Handle, Id};

use crate::clock::Clock;
use crate::sync::lock;

/// The most that are left for others.
const KEPT: usize = 64;

/// Those of a handle.
pub(crate) struct Timers {
    clock: Arc<dyn Clock>,
    left: Mutex<VecDeque<Set>>,
}

/// A timer that was set.
struct Set {
    fires: Instant,
    /// For how long. No round with less time takes it over: after a suspend it may sleep on for as long.
    span: Duration,
    /// Where. It ends with that.
    runtime: Option<Id>,
    timer: BoxFuture<'static, ()>,
}

impl Timers {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), left: Mutex::default() }
    }

    /// Resolves at `end`, or soon after, of something that began at `begun`.
    pub(crate) fn until(&self, begun: Instant, end: Instant) -> Timer<'_> {
        let span = end.saturating_duration_since(begun);
        Timer { timers: self, end, span, set: None }
    }

    fn leave(&self, set: Set) {
        let mut left = lock(&self.left);
        let oldest = if left.len() == KEPT { left.pop_front() } else { None };
        left.push_back(set);
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
    span: Duration,
    set: Option<Set>,
}

impl Timer<'_> {
    /// One that fires at the end or before.
    fn take(&self) -> Set {
        let runtime = runtime();
        let mut left = lock(&self.timers.left);
        let fits =
            |set: &Set| set.fires <= self.end && set.span <= self.span && set.runtime == runtime;
        let taken = left.iter().rposition(fits).and_then(|index| left.swap_remove_back(index));
        if let Some(set) = taken {
            return set;
        }
        // Of no use to anybody, and each holds a runtime that may have ended.
        let is_over = |set: &Set| set.fires <= self.end && set.runtime != runtime;
        let (over, kept): (VecDeque<_>, _) = left.drain(..).partition(is_over);
        *left = kept;
        drop(left);
        drop(over);
        self.fresh()
    }

    fn fresh(&self) -> Set {
        let (fires, span, timer) = (self.end, self.span, self.timers.clock.sleep_until(self.end));
        Set { fires, span, runtime: runtime(), timer }
    }
}

impl Future for Timer<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Taken out: one that panics, outside of any runtime, is left to nobody.
            let mut set = self.set.take().unwrap_or_else(|| self.take());
            if set.timer.poll_unpin(cx).is_pending() {
                self.set = Some(set);
                return Poll::Pending;
            }
            if set.fires >= self.end {
                return Poll::Ready(());
            }
            self.set = Some(self.fresh());
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

/// The one that this is polled on.
fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|current| current.id())
}

#[cfg(test)]
mod tests;
