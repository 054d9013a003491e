//! Full load while one of the nodes is frozen, and after it has thawed.

use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::Outcome;
use crate::console::{Console, tell};
use crate::load::{self, Counts, WARM_UP, read};
use crate::memory::Reading;
use crate::plan::Plan;

const BOUND: Duration = Duration::from_secs(120);

pub(crate) async fn run(plan: &Plan, console: &mut Console) -> Outcome {
    let counts = Counts::new();
    let redlock = plan.usual().observer(counts.clone()).build()?;
    load::cycles(&redlock, WARM_UP).await;
    let before = Reading::quiet(plan.nodes()).await?;

    console.ask("freeze").await?;
    let begun = Instant::now();
    let load = async {
        let first = load::cycles(&redlock, plan.cycles).await;
        until(&counts.downs, 1, "the node is given up").await?;
        let first = (first, Reading::quiet(plan.nodes()).await?);
        let (mut cycles, mut failed) = (plan.cycles, first.0);
        let limit = Duration::from_secs(plan.frozen);
        while cycles < 4 * plan.cycles || begun.elapsed() < limit {
            failed += load::cycles(&redlock, plan.cycles).await;
            cycles += plan.cycles;
        }
        let last = Reading::quiet(plan.nodes()).await?;
        Outcome::Ok((first.1, last, cycles, failed))
    };
    let mut most = before;
    let (first, last, cycles, failed) = tokio::select! {
        biased;
        done = load => done?,
        never = watch(&mut most) => match never {},
    };
    tell("seconds", begun.elapsed().as_secs());
    tell("cycles_first", plan.cycles);
    tell("bytes_first", first.bytes - before.bytes);
    tell("cycles_last", cycles);
    tell("bytes_last", last.bytes - before.bytes);
    tell("bytes_most", most.bytes - before.bytes);
    tell("tasks_most", most.tasks - before.tasks);
    tell("cycles_failed", failed);

    let connected = read(&counts.connected);
    console.ask("thaw").await?;
    until(&counts.connected, connected + 1, "the node is back").await?;
    let after = Reading::quiet(plan.nodes()).await?;
    tell("releases_owed", read(&counts.owed));
    tell("releases_forgotten", read(&counts.forgotten));
    tell("bytes_left", after.bytes - before.bytes);
    tell("tasks_left", after.tasks - before.tasks);
    redlock.close(Duration::from_secs(20)).await?;
    Ok(())
}

/// Keeps the largest of all looks, for ever.
async fn watch(most: &mut Reading) -> Infallible {
    loop {
        let now = Reading::now();
        most.bytes = most.bytes.max(now.bytes);
        most.tasks = most.tasks.max(now.tasks);
        sleep(Duration::from_millis(5)).await;
    }
}

async fn until(counter: &AtomicU64, count: u64, what: &str) -> Outcome {
    let counted = async {
        while read(counter) < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, counted).await.map_err(|_| format!("never: {what}").into())
}
