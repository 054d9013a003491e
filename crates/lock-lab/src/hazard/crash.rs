//! A client dies between the commands with which it takes the lock.

use futures::future::LocalBoxFuture;

use super::{Hazard, runs_out, wait_for_the_dead};
use crate::error::Result;
use crate::recipe::{About, Ends, Servers};
use crate::stage::{KEY, Needs, Stage};
use crate::verdict::Verdict;

pub(super) struct Crash;

impl Hazard for Crash {
    fn name(&self) -> &'static str {
        "crash"
    }

    fn title(&self) -> &'static str {
        "a client dies between two commands of its acquire"
    }

    fn needs(&self, about: &About) -> Needs {
        runs_out(about)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            if stage.about.servers == Servers::Five {
                leave_by_hand(stage).await?;
                return wait_for_the_dead(stage).await;
            }
            let last = match stage.about.ends {
                Ends::Expiry => 2,
                Ends::TimeStamp => leave_one_that_is_over(stage).await?,
            };
            let mut commands = 0;
            let stop = move |_: &[&str]| {
                commands += 1;
                commands == last
            };
            let mut client = stage.client("A").await?;
            if client.acquire_until(stop).await?.is_some() {
                return Ok(Verdict::NotApplicable("it takes the lock with one command".to_owned()));
            }
            client.die();
            wait_for_the_dead(stage).await
        })
    }
}

/// A free lock is one command there; what takes over from somebody who is late are more. Says which is the last of them.
async fn leave_one_that_is_over(stage: &Stage) -> Result<usize> {
    let mut late = stage.client("Z").await?;
    stage.until_held(&mut late).await?;
    late.die();
    stage.outlast().await?;
    Ok(if stage.about.name == "del-stale" { 4 } else { 3 })
}

/// Its commands go out together, and what arrived before it died is on some nodes: here on two of five.
async fn leave_by_hand(stage: &Stage) -> Result<()> {
    let ttl = stage.ttl().as_millis().to_string();
    for index in 0..super::MAJORITY - 1 {
        let _: String = stage.ask(index, &["SET", KEY, "A, who is dead", "PX", &ttl]).await?;
    }
    stage.story.note("A dies when two of five nodes have its key");
    Ok(())
}
