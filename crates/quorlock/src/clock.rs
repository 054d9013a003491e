//! The one reading of the clock and the one way to start a task: both are seams that a simulation replaces.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures::future::{BoxFuture, ready};
use tokio::runtime::{Handle, Id};

use crate::suspended::{Reading, Suspended};
use crate::sync::lock;
use crate::validity::later;

/// Tells the time and waits for it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now. Never runs backwards, and counts time in which the machine was suspended.
    fn now(&self) -> Instant;
    /// The same moment on the clock of the standard library, which does not count that.
    fn on_std_clock(&self, instant: Instant) -> Instant {
        instant
    }
    /// The time of day: only for what is said to other machines.
    fn wall(&self) -> SystemTime;
    /// Resolves at `deadline`, or soon after.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;
}

/// tokio's clock, the operating system's or the paused one of a test, and what the machine missed while it was suspended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

/// How long a timer may sleep without a look at the clock, if that is less than half of what it waits for: it would sleep on
/// for as long as the machine was suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Instant {
        later(tokio::time::Instant::now().into_std(), missed())
    }

    fn on_std_clock(&self, instant: Instant) -> Instant {
        instant.checked_sub(missed()).unwrap_or(instant)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // What is missed from here on is found at the next look: most timers are dropped before that.
            let missed = Duration::from_nanos(MISSED.load(Ordering::Relaxed));
            let mut now = later(tokio::time::Instant::now().into_std(), missed);
            loop {
                let left = deadline.saturating_duration_since(now);
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN.max(left / 2))).await;
                now = Self.now();
            }
        })
    }
}

/// How long this machine was suspended, in nanoseconds, as far as anybody has looked.
static MISSED: AtomicU64 = AtomicU64::new(0);

/// How long this machine was suspended since the first look.
fn missed() -> Duration {
    static SUSPENDED: LazyLock<Mutex<Suspended>> =
        LazyLock::new(|| Mutex::new(Suspended::since(reading())));
    let mut suspended = lock(&SUSPENDED);
    // Read under the lock: readings come in their order.
    let missed = suspended.by(reading(), since_begun);
    MISSED.store(u64::try_from(missed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    missed
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn reading() -> Reading {
    let before = since_begun();
    let boot = boot_time();
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Reading { before, boot, wall }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn since_begun() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGUN.elapsed()
}

/// A clock that counts suspend: `CLOCK_BOOTTIME` on Linux, `CLOCK_MONOTONIC` on Apple's systems, where the standard library's
/// is another. `None` where there is no such clock, or where the standard library's counts suspend itself.
fn boot_time() -> Option<Duration> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let time = rustix::time::clock_gettime_dynamic(rustix::time::DynamicClockId::Boottime).ok()?;
    #[cfg(target_vendor = "apple")]
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    return Duration::try_from(time).ok();
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    None
}

/// Starts tasks that nobody waits for.
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Starts `task`, also when called from outside of a runtime, if there was one before.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Lets whatever this thread has just woken run also where the thread blocks next: a runtime lets the last task that a thread
    /// has woken wait for that thread, unless another comes behind it.
    fn let_run(&self) {
        self.spawn(Box::pin(ready(())));
    }
    /// The runtime that it would be started on, if there is one, where there may be several: tasks of two live and end apart.
    fn runtime(&self) -> Option<Id> {
        None
    }
}

/// tokio's runtime: the current one, else the one that was seen last.
///
/// Where there is neither, the task is dropped, and with it what it would have done: see promise G4's exception.
#[derive(Debug, Default)]
pub(crate) struct TokioSpawner {
    seen: Mutex<Option<Handle>>,
}

impl TokioSpawner {
    /// The current runtime, which is kept in mind, or the one that is.
    fn with<T>(&self, use_it: impl FnOnce(&Handle) -> T) -> Option<T> {
        let mut seen = lock(&self.seen);
        let Ok(current) = Handle::try_current() else {
            let runtime = seen.clone();
            drop(seen);
            return runtime.as_ref().map(use_it);
        };
        let before = match &*seen {
            Some(seen) if seen.id() == current.id() => None,
            _ => seen.replace(current.clone()),
        };
        drop(seen);
        // Without the lock: it may be the last of that runtime.
        drop(before);
        Some(use_it(&current))
    }
}

impl Spawner for TokioSpawner {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        // Detached on purpose: the handle of a task aborts nothing when it is dropped.
        self.with(|runtime| drop(runtime.spawn(task)));
    }

    fn runtime(&self) -> Option<Id> {
        self.with(Handle::id)
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::oneshot;

    use super::*;

    #[test]
    fn what_is_started_outside_of_a_runtime_runs_on_the_one_that_was_asked_for_last() {
        let spawner = TokioSpawner::default();
        let [gone, there] =
            [(); 2].map(|()| tokio::runtime::Builder::new_current_thread().build().unwrap());
        gone.block_on(async { spawner.let_run() });
        there.block_on(async { assert_eq!(spawner.runtime(), Some(there.handle().id())) });
        drop(gone);
        let (tell, told) = oneshot::channel();
        spawner.spawn(Box::pin(async { tell.send(()).unwrap_or_default() }));
        assert!(there.block_on(told).is_ok());
    }
}
