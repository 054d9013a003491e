//! What this process has on its heap, and how many tasks its runtime has: read, waited for, compared. Takes no locks.

use std::alloc::System;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::Outcome;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const POLL: Duration = Duration::from_millis(10);
/// How often a look has to find the same before it counts as quiet: for longer than between two looks whether a connection is at rest.
const SAME: u32 = 15;
const BOUND: Duration = Duration::from_secs(120);

/// How often a block was allocated, or made larger, so far.
pub(crate) fn allocations() -> usize {
    let stats = COUNTED.stats();
    stats.allocations + stats.reallocations
}

/// One look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Bytes that are allocated.
    pub(crate) bytes: i64,
    /// Blocks that are allocated.
    pub(crate) blocks: i64,
    pub(crate) tasks: i64,
}

impl Reading {
    pub(crate) fn now() -> Self {
        let stats = COUNTED.stats();
        let difference = |more: usize, less: usize| more.wrapping_sub(less).cast_signed() as i64;
        Self {
            bytes: difference(stats.bytes_allocated, stats.bytes_deallocated),
            blocks: difference(stats.allocations, stats.deallocations),
            tasks: Handle::current().metrics().num_alive_tasks() as i64,
        }
    }

    /// Waits until there are no more than that many tasks, and nothing changes.
    ///
    /// # Errors
    ///
    /// It never gets quiet.
    pub(crate) async fn quiet(tasks: usize) -> Outcome<Self> {
        let quiet = async {
            let (mut last, mut same) = (Self::now(), 0);
            while same < SAME {
                sleep(POLL).await;
                let now = Self::now();
                same = if now == last && now.tasks <= tasks as i64 { same + 1 } else { 0 };
                last = now;
            }
            last
        };
        let quiet = timeout(BOUND, quiet).await;
        quiet.map_err(|_| format!("never quiet with {tasks} tasks: {:?}", Self::now()).into())
    }

    /// The largest of many looks in `span`, and the mean number of bytes.
    pub(crate) async fn most_within(span: Duration) -> (Self, i64) {
        let (mut most, mut sum, mut looks) = (Self::now(), 0, 0);
        let looking = async {
            loop {
                let now = Self::now();
                sum += now.bytes;
                looks += 1;
                most.bytes = most.bytes.max(now.bytes);
                most.tasks = most.tasks.max(now.tasks);
                sleep(POLL).await;
            }
        };
        // It ends with the span.
        timeout(span, looking).await.unwrap_or(());
        (most, sum / looks.max(1))
    }
}
