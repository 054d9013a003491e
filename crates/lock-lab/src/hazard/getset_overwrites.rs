//! Who loses a race by `GETSET` has written its own time over the winner's.

use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::About;
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) struct GetsetOverwrites;

impl Hazard for GetsetOverwrites {
    fn name(&self) -> &'static str {
        "getset-overwrites"
    }

    fn title(&self) -> &'static str {
        "the loser of a race writes its own, earlier end over the winner's"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.name != "getset").then_some("nobody writes to a key that is not its own")
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut dead = stage.client("A").await?;
            let mut loser = stage.client("B").await?;
            let long = 10 * stage.ttl();
            let mut winner = stage.client_with("C", long, Duration::ZERO).await?;
            let mut next = stage.client("D").await?;
            dead.acquire().await?;
            dead.die();
            stage.outlast().await?;
            loser.acquire_until(|words| words[0] == "GETSET").await?;
            stage.story.note(format!(
                "C asks for {} s, B for {} s",
                long.as_secs(),
                stage.ttl().as_secs()
            ));
            winner.acquire().await?;
            loser.go_on().await?;
            // B's time, by far not C's.
            stage.outlast().await?;
            if !next.acquire().await? {
                return Ok(Verdict::Safe("C's time stands".to_owned()));
            }
            Ok(stage.clash(&winner, &next))
        })
    }
}
