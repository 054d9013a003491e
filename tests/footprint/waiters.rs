//! Many tasks that wait for one lock: at rest between two attempts, and asking as often as they do by default.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorlock::{Builder, Guard, Redlock, Retry};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::Outcome;
use crate::console::tell;
use crate::load::{self, Counts, WARM_UP};
use crate::memory::Reading;
use crate::plan::Plan;

/// So seldom that there is a moment at which nobody asks.
const SELDOM: Retry = Retry::between(Duration::from_secs(8), Duration::from_secs(16));
/// In all less than the least delay.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const BOUND: Duration = Duration::from_secs(120);

pub(crate) async fn run(plan: &Plan) -> Outcome {
    tell("waiters", plan.waiters);
    at_rest(plan).await?;
    if plan.hold > 0 {
        busy(plan).await?;
    }
    Ok(())
}

async fn at_rest(plan: &Plan) -> Outcome {
    let scene = Scene::open(plan, plan.patient().retry(SELDOM)).await?;
    let waiters = scene.wait(plan).await?;
    // What nodes that got no time have not answered yet, on a busy machine, is quiet too.
    let tasks = plan.nodes() + 1 + waiters.len();
    let mut waiting = Reading::quiet(tasks).await?;
    for _ in 0..LOOKS {
        sleep(BETWEEN_LOOKS).await;
        let again = Reading::quiet(tasks).await?;
        if again.bytes < waiting.bytes {
            waiting = again;
        }
    }
    let each = |value: i64| value as f64 / plan.waiters as f64;
    tell("bytes_per_waiter", each(waiting.bytes - scene.before.bytes));
    tell("blocks_per_waiter", each(waiting.blocks - scene.before.blocks));
    tell("tasks_per_waiter", each(waiting.tasks - scene.before.tasks));
    drop(waiters);
    let after = Reading::quiet(plan.nodes() + 1).await?;
    tell("bytes_left", after.bytes - scene.before.bytes);
    tell("tasks_left", after.tasks - scene.before.tasks);
    Ok(())
}

async fn busy(plan: &Plan) -> Outcome {
    let scene = Scene::open(plan, plan.patient()).await?;
    let waiters = scene.wait(plan).await?;
    let (asked, begun) = (load::read(&scene.counts.denied), Instant::now());
    let (most, mean) = Reading::most_within(Duration::from_secs(plan.hold)).await;
    let asked = load::read(&scene.counts.denied) - asked;
    let each = |value: i64| value as f64 / plan.waiters as f64;
    tell("rounds_per_second_busy", asked as f64 / begun.elapsed().as_secs_f64());
    tell("bytes_per_waiter_busy_mean", each(mean - scene.before.bytes));
    tell("bytes_per_waiter_busy_most", each(most.bytes - scene.before.bytes));
    tell("tasks_per_waiter_busy_most", each(most.tasks - scene.before.tasks));
    drop(waiters);
    let after = Reading::quiet(plan.nodes() + 1).await?;
    tell("bytes_left_busy", after.bytes - scene.before.bytes);
    Ok(())
}

/// A lock that is held, and how things stood before anybody waited for it.
struct Scene {
    redlock: Redlock,
    counts: Arc<Counts>,
    _held: Guard,
    before: Reading,
}

impl Scene {
    async fn open(plan: &Plan, builder: Builder) -> Outcome<Self> {
        let counts = Counts::new();
        let redlock = builder.ttl(BOUND * 3).observer(counts.clone()).build()?;
        load::cycles(&redlock, WARM_UP).await;
        let held = redlock.lock("one").await?;
        let before = Reading::quiet(plan.nodes() + 1).await?;
        Ok(Self { redlock, counts, _held: held, before })
    }

    /// Starts the waiters; returns when each has begun, and one was denied: whoever comes to a queue does not ask.
    async fn wait(&self, plan: &Plan) -> Outcome<JoinSet<()>> {
        let (mut waiters, begun) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for _ in 0..plan.waiters {
            let (redlock, begun) = (self.redlock.clone(), Arc::clone(&begun));
            waiters.spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                drop(redlock.lock("one").await);
            });
        }
        let all = async {
            while load::read(&begun) < plan.waiters || load::read(&self.counts.denied) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(BOUND, all).await.map_err(|_| "not everybody waits")?;
        Ok(waiters)
    }
}
