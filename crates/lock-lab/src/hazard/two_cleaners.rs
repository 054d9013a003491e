//! Two clients clean up after a dead one at once.

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::{About, Ends};
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) struct TwoCleaners;

impl Hazard for TwoCleaners {
    fn name(&self) -> &'static str {
        "two-cleaners"
    }

    fn title(&self) -> &'static str {
        "two clients find a lock that is over, and both clean up"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.ends == Ends::Expiry).then_some("no client cleans up: the servers let keys expire")
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut dead = stage.client("A").await?;
            let (mut first, mut second) = (stage.client("B").await?, stage.client("C").await?);
            dead.acquire().await?;
            dead.die();
            stage.outlast().await?;
            // B has seen that it is over, and is slow from there on.
            first.acquire_until(|words| matches!(words[0], "DEL" | "GETSET")).await?;
            second.acquire().await?;
            if !first.go_on().await? {
                return Ok(Verdict::Safe("B sees what C wrote, and steps back".to_owned()));
            }
            Ok(stage.clash(&second, &first))
        })
    }
}
