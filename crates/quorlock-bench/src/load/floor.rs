//! The cycles of `cycles.rs`, on the floor's one thread.

use std::time::{Duration, Instant};

use super::tally::Tally;
use super::{Figures, Job, note};
use crate::Outcome;
use crate::cell::Stage;
use crate::contender::floor::Floor;
use crate::usage;

pub(crate) async fn run(job: &Job, tasks: usize, stage: &mut Stage) -> Outcome<Figures> {
    let mut floor = Floor::connect(&job.terms, tasks)?;
    timed(&mut floor, job.warm_up)?;
    stage.ready().await?;
    let cpu = usage::cpu()?;
    let tally = timed(&mut floor, job.window)?;
    let mut figures = Figures::new();
    note(&mut figures, "client_cpu_s", (usage::cpu()? - cpu).as_secs_f64());
    stage.done().await?;
    tally.tell(&mut figures, job.window);
    Ok(figures)
}

/// It has no other thread to share, so nothing is lost by blocking the runtime's.
fn timed(floor: &mut Floor, window: Duration) -> Outcome<Tally> {
    let mut tally = Tally::new();
    floor.run(Instant::now() + window, &mut tally)?;
    Ok(tally)
}
