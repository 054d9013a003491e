//! Who loses a race by `GETSET` has written its own time over the winner's.

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
        (about.name != "getset").then_some("it does not use GETSET")
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut dead, mut loser) = (stage.client("A").await?, stage.client("B").await?);
            let (mut winner, mut next) = (stage.client("C").await?, stage.client("D").await?);
            stage.until_held(&mut dead).await?;
            dead.die();
            stage.outlast().await?;
            loser.acquire_until(|words| words[0] == "GETSET").await?;
            // B is slow from there on, and what it will write is as old.
            stage.pass(stage.ttl() * 3 / 4).await?;
            stage.until_held(&mut winner).await?;
            loser.go_on().await?;
            stage.pass(stage.ttl() / 2).await?;
            if !next.acquire().await? {
                return Ok(Verdict::Safe("C's time stands".to_owned()));
            }
            Ok(stage.clash(&winner, &next))
        })
    }
}
