//! What is left after each of many batches of locks, and the line through it.

use std::time::Duration;

use tokio::time::Instant;

use crate::Outcome;
use crate::console::tell;
use crate::fit::Line;
use crate::load::{self, WARM_UP};
use crate::memory::{Reading, allocations};
use crate::plan::Plan;

/// The locks of one batch.
const BATCH: u64 = 500;

pub(crate) async fn run(plan: &Plan) -> Outcome {
    let redlock = plan.patient().build()?;
    load::cycles(&redlock, WARM_UP).await;
    let (begun, limit) = (Instant::now(), Duration::from_secs(plan.slope));
    // As large as it will be, so that it is no slope of its own.
    let mut looks = Vec::with_capacity(1 << 20);
    let before = Reading::quiet(plan.nodes()).await?;
    let (allocated, mut failed) = (allocations(), 0);
    while looks.len() < usize::try_from(plan.batches)? || begun.elapsed() < limit {
        failed += load::cycles(&redlock, BATCH).await;
        let bytes = Reading::quiet(plan.nodes()).await?.bytes - before.bytes;
        looks.push((looks.len() as f64 * BATCH as f64, bytes as f64));
    }
    let cycles = looks.len() as u64 * BATCH;
    let allocated = allocations() - allocated;
    let (line, late) = (Line::through(&looks), Line::through(&looks[looks.len() / 2..]));
    let bytes = || looks.iter().map(|(_, bytes)| *bytes);
    tell("seconds", begun.elapsed().as_secs());
    tell("cycles", cycles);
    tell("looks", looks.len());
    tell("cycles_failed", failed);
    tell("allocations_per_cycle", allocated as f64 / cycles as f64);
    tell("bytes_least", bytes().fold(f64::INFINITY, f64::min));
    tell("bytes_most", bytes().fold(f64::NEG_INFINITY, f64::max));
    tell("bytes_per_cycle", line.slope);
    tell("bytes_per_cycle_error", line.error);
    // Buffers grow to the size of the largest burst, sooner rather than later: what goes on growing shows here too.
    tell("bytes_per_cycle_second_half", late.slope);
    tell("bytes_per_cycle_second_half_error", late.error);
    redlock.close(Duration::from_secs(20)).await?;
    Ok(())
}
