//! Many locks held at once, each with its keeper.

use std::time::Duration;

use futures::{StreamExt, stream};
use quorlock::{Guard, Redlock};

use crate::Outcome;
use crate::console::tell;
use crate::load::{self, AT_ONCE, Counts, WARM_UP};
use crate::memory::Reading;
use crate::plan::Plan;

pub(crate) async fn run(plan: &Plan) -> Outcome {
    let counts = Counts::new();
    let ttl = Duration::from_secs(plan.ttl);
    let redlock = plan.patient().ttl(ttl).observer(counts.clone()).build()?;
    let idle = plan.nodes();
    load::cycles(&redlock, WARM_UP).await;
    // As large as it will be: it is the program's, not the library's.
    let mut guards = Vec::with_capacity(usize::try_from(plan.locks)?);
    let before = Reading::quiet(idle).await?;
    let each = |bytes: i64| bytes as f64 / plan.locks as f64;
    tell("locks", plan.locks);
    tell("guard_bytes", size_of::<Guard>());

    let first = taken(plan, &redlock, &mut guards).await?;
    tell("bytes_per_lock", each(first.bytes - before.bytes));
    tell("blocks_per_lock", each(first.blocks - before.blocks));
    tell("tasks_per_lock", each(first.tasks - before.tasks));

    extend(&guards).await?;
    let extended = Reading::quiet(idle).await?;
    tell("bytes_per_lock_extended", each(extended.bytes - before.bytes));
    if plan.hold > 0 {
        let already = load::read(&counts.extended);
        let (most, mean) = Reading::most_within(Duration::from_secs(plan.hold)).await;
        tell("extends_per_lock_kept", each((load::read(&counts.extended) - already) as i64));
        tell("bytes_per_lock_kept_mean", each(mean - before.bytes));
        tell("bytes_per_lock_kept_most", each(most.bytes - before.bytes));
        tell("tasks_per_lock_kept_most", each(most.tasks - before.tasks));
    }

    give_back(&mut guards).await;
    let after = Reading::quiet(idle).await?;
    tell("bytes_left", after.bytes - before.bytes);

    let second = taken(plan, &redlock, &mut guards).await?;
    tell("bytes_per_lock_second_time", each(second.bytes - before.bytes));
    give_back(&mut guards).await;
    let after = Reading::quiet(idle).await?;
    tell("bytes_left_second_time", after.bytes - before.bytes);
    tell("tasks_left", after.tasks - before.tasks);
    redlock.close(Duration::from_secs(20)).await?;
    Ok(())
}

async fn taken(plan: &Plan, redlock: &Redlock, guards: &mut Vec<Guard>) -> Outcome<Reading> {
    load::take(redlock, plan.locks, guards).await?;
    Reading::quiet(plan.nodes()).await
}

/// Extends each of them once, as its keeper would.
async fn extend(guards: &[Guard]) -> Outcome {
    let mut extends = stream::iter(guards).map(Guard::extend).buffer_unordered(AT_ONCE);
    while let Some(extended) = extends.next().await {
        extended?;
    }
    Ok(())
}

/// Releases all of them; one that is lost is given back too.
async fn give_back(guards: &mut Vec<Guard>) {
    let releases = stream::iter(guards.drain(..)).map(Guard::release).buffer_unordered(AT_ONCE);
    releases.for_each(async |released| drop(released)).await;
}
