//! Tasks that take and give back locks of their own, over one set of connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::tally::Tally;
use super::{Figures, Job, echo, note};
use crate::Outcome;
use crate::cell::Stage;
use crate::contender::{Client, Contender};
use crate::usage;

/// How long after the window a task may still be in its last cycle before it counts as hung.
const GRACE: Duration = Duration::from_secs(5);
/// A contender that fails at once must not do it as fast as it can.
const AFTER_FAILURE: Duration = Duration::from_millis(1);
/// How often the standing of nodes is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One task: its client, and the resources that it locks.
struct Task<C> {
    client: C,
    number: usize,
    resources: usize,
    /// A name of its own for each lock: one library leaves keys behind, and would wait for them to expire.
    turn: u64,
}

pub(crate) async fn run<C: Contender>(
    job: &Job,
    tasks: usize,
    resources: usize,
    stage: &mut Stage,
) -> Outcome<Figures> {
    let contender = C::connect(&job.terms).await?;
    let task = |number| Task { client: contender.client(), number, resources, turn: 0 };
    let all = (0..tasks).map(task);
    let (all, warm) = together(all.collect(), job.warm_up).await?;
    if warm.cycles() == 0 {
        let why = warm.last_failure.unwrap_or_else(|| "no lock in the warm-up".to_owned());
        return Err(why.into());
    }
    let mut figures = Figures::new();
    if job.echo {
        let took = echo::quorum(&job.terms, job.window / 4).await?;
        note(&mut figures, "echo_p50_us", took.as_secs_f64() * 1e6);
    }
    stage.ready().await?;
    let cpu = usage::cpu()?;
    let voting = tokio::spawn(voting_again(contender, tasks == 1));
    let (_, tally) = together(all, job.window).await?;
    if let Some(votes) = ended(voting).await {
        note(&mut figures, "votes_s", votes.as_secs_f64());
    }
    note(&mut figures, "client_cpu_s", (usage::cpu()? - cpu).as_secs_f64());
    stage.done().await?;
    if tally.cycles() == 0 {
        let why = tally.last_failure.unwrap_or_else(|| "no lock in the whole window".to_owned());
        return Err(why.into());
    }
    tally.tell(&mut figures, job.window);
    stage.note(tally.last_failure);
    Ok(figures)
}

/// What the lock of this task is called at its `turn`.
pub(crate) fn names(task: usize, turn: u64, resources: usize) -> Vec<String> {
    (0..resources).map(|resource| format!("bench:{task}:{turn}:{resource}")).collect()
}

/// Returns when all nodes vote, after one did not: how long from now. Where nobody would see it, never.
async fn voting_again<C: Contender>(contender: C, looks: bool) -> Duration {
    let begin = Instant::now();
    let Some(all) = contender.voting().filter(|_| looks) else {
        return std::future::pending().await;
    };
    while contender.voting() == Some(all) {
        sleep(LOOK_EVERY).await;
    }
    while contender.voting() != Some(all) {
        sleep(LOOK_EVERY).await;
    }
    begin.elapsed()
}

/// What it has returned so far, if it has.
async fn ended(task: tokio::task::JoinHandle<Duration>) -> Option<Duration> {
    task.abort();
    task.await.ok()
}

/// Lets all of them cycle for so long, and returns those that ended, with what all have seen.
async fn together<C: Client>(
    tasks: Vec<Task<C>>,
    window: Duration,
) -> Outcome<(Vec<Task<C>>, Tally)> {
    let until = Instant::now() + window;
    let mut running = JoinSet::new();
    // One for all: a note takes some fifty nanoseconds, and a histogram half a megabyte.
    let tally = Arc::new(Mutex::new(Tally::new()));
    for task in tasks {
        running.spawn(cycle_until(task, until, Arc::clone(&tally)));
    }
    let mut ended = Vec::new();
    let all = async {
        while let Some(task) = running.join_next().await {
            ended.push(task?);
        }
        Outcome::Ok(())
    };
    let in_time = timeout(window + GRACE, all).await;
    running.abort_all();
    let mut seen = Tally::new();
    std::mem::swap(&mut seen, &mut tally.lock().unwrap_or_else(PoisonError::into_inner));
    match in_time {
        Ok(all) => all?,
        Err(_) => seen.failed(format!("hung after {} releases", seen.cycles())),
    }
    Ok((ended, seen))
}

async fn cycle_until<C: Client>(
    mut task: Task<C>,
    until: Instant,
    tally: Arc<Mutex<Tally>>,
) -> Task<C> {
    let note = |what: &dyn Fn(&mut Tally)| {
        what(&mut tally.lock().unwrap_or_else(PoisonError::into_inner));
    };
    while Instant::now() < until {
        task.turn += 1;
        let resources = names(task.number, task.turn, task.resources);
        let begin = Instant::now();
        if let Err(error) = task.client.acquire(&resources).await {
            note(&|tally| tally.failed(error.to_string()));
            sleep(AFTER_FAILURE).await;
            continue;
        }
        let acquired = begin.elapsed();
        note(&|tally| tally.acquired(acquired));
        let begin = Instant::now();
        match task.client.release().await {
            Ok(()) => note(&|tally| tally.released(begin.elapsed(), Instant::now() <= until)),
            Err(error) => note(&|tally| tally.failed(error.to_string())),
        }
    }
    task.client.settle().await;
    task
}
