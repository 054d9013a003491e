//! Locks that are taken and given back, many at a time. Measures nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, stream};
use quorlock::{Event, Guard, Observer, Redlock};

use crate::Outcome;

/// How many are under way at once.
pub(crate) const AT_ONCE: usize = 64;
/// Enough for every buffer and table to have its size.
pub(crate) const WARM_UP: u64 = 2_000;

/// Takes and gives back that many locks. Returns how many could not be taken or given back.
pub(crate) async fn cycles(redlock: &Redlock, count: u64) -> u64 {
    let cycle = async |number: u64| {
        // As many names as are never under way at once.
        let resource = format!("cycle-{}", number % 1_000);
        match redlock.lock(resource).await {
            Ok(guard) => {
                u64::from(!guard.release().await.is_ok_and(|report| report.is_confirmed()))
            }
            Err(_) => 1,
        }
    };
    let failed = stream::iter(0..count).map(cycle).buffer_unordered(AT_ONCE);
    failed.fold(0, async |sum, failed| sum + failed).await
}

/// Takes that many locks into `guards`.
pub(crate) async fn take(redlock: &Redlock, count: u64, guards: &mut Vec<Guard>) -> Outcome {
    let lock = |number: u64| redlock.lock(format!("held-{number:06}")).into_future();
    let mut locks = stream::iter(0..count).map(lock).buffer_unordered(AT_ONCE);
    while let Some(guard) = locks.next().await {
        guards.push(guard?);
    }
    Ok(())
}

/// Counts what happens, and remembers nothing else.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) denied: AtomicU64,
    pub(crate) extended: AtomicU64,
    pub(crate) downs: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) forgotten: AtomicU64,
    /// How many releases the node was owed that was connected last.
    pub(crate) owed: AtomicU64,
}

impl Counts {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }
}

impl Observer for Counts {
    fn observe(&self, event: &Event) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        match event {
            Event::Denied { .. } => count(&self.denied),
            Event::Extended { .. } => count(&self.extended),
            Event::NodeDown { .. } => count(&self.downs),
            Event::NodeConnected { owed, .. } => {
                count(&self.connected);
                self.owed.store(*owed as u64, Ordering::SeqCst);
            }
            Event::OwedReleaseDropped { .. } => count(&self.forgotten),
            _ => {}
        }
    }
}

pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}
