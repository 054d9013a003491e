//! All tasks of one client, behind one gate: a pause or a death of its process is that none of them is polled.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use quorlock::seam::{Clock, Spawner};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::fencing::Day;
use crate::proxy::wire::lock;

/// Timers count whole milliseconds.
const MOMENT: Duration = Duration::from_millis(1);

/// The process of one client.
#[derive(Clone, Debug)]
pub(crate) struct Process(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rung when it dies.
    ended: Notify,
    day: Day,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    wakers: Vec<Waker>,
    /// Begin and end of the last pause, with those right before it.
    paused: Option<(Instant, Option<Instant>)>,
    paused_since: Option<Instant>,
    /// All pauses that are over.
    paused_for: Duration,
    /// Those of them in which the clock stood still.
    suspended_for: Duration,
    stopped: ClockIs,
    live: usize,
    panics: Vec<String>,
}

/// What the clock of a process does while it is paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClockIs {
    #[default]
    Running,
    /// As Linux' monotonic clock while the machine is suspended.
    Stopped,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Running,
    Paused,
    Dead,
}

impl Process {
    pub(crate) fn new(day: Day) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), ended: Notify::new(), day }))
    }

    pub(crate) fn phase(&self) -> Phase {
        lock(&self.0.state).phase
    }

    /// Says whether it ran.
    pub(crate) fn pause(&self, clock: ClockIs) -> bool {
        let mut state = lock(&self.0.state);
        let running = state.phase == Phase::Running;
        if running {
            state.phase = Phase::Paused;
            let now = Instant::now();
            // What had no time to be late between two pauses is late for both.
            let before = state.paused.filter(|(_, end)| end.is_some_and(|end| now - end <= MOMENT));
            state.paused = Some((before.map_or(now, |(begun, _)| begun), None));
            state.paused_since = Some(now);
            state.stopped = clock;
        }
        running
    }

    /// Returns since when its clock had stood still, if it had.
    pub(crate) fn resume(&self) -> Option<Instant> {
        let mut state = lock(&self.0.state);
        if state.phase != Phase::Paused {
            return None;
        }
        state.phase = Phase::Running;
        let now = Instant::now();
        if let Some((_, end)) = &mut state.paused {
            *end = Some(now);
        }
        let since = state.paused_since.take().unwrap_or(now);
        state.paused_for += now - since;
        let stopped = state.stopped == ClockIs::Stopped;
        if stopped {
            state.suspended_for += now - since;
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        stopped.then_some(since)
    }

    /// Resolves when it is dead.
    pub(crate) async fn died(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.phase() == Phase::Dead {
                return;
            }
            ended.await;
        }
    }

    /// Nothing of it runs ever again; not even the drop of what it holds, which waits for the end of the simulation.
    /// Returns since when it had been paused, if it was.
    pub(crate) fn kill(&self) -> Option<Instant> {
        let mut state = lock(&self.0.state);
        let since = state.paused_since;
        state.phase = Phase::Dead;
        state.wakers.clear();
        drop(state);
        self.0.ended.notify_waiters();
        since
    }

    /// How long it has been paused so far.
    pub(crate) fn paused_for(&self) -> Duration {
        lock(&self.0.state).paused_for
    }

    /// How much its clock is behind the time of the simulation.
    pub(crate) fn suspended_for(&self) -> Duration {
        let state = lock(&self.0.state);
        let present = match (state.stopped, state.paused_since) {
            (ClockIs::Stopped, Some(since)) => since.elapsed(),
            _ => Duration::ZERO,
        };
        state.suspended_for + present
    }

    /// For something that happens now: how much of its lateness is the fault of a pause that has just ended.
    pub(crate) fn lag(&self) -> Duration {
        match lock(&self.0.state).paused {
            Some((begun, Some(end))) if end.elapsed() <= MOMENT => begun.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// How many of its tasks have not ended.
    pub(crate) fn live(&self) -> usize {
        lock(&self.0.state).live
    }

    pub(crate) fn panics(&self) -> Vec<String> {
        lock(&self.0.state).panics.clone()
    }

    /// `task` behind the gate.
    pub(crate) fn gated(&self, task: impl Future<Output = ()> + Send + 'static) -> Gated {
        lock(&self.0.state).live += 1;
        Gated { process: self.clone(), task: Some(Box::pin(task)) }
    }
}

impl Spawner for Process {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        // As the library's own spawner: what is dropped after the runtime's end starts nothing.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(self.gated(task)));
        }
    }
}

/// The clock of the process: stands still while it is suspended.
impl Clock for Process {
    fn now(&self) -> std::time::Instant {
        (Instant::now() - self.suspended_for()).into_std()
    }

    fn wall(&self) -> std::time::SystemTime {
        self.0.day.now()
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> BoxFuture<'static, ()> {
        let process = self.clone();
        Box::pin(async move {
            loop {
                let due = Instant::from_std(deadline) + process.suspended_for();
                if Instant::now() >= due {
                    return;
                }
                sleep_until(due).await;
            }
        })
    }
}

/// One task of a client.
pub(crate) struct Gated {
    process: Process,
    task: Option<BoxFuture<'static, ()>>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.process.0.state);
        match state.phase {
            Phase::Running => {}
            Phase::Paused => {
                state.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Phase::Dead => return Poll::Pending,
        }
        drop(state);
        let Some(task) = &mut self.task else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => self.end(),
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                lock(&self.process.0.state).panics.push(said.unwrap_or_default());
                self.end()
            }
        }
    }
}

impl Gated {
    fn end(&mut self) -> Poll<()> {
        drop(self.task.take());
        Poll::Ready(())
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        lock(&self.process.0.state).live -= 1;
    }
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gated")
    }
}
